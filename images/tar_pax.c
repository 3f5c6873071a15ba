/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of extended headers: "LENGTH KEY=VALUE\n", LENGTH being that of the whole record. The keys that mean
 * something to us are in one table; POSIX wants all others ignored. A value replaces a former one, an empty value takes it back.
 *
 * Extended attributes come in two spellings, which bsdtar writes side by side: SCHILY.xattr.NAME=bytes and
 * LIBARCHIVE.xattr.NAME=base64 with NAME in percent notation. The first one that names an attribute wins.
 */
#include "tar_pax.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define SCHILY     "SCHILY.xattr."
#define LIBARCHIVE "LIBARCHIVE.xattr."

static void free_xattrs(struct tar_pax *p)
{
	for (size_t i = 0; i < p->n_xattrs; i++) {
		free(p->xattrs[i].name);
		free(p->xattrs[i].value);
	}
	free(p->xattrs);
}

void tar_pax_done(struct tar_pax *p)
{
	free(p->path);
	free(p->linkpath);
	free(p->sparse_name);
	free(p->extents);
	free_xattrs(p);
	*p = (struct tar_pax){0};
}

/* ---- values ------------------------------------------------------------------------------ */

/* Values are not terminated: numbers are copied to where the strict parsers want them. */
static int decimal(const char *value, size_t len, uint64_t *ret)
{
	char text[24];

	if (len == 0 || len >= sizeof(text) || memchr(value, '\0', len))
		return -EINVAL;
	memcpy(text, value, len);
	text[len] = '\0';
	return parse_u64(text, ret) < 0 || *ret > INT64_MAX ? -EINVAL : 0;
}

static int read_string(char **ret, const char *value, size_t len, struct err *e)
{
	char *s;

	if (memchr(value, '\0', len))
		return err_invalid(e, "a NUL byte in it");
	s = strndup(value, len);
	if (!s)
		return err_nomem(e);
	free(*ret);
	*ret = s;
	return 0;
}

/* "-1234.56789": seconds with any number of decimals, of which nine count; towards minus infinity. */
static int read_time(struct timespec *ret, const char *value, size_t len)
{
	const char *dot = memchr(value, '.', len);
	bool negative = len > 0 && value[0] == '-';
	size_t whole = dot ? (size_t)(dot - value) : len;
	uint64_t sec;
	long nsec = 0, digit = 100000000;

	if (decimal(value + negative, whole - negative, &sec) < 0)
		return -EINVAL;
	for (size_t i = whole + 1; dot && i < len; i++, digit /= 10) {
		if (value[i] < '0' || value[i] > '9')
			return -EINVAL;
		nsec += (value[i] - '0') * digit;
	}
	ret->tv_sec = negative ? -(time_t)sec : (time_t)sec;
	ret->tv_nsec = nsec;
	if (negative && nsec > 0) {
		ret->tv_sec--;
		ret->tv_nsec = 1000000000 - nsec;
	}
	return 0;
}

/* ---- sparse maps ------------------------------------------------------------------------- */

int tar_extent_add(struct tar_pax *p, uint64_t offset, uint64_t len, uint64_t max, struct err *e)
{
	if (p->n_extents >= max)
		return err_set(e, ERR_LIMIT, E2BIG, "its map of holes has more than %llu pieces",
			       (unsigned long long)max);
	if (p->n_extents == p->cap_extents) {
		size_t cap = p->cap_extents ? p->cap_extents * 2 : 16;
		struct tar_extent *v = reallocarray(p->extents, cap, sizeof(*v));

		if (!v)
			return err_nomem(e);
		p->extents = v;
		p->cap_extents = cap;
	}
	p->extents[p->n_extents++] = (struct tar_extent){.offset = offset, .len = len};
	return 0;
}

int tar_extents_check(const struct tar_extent *v, size_t n, uint64_t real_size, uint64_t stored,
		      struct err *e)
{
	uint64_t at = 0, sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (v[i].offset < at)
			return err_invalid(
				e, "the pieces of its map of holes overlap or are out of order");
		if (v[i].offset > real_size || v[i].len > real_size - v[i].offset)
			return err_invalid(e, "its map of holes reaches beyond the file's end");
		at = v[i].offset + v[i].len;
		sum += v[i].len; /* cannot overflow: pieces are apart and inside real_size */
	}
	if (sum != stored)
		return err_invalid(e, "its map of holes tells of %llu bytes, stored are %llu",
				   (unsigned long long)sum, (unsigned long long)stored);
	return 0;
}

/* 0.1: "offset,length,offset,length". */
static int read_map(struct tar_pax *p, const char *value, size_t len,
		    const struct tar_limits *limits, struct err *e)
{
	uint64_t pair[2];
	size_t n = 0;

	p->n_extents = 0;
	while (len > 0) {
		const char *comma = memchr(value, ',', len);
		size_t word = comma ? (size_t)(comma - value) : len;
		int r;

		if (decimal(value, word, &pair[n++ % 2]) < 0)
			return err_invalid(e, "not a list of numbers");
		if (n % 2 == 0) {
			r = tar_extent_add(p, pair[0], pair[1], limits->extents, e);
			if (r < 0)
				return r;
		}
		if (comma && word + 1 == len)
			return err_invalid(e, "ends in a comma");
		value += comma ? word + 1 : word;
		len -= comma ? word + 1 : word;
	}
	return n % 2 ? err_invalid(e, "an odd number of numbers") : 0;
}

/* 0.0: offset and numbytes come in turn. */
static int read_offset(struct tar_pax *p, uint64_t v, const struct tar_limits *limits,
		       struct err *e)
{
	if (p->extent_open)
		return err_invalid(e, "two offsets in a row");
	p->extent_open = true;
	return tar_extent_add(p, v, 0, limits->extents, e);
}

static int read_numbytes(struct tar_pax *p, uint64_t v, struct err *e)
{
	if (!p->extent_open)
		return err_invalid(e, "no offset before it");
	p->extent_open = false;
	p->extents[p->n_extents - 1].len = v;
	return 0;
}

/* ---- extended attributes ----------------------------------------------------------------- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int percent_decode(char *s, size_t *len)
{
	size_t n = 0;

	for (size_t i = 0; i < *len; i++) {
		int hi, lo;

		if (s[i] != '%') {
			s[n++] = s[i];
			continue;
		}
		if (*len - i < 3)
			return -EINVAL;
		hi = hex_digit(s[i + 1]);
		lo = hex_digit(s[i + 2]);
		if (hi < 0 || lo < 0)
			return -EINVAL;
		s[n++] = (char)(hi << 4 | lo);
		i += 2;
	}
	*len = n;
	return 0;
}

static int base64_digit(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'             ? 62
	       : c == '/'             ? 63
				      : -1;
}

/* In place; with or without padding, as libarchive writes none. */
static int base64_decode(char *s, size_t *len)
{
	uint32_t bits = 0;
	unsigned held = 0;
	size_t n = 0, end = *len;

	while (end > 0 && s[end - 1] == '=' && *len - end < 2)
		end--;
	for (size_t i = 0; i < end; i++) {
		int d = base64_digit(s[i]);

		if (d < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)d;
		held += 6;
		if (held >= 8) {
			held -= 8;
			s[n++] = (char)(bits >> held);
		}
	}
	*len = n;
	return 0;
}

static struct tar_xattr *find_xattr(struct tar_pax *p, const char *name)
{
	for (size_t i = 0; i < p->n_xattrs; i++)
		if (STREQ(p->xattrs[i].name, name))
			return &p->xattrs[i];
	return NULL;
}

static int take_xattr(struct tar_pax *p, char *name, void *value, size_t len, bool replace,
		      const struct tar_limits *limits, struct err *e)
{
	_cleanup_free_ char *n = name;
	_cleanup_free_ void *v = value;
	struct tar_xattr *x = find_xattr(p, n), *grown;

	/* Each costs us some memory, too, and a look at all others. */
	p->xattr_bytes += strlen(n) + len + 32;
	if (p->xattr_bytes > limits->xattr_bytes)
		return err_set(e, ERR_LIMIT, E2BIG, "more than %llu bytes of extended attributes",
			       (unsigned long long)limits->xattr_bytes);
	if (x && !replace)
		return 0;
	if (x) {
		free(x->value);
		x->value = TAKE_PTR(v);
		x->len = len;
		return 0;
	}
	grown = reallocarray(p->xattrs, p->n_xattrs + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	p->xattrs = grown;
	p->xattrs[p->n_xattrs++] =
		(struct tar_xattr){.name = TAKE_PTR(n), .value = TAKE_PTR(v), .len = len};
	return 0;
}

static int read_xattr(struct tar_pax *p, const char *name, size_t name_len, const char *value,
		      size_t len, bool encoded, const struct tar_limits *limits, struct err *e)
{
	_cleanup_free_ char *n = malloc(name_len + 1), *v = malloc(len + 1);

	if (!n || !v)
		return err_nomem(e);
	memcpy(n, name, name_len);
	memcpy(v, value, len);
	if (encoded && (percent_decode(n, &name_len) < 0 || base64_decode(v, &len) < 0))
		return err_invalid(e, "neither percent notation nor base64");
	n[name_len] = '\0';
	if (name_len == 0 || name_len > 255 || strlen(n) != name_len)
		return err_invalid(e, "no name of an extended attribute");
	return take_xattr(p, TAKE_PTR(n), TAKE_PTR(v), len, !encoded, limits, e);
}

/* ---- records ----------------------------------------------------------------------------- */

enum value_kind { VALUE_NUMBER, VALUE_STRING, VALUE_TIME, VALUE_MAP, VALUE_OFFSET, VALUE_NUMBYTES };

static const struct pax_row {
	const char *key;
	enum tar_pax_key bit;
	enum value_kind kind;
	size_t offset;
} rows[] = {
	{"path", PAX_PATH, VALUE_STRING, offsetof(struct tar_pax, path)},
	{"linkpath", PAX_LINKPATH, VALUE_STRING, offsetof(struct tar_pax, linkpath)},
	{"size", PAX_SIZE, VALUE_NUMBER, offsetof(struct tar_pax, size)},
	{"uid", PAX_UID, VALUE_NUMBER, offsetof(struct tar_pax, uid)},
	{"gid", PAX_GID, VALUE_NUMBER, offsetof(struct tar_pax, gid)},
	{"mtime", PAX_MTIME, VALUE_TIME, offsetof(struct tar_pax, mtime)},
	{"GNU.sparse.name", PAX_SPARSE_NAME, VALUE_STRING, offsetof(struct tar_pax, sparse_name)},
	{"GNU.sparse.size", PAX_SPARSE_SIZE, VALUE_NUMBER, offsetof(struct tar_pax, sparse_size)},
	{"GNU.sparse.realsize", PAX_SPARSE_SIZE, VALUE_NUMBER,
	 offsetof(struct tar_pax, sparse_size)},
	{"GNU.sparse.major", PAX_SPARSE_MAJOR, VALUE_NUMBER,
	 offsetof(struct tar_pax, sparse_major)},
	{"GNU.sparse.minor", PAX_SPARSE_MINOR, VALUE_NUMBER,
	 offsetof(struct tar_pax, sparse_minor)},
	{"GNU.sparse.numblocks", PAX_SPARSE_BLOCKS, VALUE_NUMBER,
	 offsetof(struct tar_pax, sparse_blocks)},
	{"GNU.sparse.map", PAX_SPARSE_MAP, VALUE_MAP, 0},
	{"GNU.sparse.offset", PAX_SPARSE_MAP, VALUE_OFFSET, 0},
	{"GNU.sparse.numbytes", PAX_SPARSE_MAP, VALUE_NUMBYTES, 0},
};

static int read_value(struct tar_pax *p, const struct pax_row *row, const char *value, size_t len,
		      const struct tar_limits *limits, struct err *e)
{
	void *target = (char *)p + row->offset;
	uint64_t number = 0;

	switch (row->kind) {
	case VALUE_STRING:
		return read_string(target, value, len, e);
	case VALUE_TIME:
		return read_time(target, value, len) < 0 ? err_invalid(e, "not a time") : 0;
	case VALUE_MAP:
		return read_map(p, value, len, limits, e);
	case VALUE_NUMBER:
	case VALUE_OFFSET:
	case VALUE_NUMBYTES:
		break;
	}
	if (decimal(value, len, &number) < 0)
		return err_invalid(e, "not a number, negative or too large");
	if (row->kind == VALUE_OFFSET)
		return read_offset(p, number, limits, e);
	if (row->kind == VALUE_NUMBYTES)
		return read_numbytes(p, number, e);
	*(uint64_t *)target = number;
	return 0;
}

static bool key_is(const char *key, size_t key_len, const char *name)
{
	return strlen(name) == key_len && memcmp(key, name, key_len) == 0;
}

static bool key_begins(const char *key, size_t key_len, const char *prefix)
{
	return key_len >= strlen(prefix) && memcmp(key, prefix, strlen(prefix)) == 0;
}

static int read_record(struct tar_pax *p, const char *key, size_t key_len, const char *value,
		       size_t len, const struct tar_limits *limits, struct err *e)
{
	int r = 0;

	if (key_begins(key, key_len, SCHILY))
		r = read_xattr(p, key + strlen(SCHILY), key_len - strlen(SCHILY), value, len, false,
			       limits, e);
	else if (key_begins(key, key_len, LIBARCHIVE))
		r = read_xattr(p, key + strlen(LIBARCHIVE), key_len - strlen(LIBARCHIVE), value,
			       len, true, limits, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++) {
		if (!key_is(key, key_len, rows[i].key))
			continue;
		if (len == 0) {
			p->has &= ~(unsigned)rows[i].bit;
			p->deleted |= rows[i].bit;
			break;
		}
		r = read_value(p, &rows[i], value, len, limits, e);
		p->has |= rows[i].bit;
		p->deleted &= ~(unsigned)rows[i].bit;
		break;
	}
	return r < 0 ? err_wrap(e, "its extended header, '%.*s'",
				(int)(key_len > 64 ? 64 : key_len), key)
		     : 0;
}

/* "LENGTH " in front of a record: digits without a leading zero. */
static int record_length(const char *data, size_t len, size_t *ret_digits, size_t *ret)
{
	size_t v = 0, i = 0;

	for (; i < len && i < 10 && data[i] >= '0' && data[i] <= '9'; i++)
		v = v * 10 + (size_t)(data[i] - '0');
	if (i == 0 || i == len || data[i] != ' ' || data[0] == '0' || v > len || v < i + 3 ||
	    data[v - 1] != '\n')
		return -EINVAL;
	*ret_digits = i + 1;
	*ret = v;
	return 0;
}

int tar_pax_read(struct tar_pax *p, const char *data, size_t len, const struct tar_limits *limits,
		 struct err *e)
{
	while (len > 0) {
		size_t before, whole, body;
		const char *key, *equals;
		int r;

		if (record_length(data, len, &before, &whole) < 0)
			return err_invalid(e, "its extended header: a record's length is wrong");
		key = data + before;
		body = whole - before - 1;
		equals = memchr(key, '=', body);
		if (!equals || equals == key || memchr(key, '\0', (size_t)(equals - key)))
			return err_invalid(e, "its extended header: a record without a key");
		r = read_record(p, key, (size_t)(equals - key), equals + 1,
				body - (size_t)(equals - key) - 1, limits, e);
		if (r < 0)
			return r;
		data += whole;
		len -= whole;
	}
	return p->extent_open ? err_invalid(e, "its extended header: GNU.sparse.offset without "
					       "a length")
			      : 0;
}
