/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of root file system behind iso_rootfs_mount(). Internal to this folder.
 */
#pragma once

#include "isolate/rootfs.h"

/* rootfs_throwaway.c: `dir_fd` is r->path, opened in our mount namespace. Returns the descriptor of
 * the new tree's root, attached on that directory. */
int rootfs_throwaway(const struct iso_rootfs *r, int dir_fd, int *ret_fd, char ***ret_readonly,
		     struct err *e);

/* rootfs_bound.c: the same for where overlays cannot be: a user namespace locks the mounts of the host to each other, and
 * what holds others cannot be covered. The directory's entries are bound one by one, read-only with all below them. */
int rootfs_bound(int dir_fd, int *ret_fd, char ***ret_readonly, struct err *e);

/* rootfs_layers.c: an overlay over r->layers, attached on dir_fd, which is empty. */
int rootfs_layers(const struct iso_rootfs *r, int dir_fd, int *ret_fd, struct err *e);
/* For r->layer_mounts of one who will be in a user namespace: mounts of all layers that are images. */
int rootfs_layers_prepare(const struct iso_rootfs *r, int **ret, struct err *e);
void rootfs_layers_release(const struct iso_rootfs *r, int *mounts); /* NULL-safe */

/* Is the host's `path` left out of a copy of its system: /proc, /sys, /dev, /run, or below? */
bool rootfs_is_left_out(const char *path);
