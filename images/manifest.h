/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the JSON of images says: descriptors, manifests, indexes, configurations, the table of contents of a
 * docker archive. All of it hostile; bounded, and checked before anything is made of it.
 * Spec: OCI image-spec descriptor.md, manifest.md, image-index.md, config.md; Docker's image/spec v1.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "images/image.h"

#define IMG_JSON_MAX    (4u << 20) /* a manifest, index or configuration */
#define IMG_LAYERS_MAX  500        /* of one image: the kernel's limit for an overlay */
#define IMG_INDEX_MAX   1024       /* entries of one index */
#define IMG_INDEX_DEPTH 4

enum media_kind {
	MEDIA_INDEX,
	MEDIA_MANIFEST,
	MEDIA_CONFIG,
	MEDIA_LAYER,
};

struct descriptor {
	char *media_type, *digest;
	uint64_t size_bytes;
	char *ref_name, *full_name;        /* annotations of a layout; or NULL */
	char *os, *architecture, *variant; /* of "platform"; or NULL */
	bool has_platform;
	bool attestation; /* says something about an image and is none */
};
void descriptor_done(struct descriptor *d);

struct manifest {
	struct descriptor config;
	struct descriptor *layers; /* lowest first */
	size_t n_layers;
};
void manifest_done(struct manifest *m);

struct index {
	struct descriptor *v;
	size_t n;
};
void index_done(struct index *x);

/* Is that JSON an index or a manifest? By its members; mediaType, where present, must agree with them and with
 * `media_type` (of the descriptor that led here; may be NULL). One with both `manifests` and `layers` is refused. */
int manifest_kind(const struct json_at *at, const char *media_type, enum media_kind *ret,
		  struct err *e);
int manifest_read(const struct json_at *at, struct manifest *ret, struct err *e);
int index_read(const struct json_at *at, struct index *ret, struct err *e);

/* A known media type of that kind; else refused by name: foreign layers, encrypted ones, schema 1, artifacts. */
int media_check(const char *media_type, enum media_kind kind, struct err *e);

/* Spec: config.md. Checks that it is for this host, and that diff ids are digests. */
int image_config_read(const struct json_at *at, struct img_config *ret, struct err *e);
/* What image_config_read() would read again. */
int image_config_write(const struct img_config *c, char **ret, size_t *ret_len);

/* docker-archive: manifest.json. */
struct docker_entry {
	char *config;     /* name in the archive */
	char **repo_tags; /* strv */
	char **layers;    /* strv of names in the archive, lowest first */
};
struct docker_manifest {
	struct docker_entry *v;
	size_t n;
};
void docker_manifest_done(struct docker_manifest *m);
int docker_manifest_read(const struct json_at *at, struct docker_manifest *ret, struct err *e);

/* ---- platforms (platform.c) ------------------------------------------------------------------ */

/* This host's architecture, in the words of images ("amd64", "arm64"). Static. */
const char *platform_host(void);
/* How well such an image runs here: 0 not at all, more is better. variant may be NULL. */
int platform_rank(const char *os, const char *architecture, const char *variant);
