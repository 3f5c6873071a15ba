/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system of a sandbox as a tree of mounts: a directory, or the host's own system
 * with a throwaway overlay over each of its mounts. Both isolation kinds use it: a container's
 * init pivots into the tree, a VM's monitor process exports it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum iso_rootfs_kind {
	ISO_ROOTFS_DIRECTORY, /* as it is; writes go to it */
	ISO_ROOTFS_THROWAWAY, /* the directory and each mount below it under an overlay on tmpfs */
	ISO_ROOTFS_LAYERS,    /* an overlay over directories: the layers of an image */
};

struct iso_rootfs {
	enum iso_rootfs_kind kind;
	char *path; /* owned; absolute path on the host */
	int fd;     /* owned; the opened directory, or -1: path is opened */
	bool readonly;
	uint64_t propagation; /* MS_* of linux.rootfsPropagation; 0: rslave as the field does */
	/* LAYERS (fd is -1, path names an existing directory of the sandbox's own) */
	char **layers; /* owned strv of absolute paths, topmost first: directories, and files with EROFS images */
	int *layer_mounts; /* borrowed; for each layer a detached mount of its image, or -1; NULL: images are mounted as
			      they are needed, which takes privilege over the initial user namespace */
	char *upper; /* owned; directory with the directories `diff` and `work`, which take the changes; NULL: a tmpfs
			  takes them, and they are thrown away */
	bool ephemeral; /* upper goes with the sandbox: nothing of it must survive a crash of the host */
	uint64_t throwaway_bytes; /* size limit of the tmpfs; 0: the kernel's default of half the
				     memory */
};

void iso_rootfs_done(struct iso_rootfs *r);

/*
 * In the calling process, which must be in a mount namespace of its own: make propagation safe and
 * mount the tree; *ret_fd is a descriptor of its root directory (a mount point), on which
 * further mounts can be made and which can be pivoted into or shared. Nothing is visible outside
 * the namespace.
 *
 * THROWAWAY: /proc, /sys, /dev and everything mounted below them, /run, and pseudo file systems are
 * left out (empty directories; the configuration mounts its own). A mount that cannot be the lower
 * layer of an overlay is bound read-only instead, and named in *ret_readonly (strv, may be NULL).
 */
int iso_rootfs_mount(const struct iso_rootfs *r, int *ret_fd, char ***ret_readonly, struct err *e);

/*
 * Hide paths (absolute, resolved in the root) of a mounted tree: a directory under an empty read-only tmpfs,
 * anything else under the null device. A missing one is no error. The calling process is in a mount
 * namespace of its own. mount_label: SELinux context of the tmpfs, or NULL.
 * Spec: OCI runtime-spec config-linux.md "Masked Paths".
 */
int iso_rootfs_hide(int root_fd, char *const *paths, const char *mount_label, struct err *e);
