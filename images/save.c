/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving images: as an OCI layout, a tar of one, or as docker has it. A layout has the layers as they came, so that digests stay; a
 * docker archive has them uncompressed, by DiffID, which is what every reader of it understands.
 *
 * Spec: OCI image-spec image-layout.md; Docker's image/spec v1.2 "Combined Image JSON + Filesystem Changeset Format".
 */
#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "parts.h"
#include "source.h"
#include "tar_write.h"
#include "worker_call.h"

#define OCI_INDEX "application/vnd.oci.image.index.v1+json"

struct saving {
	struct img_store *store;
	struct save_target target;
	const struct img_progress *progress;
	struct json *list; /* index.json's manifests, or manifest.json */
};

static void progress(const struct saving *v, const struct image_part *part)
{
	if (v->progress && v->progress->layer)
		v->progress->layer(v->progress->arg, part->diff_id, part->size_bytes,
				   part->size_bytes);
}

/* ---- OCI ---------------------------------------------------------------------------------------------- */

static int save_blob_text(struct saving *v, const char *digest, const char *text, size_t len,
			  struct err *e)
{
	_cleanup_free_ char *name = NULL;

	return source_blob_name(digest, &name) < 0 ? err_nomem(e)
						   : save_text(&v->target, name, text, len, e);
}

static int save_layer_as_is(struct saving *v, const struct image_part *part, struct err *e)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = blob_open(v->store, part->digest, NULL, e);

	if (fd < 0)
		return fd;
	if (source_blob_name(part->digest, &name) < 0)
		return err_nomem(e);
	return save_stream(&v->target, name, fd, part->size_bytes, part->digest, e);
}

static struct json *index_entry(const struct image_parts *p, const char *name)
{
	_cleanup_json_ struct json *o = json_new_object();
	struct json *notes = name ? json_new_object() : NULL;

	if (notes &&
	    (json_set(notes, "org.opencontainers.image.ref.name", json_new_string(name)) < 0 ||
	     json_set(notes, "io.containerd.image.name", json_new_string(name)) < 0)) {
		json_free(notes);
		return NULL;
	}
	if (!o || json_set(o, "mediaType", json_new_string(p->media_type)) < 0 ||
	    json_set(o, "digest", json_new_string(p->manifest_digest)) < 0 ||
	    json_set(o, "size", json_new_u64(p->manifest_len)) < 0) {
		json_free(notes);
		return NULL;
	}
	return !name || json_set(o, "annotations", notes) == 0 ? TAKE_PTR(o) : NULL;
}

static int save_oci(struct saving *v, const struct image_parts *p, const char *name, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->n_layers; i++) {
		r = save_layer_as_is(v, &p->layers[i], e);
		progress(v, &p->layers[i]);
	}
	if (r == 0)
		r = save_blob_text(v, p->config_digest, p->config, p->config_len, e);
	if (r == 0)
		r = save_blob_text(v, p->manifest_digest, p->manifest, p->manifest_len, e);
	if (r < 0)
		return r;
	return json_push(v->list, index_entry(p, name)) < 0 ? err_nomem(e) : 0;
}

static int end_oci(struct saving *v, struct err *e)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = save_text(&v->target, "oci-layout", layout, strlen(layout), e);

	if (r < 0)
		return r;
	if (!o || json_set(o, "schemaVersion", json_new_u64(2)) < 0 ||
	    json_set(o, "mediaType", json_new_string(OCI_INDEX)) < 0 ||
	    json_set(o, "manifests", TAKE_PTR(v->list)) < 0 ||
	    json_to_text(o, false, &text, &len) < 0)
		return err_nomem(e);
	return save_text(&v->target, "index.json", text, len, e);
}

/* ---- docker -------------------------------------------------------------------------------------------- */

/* Decompressed by the worker, which parses what came from elsewhere. */
static int save_inflated(struct saving *v, const struct image_part *part, const char *name, int fd,
			 uint64_t size, struct err *e)
{
	struct err own = ERR_INIT;
	struct worker_call call;
	int out[2], r, saved;

	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe");
	r = worker_start(v->store, IMG_WORKER_INFLATE, NULL, (int[]){fd, out[1]}, 2, 2, &call, e);
	fd_close(out[1]);
	if (r < 0) {
		fd_close(out[0]);
		return r;
	}
	saved = save_stream(&v->target, name, out[0], size, part->diff_id, &own);
	fd_close(out[0]);
	r = worker_finish(&call, NULL, e);
	if (saved < 0 && e)
		*e = own;
	return saved < 0 ? saved : r;
}

static int save_layer_plain(struct saving *v, const struct image_part *part, struct err *e)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;

	if (str_printf(&name, "%s.tar", digest_hex(part->diff_id)) < 0)
		return err_nomem(e);
	if (save_has(&v->target, name))
		return 0;
	fd = blob_open(v->store, part->digest, NULL, e);
	if (fd < 0)
		return fd;
	if (str_has_suffix(part->media_type, "tar"))
		return save_stream(&v->target, name, fd, part->size_bytes, part->diff_id, e);
	return save_inflated(v, part, name, fd, layer_size(v->store, part->diff_id), e);
}

static int save_docker(struct saving *v, const struct image_parts *p, const char *name,
		       struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_strv_ char **layers = NULL, **tags = NULL;
	_cleanup_free_ char *config = NULL;
	int r = str_printf(&config, "%s.json", digest_hex(p->config_digest)) < 0 ? err_nomem(e) : 0;

	for (size_t i = 0; r == 0 && i < p->n_layers; i++) {
		char *file;

		r = save_layer_plain(v, &p->layers[i], e);
		progress(v, &p->layers[i]);
		if (r == 0 && (str_printf(&file, "%s.tar", digest_hex(p->layers[i].diff_id)) < 0 ||
			       strv_consume(&layers, file) < 0))
			r = err_nomem(e);
	}
	if (r == 0)
		r = save_text(&v->target, config, p->config, p->config_len, e);
	if (r < 0)
		return r;
	if (!o || (name && strv_push(&tags, name) < 0) ||
	    json_set(o, "Config", json_new_string(config)) < 0 ||
	    json_set(o, "RepoTags", json_new_strv(tags)) < 0 ||
	    json_set(o, "Layers", json_new_strv(layers)) < 0 || json_push(v->list, TAKE_PTR(o)) < 0)
		return err_nomem(e);
	return 0;
}

static int end_docker(struct saving *v, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	return json_to_text(v->list, false, &text, &len) < 0
		       ? err_nomem(e)
		       : save_text(&v->target, "manifest.json", text, len, e);
}

/* ---- all --------------------------------------------------------------------------------------------------- */

static int save_one(struct saving *v, const struct img_reference *r, bool docker, struct err *e)
{
	_cleanup_free_ char *id = NULL, *name = NULL;
	struct image_parts parts = {0};
	bool by_name;
	int x;

	if (r->transport != IMG_STORED)
		return err_invalid(e, "only stored images are saved; insula load stores one");
	x = name_resolve(v->store, r, &id, &by_name, e);
	if (x == 0 && by_name && !r->digest &&
	    str_printf(&name, "%s:%s", r->name, r->tag ?: "latest") < 0)
		x = err_nomem(e);
	if (x == 0)
		x = image_parts_find(v->store, id, !docker, &parts, e);
	if (x == 0)
		x = docker ? save_docker(v, &parts, name, e) : save_oci(v, &parts, name, e);
	image_parts_done(&parts);
	return x;
}

static int save_all(struct saving *v, const struct img_reference *images, size_t n, bool docker,
		    struct err *e)
{
	int r = 0;

	v->list = json_new_array();
	if (!v->list)
		return err_nomem(e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = save_one(v, &images[i], docker, e);
	if (r == 0)
		r = docker ? end_docker(v, e) : end_oci(v, e);
	if (r == 0 && v->target.is_tar)
		r = tar_write_end(v->target.fd, e);
	return r;
}

static int open_layout(const char *path, struct err *e)
{
	_cleanup_close_ int dir = -1, blobs = -1;
	_cleanup_strv_ char **has = NULL;
	int r = path_mkdir_p(path, 0755, e);

	if (r < 0)
		return r;
	dir = path_open_dir(path, e);
	r = dir < 0 ? dir : store_read_dir(dir, "", &has, e);
	if (r < 0)
		return r;
	if (strv_len(has) > 0)
		return err_set(e, ERR_INVALID, EEXIST, "'%s' is not empty", path);
	blobs = path_mkdirs_in_root(dir, "blobs/sha256", 0755, e);
	return blobs < 0 ? blobs : TAKE_FD(dir);
}

int img_save(struct img_store *s, const struct img_reference *images, size_t n,
	     enum img_transport form, int fd, const char *directory, const struct img_progress *p,
	     struct err *e)
{
	_cleanup_close_ int dir = -1;
	struct saving v = {.store = s, .target = {.is_tar = !directory, .fd = fd}, .progress = p};
	int r;

	if (directory) {
		dir = open_layout(directory, e);
		if (dir < 0)
			return dir;
		v.target.fd = dir;
	}
	r = save_all(&v, images, n, form == IMG_DOCKER_ARCHIVE, e);
	json_free(v.list);
	save_target_done(&v.target);
	return r < 0 ? err_wrap(e, "save") : 0;
}
