/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the path files share: the two ways to resolve a path in a root, and small helpers.
 */
#pragma once

#include "base/path.h"

/* The next component of *at, which is moved behind it. False at the end. Nothing is copied. */
bool path_next_component(const char **at, const char **ret, size_t *ret_len);

/* One component that names an entry of a directory: no slash, not "", "." or "..". */
bool path_is_plain(const char *name);

/* Resolve by openat2(2). Raw: returns an fd or -errno. -EAGAIN after the last retry. */
int path_resolve_by_kernel(int rootfd, const char *path, int flags, mode_t mode);

/* Resolve by a walk of single components (path_walk.c), with the same guarantees. */
int path_resolve_by_walk(int rootfd, const char *path, int flags, mode_t mode);

/* The kernel's way, or the walk where that is not to be had. No error text. */
int path_resolve(int rootfd, const char *path, int flags, mode_t mode);

/* Give entry `name` of dirfd exactly this mode, whatever umask made of it; never follows. */
int path_set_mode_at(int dirfd, const char *name, mode_t mode);
