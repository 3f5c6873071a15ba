/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives made by hand, good and bad: headers, extended headers, ends.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct archive {
	unsigned char *data;
	size_t len, cap;
};

/* What a header says; members that are 0 take what is usual. */
struct made {
	const char *name, *link;
	char type;        /* '0' */
	const char *data; /* and its size, unless size says otherwise */
	size_t size;
	unsigned mode, uid, gid;
	unsigned long long mtime;
	const char *raw_size, *raw_mtime, *raw_uid; /* the bytes of the field */
	const char *magic;                          /* 8 bytes: ustar and version */
	int checksum_off;                           /* added to the right one */
};

static inline unsigned char *archive_grow(struct archive *a, size_t n)
{
	unsigned char *at;

	if (a->len + n > a->cap) {
		a->cap = (a->len + n) * 2;
		a->data = realloc(a->data, a->cap);
		assert_non_null(a->data);
	}
	at = a->data + a->len;
	memset(at, 0, n);
	a->len += n;
	return at;
}

static inline void archive_data(struct archive *a, const void *data, size_t len)
{
	memcpy(archive_grow(a, (len + 511) / 512 * 512), data, len);
}

static inline void field(unsigned char *at, size_t len, const char *raw, unsigned long long v)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%0*llo", (int)len - 1, v);
	memcpy(at, raw ? raw : digits, len);
}

static inline void archive_header(struct archive *a, const struct made *m)
{
	unsigned char *h = archive_grow(a, 512);
	size_t size = m->size ? m->size : m->data ? strlen(m->data) : 0;
	unsigned sum = 0;

	if (m->name)
		memcpy(h, m->name, strnlen(m->name, 100));
	field(h + 100, 8, NULL, m->mode ? m->mode : 0644);
	field(h + 108, 8, m->raw_uid, m->uid);
	field(h + 116, 8, NULL, m->gid);
	field(h + 124, 12, m->raw_size, size);
	field(h + 136, 12, m->raw_mtime, m->mtime);
	memset(h + 148, ' ', 8);
	h[156] = (unsigned char)(m->type ? m->type : '0');
	if (m->link)
		memcpy(h + 157, m->link, strnlen(m->link, 100));
	memcpy(h + 257, m->magic ? m->magic : "ustar\00000", 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum + (unsigned)m->checksum_off);
}

static inline void archive_add(struct archive *a, struct made m)
{
	archive_header(a, &m);
	if (m.data)
		archive_data(a, m.data, m.size ? m.size : strlen(m.data));
}

static inline void archive_end(struct archive *a)
{
	archive_grow(a, 1024);
}

/* Records of an extended header. */
static inline void record(struct archive *text, const char *key, const void *value, size_t len)
{
	size_t body = strlen(key) + len + 3, digits = 1;
	char *at;

	for (size_t p = 10; body + digits >= p; p *= 10)
		digits++;
	at = (char *)archive_grow(text, body + digits + 1);
	at += sprintf(at, "%zu %s=", body + digits, key);
	memcpy(at, value, len);
	at[len] = '\n';
	text->len--; /* the NUL of sprintf() had room */
}

static inline void record_text(struct archive *text, const char *key, const char *value)
{
	record(text, key, value, strlen(value));
}

static inline void archive_pax(struct archive *a, char type, struct archive *text)
{
	archive_header(a, &(struct made){.name = "pax", .type = type, .size = text->len});
	archive_data(a, text->data, text->len);
	free(text->data);
	*text = (struct archive){0};
}
