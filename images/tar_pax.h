/* SPDX-License-Identifier: Apache-2.0 */
/* Extended headers of a tar. Internal to the reader. */
#pragma once

#include "tar_reader.h"

/* What records can say. A bit in `has`: there is a value; in `deleted`: an empty record took a former one back. */
enum tar_pax_key {
	PAX_PATH = 1 << 0,
	PAX_LINKPATH = 1 << 1,
	PAX_SIZE = 1 << 2,
	PAX_UID = 1 << 3,
	PAX_GID = 1 << 4,
	PAX_MTIME = 1 << 5,
	PAX_SPARSE_NAME = 1 << 6,
	PAX_SPARSE_SIZE = 1 << 7, /* GNU.sparse.size or .realsize */
	PAX_SPARSE_MAJOR = 1 << 8,
	PAX_SPARSE_MINOR = 1 << 9,
	PAX_SPARSE_BLOCKS = 1 << 10,
	PAX_SPARSE_MAP = 1 << 11,
};
#define PAX_ANY_SPARSE                                                             \
	(PAX_SPARSE_NAME | PAX_SPARSE_SIZE | PAX_SPARSE_MAJOR | PAX_SPARSE_MINOR | \
	 PAX_SPARSE_BLOCKS | PAX_SPARSE_MAP)

struct tar_pax {
	unsigned has, deleted;
	char *path, *linkpath, *sparse_name; /* owned */
	uint64_t size, uid, gid;
	struct timespec mtime;
	uint64_t sparse_size, sparse_major, sparse_minor, sparse_blocks;
	struct tar_extent *extents; /* owned */
	size_t n_extents, cap_extents;
	bool extent_open;         /* 0.0: an offset came, its length did not yet */
	struct tar_xattr *xattrs; /* owned */
	size_t n_xattrs;
	uint64_t xattr_bytes;
};

/* Take in the records of one header's data. */
int tar_pax_read(struct tar_pax *p, const char *data, size_t len, const struct tar_limits *limits,
		 struct err *e);
void tar_pax_done(struct tar_pax *p); /* also makes it empty again */

/* One more extent; order and sizes are checked later, together. */
int tar_extent_add(struct tar_pax *p, uint64_t offset, uint64_t len, uint64_t max, struct err *e);

/* Sorted, apart, inside `real_size`, and together exactly `stored` bytes. */
int tar_extents_check(const struct tar_extent *v, size_t n, uint64_t real_size, uint64_t stored,
		      struct err *e);
