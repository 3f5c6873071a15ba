/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring for a hostile writer's lines. What a guest prints ends up in error messages on somebody's
 * terminal, so it is made harmless when it comes in: no escape sequence survives, and a guest that
 * prints for ever costs a fixed amount of memory.
 */
#include "console_ring.h"

#include <stdbool.h>
#include <string.h>

/* States of the escape filter. ECMA-48: ESC, then '[' with parameters up to a byte in 0x40..0x7e,
 * or a string (ESC ] and the like) up to BEL or ESC \, or intermediates and a final byte. A
 * sequence may be cut anywhere between two reads, hence a state and not a look-ahead. */
enum escape { ESCAPE_NONE, ESCAPE_START, ESCAPE_CSI, ESCAPE_STRING, ESCAPE_STRING_END };

/* True if c belongs to an escape sequence and is dropped. */
static bool escape_takes(int *state, unsigned char c)
{
	switch ((enum escape) * state) {
	case ESCAPE_NONE:
		if (c != 0x1b)
			return false;
		*state = ESCAPE_START;
		return true;
	case ESCAPE_START:
		if (c == '[')
			*state = ESCAPE_CSI;
		else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
			*state = ESCAPE_STRING;
		else if (c < 0x20 || c > 0x2f) /* not an intermediate byte: the last one */
			*state = ESCAPE_NONE;
		break;
	case ESCAPE_CSI:
		if (c >= 0x40 && c <= 0x7e)
			*state = ESCAPE_NONE;
		break;
	case ESCAPE_STRING:
		if (c == 0x07)
			*state = ESCAPE_NONE;
		else if (c == 0x1b)
			*state = ESCAPE_STRING_END;
		break;
	case ESCAPE_STRING_END:
		*state = c == '\\' ? ESCAPE_NONE : ESCAPE_STRING;
		break;
	}
	/* A sequence never spans lines: one that is left open must not swallow all that follows. */
	if (c == '\n') {
		*state = ESCAPE_NONE;
		return false;
	}
	return true;
}

static void ring_put(struct console_ring *r, char c)
{
	r->data[r->head] = c;
	r->head = (r->head + 1) % sizeof(r->data);
	if (r->len < sizeof(r->data))
		r->len++;
}

void console_ring_add(struct console_ring *r, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = p[i];

		if (escape_takes(&r->escape, c) || c == '\r')
			continue;
		if (c == '\t')
			c = ' ';
		else if (c != '\n' && (c < 0x20 || c > 0x7e))
			c = '?';
		ring_put(r, (char)c);
	}
}

const char *console_ring_tail(struct console_ring *r, size_t max_lines)
{
	size_t start = (r->head + sizeof(r->data) - r->len) % sizeof(r->data), first, lines = 0;
	char *cut;

	for (size_t i = 0; i < r->len; i++)
		r->text[i] = r->data[(start + i) % sizeof(r->data)];
	r->text[r->len] = '\0';
	for (size_t end = r->len; end > 0 && r->text[end - 1] == '\n'; end--)
		r->text[end - 1] = '\0';

	first = 0;
	if (r->len == sizeof(r->data)) {
		cut = strchr(r->text, '\n');
		if (cut)
			first = (size_t)(cut - r->text) + 1;
	}
	for (size_t i = strlen(r->text); i > first; i--)
		if (r->text[i - 1] == '\n' && ++lines == max_lines)
			return r->text + i;
	return r->text + first;
}
