/* SPDX-License-Identifier: Apache-2.0 */
/* The index of an archive that holds an image: mode "list" of images/worker.h. Internal to this folder. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* Write a record per file and link of the tar in `archive` (a regular file) to `out`. */
int layer_list(int archive, int out, uint64_t *ret_entries, uint64_t *ret_bytes, struct err *e);
