/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking up one path in the layers of an image as an overlay of them would show it, without mounting anything.
 */
#pragma once

#include <stddef.h>
#include <sys/stat.h>

#include "base/err.h"

/* layer_fds: O_PATH|O_DIRECTORY, topmost first, at most IMG_LAYERS_MAX. Symlinks stay inside and are followed, the last
 * one too. Returns an O_PATH descriptor of what is there and fills *ret_stat, or -errno: -ENOENT without an error text. */
int merged_open(const int *layer_fds, size_t n_layers, const char *path, struct stat *ret_stat,
		struct err *e);
