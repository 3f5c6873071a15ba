/* SPDX-License-Identifier: Apache-2.0 */
/* A cloud-init seed: what the data source NoCloud reads from a disk labelled "cidata". */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* Write an ISO 9660 image to an empty file: user-data as given, meta-data with `id` as instance id and host name.
 * Source: ECMA-119; cloud-init's documentation of NoCloud. */
int vm_seed_write(int fd, const char *id, const void *user_data, size_t len, struct err *e);
