/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles for tests: the document that `spec` writes, with the test's root file system and changes.
 */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "oci_document.h"
#include "runtime/oci.h"

#define KEPT_PATHS 8

static struct json *shell_args(const char *command)
{
	struct json *args = json_new_array();

	assert_non_null(args);
	assert_int_equal(json_push(args, json_new_string("sh")), 0);
	assert_int_equal(json_push(args, json_new_string("-c")), 0);
	assert_int_equal(json_push(args, json_new_string(command)), 0);
	return args;
}

static void put_member(struct json *document, const char *path, struct json *value)
{
	assert_non_null(value);
	document_put(document, path, value);
}

const char *bundle(const struct world *w, const char *name, const char *command,
		   const char *const *changes)
{
	static char kept[KEPT_PATHS][160];
	static unsigned next;
	char *dir = kept[next++ % KEPT_PATHS], path[192];
	_cleanup_json_ struct json *document = oci_spec_default();
	char *text;
	size_t len;

	assert_non_null(document);
	snprintf(dir, sizeof(kept[0]), "%s/bundle-%s", w->dir, name);
	assert_true(mkdir(dir, 0755) == 0 || errno == EEXIST);
	put_member(document, "process.terminal", json_new_bool(false));
	put_member(document, "process.args", shell_args(command));
	put_member(document, "root.path", json_new_string(w->rootfs));
	put_member(document, "root.readonly", json_new_bool(false));
	for (; changes && changes[0]; changes += 2)
		document_put(document, changes[0], document_parse(changes[1]));
	assert_int_equal(json_to_text(document, true, &text, &len), 0);
	snprintf(path, sizeof(path), "%s/config.json", dir);
	write_file(path, text, 0644);
	free(text);
	return dir;
}
