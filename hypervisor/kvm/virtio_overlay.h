/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay of a disk: a sparse file that holds the blocks that were changed, and a bitmap of which those are.
 *
 *	0	header (OVERLAY_HEADER_BYTES): magic, version, block size, size of the disk
 *	4096	bitmap, a bit per block, in whole pages
 *	...	data, from a multiple of 1 MiB on, at the same distances as on the disk
 *
 * Crash safety: a bit is written only after the data of its block reached the disk (overlay_flush: data, barrier,
 * bitmap, barrier). What was not flushed may be lost, as on any disk; a block is never half new, half nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

struct overlay;

/* fd: empty, or an overlay of a disk of exactly disk_bytes. Borrowed. */
int overlay_open(int fd, uint64_t disk_bytes, struct overlay **ret, struct err *e);
void overlay_close(struct overlay *o);

uint32_t overlay_block_bytes(const struct overlay *o);
/* How far from `at` on all blocks are in the overlay (*ret_here) or all are not; at most max bytes. */
uint64_t overlay_run(struct overlay *o, uint64_t at, uint64_t max, bool *ret_here);
int overlay_fd(const struct overlay *o);
uint64_t overlay_position(const struct overlay *o, uint64_t at); /* where in the file */

/* Reads what is below the overlay. */
typedef int overlay_read_below(void *self, void *to, uint64_t at, uint32_t bytes);

/* Write inside one run of blocks; blocks that are not here yet and are not covered whole are copied up first. */
int overlay_write(struct overlay *o, const struct iovec *iov, unsigned n, uint64_t at,
		  uint64_t bytes, overlay_read_below *below, void *self);
/* Whole blocks become zeros. */
int overlay_zero(struct overlay *o, uint64_t at, uint64_t bytes);
int overlay_flush(struct overlay *o);
