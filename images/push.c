/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushing an image: its layers, its configuration, and last the manifest, so that a registry never has a name for less than all of it.
 * Spec: OCI distribution-spec 1.1 "Push".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "credentials.h"
#include "fetch_client.h"
#include "manifest.h"
#include "parts.h"
#include "registry.h"

/* ---- the parts ---------------------------------------------------------------------------------------- */

static int put_text(struct fetch_client *c, enum fetch_kind kind, const char *reference,
		    const char *text, size_t len, const char *media_type, struct err *e)
{
	_cleanup_close_ int fd = fd_sealed_memfd("upload", text, len, e);

	return fd < 0 ? fd : fetch_client_put(c, kind, reference, fd, len, media_type, e);
}

static int put_layer(struct img_store *s, struct fetch_client *c, const struct image_part *part,
		     const struct img_progress *progress, struct err *e)
{
	uint64_t size;
	_cleanup_close_ int fd = blob_open(s, part->digest, &size, e);
	int r = fd;

	if (r >= 0 && size != part->size_bytes)
		r = err_set(e, ERR_SYSTEM, EUCLEAN, "it has %llu bytes, not %llu: damaged",
			    (unsigned long long)size, (unsigned long long)part->size_bytes);
	if (r >= 0)
		r = fetch_client_put(c, FETCH_PUT_BLOB, part->digest, fd, size, "", e);
	if (r < 0)
		return err_wrap(e, "layer %.19s…", part->diff_id);
	if (progress && progress->layer)
		progress->layer(progress->arg, part->diff_id, size, size);
	return 0;
}

static int put_all(struct img_store *s, struct fetch_client *c, const struct image_parts *p,
		   const char *tag, const struct img_progress *progress, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->n_layers; i++)
		r = put_layer(s, c, &p->layers[i], progress, e);
	if (r < 0)
		return r;
	r = put_text(c, FETCH_PUT_BLOB, p->config_digest, p->config, p->config_len, "", e);
	if (r < 0)
		return err_wrap(e, "configuration");
	r = put_text(c, FETCH_PUT_MANIFEST, tag, p->manifest, p->manifest_len, p->media_type, e);
	return r < 0 ? err_wrap(e, "manifest") : 0;
}

/* ---- where to -------------------------------------------------------------------------------------------- */

/* Another repository of that registry that we know the image by: it may have the layers. */
static int find_mount(struct img_store *s, const char *id, const struct img_reference *to,
		      const struct registry_place *place, struct fetch_registry *g, struct err *e)
{
	const size_t host = strcspn(to->name, "/") + 1;
	struct stored_name *names = NULL;
	size_t n = 0;
	int r = name_all(s, &names, &n, e);

	/* Names are rewritten by prefix; only where this one is not do they say what the registry has. */
	if (strncmp(to->name, place->host, host - 1) != 0 ||
	    !STREQ(to->name + host, place->repository))
		n = 0;
	for (size_t i = 0; i < n; i++)
		if (STREQ(names[i].id, id) && strncmp(names[i].name, to->name, host) == 0 &&
		    !STREQ(names[i].name, to->name) &&
		    strlen(names[i].name + host) < sizeof(g->mount_from)) {
			memcpy(g->mount_from, names[i].name + host,
			       strlen(names[i].name + host) + 1);
			break;
		}
	name_all_free(names, n);
	return r;
}

static int push_to(struct img_store *s, const struct image_parts *p,
		   const struct registry_place *place, const struct img_reference *to,
		   const struct img_pull_params *how, const struct img_progress *progress,
		   struct err *e)
{
	_cleanup_free_ struct fetch_registry *g = calloc(1, sizeof(*g));
	_cleanup_close_ int certificates = -EBADF;
	struct fetch_client c = {.cancel = -1};
	int r = g ? registry_fill(place, how, g, e) : err_nomem(e);

	if (r == 0)
		r = credentials_find(place->host, place->repository, how, g, e);
	if (r == 0)
		r = find_mount(s, p->image.id, to, place, g, e);
	if (r < 0)
		return r;
	certificates = registry_certificates(place->host, how->env, e);
	if (certificates < 0)
		return certificates;
	g->push = true;
	r = fetch_client_start(s, g, certificates, &c, e);
	explicit_bzero(g, sizeof(*g));
	if (r == 0)
		r = put_all(s, &c, p, to->tag ?: "latest", progress, e);
	fetch_client_stop(&c);
	return r < 0 ? err_wrap(e, "%s", place->host) : 0;
}

static int push(struct img_store *s, const char *id, const struct img_reference *to,
		const struct img_pull_params *how, const struct img_progress *progress,
		char **ret_digest, struct err *e)
{
	struct registry_place *places = NULL;
	struct image_parts parts = {0};
	struct registries c = {0};
	size_t n = 0;
	int r = registries_load(how->env, &c, e);

	if (r == 0)
		r = registries_places(&c, to, false, &places, &n, e);
	if (r == 0)
		r = image_parts_find(s, id, false, &parts, e);
	if (r == 0)
		r = push_to(s, &parts, &places[0], to, how, progress, e);
	if (r == 0 && !(*ret_digest = strdup(parts.manifest_digest)))
		r = err_nomem(e);
	image_parts_done(&parts);
	registries_places_free(places, n);
	registries_done(&c);
	return r;
}

int img_push(struct img_store *s, const struct img_reference *image, const struct img_reference *to,
	     const struct img_pull_params *how, const struct img_progress *progress,
	     char **ret_digest, struct err *e)
{
	_cleanup_free_ char *id = NULL, *shown = NULL;
	bool by_name;
	int r;

	if (image->transport != IMG_STORED)
		return err_invalid(e, "only stored images are pushed; insula load stores one");
	if (to->transport != IMG_STORED || !strchr(to->name, '/') || to->digest)
		return err_invalid(e, "where to? A name, and perhaps a tag");
	if (img_reference_text(to, &shown) < 0)
		return err_nomem(e);
	r = name_resolve(s, image, &id, &by_name, e);
	if (r == 0)
		r = push(s, id, to, how, progress, ret_digest, e);
	return r < 0 ? err_wrap(e, "push '%s'", shown) : 0;
}
