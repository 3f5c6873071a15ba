/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one image that a reference means in a layout or archive: its configuration, and where its layers are.
 */
#pragma once

#include "images/image.h"
#include "source.h"

struct found_layer {
	char *file;          /* name in the source */
	char *digest;        /* of the file; NULL: unknown (docker archives) */
	uint64_t size_bytes; /* of the file; UINT64_MAX: unknown */
};

struct found_image {
	char id[65];
	char *config_text, *manifest_text; /* manifest NULL: docker archives */
	size_t config_len, manifest_len;
	struct img_config config;
	struct found_layer *layers; /* lowest first; as many as config.diff_ids */
	size_t n_layers;
	char **names; /* strv, as the source has them, not checked */
};
void found_image_done(struct found_image *f);

/* For resolve_*() of other sources. */
struct index;
struct manifest;
struct descriptor;
/* The best for `platform`, "OS/ARCHITECTURE[/VARIANT]", or for this host (NULL); of equals the first, as the specification has it.
 * name NULL: any. Borrowed from x. */
int resolve_choose(const struct index *x, const char *name, const char *platform,
		   const struct descriptor **ret, struct err *e);
/* f->config_text: id and configuration. */
int resolve_config(struct found_image *f, struct err *e);
int resolve_layers(const struct manifest *m, struct found_image *f, struct err *e);

/* ERR_NOT_FOUND tells what is there; ERR_INVALID, ERR_UNSUPPORTED. */
int resolve_layout(const struct source *src, const struct img_reference *r, struct found_image *ret,
		   struct err *e);
int resolve_docker(const struct source *src, const struct img_reference *r, struct found_image *ret,
		   struct err *e);
