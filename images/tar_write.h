/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a tar of regular files that are ours: the same input gives the same bytes. Internal to this folder.
 * Spec: POSIX.1-2017 pax, "ustar Interchange Format"; sizes of 8 GiB and more in GNU's base-256.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* The header of a file (0644 0:0, time 0); size_bytes of data and tar_write_pad() follow. name: at most 100 bytes. */
int tar_write_header(int fd, const char *name, uint64_t size_bytes, struct err *e);
int tar_write_pad(int fd, uint64_t size_bytes, struct err *e);
int tar_write_end(int fd, struct err *e);
