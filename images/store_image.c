/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of images: the configuration and manifest as they came, and image.json, whose presence makes a directory an
 * image. Who uses or writes one holds its directory's lock shared; who removes it, exclusively.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "digest.h"
#include "manifest.h"
#include "store.h"

#define CONFIG_FILE   "config.json"
#define MANIFEST_FILE "manifest.json"
#define RECORD_FILE   "image.json" /* complete with this one */

static bool is_there(const struct img_store *s, const char *id, int fd)
{
	struct stat mine, named;

	return fstat(fd, &mine) == 0 && fstatat(s->images, id, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/* The directory, locked shared. -ENOENT without an error text. */
static int open_shared(struct img_store *s, const char *id, struct err *e)
{
	for (;;) {
		_cleanup_close_ int fd = path_open_dir_at(s->images, id, NULL);
		int r;

		if (fd == -ENOENT)
			return -ENOENT;
		if (fd < 0)
			return path_open_dir_at(s->images, id, e);
		r = store_flock(fd, LOCK_SH, e);
		if (r < 0)
			return r;
		if (is_there(s, id, fd))
			return TAKE_FD(fd);
	}
}

static int keep_in_use(struct img_store *s, int *fd, struct err *e)
{
	int *more = reallocarray(s->in_use, s->n_in_use + 1, sizeof(*more));

	if (!more)
		return err_nomem(e);
	s->in_use = more;
	s->in_use[s->n_in_use++] = TAKE_FD(*fd);
	return 0;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static int make_record(const struct image_text *t, char **ret, size_t *ret_len)
{
	_cleanup_json_ struct json *o = json_new_object();
	char digest[DIGEST_MAX];

	if (!o || json_set(o, "version", json_new_u64(1)) < 0)
		return -ENOMEM;
	if (t->manifest) {
		digest_of(t->manifest, t->manifest_len, digest);
		if (json_set(o, "digest", json_new_string(digest)) < 0)
			return -ENOMEM;
	}
	return json_to_text(o, false, ret, ret_len);
}

static int write_files(int fd, const struct image_text *t, struct err *e)
{
	_cleanup_free_ char *record = NULL;
	size_t len;
	int r = path_replace_file_at(fd, CONFIG_FILE, t->config, t->config_len, 0600, true, e);

	if (r == 0 && t->manifest)
		r = path_replace_file_at(fd, MANIFEST_FILE, t->manifest, t->manifest_len, 0600,
					 true, e);
	if (r == 0)
		r = FAULT("image-record", e);
	if (r < 0)
		return r;
	if (make_record(t, &record, &len) < 0)
		return err_nomem(e);
	return path_replace_file_at(fd, RECORD_FILE, record, len, 0600, true, e);
}

int image_add(struct img_store *s, const char *id, const struct image_text *t, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r;

	while ((fd = open_shared(s, id, e)) == -ENOENT) {
		r = path_mkdir_at(s->images, id, 0700, e);
		if (r < 0 && r != -EEXIST)
			return err_wrap(e, "image %.12s", id);
	}
	if (fd < 0)
		return fd;
	r = write_files(fd, t, e);
	if (r == 0 && fsync(s->images) < 0)
		r = err_sys(e, errno, "write the image to the disk");
	return r < 0 ? err_wrap(e, "image %.12s", id) : 0;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static int read_record(int fd, char **ret_digest, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top, digest;
	int r = json_parse_file_at(fd, RECORD_FILE, STORE_SMALL_FILE_MAX, &doc, e);

	if (r < 0)
		return r;
	top = json_top(doc);
	if (!json_member(&top, "digest", &digest))
		return 0;
	return json_get_string(&digest, ret_digest, e);
}

/* The file's bytes are the id: a damaged disk shows here. */
static int read_config(int fd, const char *id, struct img_config *ret, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_free_ char *text = NULL;
	char digest[DIGEST_MAX];
	struct json_at top;
	size_t len;
	int r = path_read_file_at(fd, CONFIG_FILE, IMG_JSON_MAX, &text, &len, e);

	if (r < 0)
		return r;
	digest_of(text, len, digest);
	if (!STREQ(digest_hex(digest), id))
		return err_set(e, ERR_SYSTEM, EUCLEAN, "its configuration is damaged");
	r = json_parse(text, len, CONFIG_FILE, &doc, e);
	if (r < 0)
		return r;
	top = json_top(doc);
	return image_config_read(&top, ret, e);
}

static int find_layers(struct img_store *s, struct img_image *i, struct err *e)
{
	for (size_t n = strv_len(i->config.diff_ids); n-- > 0;) {
		const char *diff_id = i->config.diff_ids[n];
		char *path;

		if (!layer_exists(s, diff_id))
			return err_set(e, ERR_NOT_FOUND, ENOENT, "layer %.19s… is missing",
				       diff_id);
		if (layer_path(s, diff_id, &path) < 0 || strv_consume(&i->layers, path) < 0)
			return err_nomem(e);
		i->size_bytes += layer_size(s, diff_id);
	}
	return 0;
}

int image_load(struct img_store *s, const char *id, struct img_image *ret, struct err *e)
{
	struct img_image image = {0};
	_cleanup_close_ int fd = open_shared(s, id, e);
	int r;

	if (fd == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "image %.12s is not there", id);
	if (fd < 0)
		return fd;
	r = read_record(fd, &image.digest, e);
	if (r == 0)
		r = read_config(fd, id, &image.config, e);
	if (r == 0)
		r = find_layers(s, &image, e);
	if (r == 0 && !(image.id = strdup(id)))
		r = err_nomem(e);
	if (r == 0)
		r = keep_in_use(s, &fd, e);
	if (r < 0) {
		img_image_done(&image);
		return err_wrap(e, "image %.12s", id);
	}
	*ret = image;
	return 0;
}

int image_peek(struct img_store *s, const char *id, struct img_config *ret_config,
	       char **ret_digest, struct err *e)
{
	_cleanup_free_ char *digest = NULL;
	_cleanup_close_ int fd = path_open_dir_at(s->images, id, e);
	int r;

	if (fd < 0)
		return fd;
	r = read_record(fd, &digest, e);
	if (r == 0)
		r = read_config(fd, id, ret_config, e);
	if (r == 0 && ret_digest)
		*ret_digest = TAKE_PTR(digest);
	return r;
}

int image_texts(struct img_store *s, const char *id, char **ret_config, size_t *ret_config_len,
		char **ret_manifest, size_t *ret_manifest_len, struct err *e)
{
	_cleanup_free_ char *config = NULL, *manifest = NULL;
	_cleanup_close_ int fd = path_open_dir_at(s->images, id, e);
	size_t config_len, manifest_len = 0;
	int r = fd;

	if (r >= 0)
		r = path_read_file_at(fd, CONFIG_FILE, IMG_JSON_MAX, &config, &config_len, e);
	if (r >= 0 && faccessat(fd, MANIFEST_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = path_read_file_at(fd, MANIFEST_FILE, IMG_JSON_MAX, &manifest, &manifest_len, e);
	if (r < 0)
		return err_wrap(e, "image %.12s", id);
	*ret_config = TAKE_PTR(config);
	*ret_config_len = config_len;
	*ret_manifest = TAKE_PTR(manifest);
	*ret_manifest_len = manifest_len;
	return 0;
}

void img_image_done(struct img_image *i)
{
	if (!i)
		return;
	free(i->name);
	free(i->id);
	free(i->digest);
	img_config_done(&i->config);
	strv_free(i->layers);
	*i = (struct img_image){0};
}

/* ---- removing ---------------------------------------------------------------------------------- */

/* The record first: what is killed after that is no image any more. */
static int remove_record(struct img_store *s, const char *id, int fd, struct err *e)
{
	int r = path_unlink_at(fd, RECORD_FILE, e);

	return r < 0 ? r : path_remove_tree_at(s->images, id, e);
}

int image_drop(struct img_store *s, const char *id, struct err *e)
{
	_cleanup_close_ int fd = path_open_dir_at(s->images, id, e);
	int r;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	r = store_flock(fd, LOCK_EX | LOCK_NB, e);
	if (r == -EWOULDBLOCK)
		return err_set(e, ERR_STATE, EBUSY, "image %.12s is in use", id);
	if (r == 0)
		r = remove_record(s, id, fd, e);
	return r < 0 ? err_wrap(e, "remove image %.12s", id) : 0;
}

void image_sweep_dead(struct img_store *s)
{
	_cleanup_strv_ char **all = NULL;
	struct stat st;

	if (store_read_dir(s->images, "", &all, NULL) < 0)
		return;
	for (char **v = all; v && *v; v++) {
		_cleanup_close_ int fd = path_open_dir_at(s->images, *v, NULL);

		if (fd >= 0 && fstatat(fd, RECORD_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno == ENOENT && store_flock(fd, LOCK_EX | LOCK_NB, NULL) == 0 &&
		    fstatat(fd, RECORD_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
			path_remove_tree_at(s->images, *v, NULL);
	}
}

int image_ids(struct img_store *s, char ***ret, struct err *e)
{
	_cleanup_strv_ char **all = NULL, **ids = NULL;
	int r = store_read_dir(s->images, "", &all, e);

	for (char **v = all; r == 0 && v && *v; v++) {
		_cleanup_free_ char *record = NULL;
		struct stat st;

		if (strlen(*v) != DIGEST_HEX_LEN)
			continue;
		if (str_printf(&record, "%s/" RECORD_FILE, *v) < 0)
			return err_nomem(e);
		if (fstatat(s->images, record, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    strv_push(&ids, *v) < 0)
			return err_nomem(e);
	}
	if (r == 0)
		*ret = TAKE_PTR(ids);
	return r;
}
