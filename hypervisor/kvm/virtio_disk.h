/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is below a virtual disk: a list of extents (files, parts of files, block devices) that make one disk, and
 * perhaps an overlay file that takes all changes, so that the extents are never written. Always raw bytes: no format
 * is ever guessed (security.md, guests).
 *
 * All operations on an open disk may run in several threads at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

#define DISK_EXTENTS_MAX 256u
#define DISK_SECTOR      512u

struct disk_extent {
	int fd;                 /* borrowed */
	uint64_t offset, bytes; /* bytes 0: to the end, as it is now */
};

struct disk_config {
	const struct disk_extent *extents;
	unsigned n;
	/* Writes are refused here, whatever the guest believes. */
	bool read_only;
	/* Takes the changes; empty, or an overlay of a disk of this size before. -1: none. Borrowed. */
	int overlay_fd;
};

struct disk;

int disk_open(const struct disk_config *c, struct disk **ret, struct err *e);
void disk_close(struct disk *d); /* NULL-safe; flushes nothing */

uint64_t disk_bytes(const struct disk *d);
bool disk_is_read_only(const struct disk *d);

/* The range lies inside the disk and iov holds its length: the caller checked. 0 or -errno. */
int disk_read(struct disk *d, const struct iovec *iov, unsigned n, uint64_t at, uint64_t bytes);
int disk_write(struct disk *d, const struct iovec *iov, unsigned n, uint64_t at, uint64_t bytes);
/* Zeros, perhaps as a hole. */
int disk_zero(struct disk *d, uint64_t at, uint64_t bytes, bool may_unmap);
/* A hint: what was there is not needed any more. */
int disk_discard(struct disk *d, uint64_t at, uint64_t bytes);
int disk_flush(struct disk *d);
