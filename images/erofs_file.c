/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of one file. A sparse one gets as many chunks as keep their map small, so chunks grow with the file;
 * what of a chunk has no data takes room in the image's addresses and none on the disk, since nothing is written there.
 */
#include "erofs_file.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define CHUNKS_MAX (UINT64_C(1) << 18) /* a map of 1 MiB */

static uint64_t blocks_of(uint64_t bytes)
{
	return (bytes + EROFS_BLOCK - 1) / EROFS_BLOCK;
}

void erofs_file_done(struct erofs_file *f)
{
	free(f->chunks);
	f->chunks = NULL;
	f->n_chunks = 0;
}

static int begin_chunks(struct erofs_file *f, struct err *e)
{
	const uint64_t blocks = blocks_of(f->size);

	while ((blocks - 1) >> f->chunk_bits >= CHUNKS_MAX)
		f->chunk_bits++;
	f->n_chunks = (size_t)((blocks - 1) >> f->chunk_bits) + 1;
	f->layout = EROFS_CHUNKS;
	f->chunks = malloc(f->n_chunks * sizeof(*f->chunks));
	if (!f->chunks)
		return err_nomem(e);
	for (size_t i = 0; i < f->n_chunks; i++)
		f->chunks[i] = EROFS_NULL_ADDRESS;
	return 0;
}

int erofs_file_begin(struct erofs_file *f, struct erofs_image *image, uint64_t size, bool sparse,
		     size_t head, struct err *e)
{
	size_t tail = size % EROFS_BLOCK;

	erofs_file_done(f);
	f->image = image;
	f->size = size;
	f->done = 0;
	f->first = 0;
	f->chunk_bits = 0;
	if (sparse && size > 0)
		return begin_chunks(f, e);
	f->layout = tail > 0 && head + tail <= EROFS_BLOCK ? EROFS_INLINE : EROFS_PLAIN;
	f->in_blocks = f->layout == EROFS_INLINE ? size - tail : size;
	return f->in_blocks ? erofs_image_allocate(image, blocks_of(f->in_blocks), &f->first, e)
			    : 0;
}

/* The part of the data that lies in one chunk. */
static int write_in_chunk(struct erofs_file *f, uint64_t offset, const uint8_t *data, size_t len,
			  struct err *e)
{
	const unsigned shift = EROFS_BLOCK_BITS + f->chunk_bits;
	const size_t c = (size_t)(offset >> shift);
	const uint64_t inside = offset & ((UINT64_C(1) << shift) - 1);
	uint64_t blocks = blocks_of(f->size) - ((uint64_t)c << f->chunk_bits);
	int r = 0;

	if (blocks > UINT64_C(1) << f->chunk_bits)
		blocks = UINT64_C(1) << f->chunk_bits;
	if (f->chunks[c] == EROFS_NULL_ADDRESS)
		r = erofs_image_allocate(f->image, blocks, &f->chunks[c], e);
	if (r < 0)
		return r;
	return erofs_image_write(f->image, ((uint64_t)f->chunks[c] << EROFS_BLOCK_BITS) + inside,
				 data, len, e);
}

static int write_chunks(struct erofs_file *f, uint64_t offset, const uint8_t *data, size_t len,
			struct err *e)
{
	const uint64_t chunk = UINT64_C(1) << (EROFS_BLOCK_BITS + f->chunk_bits);

	while (len > 0) {
		uint64_t room = chunk - (offset & (chunk - 1));
		size_t n = len < room ? len : (size_t)room;
		int r = write_in_chunk(f, offset, data, n, e);

		if (r < 0)
			return r;
		data += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static int write_flat(struct erofs_file *f, uint64_t offset, const uint8_t *data, size_t len,
		      struct err *e)
{
	uint64_t left = f->in_blocks > offset ? f->in_blocks - offset : 0;
	size_t n = len < left ? len : (size_t)left;
	int r = n ? erofs_image_write(f->image, ((uint64_t)f->first << EROFS_BLOCK_BITS) + offset,
				      data, n, e)
		  : 0;

	if (r == 0 && len > n)
		memcpy(f->tail + (offset + n - f->in_blocks), data + n, len - n);
	return r;
}

int erofs_file_data(struct erofs_file *f, uint64_t offset, const void *data, size_t len,
		    struct err *e)
{
	if (offset < f->done || offset > f->size || len > f->size - offset ||
	    (f->layout != EROFS_CHUNKS && offset != f->done))
		return err_set(e, ERR_INTERNAL, EPROTO, "data of a file out of order");
	f->done = offset + len;
	return f->layout == EROFS_CHUNKS ? write_chunks(f, offset, data, len, e)
					 : write_flat(f, offset, data, len, e);
}

int erofs_file_end(struct erofs_file *f, struct erofs_inode *n, uint64_t *ret_nid, struct err *e)
{
	const void *rest = NULL;
	size_t rest_len = 0;
	int r = 0;

	n->size = f->size;
	n->layout = f->layout;
	n->u = f->first;
	switch (f->layout) {
	case EROFS_CHUNKS:
		n->u = f->chunk_bits;
		for (size_t i = 0; i < f->n_chunks; i++)
			f->chunks[i] = htole32(f->chunks[i]);
		rest = f->chunks;
		rest_len = f->n_chunks * sizeof(*f->chunks);
		break;
	case EROFS_INLINE:
		rest = f->tail;
		rest_len = f->size % EROFS_BLOCK;
		break;
	case EROFS_PLAIN:
		break;
	}
	if (f->layout != EROFS_CHUNKS && f->done != f->size)
		return err_set(e, ERR_INTERNAL, EPROTO, "a file that ends early");
	if (f->layout == EROFS_PLAIN && f->size > 0)
		r = erofs_image_pad(f->image, e);
	if (r == 0)
		r = erofs_image_add_inode(f->image, n, rest, rest_len, ret_nid, e);
	erofs_file_done(f);
	return r;
}
