/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-oci mounts: add mounts to a container that lives, or remove such.
 */
#include "oci.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"

static int read_list(const char *path, struct json **ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!STREQ(path, "-"))
		return json_parse_file_at(AT_FDCWD, path, JSON_FILE_MAX, ret, e);
	r = fd_read_all(STDIN_FILENO, JSON_FILE_MAX, &text, &len, "standard input", e);
	return r < 0 ? r : json_parse(text, len, "standard input", ret, e);
}

int oci_mounts(struct cli *cli, int argc, char **argv, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_json_ struct json *list = NULL;
	char none;
	bool add;
	int first, r = command_parse(cli, argc, argv, false, &none, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 3, 3, e);
	if (r < 0)
		return r;
	add = STREQ(argv[first], "add");
	if (!add && !STREQ(argv[first], "remove"))
		return err_invalid(e, "'%s' is not add or remove", argv[first]);
	r = read_list(argv[first + 2], &list, e);
	if (r == 0)
		r = rt_open(&cli->ctx, argv[first + 1], true, &s, e);
	if (r < 0)
		return r;
	return add ? rt_mounts_add(s, list, e) : rt_mounts_remove(s, list, e);
}
