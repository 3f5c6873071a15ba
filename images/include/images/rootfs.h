/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system of a sandbox, in the form that a driver asked for: a directory of the host, or the layers of
 * an image. Disks join behind the same call.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "images/image.h"

enum img_rootfs_form {
	IMG_FORM_DIRECTORY,
	IMG_FORM_DISK, /* extents for a virtual disk */
};

/* What it comes from: exactly one of the first two. */
struct img_source {
	const char *directory;         /* --rootfs DIR: a path of the host */
	const struct img_image *image; /* opened; borrowed, and must outlive the result */
	img_mount_fn mount;            /* for layers that are EROFS images; NULL: there are none */
};

struct img_rootfs {
	enum img_rootfs_form form;
	/* of a directory */
	char *path;     /* owned; absolute, symlinks resolved; NULL for layers */
	int fd;         /* owned; O_PATH|O_DIRECTORY; -1 for layers */
	bool host_root; /* it is the host's own root directory (by device and inode, not by name) */
	/* of an image */
	const struct img_image *image;
	int *layer_fds; /* owned array of owned directories, topmost first; detached mounts where they are images */
	size_t n_layers;
};

/* Errors: missing, not a directory, form not available for it (ERR_UNSUPPORTED). */
int img_rootfs_open(const struct img_source *from, enum img_rootfs_form form,
		    struct img_rootfs *ret, struct err *e);
void img_rootfs_done(struct img_rootfs *r);

/* Read a small regular file (/etc/passwd) as the sandbox would see it: symlinks stay inside, whiteouts and opaque
 * directories count, FIFOs and devices are no files. -ENOENT without an error text when there is none. Caller frees *ret. */
int img_rootfs_read(const struct img_rootfs *r, const char *path, size_t max_bytes, char **ret,
		    struct err *e);
