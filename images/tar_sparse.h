/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of sparse files outside of extended headers. Internal to the reader. */
#pragma once

#include "tar_header.h"
#include "tar_pax.h"

/* GNU's own: the map begins in the header block and goes on in as many blocks as say so. */
int tar_sparse_header(const uint8_t block[TAR_BLOCK], struct tar_pax *p, bool *ret_more,
		      const struct tar_limits *limits, struct err *e);
int tar_sparse_block(const uint8_t block[TAR_BLOCK], struct tar_pax *p, bool *ret_more,
		     const struct tar_limits *limits, struct err *e);

/* pax 1.0: lines of decimal numbers, the first being how many pairs follow. Zero-initialise; feed
 * blocks while the answer is 1. */
struct tar_sparse_lines {
	uint64_t value, left;
	unsigned digits;
	bool counted;
};
int tar_sparse_lines(struct tar_sparse_lines *l, const uint8_t block[TAR_BLOCK], struct tar_pax *p,
		     const struct tar_limits *limits, struct err *e);
