/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompression of a stream: gzip, zstd, or none, told by its first bytes. Internal to this folder.
 *
 * Nothing but members (frames) of the one format may follow each other, and the last must be whole: bytes behind it that belong to
 * none are an error. What comes out is bounded, absolutely and in relation to what went in.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum inflate_format {
	INFLATE_PLAIN,
	INFLATE_GZIP,
	INFLATE_ZSTD,
};

struct inflate_limits {
	uint64_t out_bytes; /* decompressed */
	uint64_t ratio;     /* out : in, beyond ratio_free_bytes of output */
	uint64_t ratio_free_bytes;
};

struct inflate;
/* Reads `fd` (borrowed). cancel_fd: reading gives up with -ECANCELED when it becomes readable; or -1. */
int inflate_new(int fd, int cancel_fd, const struct inflate_limits *limits, struct inflate **ret,
		struct err *e);
void inflate_free(struct inflate *i); /* NULL-safe */

/* Fill buf; *ret_len is less than cap only at the end of the stream. */
int inflate_read(struct inflate *i, void *buf, size_t cap, size_t *ret_len, struct err *e);

/* Known after the first read. */
enum inflate_format inflate_format_of(const struct inflate *i);
const char *inflate_format_name(enum inflate_format format);

/* ---- for the formats --------------------------------------------------------------------- */

struct inflate_io {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len; /* room */
};

struct inflate_ops {
	int (*init)(void **ret, struct err *e);
	void (*free)(void *d);
	/* Advance both; called with input or with output still held. It must make progress or have used all input. */
	int (*run)(void *d, struct inflate_io *io, struct err *e);
	/* Is what was read up to here whole? */
	int (*finish)(void *d, struct err *e);
};
extern const struct inflate_ops inflate_gzip_ops, inflate_zstd_ops;
