/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of a layer's entries. Internal to this folder.
 *
 * A name is any bytes. Made plain, it is components with single slashes between them, none of them "." or ".."; the root is
 * the empty string. A leading slash means the layer's root, as it does to all who unpack layers; ".." has no meaning that they
 * agree on and is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LAYER_PATH_MAX      4096 /* with the NUL */
#define LAYER_COMPONENT_MAX 255
#define LAYER_DEPTH_MAX     256

struct layer_path {
	char text[LAYER_PATH_MAX];
	size_t len;
	size_t base; /* where the last component begins */
	unsigned depth;
};

int layer_path_read(const char *name, struct layer_path *ret, struct err *e);

/* What the name asks for beyond itself. Spec: image-spec layer.md "Whiteouts". */
enum layer_mark {
	LAYER_MARK_NONE,
	LAYER_MARK_WHITEOUT, /* .wh.NAME; *ret_target is the path of NAME */
	LAYER_MARK_OPAQUE,   /* .wh..wh..opq; *ret_target is the directory */
	LAYER_MARK_AUFS,     /* bookkeeping of a file system that layers once came from */
};
int layer_path_mark(const struct layer_path *p, enum layer_mark *ret, struct layer_path *ret_target,
		    struct err *e);
