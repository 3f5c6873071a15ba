/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encodings of aml.h. A package's length counts its own bytes and takes one to four of them; it is known
 * only when the package closes, and the content then moves up by what the length needs.
 */
#include "aml.h"

#include <errno.h>
#include <string.h>

/* 20.2: opcodes. */
#define OP_ZERO    0x00
#define OP_ONE     0x01
#define OP_NAME    0x08
#define OP_BYTE    0x0a
#define OP_WORD    0x0b
#define OP_DWORD   0x0c
#define OP_STRING  0x0d
#define OP_QWORD   0x0e
#define OP_SCOPE   0x10
#define OP_BUFFER  0x11
#define OP_PACKAGE 0x12
#define OP_EXT     0x5b
#define OP_DEVICE  0x82

void aml_init(struct aml *a, void *buf, size_t cap)
{
	*a = (struct aml){.data = buf, .cap = cap};
}

long aml_finish(const struct aml *a)
{
	return a->failed || a->depth ? -ENOSPC : (long)a->len;
}

static void add(struct aml *a, const void *p, size_t n)
{
	if (a->failed || n > a->cap - a->len) {
		a->failed = true;
		return;
	}
	memcpy(a->data + a->len, p, n);
	a->len += n;
}

static void add_byte(struct aml *a, uint8_t value)
{
	add(a, &value, 1);
}

/* Little-endian, as the hosts are. */
static void add_number(struct aml *a, uint64_t value, size_t bytes)
{
	add(a, &value, bytes);
}

static void add_integer(struct aml *a, uint64_t value)
{
	if (value <= 1) {
		add_byte(a, value ? OP_ONE : OP_ZERO);
	} else if (value <= UINT8_MAX) {
		add_byte(a, OP_BYTE);
		add_number(a, value, 1);
	} else if (value <= UINT16_MAX) {
		add_byte(a, OP_WORD);
		add_number(a, value, 2);
	} else if (value <= UINT32_MAX) {
		add_byte(a, OP_DWORD);
		add_number(a, value, 4);
	} else {
		add_byte(a, OP_QWORD);
		add_number(a, value, 8);
	}
}

static void open_package(struct aml *a)
{
	if (a->depth == AML_DEPTH_MAX) {
		a->failed = true;
		return;
	}
	a->open[a->depth++] = a->len;
}

/* 20.2.4: one byte up to 63; else the low four bits and up to three bytes more. */
static size_t encode_length(size_t content, uint8_t out[4])
{
	size_t n = 1, total;

	while ((total = content + n) >= (n == 1 ? 64 : (size_t)1 << (4 + 8 * (n - 1))) && n < 4)
		n++;
	if (n == 1) {
		out[0] = (uint8_t)total;
		return 1;
	}
	out[0] = (uint8_t)((n - 1) << 6 | (total & 0xf));
	for (size_t i = 1; i < n; i++)
		out[i] = (uint8_t)(total >> (4 + 8 * (i - 1)));
	return n;
}

void aml_close(struct aml *a)
{
	uint8_t length[4];
	size_t at, content, n;

	if (a->failed || a->depth == 0) {
		a->failed = true;
		return;
	}
	at = a->open[--a->depth];
	content = a->len - at;
	n = encode_length(content, length);
	if (n > a->cap - a->len) {
		a->failed = true;
		return;
	}
	memmove(a->data + at + n, a->data + at, content);
	memcpy(a->data + at, length, n);
	a->len += n;
}

void aml_open_scope(struct aml *a, const char *name)
{
	add_byte(a, OP_SCOPE);
	open_package(a);
	add(a, name, strlen(name));
}

void aml_open_device(struct aml *a, const char *name)
{
	add_byte(a, OP_EXT);
	add_byte(a, OP_DEVICE);
	open_package(a);
	add(a, name, 4);
}

static void add_name(struct aml *a, const char *name)
{
	add_byte(a, OP_NAME);
	add(a, name, strlen(name));
}

void aml_name_integer(struct aml *a, const char *name, uint64_t value)
{
	add_name(a, name);
	add_integer(a, value);
}

void aml_name_string(struct aml *a, const char *name, const char *value)
{
	add_name(a, name);
	add_byte(a, OP_STRING);
	add(a, value, strlen(value) + 1);
}

void aml_name_package(struct aml *a, const char *name, const uint8_t *values, unsigned n)
{
	add_name(a, name);
	add_byte(a, OP_PACKAGE);
	open_package(a);
	add_byte(a, (uint8_t)n);
	for (unsigned i = 0; i < n; i++)
		add_integer(a, values[i]);
	aml_close(a);
}

static unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

/* Three letters of five bits and four hexadecimal digits, in big-endian order. */
void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
	uint32_t code = 0;

	for (unsigned i = 0; i < 3; i++)
		code = code << 5 | (uint32_t)(id[i] - '@');
	for (unsigned i = 3; i < 7; i++)
		code = code << 4 | hex_digit(id[i]);
	add_name(a, name);
	add_byte(a, OP_DWORD);
	add_number(a, __builtin_bswap32(code), 4);
}

/* A buffer: its length in bytes is a term of the package, patched in when it closes. */
void aml_open_resources(struct aml *a)
{
	add_name(a, "_CRS");
	add_byte(a, OP_BUFFER);
	open_package(a);
	add_byte(a, OP_WORD);
	add_number(a, 0, 2);
}

void aml_resource_memory(struct aml *a, uint32_t start, uint32_t bytes)
{
	add_byte(a, 0x86); /* Memory32Fixed, 9 bytes */
	add_number(a, 9, 2);
	add_byte(a, 1); /* read and write */
	add_number(a, start, 4);
	add_number(a, bytes, 4);
}

void aml_resource_ports(struct aml *a, uint16_t start, uint8_t n)
{
	add_byte(a, 0x47); /* I/O port, 7 bytes */
	add_byte(a, 1);    /* decodes 16 bits */
	add_number(a, start, 2);
	add_number(a, start, 2);
	add_byte(a, 1);
	add_byte(a, n);
}

void aml_resource_interrupt(struct aml *a, uint32_t gsi)
{
	add_byte(a, 0x89); /* extended interrupt, 6 bytes */
	add_number(a, 6, 2);
	add_byte(a, 0x03); /* consumer, edge, active high, exclusive */
	add_byte(a, 1);
	add_number(a, gsi, 4);
}

void aml_close_resources(struct aml *a)
{
	size_t at;
	uint64_t bytes;

	add_byte(a, 0x79); /* end tag; a checksum of 0 is not checked */
	add_byte(a, 0);
	if (a->failed || a->depth == 0) {
		a->failed = true;
		return;
	}
	at = a->open[a->depth - 1];
	bytes = a->len - at - 3;
	memcpy(a->data + at + 1, &bytes, 2);
	aml_close(a);
}
