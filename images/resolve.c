/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the image in an OCI layout: through index.json and the indexes below it to one manifest, chosen by name and
 * platform, to its configuration and layers.
 * Spec: OCI image-spec image-layout.md, image-index.md.
 */
#include "resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "digest.h"
#include "manifest.h"

#define SHOWN_MAX 8

void found_image_done(struct found_image *f)
{
	free(f->config_text);
	free(f->manifest_text);
	img_config_done(&f->config);
	for (size_t i = 0; i < f->n_layers; i++) {
		free(f->layers[i].file);
		free(f->layers[i].digest);
	}
	free(f->layers);
	strv_free(f->names);
	*f = (struct found_image){0};
}

/* ---- choosing ------------------------------------------------------------------------------------ */

static bool has_name(const struct descriptor *d, const char *name)
{
	return (d->ref_name && STREQ(d->ref_name, name)) ||
	       (d->full_name && STREQ(d->full_name, name));
}

/* Exactly what was asked for; a variant that was not is open. */
static bool is_platform(const struct descriptor *d, const char *platform)
{
	char have[160];
	size_t len;

	if (!d->os || !d->architecture)
		return true; /* its configuration tells */
	snprintf(have, sizeof(have), "%s/%s%s%s", d->os, d->architecture, d->variant ? "/" : "",
		 d->variant ? d->variant : "");
	len = strlen(platform);
	return str_has_prefix(have, platform) && (have[len] == '\0' || have[len] == '/');
}

static int rank(const struct descriptor *d, const char *platform)
{
	if (platform && !is_platform(d, platform))
		return 0;
	/* One that does not say is believed to be for us; its configuration tells. */
	return d->has_platform && d->os ? platform_rank(d->os, d->architecture, d->variant) : 1;
}

static void add_shown(struct strbuf *b, size_t n, const char *text)
{
	if (n < SHOWN_MAX)
		strbuf_addf(b, "%s%.64s", n ? ", " : "", text);
	else if (n == SHOWN_MAX)
		strbuf_add(b, ", …");
}

static int no_such_name(const struct index *x, const char *name, struct err *e)
{
	struct strbuf b = {0};
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++)
		if (!x->v[i].attestation && (x->v[i].ref_name || x->v[i].full_name))
			add_shown(&b, n++, x->v[i].ref_name ?: x->v[i].full_name);
	err_set(e, ERR_NOT_FOUND, ENOENT, "no image '%s' in it", name);
	if (n > 0)
		err_hint(e, "there are: %s", b.data ? b.data : "");
	else
		err_hint(e, "its images have no names: leave ':%s' away", name);
	strbuf_done(&b);
	return -ENOENT;
}

static int no_such_platform(const struct index *x, struct err *e)
{
	struct strbuf b = {0};
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++) {
		const struct descriptor *d = &x->v[i];
		char one[160];

		if (d->attestation)
			continue;
		snprintf(one, sizeof(one), "%.40s/%.40s%s%.40s", d->os ?: "?",
			 d->architecture ?: "?", d->variant ? "/" : "", d->variant ?: "");
		add_shown(&b, n++, one);
	}
	if (n == 0)
		err_set(e, ERR_NOT_FOUND, ENOENT, "there is no image in it");
	else
		err_set(e, ERR_UNSUPPORTED, ENOTSUP, "no image for this host (linux/%s)",
			platform_host());
	if (n > 0)
		err_hint(e, "there are: %s", b.data ? b.data : "");
	strbuf_done(&b);
	return n == 0 ? -ENOENT : -ENOTSUP;
}

/* Without a name, images of several names would be a guess. */
static int check_one_name(const struct index *x, struct err *e)
{
	const char *first = NULL;
	struct strbuf b = {0};
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++) {
		const char *name = x->v[i].ref_name ?: x->v[i].full_name;

		if (x->v[i].attestation || !name || (first && STREQ(first, name)))
			continue;
		first = name;
		add_shown(&b, n++, name);
	}
	if (n > 1) {
		err_invalid(e, "there are several images in it");
		err_hint(e, "add ':' and a name: %s", b.data ? b.data : "");
	}
	strbuf_done(&b);
	return n > 1 ? -EINVAL : 0;
}

int resolve_choose(const struct index *x, const char *name, const char *platform,
		   const struct descriptor **ret, struct err *e)
{
	const struct descriptor *best = NULL;
	bool named = false;
	int r = name ? 0 : check_one_name(x, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < x->n; i++) {
		const struct descriptor *d = &x->v[i];

		if (d->attestation || (name && !has_name(d, name)))
			continue;
		named = true;
		if (rank(d, platform) > (best ? rank(best, platform) : 0))
			best = d;
	}
	if (name && !named)
		return no_such_name(x, name, e);
	if (!best)
		return no_such_platform(x, e);
	*ret = best;
	return 0;
}

/* ---- from the index to the manifest ----------------------------------------------------------------- */

static int parse_at(const char *text, size_t len, const char *what, struct json **ret,
		    struct json_at *ret_top, struct err *e)
{
	int r = json_parse(text, len, what, ret, e);

	if (r == 0)
		*ret_top = json_top(*ret);
	return r;
}

static int note_names(const struct descriptor *d, struct found_image *f, struct err *e)
{
	if (d->full_name)
		return strv_push(&f->names, d->full_name) < 0 ? err_nomem(e) : 0;
	return d->ref_name && strv_push(&f->names, d->ref_name) < 0 ? err_nomem(e) : 0;
}

static int walk(const struct source *src, const char *media_type, const char *name, int depth,
		struct found_image *f, struct manifest *ret, struct err *e);

/* Into the chosen entry of an index: its text replaces the index's. */
static int descend(const struct source *src, const struct json_at *top, const char *name, int depth,
		   struct found_image *f, struct manifest *ret, struct err *e)
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
		r = resolve_choose(&x, name, NULL, &d, e);
	if (r == 0)
		r = note_names(d, f, e);
	if (r == 0)
		r = source_read_blob(src, d->digest, d->size_bytes, &text, &len, e);
	if (r == 0) {
		free(f->manifest_text);
		f->manifest_text = text;
		f->manifest_len = len;
		r = walk(src, d->media_type, NULL, depth + 1, f, ret, e);
	}
	index_done(&x);
	return r;
}

/* f->manifest_text is an index or the manifest. */
static int walk(const struct source *src, const char *media_type, const char *name, int depth,
		struct found_image *f, struct manifest *ret, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	enum media_kind kind;
	struct json_at top;
	int r = parse_at(f->manifest_text, f->manifest_len, depth ? "manifest" : "index.json", &doc,
			 &top, e);

	if (r == 0)
		r = manifest_kind(&top, media_type, &kind, e);
	if (r < 0)
		return r;
	if (kind == MEDIA_INDEX)
		return descend(src, &top, name, depth, f, ret, e);
	if (depth == 0)
		return err_invalid(e, "index.json is a manifest, not an index");
	return manifest_read(&top, ret, e);
}

/* ---- configuration and layers -------------------------------------------------------------------------- */

/* The id is the digest of the configuration's bytes, whatever it was called where it came from. */
int resolve_config(struct found_image *f, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	char digest[DIGEST_MAX];
	struct json_at top;
	int r;

	digest_of(f->config_text, f->config_len, digest);
	memcpy(f->id, digest_hex(digest), DIGEST_HEX_LEN + 1);
	r = parse_at(f->config_text, f->config_len, "image configuration", &doc, &top, e);
	return r < 0 ? r : image_config_read(&top, &f->config, e);
}

static int check_layer_count(const struct found_image *f, struct err *e)
{
	size_t want = strv_len(f->config.diff_ids);

	return f->n_layers == want
		       ? 0
		       : err_invalid(e, "the manifest has %zu layers, the configuration %zu",
				     f->n_layers, want);
}

int resolve_layers(const struct manifest *m, struct found_image *f, struct err *e)
{
	f->layers = calloc(m->n_layers + 1, sizeof(*f->layers));
	if (!f->layers)
		return err_nomem(e);
	for (; f->n_layers < m->n_layers; f->n_layers++) {
		struct found_layer *l = &f->layers[f->n_layers];

		l->size_bytes = m->layers[f->n_layers].size_bytes;
		l->digest = strdup(m->layers[f->n_layers].digest);
		if (!l->digest || source_blob_name(l->digest, &l->file) < 0) {
			free(l->digest);
			return err_nomem(e);
		}
	}
	return check_layer_count(f, e);
}

/* Spec: image-layout.md "oci-layout file". */
static int check_layout_version(const struct source *src, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_free_ char *text = NULL;
	struct json_at top, version;
	size_t len;
	int r = source_read(src, "oci-layout", 4096, &text, &len, e);

	if (r == -ENOENT) {
		err_set(e, ERR_INVALID, EINVAL,
			"it is no OCI layout: the file 'oci-layout' is missing");
		return -EINVAL;
	}
	if (r == 0)
		r = parse_at(text, len, "oci-layout", &doc, &top, e);
	if (r < 0)
		return r;
	if (!json_member(&top, "imageLayoutVersion", &version) || !json_peek_string(&version))
		return json_error(&top, e, "imageLayoutVersion is missing");
	return str_has_prefix(json_peek_string(&version), "1.")
		       ? 0
		       : err_unsupported(e, "layout version '%.32s'", json_peek_string(&version));
}

static int find_in_layout(const struct source *src, const struct img_reference *r,
			  struct found_image *f, struct err *e)
{
	struct manifest m = {0};
	int x = check_layout_version(src, e);

	if (x == 0)
		x = source_read(src, "index.json", IMG_JSON_MAX, &f->manifest_text,
				&f->manifest_len, e);
	if (x == 0)
		x = walk(src, NULL, r->tag, 0, f, &m, e);
	if (x == 0)
		x = source_read_blob(src, m.config.digest, m.config.size_bytes, &f->config_text,
				     &f->config_len, e);
	if (x == 0)
		x = resolve_config(f, e);
	if (x == 0)
		x = resolve_layers(&m, f, e);
	manifest_done(&m);
	return x;
}

int resolve_layout(const struct source *src, const struct img_reference *r, struct found_image *ret,
		   struct err *e)
{
	struct found_image f = {0};
	int x = find_in_layout(src, r, &f, e);

	if (x < 0) {
		found_image_done(&f);
		return err_wrap(e, "'%s'", r->path);
	}
	*ret = f;
	return 0;
}

/* ---- docker archives -------------------------------------------------------------------------------- */

static bool has_tag(const struct docker_entry *d, const struct img_reference *want)
{
	for (char **v = d->repo_tags; v && *v; v++) {
		struct img_reference have = {0};
		bool same;

		if (img_reference_parse(*v, &have, NULL) < 0)
			continue;
		same = have.transport == IMG_STORED && STREQ(have.name, want->name) &&
		       STREQ(have.tag ?: "latest", want->tag ?: "latest");
		img_reference_done(&have);
		if (same)
			return true;
	}
	return false;
}

static int choose_docker(const struct docker_manifest *m, const struct img_reference *r,
			 const struct docker_entry **ret, struct err *e)
{
	struct strbuf b = {0};
	size_t n = 0;

	if (!r->name && m->n == 1) {
		*ret = &m->v[0];
		return 0;
	}
	for (size_t i = 0; i < m->n; i++) {
		if (r->name && has_tag(&m->v[i], r)) {
			strbuf_done(&b);
			*ret = &m->v[i];
			return 0;
		}
		for (char **v = m->v[i].repo_tags; v && *v; v++)
			add_shown(&b, n++, *v);
	}
	if (r->name)
		err_set(e, ERR_NOT_FOUND, ENOENT, "no image '%s:%s' in it", r->name,
			r->tag ?: "latest");
	else
		err_invalid(e, "there are several images in it");
	err_hint(e, r->name ? "there are: %s" : "add ':' and a name: %s",
		 b.data ? b.data : "no names");
	strbuf_done(&b);
	return r->name ? -ENOENT : -EINVAL;
}

static int take_docker_layers(const struct docker_entry *d, struct found_image *f, struct err *e)
{
	size_t n = strv_len(d->layers);

	f->layers = calloc(n + 1, sizeof(*f->layers));
	if (!f->layers)
		return err_nomem(e);
	for (; f->n_layers < n; f->n_layers++) {
		struct found_layer *l = &f->layers[f->n_layers];

		l->size_bytes = UINT64_MAX;
		l->file = strdup(d->layers[f->n_layers]);
		if (!l->file)
			return err_nomem(e);
	}
	return check_layer_count(f, e);
}

static int find_in_docker(const struct source *src, const struct img_reference *r,
			  struct found_image *f, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_free_ char *text = NULL;
	const struct docker_entry *d = NULL;
	struct docker_manifest m = {0};
	struct json_at top;
	size_t len;
	int x = source_read(src, "manifest.json", IMG_JSON_MAX, &text, &len, e);

	if (x == -ENOENT)
		return err_set(e, ERR_INVALID, EINVAL,
			       "it is no docker archive: manifest.json is missing");
	if (x == 0)
		x = parse_at(text, len, "manifest.json", &doc, &top, e);
	if (x == 0)
		x = docker_manifest_read(&top, &m, e);
	if (x < 0)
		return x;
	x = choose_docker(&m, r, &d, e);
	if (x == 0)
		x = source_read(src, d->config, IMG_JSON_MAX, &f->config_text, &f->config_len, e);
	if (x == 0)
		x = resolve_config(f, e);
	if (x == 0)
		x = take_docker_layers(d, f, e);
	if (x == 0 && d->repo_tags && strv_copy(d->repo_tags, &f->names) < 0)
		x = err_nomem(e);
	docker_manifest_done(&m);
	return x;
}

int resolve_docker(const struct source *src, const struct img_reference *r, struct found_image *ret,
		   struct err *e)
{
	struct found_image f = {0};
	int x = find_in_docker(src, r, &f, e);

	if (x < 0) {
		found_image_done(&f);
		return err_wrap(e, "'%s'", r->path);
	}
	*ret = f;
	return 0;
}
