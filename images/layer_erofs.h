/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink that writes a layer as one EROFS image, for use as a lower layer of overlayfs mounted with "userxattr". Internal to this
 * folder.
 *
 * The image depends on the entries alone: the same layer gives the same bytes. Nothing of the host's file system is
 * named by them. Memory is needed for names and directories, not for data.
 */
#pragma once

#include "layer.h"

struct layer_erofs_params {
	int fd;               /* borrowed; an empty file, open for reading and writing */
	uint64_t directories; /* at most: one entry can ask for as many as it is deep */
};

struct layer_erofs;
int layer_erofs_new(const struct layer_erofs_params *p, struct layer_report *report,
		    struct layer_erofs **ret, struct err *e);
void layer_erofs_free(struct layer_erofs *l); /* NULL-safe */
struct layer_sink layer_erofs_sink(struct layer_erofs *l);

/* After layer_read(): the superblock, which makes the file an image. digest ("sha256:…"): of the layer, from which the image's
 * UUID comes. */
int layer_erofs_seal(struct layer_erofs *l, const char *digest, struct err *e);
