/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's mount API by descriptor, with errors that carry the kernel's own words. Internal to
 * this folder. Every descriptor returned is close-on-exec. "Detached" is a mount that is nowhere
 * in a tree yet: what is set on it is in force before anybody can see it.
 * Source: fsopen(2), fsconfig(2), fsmount(2), open_tree(2), move_mount(2), mount_setattr(2).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* A new file system context, and its options. A refused option is an error with the text that the
 * kernel left in the context's log. value NULL: a flag. */
#define MOUNTFD_VALUE_MAX 255 /* fsconfig(2) copies no longer string */
int mountfd_fs_open(const char *fstype, struct err *e);
int mountfd_fs_set(int fs_fd, const char *key, const char *value, struct err *e);
/* "a,b=c,..."; a comma inside double quotes does not separate, and the quotes are taken off. */
int mountfd_fs_data(int fs_fd, const char *data, struct err *e);
/* Make the super block and return a detached mount of it with attributes MOUNT_ATTR_*. */
int mountfd_fs_mount(int fs_fd, uint64_t attrs, struct err *e);
/* The context of an existing mount's file system, to be changed by mountfd_fs_data() and then
 * mountfd_fs_reconfigure(). */
int mountfd_fs_pick(int mnt_fd, struct err *e);
int mountfd_fs_reconfigure(int fs_fd, struct err *e);

/* A detached copy of the mount(s) at an open path. If the descriptor comes from another mount
 * namespace (it was opened before ours was made) the same object is found again by its path, and
 * its identity is checked. If it is a detached tree already, which kernels before 6.15 cannot copy,
 * *fd itself is taken (and set to -1). */
int mountfd_clone(int *fd, bool recursive, struct err *e);
/* The same for a path on the host; a symlink at its end is followed. */
int mountfd_clone_path(const char *path, bool recursive, struct err *e);

/* propagation: one of MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, or 0. */
int mountfd_set(int mnt_fd, bool recursive, uint64_t attr_set, uint64_t attr_clr,
		uint64_t propagation, struct err *e);
/* As struct iso_mount and the configuration write it: MS_SLAVE|MS_SHARED is both in turn, MS_REC
 * is recursive, 0 changes nothing. */
int mountfd_spread(int mnt_fd, uint64_t propagation, struct err *e);

/* Put a detached mount onto an open path (O_PATH). */
int mountfd_attach(int mnt_fd, int target_fd, struct err *e);
