/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system that an image reference stands for, in the form that a driver asked for.
 * Today's back end: directories of the host. The content store and disks join behind this call.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

enum img_rootfs_form {
	IMG_FORM_DIRECTORY,
	IMG_FORM_DISK, /* extents for a virtual disk */
};

struct img_rootfs {
	enum img_rootfs_form form;
	char *path;     /* owned; absolute, symlinks resolved */
	int fd;         /* owned; O_PATH|O_DIRECTORY */
	bool host_root; /* it is the host's own root directory (by device and inode, not by name) */
};

/* Open `reference` (a directory path of the host for now). Errors: missing, not a directory, form
 * not available for it (ERR_UNSUPPORTED). */
int img_rootfs_open(const char *reference, enum img_rootfs_form form, struct img_rootfs *ret,
		    struct err *e);
void img_rootfs_done(struct img_rootfs *r);
