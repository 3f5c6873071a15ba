/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a mount of the container goes: a destination below its root, found or made, as an O_PATH
 * descriptor. All resolution is relative to root_fd and stays inside. Internal to this folder.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Open the destination; a missing one is made, as a directory or as an empty file. A symlink that
 * leads nowhere yet is followed inside the root and its target is made (images ship
 * /etc/resolv.conf that way). *ret_existed (may be NULL) tells whether it was there before.
 * Returns the descriptor or -errno. */
int target_open(int root_fd, const char *path, bool directory, bool *ret_existed, struct err *e);

/* A directory of which no component may be a symlink: for proc and sysfs, whose files the runtime
 * and others trust by their path (CVE-2023-27561, CVE-2023-28642). */
int target_open_strict(int root_fd, const char *path, struct err *e);
