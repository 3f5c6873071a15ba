/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an image: what can be written only when all its names are known. Internal to the writer.
 */
#pragma once

#include "erofs_image.h"
#include "erofs_tree.h"

#define EROFS_OPAQUE "user.overlay.opaque"

/* Numbers of links, whiteouts, directories. What is left to erofs_image_seal() is put in `root`. *ret_root_left: the root's
 * attributes found no room. */
struct erofs_root {
	uint8_t record[EROFS_ROOT_BYTES];
	size_t len;
};
int erofs_finish(struct erofs_image *i, struct erofs_tree *t, struct erofs_root *ret,
		 bool *ret_root_left, struct err *e);
