/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of inside_mounts() that have a file of their own. Internal to this folder.
 */
#pragma once

#include "base/err.h"
#include "inside.h"

/* Attributes and propagation of a detached mount as `m` has them. */
int mounts_apply(const struct inside *in, int mnt_fd, const struct iso_mount *m, struct err *e);

/* Attributes that a mount just made has. The recursive ones count: nothing is below it. */
uint64_t mounts_attrs(const struct iso_mount *m);

/* Put a detached mount in its place, and keep it in *in->attached_fd if that is asked for. */
int mounts_attach(const struct inside *in, int mnt_fd, int target_fd, struct err *e);

/* The two halves of inside_mounts(), for who must change the mount namespace between them: a detached copy of each bind source
 * (-1 for other mounts; the caller closes what is there, after a failure too), and one mount onto its destination, with
 * that copy, which is taken. */
int mounts_open_sources(const struct inside *in, int *tree_fds, struct err *e);
int mounts_place(const struct inside *in, const struct iso_mount *m, int *tree_fd, struct err *e);
/* The frame "mount 'source' on 'destination'". */
int mounts_wrap(const struct iso_mount *m, struct err *e);

/* mounts_bind.c: a detached copy of the source. */
int mounts_bind_source(const struct iso_mount *m, struct err *e);
/* Takes *tree_fd and puts it in its place. */
int mounts_bind(const struct inside *in, const struct iso_mount *m, int *tree_fd, struct err *e);
/* "copy-symlink": 1 if the source is a symlink and was copied, 0 if it is none. */
int mounts_copy_symlink(const struct inside *in, const struct iso_mount *m, struct err *e);

/* mounts_classic.c: does an option's value not fit fsconfig(2)? Then by mount(2) onto target_fd. */
bool mounts_needs_classic(const char *data);
int mounts_classic(const struct inside *in, const struct iso_mount *m, const char *data,
		   int target_fd, struct err *e);

/* mounts_cgroup.c: the container's cgroups ("type": "cgroup" and "cgroup2"). */
int mounts_cgroup(const struct inside *in, const struct iso_mount *m, struct err *e);

/* copyup.c: copy all that lies in directory from_fd, on its own file system, into to_fd (empty, not
 * reachable by anybody else), with owner, mode, times and extended attributes. Both may be O_PATH. */
int copyup_tree(int from_fd, int to_fd, struct err *e);
/* The same for a directory of any file system, with its mode, but only if it is empty: a volume is filled once. */
int copyup_fill(int from_fd, int to_fd, struct err *e);
