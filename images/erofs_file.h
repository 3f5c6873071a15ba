/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of one file on its way into an image, in the layout that its size asks for: blocks, with the end behind the inode
 * where both fit a block; a sparse file in chunks, of which those without data are holes. Internal to the writer.
 */
#pragma once

#include "erofs_image.h"

struct erofs_file {
	struct erofs_image *image; /* borrowed */
	uint64_t size, done;
	enum erofs_layout layout;
	uint32_t first;      /* block */
	uint64_t in_blocks;  /* bytes that are not behind the inode */
	unsigned chunk_bits; /* a chunk has 1 << chunk_bits blocks */
	uint32_t *chunks;    /* owned; first block of each */
	size_t n_chunks;
	uint8_t tail[EROFS_BLOCK];
};

/* head: bytes of its inode with the attributes. */
int erofs_file_begin(struct erofs_file *f, struct erofs_image *image, uint64_t size, bool sparse,
		     size_t head, struct err *e);
/* In ascending order; without gaps unless it is sparse. */
int erofs_file_data(struct erofs_file *f, uint64_t offset, const void *data, size_t len,
		    struct err *e);
/* Write the inode; its size, layout and place of data are filled in here. */
int erofs_file_end(struct erofs_file *f, struct erofs_inode *n, uint64_t *ret_nid, struct err *e);
void erofs_file_done(struct erofs_file *f);
