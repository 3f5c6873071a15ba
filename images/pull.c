/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulling an image: its manifest, through indexes, its configuration, its layers; then the record of it and its name. All decisions
 * about trust are here: a manifest has the digest that it was asked for by, every descriptor's size and digest is
 * held against the raw bytes that came, and nothing has a name before all of it is there.
 * Spec: OCI distribution-spec 1.1 "Pull".
 */
#include "pull.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/str.h"
#include "credentials.h"
#include "digest.h"
#include "manifest.h"
#include "registries.h"
#include "registry.h"

struct pulling {
	struct img_store *store;
	const struct img_reference *reference;
	const char *platform; /* normalised, or NULL */
	struct fetch_client client;
	struct found_image found;
	struct manifest manifest;
};

/* ---- platform --------------------------------------------------------------------------------------------- */

/* Only what runs here: layers of others could be stored, but not run. */
static int check_platform(const char *text, char **ret, struct err *e)
{
	_cleanup_strv_ char **v = NULL;
	const char *os = "linux", *architecture, *variant;
	size_t n;

	if (!text)
		return 0;
	if (strv_split(text, '/', &v) < 0)
		return err_nomem(e);
	n = strv_len(v);
	if (n == 0 || n > 3 || !*v[0] || (n > 1 && !*v[1]) || (n > 2 && !*v[2]))
		return err_invalid(e, "platform '%s' is not OS/ARCHITECTURE[/VARIANT]", text);
	if (n > 1)
		os = v[0];
	architecture = n > 1 ? v[1] : v[0];
	variant = n > 2 ? v[2] : NULL;
	if (platform_rank(os, architecture, variant) == 0 &&
	    (variant || !STREQ(os, "linux") || !STREQ(architecture, platform_host())))
		return err_unsupported(e, "platform '%s': this host runs linux/%s", text,
				       platform_host());
	return str_printf(ret, "%s/%s%s%s", os, architecture, variant ? "/" : "",
			  variant ? variant : "") < 0
		       ? err_nomem(e)
		       : 0;
}

/* ---- documents -------------------------------------------------------------------------------------------- */

static int check_digest(const char *text, size_t len, const char *want, struct err *e)
{
	char have[DIGEST_MAX];

	digest_of(text, len, have);
	return STREQ(have, want)
		       ? 0
		       : err_invalid(e, "its digest is %s: damaged, or not what was named", have);
}

/* A document with descriptor `d`, verified. */
static int get_described(struct pulling *p, enum fetch_kind kind, const struct descriptor *d,
			 char **ret, size_t *ret_len, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (d->size_bytes > IMG_JSON_MAX)
		return err_invalid(e, "%.19s…: %llu bytes are too many for a document", d->digest,
				   (unsigned long long)d->size_bytes);
	r = fetch_client_get(&p->client, kind, d->digest, d->size_bytes, &text, &len, NULL, e);
	if (r == 0 && len != d->size_bytes)
		r = err_invalid(e, "it has %zu bytes, and its descriptor says %llu", len,
				(unsigned long long)d->size_bytes);
	if (r == 0)
		r = check_digest(text, len, d->digest, e);
	if (r < 0)
		return err_wrap(e, "%s %.19s…", kind == FETCH_MANIFEST ? "manifest" : "blob",
				d->digest);
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

static int walk(struct pulling *p, const char *media_type, int depth, struct err *e);

static int descend(struct pulling *p, const struct json_at *top, int depth, struct err *e)
{
	const struct descriptor *d = NULL;
	struct index x = {0};
	char *text = NULL;
	size_t len = 0;
	int r = index_read(top, &x, e);

	if (r < 0)
		return r;
	if (depth == IMG_INDEX_DEPTH)
		r = err_invalid(e, "indexes nest deeper than %d", IMG_INDEX_DEPTH);
	if (r == 0)
		r = resolve_choose(&x, NULL, p->platform, &d, e);
	if (r == 0)
		r = get_described(p, FETCH_MANIFEST, d, &text, &len, e);
	if (r == 0) {
		free(p->found.manifest_text);
		p->found.manifest_text = text;
		p->found.manifest_len = len;
		r = walk(p, d->media_type, depth + 1, e);
	}
	index_done(&x);
	return r;
}

/* found.manifest_text is an index or the manifest. */
static int walk(struct pulling *p, const char *media_type, int depth, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	enum media_kind kind;
	struct json_at top;
	int r = json_parse(p->found.manifest_text, p->found.manifest_len, "manifest", &doc, e);

	if (r < 0)
		return r;
	top = json_top(doc);
	r = manifest_kind(&top, media_type, &kind, e);
	if (r < 0)
		return r;
	return kind == MEDIA_INDEX ? descend(p, &top, depth, e)
				   : manifest_read(&top, &p->manifest, e);
}

/* What a registry calls the answer is heard when it is a word for manifests; some say "text/plain" or nothing. */
static const char *said_type(const char *media_type)
{
	return str_has_prefix(media_type, "application/vnd.") ? media_type : NULL;
}

static int get_manifest(struct pulling *p, struct err *e)
{
	const struct img_reference *r = p->reference;
	const char *what = r->digest ? r->digest : r->tag ? r->tag : "latest";
	char media_type[128];
	int x = fetch_client_get(&p->client, FETCH_MANIFEST, what, UINT64_MAX,
				 &p->found.manifest_text, &p->found.manifest_len, media_type, e);

	if (x == 0 && r->digest)
		x = check_digest(p->found.manifest_text, p->found.manifest_len, r->digest, e);
	if (x == 0)
		x = walk(p, said_type(media_type), 0, e);
	return x < 0 ? err_wrap(e, "manifest") : 0;
}

static int get_config(struct pulling *p, struct err *e)
{
	struct found_image *f = &p->found;
	int r = get_described(p, FETCH_SMALL, &p->manifest.config, &f->config_text, &f->config_len,
			      e);

	if (r == 0)
		r = resolve_config(f, e);
	return r < 0 ? r : resolve_layers(&p->manifest, f, e);
}

/* ---- into the store ----------------------------------------------------------------------------------------- */

/* Pulled by digest it is found by that digest again, also when that is an index's. */
static int name_it(struct pulling *p, const char *id, struct err *e)
{
	const struct img_reference *r = p->reference;

	return name_set(p->store, r->name,
			r->digest ? r->digest
			: r->tag  ? r->tag
				  : "latest",
			id, e);
}

static int add(struct pulling *p, const struct pull_origin *from,
	       const struct img_progress *progress, struct err *e)
{
	const struct found_image *f = &p->found;
	const struct image_text text = {f->config_text, f->config_len, f->manifest_text,
					f->manifest_len};
	int r = store_begin_adding(p->store, e);

	if (r == 0)
		r = pull_layers(p->store, from, f, progress, e);
	if (r == 0)
		r = image_add(p->store, f->id, &text, e);
	return r < 0 ? r : name_it(p, f->id, e);
}

/* Is it here already? Then only its name is missing, or leads to an older one. */
static int known(struct pulling *p, char **ret_id, struct err *e)
{
	struct img_image held = {0};
	char id[65];
	int r;

	if (!digest_is_valid(p->manifest.config.digest))
		return -ENOENT;
	memcpy(id, digest_hex(p->manifest.config.digest), sizeof(id));
	r = image_load(p->store, id, &held, NULL);
	if (r < 0)
		return -ENOENT;
	r = name_it(p, id, e);
	img_image_done(&held);
	if (r < 0)
		return r;
	*ret_id = strdup(id);
	return *ret_id ? 0 : err_nomem(e);
}

static int pull(struct pulling *p, const struct pull_origin *from,
		const struct img_progress *progress, char **ret_id, struct err *e)
{
	int r = fetch_client_start(p->store, from->registry, from->certificates, &p->client, e);

	if (r == 0)
		r = get_manifest(p, e);
	if (r < 0)
		return r;
	r = known(p, ret_id, e);
	if (r != -ENOENT)
		return r;
	r = get_config(p, e);
	fetch_client_stop(&p->client);
	if (r == 0)
		r = add(p, from, progress, e);
	store_end_adding(p->store);
	if (r < 0)
		return r;
	*ret_id = strdup(p->found.id);
	return *ret_id ? 0 : err_nomem(e);
}

/* From one place: a mirror, or the registry itself. */
static int pull_place(struct pulling *p, const struct registry_place *place,
		      const struct img_pull_params *how, const struct img_progress *progress,
		      char **ret_id, struct err *e)
{
	_cleanup_free_ struct fetch_registry *g = calloc(1, sizeof(*g));
	_cleanup_close_ int certificates = -EBADF;
	struct pull_origin from = {.registry = g};
	int r;

	if (!g)
		return err_nomem(e);
	r = registry_fill(place, how, g, e);
	if (r == 0)
		r = credentials_find(place->host, place->repository, how, g, e);
	if (r < 0)
		return r;
	certificates = registry_certificates(place->host, how->env, e);
	if (certificates < 0)
		return certificates;
	from.certificates = certificates;
	r = pull(p, &from, progress, ret_id, e);
	explicit_bzero(g, sizeof(*g));
	return r < 0 ? err_wrap(e, "%s", place->host) : 0;
}

/* One after the other; what the last says is the answer. */
static int pull_places(struct img_store *s, const struct img_reference *r, const char *platform,
		       const struct registry_place *v, size_t n, const struct img_pull_params *how,
		       const struct img_progress *progress, char **ret_id, struct err *e)
{
	int x = 0;

	for (size_t i = 0; i < n; i++) {
		struct pulling p = {
			.store = s, .reference = r, .platform = platform, .client = {.cancel = -1}};
		struct err one = ERR_INIT;

		x = pull_place(&p, &v[i], how, progress, ret_id, &one);
		fetch_client_stop(&p.client);
		manifest_done(&p.manifest);
		found_image_done(&p.found);
		if (x == 0)
			return 0;
		if (i + 1 < n)
			log_to(&s->log, LOG_LEVEL_WARNING, "%s; asking the next", one.text);
		else if (e)
			*e = one;
	}
	return x;
}

static int pull_named(struct img_store *s, const struct registries *c,
		      const struct img_reference *r, const struct img_pull_params *how,
		      const struct img_progress *progress, char **ret_id, struct err *e)
{
	_cleanup_free_ char *platform = NULL, *shown = NULL;
	struct registry_place *v = NULL;
	size_t n = 0;
	int x = check_platform(how->platform, &platform, e);

	if (x == 0 && img_reference_text(r, &shown) < 0)
		x = err_nomem(e);
	if (x == 0)
		x = registries_places(c, r, true, &v, &n, e);
	if (x == 0)
		x = pull_places(s, r, platform, v, n, how, progress, ret_id, e);
	registries_places_free(v, n);
	return x < 0 && shown ? err_wrap(e, "pull '%s'", shown) : x;
}

/* The first registry that has it, of those that a name without a host may mean. */
static int pull_candidates(struct img_store *s, const struct registries *c,
			   const struct img_reference *r, const struct img_pull_params *how,
			   const struct img_progress *progress, char **ret_id, struct err *e)
{
	_cleanup_strv_ char **names = NULL;
	int x = registries_candidates(c, r, &names, e);

	for (char **v = names; x == 0 && v && *v; v++) {
		struct img_reference one = *r;
		struct err why = ERR_INIT;

		one.name = *v;
		x = pull_named(s, c, &one, how, progress, ret_id, &why);
		if (x == 0)
			return 0;
		if (v[1] && why.kind == ERR_NOT_FOUND)
			x = 0; /* the next may have it */
		else if (e)
			*e = why;
	}
	return x;
}

int img_pull(struct img_store *s, const struct img_reference *r, const struct img_pull_params *how,
	     const struct img_progress *progress, char **ret_id, struct err *e)
{
	struct registries c = {0};
	int x;

	if (r->transport != IMG_STORED || !strchr(r->name, '/'))
		return err_invalid(e, "only what a registry has is pulled");
	x = registries_load(how->env, &c, e);
	if (x == 0)
		x = pull_candidates(s, &c, r, how, progress, ret_id, e);
	registries_done(&c);
	return x;
}

int img_reference_qualify(struct img_store *s, struct img_reference *r, char *const *env,
			  struct err *e)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_free_ char *id = NULL;
	struct registries c = {0};
	int x;

	if (r->transport != IMG_STORED || !r->unqualified)
		return 0;
	x = registries_load(env, &c, e);
	if (x == 0)
		x = registries_candidates(&c, r, &names, e);
	registries_done(&c);
	for (char **v = names; x == 0 && v && *v; v++) {
		/* The only one it may be, or the one that is here. */
		if ((v == names && !v[1]) ||
		    name_get(s, *v, r->digest ?: r->tag ?: "latest", &id, NULL) == 0) {
			free(r->name);
			r->name = strdup(*v);
			r->unqualified = false;
			return r->name ? 0 : err_nomem(e);
		}
	}
	return x;
}
