/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers: extracted once each, by the worker, into a temporary that gets its name when everything about it was checked
 * and is on the disk. Several processes that want one layer meet at its lock; the first extracts, the others
 * find it done. The lock's descriptor is held by the worker, too: while either lives, nobody takes the
 * temporary for a leftover.
 *
 * A layer is one file with an EROFS image where such can be mounted, and a directory elsewhere; a store may hold both, and a layer that is
 * there in a form that can be used is not unpacked again. An extracted tree lies in "diff", one below the directory that is
 * renamed: the worker gives "diff" to whom the layer says, and a directory of somebody else could not be moved.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "digest.h"
#include "store.h"
#include "worker_call.h"

#define TMP_PREFIX  ".tmp-"
#define LOCK_PREFIX ".lock-"
#define DIFF        "diff"
#define IMAGE       "layer.erofs"
#define RECORD      "layer.json"
#define STEM_MAX    80 /* 64 digits, or "import-" and 16 */

/* A layer in the making. */
struct making {
	char tmp[STEM_MAX + 8], lock[STEM_MAX + 8];
	int set; /* borrowed; where it will be */
	int lock_fd, tmp_fd;
	int image; /* its file; -1: it is a directory */
	bool made;
};

/* ---- what is there --------------------------------------------------------------------------- */

static bool is_in(int set, const char *diff_id)
{
	struct stat st;

	return set >= 0 && fstatat(set, digest_hex(diff_id), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

/* The set that has it in a form of use here; or -1. */
static int set_of(struct img_store *s, const char *diff_id)
{
	if (is_in(s->erofs, diff_id) && store_erofs_works(s))
		return s->erofs;
	return is_in(s->layers, diff_id) ? s->layers : -1;
}

/* Where new ones go. */
static int set_for_new(struct img_store *s)
{
	return store_erofs_works(s) ? s->erofs : s->layers;
}

bool layer_exists(struct img_store *s, const char *diff_id)
{
	return set_of(s, diff_id) >= 0;
}

int layer_path(struct img_store *s, const char *diff_id, char **ret)
{
	bool image = s->erofs >= 0 && set_of(s, diff_id) == s->erofs;

	return str_printf(ret, "%s/layers/%s/%s/%s", s->path, image ? STORE_EROFS_SET : s->ids,
			  digest_hex(diff_id), image ? IMAGE : DIFF);
}

/* The record of one, in the directory of a map of ids. */
static int read_record(int layers, const char *hex, struct json **ret, struct err *e)
{
	_cleanup_free_ char *name = NULL;

	if (str_printf(&name, "%s/" RECORD, hex) < 0)
		return err_nomem(e);
	return json_parse_file_at(layers, name, STORE_SMALL_FILE_MAX, ret, e);
}

uint64_t layer_size(struct img_store *s, const char *diff_id)
{
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top, size;
	uint64_t bytes;

	if (read_record(set_of(s, diff_id), digest_hex(diff_id), &doc, NULL) < 0)
		return 0;
	top = json_top(doc);
	return json_member(&top, "sizeBytes", &size) && json_get_u64(&size, &bytes, NULL) == 0
		       ? bytes
		       : 0;
}

static bool blob_of(const struct json *record, struct kept_blob *ret)
{
	struct json_at top = json_top(record), digest, size;
	const char *text = json_member(&top, "blob", &digest) ? json_peek_string(&digest) : NULL;

	if (!text || !digest_is_valid(text) || !json_member(&top, "blobBytes", &size) ||
	    json_get_u64(&size, &ret->size_bytes, NULL) < 0)
		return false;
	memcpy(ret->digest, text, DIGEST_MAX);
	return true;
}

int layer_blob(struct img_store *s, const char *diff_id, struct kept_blob *ret, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	int set = set_of(s, diff_id), r;
	struct stat st;

	r = read_record(set < 0 ? s->layers : set, digest_hex(diff_id), &doc, e);
	if (r < 0)
		return r;
	return blob_of(doc, ret) && fstatat(s->blobs, digest_hex(ret->digest), &st,
					    AT_SYMLINK_NOFOLLOW) == 0
		       ? 0
		       : -ENOENT;
}

static int add_blobs(const struct img_store *s, const char *ids, char ***v, struct err *e)
{
	_cleanup_strv_ char **all = NULL;
	_cleanup_close_ int top = path_open_dir_at(s->fd, "layers", e);
	_cleanup_close_ int dir = top < 0 ? top : path_open_dir_at(top, ids, e);
	int r = dir < 0 ? dir : store_read_dir(dir, "", &all, e);

	for (char **hex = all; r == 0 && hex && *hex; hex++) {
		_cleanup_json_ struct json *doc = NULL;
		struct kept_blob blob;

		/* One that cannot be read may need any: nothing is removed then. */
		if (**hex != '.')
			r = read_record(dir, *hex, &doc, e);
		if (r == 0 && doc && blob_of(doc, &blob) && strv_push(v, blob.digest) < 0)
			r = err_nomem(e);
	}
	return r;
}

int layer_blobs(const struct img_store *s, char ***ret, struct err *e)
{
	_cleanup_strv_ char **maps = NULL, **v = NULL;
	_cleanup_close_ int top = path_open_dir_at(s->fd, "layers", e);
	int r = top < 0 ? top : store_read_dir(top, "", &maps, e);

	for (char **m = maps; r == 0 && m && *m; m++)
		r = add_blobs(s, *m, &v, e);
	if (r == 0)
		*ret = TAKE_PTR(v);
	return r;
}

/* ---- making one -------------------------------------------------------------------------------- */

static void making_done(struct img_store *s, struct making *m)
{
	m->tmp_fd = fd_close(m->tmp_fd);
	m->image = fd_close(m->image);
	if (m->made)
		store_remove_tree(s, m->set, m->tmp, NULL);
	if (m->lock_fd >= 0)
		store_unlock_file(m->set, m->lock, m->lock_fd);
	m->lock_fd = -1;
}

static int making_begin(struct img_store *s, int set, const char *stem, struct making *m,
			struct err *e)
{
	int r;

	*m = (struct making){.set = set, .lock_fd = -1, .tmp_fd = -1, .image = -1};
	snprintf(m->tmp, sizeof(m->tmp), TMP_PREFIX "%s", stem);
	snprintf(m->lock, sizeof(m->lock), LOCK_PREFIX "%s", stem);
	m->lock_fd = store_lock_file(set, m->lock, true, e);
	if (m->lock_fd < 0)
		return m->lock_fd;
	/* Whoever left one is dead: the lock is ours. */
	r = store_remove_tree(s, set, m->tmp, e);
	return r < 0 ? err_wrap(e, "remove what an earlier extraction left") : 0;
}

/* *ret_diff: the directory; -1 where m->image is the file. */
static int make_tmp(const struct img_store *s, struct making *m, int *ret_diff, struct err *e)
{
	int r = path_mkdir_at(m->set, m->tmp, 0700, e);

	if (r < 0)
		return r;
	m->made = true;
	m->tmp_fd = path_open_dir_at(m->set, m->tmp, e);
	if (m->tmp_fd < 0)
		return m->tmp_fd;
	if (m->set == s->erofs) {
		m->image = path_open_in_root(m->tmp_fd, IMAGE, O_RDWR | O_CREAT | O_EXCL, 0600, e);
		return m->image < 0 ? m->image : 0;
	}
	r = path_mkdir_at(m->tmp_fd, DIFF, 0755, e);
	if (r < 0)
		return r;
	*ret_diff = path_open_dir_at(m->tmp_fd, DIFF, e);
	return *ret_diff < 0 ? *ret_diff : 0;
}

/* What is wrong with the stream goes before what the worker makes of it, but for its leaving early. */
static int extract(struct img_store *s, const struct making *m, int diff, const struct blob *from,
		   const struct img_progress *p, const char *label, struct img_worker_report *ret,
		   struct err *e)
{
	struct err own = ERR_INIT;
	struct worker_call call;
	int stream[2], r, fed;

	r = worker_stream(stream, e);
	if (r < 0)
		return r;
	r = worker_start(s, m->image >= 0 ? IMG_WORKER_EROFS : IMG_WORKER_EXTRACT, NULL,
			 (int[]){stream[0], m->image >= 0 ? m->image : diff, m->lock_fd}, 3, 2,
			 &call, e);
	fd_close(stream[0]);
	if (r < 0) {
		fd_close(stream[1]);
		return r;
	}
	fed = worker_feed(from, stream[1], p, label, &own);
	fd_close(stream[1]);
	r = worker_finish(&call, ret, e);
	if (fed < 0 && fed != -EPIPE) {
		if (e)
			*e = own;
		return fed;
	}
	if (fed == -EPIPE && r == 0)
		return err_set(e, ERR_INTERNAL, EIO,
			       IMG_WORKER_PROGRAM " did not read the whole layer");
	return r;
}

static int write_record(int tmp_fd, const struct img_worker_report *report,
			const struct kept_blob *blob, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (!o ||
	    (*blob->digest && (json_set(o, "blob", json_new_string(blob->digest)) < 0 ||
			       json_set(o, "blobBytes", json_new_u64(blob->size_bytes)) < 0)) ||
	    json_set(o, "sizeBytes", json_new_u64(report->bytes)) < 0 ||
	    json_set(o, "entries", json_new_u64(report->entries)) < 0 ||
	    json_to_text(o, false, &text, &len) < 0)
		return err_nomem(e);
	return path_replace_file_at(tmp_fd, RECORD, text, len, 0600, true, e);
}

/* One syncfs(2) costs less than an fsync(2) for each file of a directory. */
static int sync_layer(const struct making *m)
{
	if (m->image < 0)
		return syncfs(m->tmp_fd);
	return fsync(m->image) < 0 ? -1 : fsync(m->tmp_fd);
}

/* Everything below is on the disk before its name is. */
static int publish(struct making *m, const char *diff_id, struct err *e)
{
	int r = FAULT("layer-sync", e);

	if (r < 0)
		return r;
	if (sync_layer(m) < 0)
		return err_sys(e, errno, "write the layer to the disk");
	if (renameat(m->set, m->tmp, m->set, digest_hex(diff_id)) < 0)
		return err_sys(e, errno, "give the layer its name");
	m->made = false;
	if (fsync(m->set) < 0)
		return err_sys(e, errno, "write the layer's name to the disk");
	return FAULT("layer-published", e);
}

static int fill(struct img_store *s, struct making *m, const char *diff_id, const struct blob *from,
		const struct img_progress *p, struct img_worker_report *ret, struct err *e)
{
	_cleanup_(keep_done) struct keeping keeping = {.fd = -1};
	_cleanup_close_ int diff = -1;
	struct kept_blob blob;
	struct blob kept;
	int r = make_tmp(s, m, &diff, e);

	if (r == 0)
		r = FAULT("layer-temporary", e);
	if (r == 0)
		r = keep_begin(s, from, &keeping, &kept, e);
	if (r == 0)
		r = extract(s, m, diff, &kept, p, diff_id ? diff_id : "import", ret, e);
	if (r < 0)
		return r;
	if (!digest_is_valid(ret->diff_id))
		return err_set(e, ERR_INTERNAL, EIO, IMG_WORKER_PROGRAM " told no DiffID");
	if (diff_id && !STREQ(diff_id, ret->diff_id))
		return err_invalid(e, "its DiffID is %s: not the one that the image names",
				   ret->diff_id);
	r = FAULT("layer-extracted", e);
	if (r == 0)
		r = keep_publish(&keeping, &blob, e);
	return r < 0 ? r : write_record(m->tmp_fd, ret, &blob, e);
}

/* What the layer asks for and the directory has not: once, when it is unpacked. */
static void warn_of_left(const struct img_store *s, const struct img_worker_report *r)
{
	const struct {
		uint64_t n;
		const char *what;
	} left[] = {
		{r->devices_left, "device nodes"},
		{r->xattrs_left, "extended attributes"},
		{r->owners_left, "owners of files"},
	};
	struct strbuf text = {0};
	_cleanup_free_ char *line = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(left); i++)
		if (left[i].n > 0)
			strbuf_addf(&text, "%s%s: %llu", text.len ? ", " : "", left[i].what,
				    (unsigned long long)left[i].n);
	if (text.len == 0 || strbuf_take(&text, &line) < 0)
		return;
	log_to(&s->log, LOG_LEVEL_WARNING, "layer %.19s…: left out: %s; the first: %s", r->diff_id,
	       line, r->note);
}

static int add_known(struct img_store *s, const char *diff_id, const struct blob *from,
		     const struct img_progress *p, struct err *e)
{
	struct img_worker_report report;
	struct making m;
	int r = making_begin(s, set_for_new(s), digest_hex(diff_id), &m, e);

	if (r == 0 && !layer_exists(s, diff_id)) {
		r = fill(s, &m, diff_id, from, p, &report, e);
		if (r == 0)
			warn_of_left(s, &report);
		if (r == 0)
			r = publish(&m, diff_id, e);
	}
	making_done(s, &m);
	return r < 0 ? err_wrap(e, "layer %.19s…", diff_id) : 0;
}

/* Give what was extracted under another name its own, unless somebody else has just made it. */
static int publish_unknown(struct img_store *s, struct making *m, const char *diff_id,
			   struct err *e)
{
	struct making name;
	int r = making_begin(s, m->set, digest_hex(diff_id), &name, e);

	if (r == 0 && !layer_exists(s, diff_id))
		r = publish(m, diff_id, e);
	making_done(s, &name);
	return r;
}

static int add_unknown(struct img_store *s, const struct blob *from, const struct img_progress *p,
		       char **ret_diff_id, struct err *e)
{
	struct img_worker_report report;
	char stem[STEM_MAX];
	struct making m;
	uint64_t random;
	int r;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, errno, "random number");
	snprintf(stem, sizeof(stem), "import-%016llx", (unsigned long long)random);
	r = making_begin(s, set_for_new(s), stem, &m, e);
	if (r == 0)
		r = fill(s, &m, NULL, from, p, &report, e);
	if (r == 0)
		warn_of_left(s, &report);
	if (r == 0)
		r = publish_unknown(s, &m, report.diff_id, e);
	making_done(s, &m);
	if (r < 0)
		return r;
	*ret_diff_id = strdup(report.diff_id);
	return *ret_diff_id ? 0 : err_nomem(e);
}

int layer_add(struct img_store *s, const char *diff_id, const struct blob *from,
	      const struct img_progress *p, char **ret_diff_id, struct err *e)
{
	if (!diff_id)
		return add_unknown(s, from, p, ret_diff_id, e);
	return layer_exists(s, diff_id) ? 0 : add_known(s, diff_id, from, p, e);
}

/* ---- sweeping ------------------------------------------------------------------------------------ */

static void sweep_dead_of(struct img_store *s, int set)
{
	_cleanup_strv_ char **locks = NULL;

	if (store_read_dir(set, LOCK_PREFIX, &locks, NULL) < 0)
		return;
	for (char **v = locks; v && *v; v++) {
		char tmp[NAME_MAX + 1];
		int fd = store_lock_file(set, *v, false, NULL);

		if (fd < 0)
			continue; /* alive, or somebody else's sweep */
		snprintf(tmp, sizeof(tmp), TMP_PREFIX "%s", *v + strlen(LOCK_PREFIX));
		if (store_remove_tree(s, set, tmp, NULL) == 0)
			store_unlock_file(set, *v, fd);
		else
			fd_close(fd); /* found again next time */
	}
}

void layer_sweep_dead(struct img_store *s)
{
	sweep_dead_of(s, s->layers);
	if (s->erofs >= 0)
		sweep_dead_of(s, s->erofs);
}

static bool is_used(const char *hex, char *const *used)
{
	for (; used && *used; used++)
		if (STREQ(digest_hex(*used), hex))
			return true;
	return false;
}

/* First out of sight by one rename, so that a removal that is killed leaves a leftover and no half layer. */
static int remove_layer(struct img_store *s, int set, const char *hex, struct err *e)
{
	struct making m;
	int r = making_begin(s, set, hex, &m, e);

	if (r == 0 && renameat(set, hex, set, m.tmp) < 0)
		r = err_sys(e, errno, "take the layer's name");
	if (r == 0)
		r = store_remove_tree(s, set, m.tmp, e);
	making_done(s, &m);
	return r;
}

static int sweep_unused_of(struct img_store *s, int set, char *const *used, struct err *e)
{
	_cleanup_strv_ char **all = NULL;
	int r = store_read_dir(set, "", &all, e);

	for (char **v = all; r == 0 && v && *v; v++)
		if (**v != '.' && !is_used(*v, used))
			r = remove_layer(s, set, *v, e);
	return r;
}

int layer_sweep_unused(struct img_store *s, char *const *used, struct err *e)
{
	int r = sweep_unused_of(s, s->layers, used, e);

	if (r == 0 && s->erofs >= 0)
		r = sweep_unused_of(s, s->erofs, used, e);
	return r < 0 ? err_wrap(e, "remove layers that no image uses") : 0;
}
