/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting EROFS images that lie in files.
 */
#pragma once

#include "base/err.h"

/*
 * Mount the image in a regular file (open for reading), read-only, without devices and setuid programs of its own. Returns a
 * detached mount's root, which is gone with its last user. Linux 6.12 and later read the file itself where its file system lets
 * them; else a loop device does, which all mounts of the same file share and which goes with the last.
 *
 * Takes CAP_SYS_ADMIN over the initial user namespace. ERR_UNSUPPORTED: the kernel has no EROFS.
 * Spec: kernel Documentation/filesystems/erofs.rst; loop(4).
 */
int iso_erofs_mount(int image_fd, struct err *e);
