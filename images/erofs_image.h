/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An EROFS image in the making: which block is whose, and the bytes on their way to the file. Internal to the writer.
 *
 * Everything is written once and in the order in which it comes: data into blocks of its own, inodes into small
 * groups of blocks between the data, so that neither has to be kept. What must be known of all inodes (directories, numbers
 * of links) comes at the end, and the superblock last: a file without one is no image.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "erofs_format.h"

struct erofs_inode {
	uint32_t mode; /* with the type */
	uint32_t uid, gid;
	struct timespec mtime;
	uint64_t size;
	uint32_t nlink;
	uint32_t u;
	enum erofs_layout layout;
	const uint8_t *xattrs; /* as they go to the disk; borrowed */
	size_t xattrs_len;
};

struct erofs_image;

/* fd: an empty file, borrowed. */
int erofs_image_new(int fd, struct erofs_image **ret, struct err *e);
void erofs_image_free(struct erofs_image *i); /* NULL-safe */

/* ---- data: written in ascending order within what was allocated last -------------------------- */

int erofs_image_allocate(struct erofs_image *i, uint64_t n_blocks, uint32_t *ret, struct err *e);
int erofs_image_write(struct erofs_image *i, uint64_t at, const void *data, size_t len,
		      struct err *e);
/* Zeros up to the end of the block that the last write() ended in. */
int erofs_image_pad(struct erofs_image *i, struct err *e);

/* ---- inodes ---------------------------------------------------------------------------------------- */

#define EROFS_INODE_MAX sizeof(struct erofs_extended)

/* How many bytes the inode itself will have: compact where nothing is lost. */
size_t erofs_inode_size(struct erofs_image *i, const struct erofs_inode *n);
/* Put the inode together in `out` (EROFS_INODE_MAX and the attributes' length have room); returns its length with the
 * attributes. Counts it. */
size_t erofs_inode_encode(struct erofs_image *i, const struct erofs_inode *n, uint8_t *out);
/* Put a whole record (an inode and what is behind it) somewhere; one that fits a block does not cross
 * its end. */
int erofs_image_place(struct erofs_image *i, const void *record, size_t len, uint64_t *ret_nid,
		      struct err *e);
/* inode and attributes, then `rest`, at a multiple of 4. */
int erofs_image_add_inode(struct erofs_image *i, const struct erofs_inode *n, const void *rest,
			  size_t rest_len, uint64_t *ret_nid, struct err *e);
/* The number of links of an inode that was written with 1. */
int erofs_image_set_nlink(struct erofs_image *i, uint64_t nid, uint32_t nlink, struct err *e);

/* ---- the end ----------------------------------------------------------------------------------------- */

/* Everything that was written reaches the file. */
int erofs_image_flush(struct erofs_image *i, struct err *e);
/* The superblock and, behind it in the same block, the root's inode (at most EROFS_ROOT_BYTES). */
int erofs_image_seal(struct erofs_image *i, const void *root, size_t root_len,
		     const uint8_t uuid[16], struct err *e);
#define EROFS_ROOT_NID (EROFS_ROOT_OFFSET / EROFS_SLOT)
