/* SPDX-License-Identifier: Apache-2.0 */
/* What a stored image is made of, as it leaves the store. Internal to this folder. */
#pragma once

#include "store.h"

struct image_part {
	char digest[DIGEST_MAX];
	uint64_t size_bytes;
	const char *media_type; /* of an OCI manifest; static */
	const char *diff_id;    /* into image_parts.image */
};

struct image_parts {
	struct img_image image; /* held as long as the store is open */
	char *config, *manifest;
	size_t config_len, manifest_len;
	char *media_type; /* of the manifest */
	char config_digest[DIGEST_MAX], manifest_digest[DIGEST_MAX];
	struct image_part *layers; /* lowest first */
	size_t n_layers;
};

/* The manifest is the one that the image came with, where the kept blobs are those that it names; else a new one, in OCI's
 * words; oci: also where it is one of docker's. ERR_NOT_FOUND: the bytes of a layer were not kept. */
int image_parts_find(struct img_store *s, const char *id, bool oci, struct image_parts *ret,
		     struct err *e);
void image_parts_done(struct image_parts *p);
