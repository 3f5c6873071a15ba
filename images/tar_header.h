/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One header block of a tar. Internal to this folder; the reader (tar_reader.h) puts headers, extended headers and
 * data together.
 * Spec: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TAR_BLOCK 512

enum tar_format {
	TAR_FORMAT_V7,    /* no magic */
	TAR_FORMAT_USTAR, /* POSIX: a prefix for names */
	TAR_FORMAT_STAR,  /* ustar with a shorter prefix */
	TAR_FORMAT_GNU,   /* no prefix, base-256 numbers, sparse maps in the header */
};

struct tar_header {
	enum tar_format format;
	char type;
	char name[264]; /* prefix, slash, name */
	char link[104];
	uint32_t mode; /* permission bits */
	uint64_t uid, gid;
	uint64_t size; /* of the data that follows */
	int64_t mtime;
	uint32_t major, minor;
};

/* A block of zeros: end of the archive. */
bool tar_block_is_zero(const uint8_t block[TAR_BLOCK]);

/* Check and decode. Errors say what is wrong with which field. */
int tar_header_read(const uint8_t block[TAR_BLOCK], struct tar_header *ret, struct err *e);

/* A number field, octal or base-256. Negative or beyond 63 bits: -EINVAL. An empty one is 0. */
int tar_number(const uint8_t *field, size_t len, uint64_t *ret);
int tar_number_signed(const uint8_t *field, size_t len, int64_t *ret);
