/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict streaming tar reader: ustar, pax (with global headers), GNU long names and links, base-256 numbers, sparse files
 * (GNU's own, pax 0.0, 0.1 and 1.0). Internal to this folder.
 *
 * Strict means that an archive which two readers could understand differently is refused, with the entry and the reason:
 * bad checksums and numbers, data on entries that have none, a missing end, bytes behind the end, extended headers
 * that nothing follows. Names come as they are in the archive, any bytes but NUL: what they may be is
 * for the caller to judge (layer_path.h).
 *
 * Spec: POSIX.1-2017 pax; GNU tar manual, "Tar Internals"; the SCHILY and LIBARCHIVE extended attributes of star(5), tar(5).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"

/* Where the bytes come from. */
struct tar_source {
	/* The bytes that come next, at least one unless it is the end (*ret_len 0). They stay valid until the next call. */
	int (*peek)(void *arg, const uint8_t **ret, size_t *ret_len, struct err *e);
	/* The first n of them were used. */
	void (*consume)(void *arg, size_t n);
	/* Leave out n bytes without looking at them; NULL: by reading. A source that is shorter fails. */
	int (*skip)(void *arg, uint64_t n, struct err *e);
	void *arg;
};

/* A source over memory; zero-copy. */
struct tar_memory {
	const uint8_t *data;
	size_t len;
};
struct tar_source tar_source_memory(struct tar_memory *m);

enum tar_type {
	TAR_FILE,
	TAR_HARDLINK,
	TAR_SYMLINK,
	TAR_CHAR_DEVICE,
	TAR_BLOCK_DEVICE,
	TAR_DIRECTORY,
	TAR_FIFO,
};

struct tar_xattr {
	char *name; /* owned */
	void *value;
	size_t len;
};

struct tar_extent {
	uint64_t offset, len; /* of data in a sparse file */
};

struct tar_entry {
	enum tar_type type;
	const char *name;
	const char *link; /* of symlinks and hard links; else "" */
	uint64_t size;    /* of the file, holes included; 0 unless TAR_FILE */
	bool sparse;
	uint32_t mode; /* permission bits */
	uint32_t uid, gid;
	struct timespec mtime;
	uint32_t major, minor;
	const struct tar_xattr *xattrs;
	size_t n_xattrs;
	uint64_t data_offset; /* of the data in the archive, behind any sparse map */
};

struct tar_limits {
	uint64_t entries;
	uint64_t extended_bytes; /* of one extended header or long name */
	uint64_t xattr_bytes;    /* names and values of one entry */
	uint64_t extents;        /* of one sparse file */
};

struct tar_reader;
int tar_reader_new(const struct tar_source *source, const struct tar_limits *limits,
		   struct tar_reader **ret, struct err *e);
void tar_reader_free(struct tar_reader *r); /* NULL-safe */

/* The next entry, borrowed until the following call: 1; 0 at the end, where the source has been read to its own end.
 * Data of the former entry that was not read is left out. */
int tar_next(struct tar_reader *r, const struct tar_entry **ret, struct err *e);

/* The next piece of the entry's data and where it belongs in the file: 1; 0 when there is no more. Holes are not told. */
int tar_data(struct tar_reader *r, uint64_t *ret_offset, const uint8_t **ret, size_t *ret_len,
	     struct err *e);

uint64_t tar_reader_entries(const struct tar_reader *r);
uint64_t tar_reader_offset(const struct tar_reader *r); /* bytes read so far */
