/* SPDX-License-Identifier: Apache-2.0 */
/* The store's place, for images.c and storage.c. Internal to this folder. */
#pragma once

#include <stdint.h>

#include "runtime/runtime.h"

/* Borrowed from ctx. */
int store_path(struct rt_ctx *ctx, const char **ret, struct err *e);

/* FNV-1a: a short name for a long text of ours. Not for what others choose. */
uint64_t store_hash(const char *text);
