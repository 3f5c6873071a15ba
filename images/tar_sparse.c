/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of sparse files that do not stand in extended headers: GNU tar's own, in the header block and in blocks
 * after it, and pax 1.0, decimal lines in front of the data.
 * Spec: GNU tar manual, "Storing Sparse Files".
 */
#include "tar_sparse.h"

#include <errno.h>
#include <string.h>

enum {
	OFF_HEADER_MAP = 386, /* 4 pairs */
	OFF_HEADER_MORE = 482,
	OFF_REAL_SIZE = 483,
	HEADER_PAIRS = 4,
	OFF_BLOCK_MORE = 504, /* after 21 pairs */
	BLOCK_PAIRS = 21,
	LEN_NUMBER = 12,
};

static int read_pairs(const uint8_t *at, unsigned n, struct tar_pax *p,
		      const struct tar_limits *limits, struct err *e)
{
	for (unsigned i = 0; i < n; i++, at += 2 * LEN_NUMBER) {
		uint64_t offset, len;
		int r;

		if (at[0] == '\0')
			return 0;
		if (tar_number(at, LEN_NUMBER, &offset) < 0 ||
		    tar_number(at + LEN_NUMBER, LEN_NUMBER, &len) < 0)
			return err_invalid(e, "its map of holes: not a number");
		r = tar_extent_add(p, offset, len, limits->extents, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int tar_sparse_header(const uint8_t block[TAR_BLOCK], struct tar_pax *p, bool *ret_more,
		      const struct tar_limits *limits, struct err *e)
{
	int r = read_pairs(block + OFF_HEADER_MAP, HEADER_PAIRS, p, limits, e);

	if (r < 0)
		return r;
	if (tar_number(block + OFF_REAL_SIZE, LEN_NUMBER, &p->sparse_size) < 0)
		return err_invalid(e, "its size with holes is not a number");
	*ret_more = block[OFF_HEADER_MORE] != 0;
	return 0;
}

int tar_sparse_block(const uint8_t block[TAR_BLOCK], struct tar_pax *p, bool *ret_more,
		     const struct tar_limits *limits, struct err *e)
{
	int r = read_pairs(block, BLOCK_PAIRS, p, limits, e);

	if (r == 0)
		*ret_more = block[OFF_BLOCK_MORE] != 0;
	return r;
}

/* ---- pax 1.0 ----------------------------------------------------------------------------- */

static int take_number(struct tar_sparse_lines *l, struct tar_pax *p,
		       const struct tar_limits *limits, struct err *e)
{
	uint64_t v = l->value;

	if (l->digits == 0)
		return err_invalid(e, "its map of holes: an empty line");
	l->value = 0;
	l->digits = 0;
	if (!l->counted) {
		if (v > limits->extents)
			return err_set(e, ERR_LIMIT, E2BIG,
				       "its map of holes has more than %llu pieces",
				       (unsigned long long)limits->extents);
		l->counted = true;
		l->left = 2 * v;
		return 0;
	}
	if (l->left-- % 2 == 0)
		return tar_extent_add(p, v, 0, limits->extents, e);
	p->extents[p->n_extents - 1].len = v;
	return 0;
}

int tar_sparse_lines(struct tar_sparse_lines *l, const uint8_t block[TAR_BLOCK], struct tar_pax *p,
		     const struct tar_limits *limits, struct err *e)
{
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		int r;

		if (l->counted && l->left == 0)
			return 0; /* padding */
		if (block[i] >= '0' && block[i] <= '9' && l->digits < 18) {
			l->value = l->value * 10 + (uint64_t)(block[i] - '0');
			l->digits++;
			continue;
		}
		if (block[i] != '\n')
			return err_invalid(e, "its map of holes: not a number");
		r = take_number(l, p, limits, e);
		if (r < 0)
			return r;
	}
	return l->counted && l->left == 0 ? 0 : 1;
}
