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
