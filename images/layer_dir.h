/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink that fills a directory for use as a lower layer of overlayfs. Internal to this folder.
 *
 * A whiteout is a character device 0:0, which anybody may make since Linux 5.8; an opaque directory carries an extended
 * attribute. Nothing is resolved by the kernel but single components below held directory descriptors, and none of them through a
 * symlink or a mount: what an archive made earlier cannot lead anything outside.
 * Spec: Linux Documentation/filesystems/overlayfs.rst.
 */
#pragma once

#include "layer.h"

#define LAYER_OPAQUE_USER    "user.overlay.opaque"    /* for mounts with "userxattr" */
#define LAYER_OPAQUE_TRUSTED "trusted.overlay.opaque" /* for others; takes real privilege */

struct layer_dir_params {
	int dirfd;                /* borrowed; empty */
	const char *opaque_xattr; /* one of the two */
	bool keep_owners;         /* false: there is only one id, all files belong to it */
	uint64_t directories;     /* to make at most: one entry can ask for as many as it is deep */
};

struct layer_dir;
int layer_dir_new(const struct layer_dir_params *p, struct layer_report *report,
		  struct layer_dir **ret, struct err *e);
void layer_dir_free(struct layer_dir *d); /* NULL-safe */
struct layer_sink layer_dir_sink(struct layer_dir *d);
