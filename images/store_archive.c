/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which image an archive or layout had when it was read. The file that says so (an archive itself, index.json of a
 * layout) is known again by device, inode, size and times; so running it a second time costs a look at that file.
 * Only a shortcut: whatever does not match is read anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "digest.h"
#include "store.h"

static void file_of(const char *key, char ret[DIGEST_MAX])
{
	digest_of(key, strlen(key), ret);
	memmove(ret, digest_hex(ret), DIGEST_HEX_LEN + 1);
}

struct archive_record {
	char *key, *identity, *id;
};

static int read_record(struct img_store *s, const char *file, struct archive_record *ret)
{
	static const struct json_field fields[] = {
		JSON_REQUIRED(struct archive_record, key, "key", json_read_string),
		JSON_REQUIRED(struct archive_record, identity, "identity", json_read_string),
		JSON_REQUIRED(struct archive_record, id, "id", json_read_string),
	};
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top;

	if (json_parse_file_at(s->archives, file, STORE_SMALL_FILE_MAX, &doc, NULL) < 0)
		return -ENOENT;
	top = json_top(doc);
	if (json_read_object(&top, fields, ARRAY_SIZE(fields), ret, NULL) < 0)
		return -ENOENT;
	return strlen(ret->id) == DIGEST_HEX_LEN &&
			       strspn(ret->id, "0123456789abcdef") == DIGEST_HEX_LEN
		       ? 0
		       : -ENOENT;
}

static void record_done(struct archive_record *r)
{
	free(r->key);
	free(r->identity);
	free(r->id);
}

int archive_recall(struct img_store *s, const char *key, const char *identity, char **ret_id,
		   struct err *e)
{
	_cleanup_(record_done) struct archive_record record = {0};
	char file[DIGEST_MAX];

	(void)e;
	file_of(key, file);
	if (read_record(s, file, &record) < 0 || !STREQ(record.key, key) ||
	    !STREQ(record.identity, identity))
		return -ENOENT;
	*ret_id = TAKE_PTR(record.id);
	return 0;
}

int archive_remember(struct img_store *s, const char *key, const char *identity, const char *id,
		     struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	char file[DIGEST_MAX];
	size_t len;

	if (!o || json_set(o, "key", json_new_string(key)) < 0 ||
	    json_set(o, "identity", json_new_string(identity)) < 0 ||
	    json_set(o, "id", json_new_string(id)) < 0 || json_to_text(o, false, &text, &len) < 0)
		return err_nomem(e);
	file_of(key, file);
	return path_replace_file_at(s->archives, file, text, len, 0600, false, e);
}

void archive_sweep(struct img_store *s)
{
	_cleanup_strv_ char **files = NULL, **ids = NULL;

	if (store_read_dir(s->archives, "", &files, NULL) < 0 || image_ids(s, &ids, NULL) < 0)
		return;
	for (char **f = files; f && *f; f++) {
		_cleanup_(record_done) struct archive_record record = {0};
		bool known = read_record(s, *f, &record) == 0;

		for (char **v = ids; known && v && *v; v++)
			if (STREQ(*v, record.id))
				goto next;
		path_unlink_at(s->archives, *f, NULL);
	next:;
	}
}
