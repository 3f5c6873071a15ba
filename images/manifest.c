/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading manifests, indexes and the table of contents of a docker archive.
 */
#include "manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "digest.h"

/* ---- media types --------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum media_kind kind;
	const char *refusal; /* NULL: known */
} media_types[] = {
	{"application/vnd.oci.image.index.v1+json", MEDIA_INDEX, NULL},
	{"application/vnd.docker.distribution.manifest.list.v2+json", MEDIA_INDEX, NULL},
	{"application/vnd.oci.image.manifest.v1+json", MEDIA_MANIFEST, NULL},
	{"application/vnd.docker.distribution.manifest.v2+json", MEDIA_MANIFEST, NULL},
	{"application/vnd.docker.distribution.manifest.v1+json", MEDIA_MANIFEST,
	 "schema 1 manifests are obsolete"},
	{"application/vnd.docker.distribution.manifest.v1+prettyjws", MEDIA_MANIFEST,
	 "schema 1 manifests are obsolete"},
	{"application/vnd.oci.image.config.v1+json", MEDIA_CONFIG, NULL},
	{"application/vnd.docker.container.image.v1+json", MEDIA_CONFIG, NULL},
	{"application/vnd.oci.empty.v1+json", MEDIA_CONFIG, "an artifact, not an image"},
	{"application/vnd.oci.image.layer.v1.tar", MEDIA_LAYER, NULL},
	{"application/vnd.oci.image.layer.v1.tar+gzip", MEDIA_LAYER, NULL},
	{"application/vnd.oci.image.layer.v1.tar+zstd", MEDIA_LAYER, NULL},
	{"application/vnd.docker.image.rootfs.diff.tar", MEDIA_LAYER, NULL},
	{"application/vnd.docker.image.rootfs.diff.tar.gzip", MEDIA_LAYER, NULL},
	{"application/vnd.docker.image.rootfs.diff.tar.zstd", MEDIA_LAYER, NULL},
	{"application/vnd.docker.image.rootfs.foreign.diff.tar", MEDIA_LAYER,
	 "a foreign layer, which is not in the image"},
	{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER,
	 "a foreign layer, which is not in the image"},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar", MEDIA_LAYER,
	 "a foreign layer, which is not in the image"},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", MEDIA_LAYER,
	 "a foreign layer, which is not in the image"},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", MEDIA_LAYER,
	 "a foreign layer, which is not in the image"},
};

static const char *const kind_names[] = {
	[MEDIA_INDEX] = "index",
	[MEDIA_MANIFEST] = "manifest",
	[MEDIA_CONFIG] = "configuration",
	[MEDIA_LAYER] = "layer",
};

int media_check(const char *media_type, enum media_kind kind, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(media_types); i++) {
		if (!STREQ(media_types[i].name, media_type))
			continue;
		if (media_types[i].refusal)
			return err_unsupported(e, "media type '%s': %s", media_type,
					       media_types[i].refusal);
		if (media_types[i].kind != kind)
			return err_invalid(e, "media type '%s' is not that of a %s", media_type,
					   kind_names[kind]);
		return 0;
	}
	if (str_has_suffix(media_type, "+encrypted"))
		return err_unsupported(e, "media type '%s': an encrypted layer", media_type);
	return err_unsupported(e, "media type '%s' of a %s is not known", media_type,
			       kind_names[kind]);
}

/* ---- descriptors --------------------------------------------------------------------------- */

void descriptor_done(struct descriptor *d)
{
	free(d->media_type);
	free(d->digest);
	free(d->ref_name);
	free(d->full_name);
	free(d->os);
	free(d->architecture);
	free(d->variant);
	*d = (struct descriptor){0};
}

static int read_digest(const struct json_at *at, void *target, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int r = json_get_string(at, &text, e);

	if (r < 0)
		return r;
	if (!digest_is_valid(text)) {
		if (str_has_prefix(text, "sha512:") || str_has_prefix(text, "sha384:"))
			return err_unsupported(e, "digest '%.16s…': only sha256 is supported",
					       text);
		return json_error(at, e, "'%.80s' is not a digest", text);
	}
	*(char **)target = TAKE_PTR(text);
	return 0;
}

/* Spec: descriptor.md: an int64, so no more than that. Negative ones fail in json_get_u64(). */
static int read_size(const struct json_at *at, void *target, struct err *e)
{
	uint64_t size;
	int r = json_get_u64(at, &size, e);

	if (r < 0)
		return r;
	if (size > INT64_MAX)
		return json_error(at, e, "too large");
	*(uint64_t *)target = size;
	return 0;
}

static int read_platform(const struct json_at *at, void *target, struct err *e)
{
	static const struct json_field fields[] = {
		JSON_FIELD(struct descriptor, os, "os", json_read_string),
		JSON_FIELD(struct descriptor, architecture, "architecture", json_read_string),
		JSON_FIELD(struct descriptor, variant, "variant", json_read_string),
	};
	struct descriptor *d = target;

	d->has_platform = true;
	return json_read_object(at, fields, ARRAY_SIZE(fields), d, e);
}

static int read_reference_type(const struct json_at *at, void *target, struct err *e)
{
	const char *text = json_peek_string(at);

	(void)e;
	((struct descriptor *)target)->attestation = text && STREQ(text, "attestation-manifest");
	return 0;
}

static int read_annotations(const struct json_at *at, void *target, struct err *e)
{
	static const struct json_field fields[] = {
		JSON_FIELD(struct descriptor, ref_name, "org.opencontainers.image.ref.name",
			   json_read_string),
		JSON_FIELD(struct descriptor, full_name, "io.containerd.image.name",
			   json_read_string),
		{"vnd.docker.reference.type", read_reference_type, 0, false, -1},
	};

	return json_read_object(at, fields, ARRAY_SIZE(fields), target, e);
}

static int read_descriptor(const struct json_at *at, void *target, struct err *e)
{
	static const struct json_field fields[] = {
		JSON_REQUIRED(struct descriptor, media_type, "mediaType", json_read_string),
		JSON_REQUIRED(struct descriptor, digest, "digest", read_digest),
		JSON_REQUIRED(struct descriptor, size_bytes, "size", read_size),
		{"platform", read_platform, 0, false, -1},
		{"annotations", read_annotations, 0, false, -1},
	};
	struct descriptor *d = target;
	int r = json_read_object(at, fields, ARRAY_SIZE(fields), d, e);

	/* BuildKit's attestations have such a platform, also where the annotation is lost. */
	if (r == 0 && d->os && d->architecture && STREQ(d->os, "unknown") &&
	    STREQ(d->architecture, "unknown"))
		d->attestation = true;
	return r;
}

static void free_descriptors(struct descriptor *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		descriptor_done(&v[i]);
	free(v);
}

/* ---- manifests and indexes ------------------------------------------------------------------- */

static bool has_member(const struct json_at *at, const char *name)
{
	struct json_at child;

	return json_member(at, name, &child);
}

int manifest_kind(const struct json_at *at, const char *media_type, enum media_kind *ret,
		  struct err *e)
{
	struct json_at member;
	enum media_kind kind;
	int r;

	if (json_type_of(at->value) != JSON_OBJECT)
		return json_error(at, e, "a manifest is an object");
	/* Two readings of one document would let two tools see two images (CVE-2021-41190). */
	if (has_member(at, "manifests") && (has_member(at, "layers") || has_member(at, "config")))
		return json_error(at, e, "it is both an index and a manifest");
	if (has_member(at, "fsLayers"))
		return err_unsupported(e, "schema 1 manifests are obsolete");
	kind = has_member(at, "manifests") ? MEDIA_INDEX : MEDIA_MANIFEST;
	if (json_member(at, "mediaType", &member)) {
		const char *inner = json_peek_string(&member);

		if (!inner)
			return json_error(&member, e, "expected a string");
		if (media_type && !STREQ(inner, media_type))
			return json_error(&member, e, "'%s' differs from the descriptor's '%s'",
					  inner, media_type);
		r = media_check(inner, kind, e);
		if (r < 0)
			return r;
	}
	r = media_type ? media_check(media_type, kind, e) : 0;
	if (r < 0)
		return r;
	*ret = kind;
	return 0;
}

void manifest_done(struct manifest *m)
{
	descriptor_done(&m->config);
	free_descriptors(m->layers, m->n_layers);
	*m = (struct manifest){0};
}

static int read_config_descriptor(const struct json_at *at, void *target, struct err *e)
{
	return read_descriptor(at, &((struct manifest *)target)->config, e);
}

static int read_layers(const struct json_at *at, void *target, struct err *e)
{
	struct manifest *m = target;

	if (json_type_of(at->value) == JSON_ARRAY && json_array_len(at) > IMG_LAYERS_MAX)
		return json_error(at, e, "more than %d layers", IMG_LAYERS_MAX);
	return json_read_array(at, sizeof(*m->layers), read_descriptor, (void **)&m->layers,
			       &m->n_layers, e);
}

static int check_schema(const struct json_at *at, void *target, struct err *e)
{
	uint32_t version;
	int r = json_get_u32(at, &version, e);

	(void)target;
	if (r == 0 && version != 2)
		return json_error(at, e, "%u is not supported", version);
	return r;
}

static int read_manifest(const struct json_at *at, struct manifest *m, struct err *e)
{
	static const struct json_field fields[] = {
		{"schemaVersion", check_schema, 0, true, -1},
		{"config", read_config_descriptor, 0, true, -1},
		{"layers", read_layers, 0, true, -1},
	};
	int r = json_read_object(at, fields, ARRAY_SIZE(fields), m, e);

	if (r == 0)
		r = media_check(m->config.media_type, MEDIA_CONFIG, e);
	for (size_t i = 0; r == 0 && i < m->n_layers; i++)
		r = media_check(m->layers[i].media_type, MEDIA_LAYER, e);
	return r;
}

int manifest_read(const struct json_at *at, struct manifest *ret, struct err *e)
{
	struct manifest m = {0};
	int r = read_manifest(at, &m, e);

	if (r < 0)
		manifest_done(&m);
	else
		*ret = m;
	return r;
}

void index_done(struct index *x)
{
	free_descriptors(x->v, x->n);
	*x = (struct index){0};
}

static int read_manifests(const struct json_at *at, void *target, struct err *e)
{
	struct index *x = target;

	if (json_type_of(at->value) == JSON_ARRAY && json_array_len(at) > IMG_INDEX_MAX)
		return json_error(at, e, "more than %d manifests", IMG_INDEX_MAX);
	return json_read_array(at, sizeof(*x->v), read_descriptor, (void **)&x->v, &x->n, e);
}

int index_read(const struct json_at *at, struct index *ret, struct err *e)
{
	static const struct json_field fields[] = {
		{"schemaVersion", check_schema, 0, true, -1},
		{"manifests", read_manifests, 0, true, -1},
	};
	struct index x = {0};
	int r = json_read_object(at, fields, ARRAY_SIZE(fields), &x, e);

	if (r < 0)
		index_done(&x);
	else
		*ret = x;
	return r;
}

/* ---- docker archives --------------------------------------------------------------------------- */

void docker_manifest_done(struct docker_manifest *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].config);
		strv_free(m->v[i].repo_tags);
		strv_free(m->v[i].layers);
	}
	free(m->v);
	*m = (struct docker_manifest){0};
}

static int read_docker_entry(const struct json_at *at, void *target, struct err *e)
{
	static const struct json_field fields[] = {
		JSON_REQUIRED(struct docker_entry, config, "Config", json_read_string),
		JSON_FIELD(struct docker_entry, repo_tags, "RepoTags", json_read_strv),
		JSON_FIELD(struct docker_entry, layers, "Layers", json_read_strv),
	};
	struct docker_entry *d = target;
	int r = json_read_object(at, fields, ARRAY_SIZE(fields), d, e);

	if (r == 0 && strv_len(d->layers) > IMG_LAYERS_MAX)
		return json_error(at, e, "more than %d layers", IMG_LAYERS_MAX);
	return r;
}

int docker_manifest_read(const struct json_at *at, struct docker_manifest *ret, struct err *e)
{
	struct docker_manifest m = {0};
	int r = 0;

	if (json_type_of(at->value) != JSON_ARRAY || json_array_len(at) == 0)
		r = json_error(at, e, "expected a list of images");
	else if (json_array_len(at) > IMG_INDEX_MAX)
		r = json_error(at, e, "more than %d images", IMG_INDEX_MAX);
	if (r == 0)
		r = json_read_array(at, sizeof(*m.v), read_docker_entry, (void **)&m.v, &m.n, e);
	if (r < 0)
		docker_manifest_done(&m);
	else
		*ret = m;
	return r;
}
