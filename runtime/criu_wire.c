/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf's wire form, as much of it as criu's RPC needs: varints and length-delimited fields. A field of another kind in
 * an answer is skipped by its length; lengths are looked at before anything is read.
 */
#include "criu_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum wire_kind { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static void add_varint(struct strbuf *b, uint64_t v)
{
	unsigned char bytes[10];
	size_t n = 0;

	do {
		bytes[n++] = (unsigned char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	strbuf_add_len(b, bytes, n);
}

void wire_number(struct strbuf *b, unsigned field, uint64_t value)
{
	add_varint(b, (uint64_t)field << 3 | WIRE_VARINT);
	add_varint(b, value);
}

void wire_message(struct strbuf *b, unsigned field, const void *data, size_t len)
{
	add_varint(b, (uint64_t)field << 3 | WIRE_BYTES);
	add_varint(b, len);
	strbuf_add_len(b, data, len);
}

void wire_text(struct strbuf *b, unsigned field, const char *text)
{
	wire_message(b, field, text, strlen(text));
}

static void add_inner(struct strbuf *b, unsigned field, struct strbuf *inner)
{
	b->failed |= inner->failed;
	if (!inner->failed)
		wire_message(b, field, inner->data, inner->len);
	strbuf_done(inner);
}

void wire_text_and_text(struct strbuf *b, unsigned field, const char *first, const char *second)
{
	struct strbuf inner = {0};

	if (first)
		wire_text(&inner, 1, first);
	wire_text(&inner, 2, second);
	add_inner(b, field, &inner);
}

void wire_text_and_number(struct strbuf *b, unsigned field, const char *first, uint64_t second)
{
	struct strbuf inner = {0};

	wire_text(&inner, 1, first);
	wire_number(&inner, 2, second);
	add_inner(b, field, &inner);
}

/* ---- reading ---------------------------------------------------------------------------- */

struct reader {
	const unsigned char *p, *end;
};

struct field {
	uint64_t number;
	uint64_t value; /* of a varint */
	struct reader bytes;
};

static int read_varint(struct reader *r, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
		unsigned char c = *r->p++;

		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return 0;
		}
	}
	return -EBADMSG;
}

/* 1: a field; 0: the end. */
static int next_field(struct reader *r, struct field *f)
{
	uint64_t key, len = 0;
	int x;

	if (r->p == r->end)
		return 0;
	*f = (struct field){0};
	x = read_varint(r, &key);
	if (x < 0)
		return x;
	f->number = key >> 3;
	switch (key & 7) {
	case WIRE_VARINT:
		x = read_varint(r, &f->value);
		return x < 0 ? x : 1;
	case WIRE_BYTES:
		x = read_varint(r, &len);
		break;
	case WIRE_FIXED64:
		len = 8;
		break;
	case WIRE_FIXED32:
		len = 4;
		break;
	default:
		return -EBADMSG;
	}
	if (x < 0 || len > (uint64_t)(r->end - r->p))
		return -EBADMSG;
	f->bytes = (struct reader){r->p, r->p + len};
	r->p += len;
	return 1;
}

static void copy_text(const struct reader *from, char *to, size_t size)
{
	size_t n = from->p ? (size_t)(from->end - from->p) : 0;

	if (n >= size)
		n = size - 1;
	if (n)
		memcpy(to, from->p, n);
	to[n] = '\0';
}

/* criu_notify: 1 is the script, 2 the pid. criu_restore_resp: 1 is the pid. */
static int read_inner(struct reader r, unsigned pid_field, struct criu_reply *reply)
{
	struct field f;
	int x;

	while ((x = next_field(&r, &f)) > 0) {
		if (f.number == pid_field)
			reply->pid = (int32_t)f.value;
		else if (f.number == 1)
			copy_text(&f.bytes, reply->script, sizeof(reply->script));
	}
	return x;
}

int wire_read_reply(const void *data, size_t len, struct criu_reply *ret)
{
	struct reader r = {data, (const unsigned char *)data + len};
	struct criu_reply reply = {0};
	struct field f;
	int x;

	while ((x = next_field(&r, &f)) > 0) {
		int y = 0;

		switch (f.number) {
		case 1:
			reply.type = f.value;
			break;
		case 2:
			reply.success = f.value;
			break;
		case 4:
			y = read_inner(f.bytes, 1, &reply);
			break;
		case 5:
			y = read_inner(f.bytes, 2, &reply);
			break;
		case 7:
			reply.error = (int32_t)f.value;
			break;
		case 9:
			copy_text(&f.bytes, reply.message, sizeof(reply.message));
			break;
		}
		if (y < 0)
			return y;
	}
	if (x == 0)
		*ret = reply;
	return x;
}
