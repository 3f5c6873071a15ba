/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a reference to an image that can be run: found, its layers extracted where they are not yet, held. And keeping what
 * an archive has under its names.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/str.h"
#include "resolve.h"
#include "source.h"
#include "store.h"

/* ---- adding what was found -------------------------------------------------------------------------- */

static int add_layer(struct img_store *s, const struct source *src, const struct found_layer *l,
		     const char *diff_id, const struct img_progress *p, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct blob blob;
	int r;

	if (layer_exists(s, diff_id))
		return 0;
	r = source_find(src, l->file, &blob, &fd, e);
	if (r < 0)
		return err_wrap(e, "layer %.19s…", diff_id);
	if (l->size_bytes != UINT64_MAX && l->size_bytes != blob.size_bytes)
		return err_invalid(
			e, "layer %.19s…: '%s' has %llu bytes, and its descriptor says %llu",
			diff_id, l->file, (unsigned long long)blob.size_bytes,
			(unsigned long long)l->size_bytes);
	blob.digest = l->digest;
	return layer_add(s, diff_id, &blob, p, NULL, e);
}

static int add_found(struct img_store *s, const struct source *src, const struct found_image *f,
		     const struct img_progress *p, struct err *e)
{
	const struct image_text text = {f->config_text, f->config_len, f->manifest_text,
					f->manifest_len};
	int r = store_begin_adding(s, e);

	for (size_t i = 0; r == 0 && i < f->n_layers; i++)
		r = add_layer(s, src, &f->layers[i], f->config.diff_ids[i], p, e);
	return r < 0 ? r : image_add(s, f->id, &text, e);
}

static int resolve(const struct source *src, const struct img_reference *r, struct found_image *ret,
		   struct err *e)
{
	switch (r->transport) {
	case IMG_OCI_LAYOUT:
	case IMG_OCI_ARCHIVE:
		return resolve_layout(src, r, ret, e);
	case IMG_DOCKER_ARCHIVE:
		return resolve_docker(src, r, ret, e);
	case IMG_ARCHIVE:
		/* Docker's newer archives are both; their manifest.json has the names. */
		return source_has(src, "manifest.json") ? resolve_docker(src, r, ret, e)
							: resolve_layout(src, r, ret, e);
	case IMG_STORED:
		break;
	}
	return err_set(e, ERR_INTERNAL, EINVAL, "a stored image has no source");
}

static int add_source(struct img_store *s, const struct img_reference *r,
		      const struct img_progress *p, struct found_image *ret, struct err *e)
{
	struct found_image f = {0};
	struct source src;
	int x = source_open(s, r, &src, e);

	if (x < 0)
		return x;
	x = resolve(&src, r, &f, e);
	if (x == 0)
		x = add_found(s, &src, &f, p, e);
	source_done(&src);
	if (x < 0)
		found_image_done(&f);
	else
		*ret = f;
	return x;
}

/* ---- opening ----------------------------------------------------------------------------------------- */

static int open_stored(struct img_store *s, const struct img_reference *r, struct img_image *ret,
		       struct err *e)
{
	_cleanup_free_ char *id = NULL;
	bool by_name;
	int x = name_resolve(s, r, &id, &by_name, e);

	return x < 0 ? x : image_load(s, id, ret, e);
}

static int archive_key(const struct img_reference *r, const char *path, char **ret)
{
	return str_printf(ret, "%d %s %s %s", (int)r->transport, r->name ?: "-", r->tag ?: "-",
			  path);
}

/* The short way: nothing is read but what we wrote. Anything that is not as it was leads to the long one. */
static int recall(struct img_store *s, const char *key, const char *identity, struct img_image *ret)
{
	_cleanup_free_ char *id = NULL;
	int r = archive_recall(s, key, identity, &id, NULL);

	return r < 0 ? r : image_load(s, id, ret, NULL);
}

static int open_source(struct img_store *s, const struct img_reference *r,
		       const struct img_progress *p, struct img_image *ret, struct err *e)
{
	_cleanup_free_ char *path = NULL, *identity = NULL, *key = NULL;
	struct found_image f = {0};
	bool settled;
	int x = source_identify(r, &path, &identity, &settled, e);

	if (x < 0)
		return x;
	if (archive_key(r, path, &key) < 0)
		return err_nomem(e);
	if (recall(s, key, identity, ret) == 0)
		return 0;
	x = add_source(s, r, p, &f, e);
	if (x < 0)
		return x;
	x = image_load(s, f.id, ret, e);
	if (x == 0 && settled && archive_remember(s, key, identity, f.id, NULL) < 0)
		log_to(&s->log, LOG_LEVEL_DEBUG, "'%s' will be read again next time", r->path);
	found_image_done(&f);
	return x; /* its lock holds it now */
}

int img_image_open(struct img_store *s, const struct img_reference *r, const struct img_progress *p,
		   struct img_image *ret, struct err *e)
{
	struct img_image image = {0};
	int x = r->transport == IMG_STORED ? open_stored(s, r, &image, e)
					   : open_source(s, r, p, &image, e);

	store_end_adding(s);
	if (x < 0)
		return x;
	if (img_reference_text(r, &image.name) < 0) {
		img_image_done(&image);
		return err_nomem(e);
	}
	*ret = image;
	return 0;
}

/* ---- loading ------------------------------------------------------------------------------------------- */

/* What an archive calls an image may be no name ("v1", "a b"): then it has none. */
static int keep_name(struct img_store *s, const char *text, const char *id, char ***names,
		     struct err *e)
{
	_cleanup_free_ char *shown = NULL;
	struct img_reference n = {0};
	int r;

	if (img_reference_parse(text, &n, NULL) < 0 || n.transport != IMG_STORED) {
		log_to(&s->log, LOG_LEVEL_WARNING,
		       "the archive's name '%.64s' is none that can be kept", text);
		img_reference_done(&n);
		return 0;
	}
	r = name_set(s, n.name, n.tag, id, e);
	if (r == 0 && (img_reference_text(&n, &shown) < 0 || strv_push(names, shown) < 0))
		r = err_nomem(e);
	img_reference_done(&n);
	return r;
}

int img_load(struct img_store *s, const struct img_reference *from, const struct img_progress *p,
	     char ***ret_names, struct err *e)
{
	_cleanup_strv_ char **names = NULL;
	struct found_image f = {0};
	int r;

	if (from->transport == IMG_STORED)
		return err_invalid(e, "'%s' is no archive", from->name);
	r = add_source(s, from, p, &f, e);
	if (r < 0) {
		store_end_adding(s);
		return r;
	}
	for (char **v = f.names; r == 0 && v && *v; v++)
		r = keep_name(s, *v, f.id, &names, e);
	if (r == 0 && !names && strv_push(&names, f.id) < 0)
		r = err_nomem(e);
	found_image_done(&f);
	store_end_adding(s);
	if (r == 0)
		*ret_names = TAKE_PTR(names);
	return r;
}
