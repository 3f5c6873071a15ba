/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding one header block. Field positions and widths are in one table; every number goes through one decoder,
 * which takes what tars write (octal with blanks or NULs around it, base-256 with the top bit set) and
 * nothing else: a number that two readers could understand differently is how one archive shows two contents.
 */
#include "tar_header.h"

#include <errno.h>
#include <string.h>

/* Spec: POSIX.1-2017 pax, "ustar Header Block". */
enum {
	OFF_NAME = 0,
	OFF_MODE = 100,
	OFF_UID = 108,
	OFF_GID = 116,
	OFF_SIZE = 124,
	OFF_MTIME = 136,
	OFF_CHECKSUM = 148,
	OFF_TYPE = 156,
	OFF_LINK = 157,
	OFF_MAGIC = 257, /* magic and version: 8 bytes */
	OFF_MAJOR = 329,
	OFF_MINOR = 337,
	OFF_PREFIX = 345,
	OFF_STAR_MARK = 508,
	LEN_NAME = 100,
	LEN_ID = 8,
	LEN_SIZE = 12,
	LEN_PREFIX = 155,
	LEN_STAR_PREFIX = 131,
};

bool tar_block_is_zero(const uint8_t block[TAR_BLOCK])
{
	return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK - 1) == 0;
}

/* Two's complement over the whole field, its top bit replaced by the mark 0x80 (positive) or 0xff (negative). */
static int base256(const uint8_t *field, size_t len, int64_t *ret)
{
	bool negative = field[0] == 0xff;
	uint64_t v = negative ? UINT64_MAX : 0;

	if (field[0] != 0x80 && field[0] != 0xff)
		return -1; /* more than 63 bits, whatever follows, in a field of 8 or 12 */
	for (size_t i = 1; i < len; i++) {
		uint64_t top = v >> 55;

		if (top != (negative ? 0x1ff : 0))
			return -1;
		v = v << 8 | field[i];
	}
	*ret = (int64_t)v;
	return (*ret < 0) == negative ? 0 : -1;
}

static int octal(const uint8_t *field, size_t len, int64_t *ret)
{
	size_t i = 0;
	uint64_t v = 0;

	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++) {
		if (v >> 60)
			return -1;
		v = v << 3 | (uint64_t)(field[i] - '0');
	}
	/* NUL or blank ends it. */
	if (i < len && field[i] != ' ' && field[i] != '\0')
		return -1;
	for (; i < len; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return -1;
	*ret = (int64_t)v;
	return 0;
}

int tar_number_signed(const uint8_t *field, size_t len, int64_t *ret)
{
	int64_t v;
	int r = field[0] & 0x80 ? base256(field, len, &v) : octal(field, len, &v);

	if (r < 0)
		return -EINVAL;
	*ret = v;
	return 0;
}

int tar_number(const uint8_t *field, size_t len, uint64_t *ret)
{
	int64_t v;

	if (tar_number_signed(field, len, &v) < 0 || v < 0)
		return -EINVAL;
	*ret = (uint64_t)v;
	return 0;
}

/* The sum of all bytes with the checksum's own field as blanks. Early tars summed signed bytes. */
static int check_sum(const uint8_t *b, struct err *e)
{
	uint64_t unsigned_sum = 0, want;
	int64_t signed_sum = 0;

	if (tar_number(b + OFF_CHECKSUM, 8, &want) < 0)
		return err_invalid(e, "the header has no checksum: not a tar, or damaged");
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		uint8_t c = i >= OFF_CHECKSUM && i < OFF_CHECKSUM + 8 ? ' ' : b[i];

		unsigned_sum += c;
		signed_sum += (int8_t)c;
	}
	if (want != unsigned_sum && (int64_t)want != signed_sum)
		return err_invalid(e, "the header's checksum is wrong: not a tar, or damaged");
	return 0;
}

static enum tar_format format_of(const uint8_t *b)
{
	if (memcmp(b + OFF_MAGIC, "ustar  \0", 8) == 0)
		return TAR_FORMAT_GNU;
	if (memcmp(b + OFF_MAGIC, "ustar", 5) != 0)
		return TAR_FORMAT_V7;
	return memcmp(b + OFF_STAR_MARK, "tar\0", 4) == 0 ? TAR_FORMAT_STAR : TAR_FORMAT_USTAR;
}

static size_t copy_field(char *to, const uint8_t *field, size_t len)
{
	size_t n = strnlen((const char *)field, len);

	memcpy(to, field, n);
	to[n] = '\0';
	return n;
}

static void read_name(const uint8_t *b, struct tar_header *h)
{
	size_t n = 0;

	if (h->format == TAR_FORMAT_USTAR)
		n = copy_field(h->name, b + OFF_PREFIX, LEN_PREFIX);
	else if (h->format == TAR_FORMAT_STAR)
		n = copy_field(h->name, b + OFF_PREFIX, LEN_STAR_PREFIX);
	if (n)
		h->name[n++] = '/';
	copy_field(h->name + n, b + OFF_NAME, LEN_NAME);
}

static int read_numbers(const uint8_t *b, struct tar_header *h, struct err *e)
{
	uint64_t mode, major = 0, minor = 0;

	if (tar_number(b + OFF_MODE, LEN_ID, &mode) < 0)
		return err_invalid(e, "its mode is not a number");
	if (tar_number(b + OFF_UID, LEN_ID, &h->uid) < 0 ||
	    tar_number(b + OFF_GID, LEN_ID, &h->gid) < 0)
		return err_invalid(e, "its owner is not a number");
	if (tar_number(b + OFF_SIZE, LEN_SIZE, &h->size) < 0)
		return err_invalid(e, "its size is not a number, negative or too large");
	if (tar_number_signed(b + OFF_MTIME, LEN_SIZE, &h->mtime) < 0)
		return err_invalid(e, "its time is not a number");
	if (h->format != TAR_FORMAT_V7 && (h->type == '3' || h->type == '4') &&
	    (tar_number(b + OFF_MAJOR, LEN_ID, &major) < 0 ||
	     tar_number(b + OFF_MINOR, LEN_ID, &minor) < 0 || major > UINT32_MAX ||
	     minor > UINT32_MAX))
		return err_invalid(e, "its device number is none");
	h->mode = (uint32_t)(mode & 07777);
	h->major = (uint32_t)major;
	h->minor = (uint32_t)minor;
	return 0;
}

int tar_header_read(const uint8_t block[TAR_BLOCK], struct tar_header *ret, struct err *e)
{
	struct tar_header h = {0};
	int r;

	r = check_sum(block, e);
	if (r < 0)
		return r;
	h.format = format_of(block);
	h.type = (char)block[OFF_TYPE];
	read_name(block, &h);
	copy_field(h.link, block + OFF_LINK, LEN_NAME);
	r = read_numbers(block, &h, e);
	if (r < 0)
		return err_wrap(e, "'%s'", h.name);
	*ret = h;
	return 0;
}
