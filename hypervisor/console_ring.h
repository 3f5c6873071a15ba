/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last lines of what a guest or a helper process wrote, printable and bounded.
 */
#pragma once

#include <stddef.h>

#define CONSOLE_RING_BYTES (8u << 10)

/* Zero-initialise. The memory it takes never depends on what is written to it. */
struct console_ring {
	char data[CONSOLE_RING_BYTES];
	size_t head; /* where the next byte goes */
	size_t len;  /* how much of data is filled */
	int escape;  /* where in a terminal escape sequence the writer is */
	char text[CONSOLE_RING_BYTES + 1];
};

/* Take bytes from a hostile writer. Terminal escape sequences and carriage returns are dropped,
 * other control characters and bytes above 126 become '?'. */
void console_ring_add(struct console_ring *r, const void *bytes, size_t len);

/* The last max_lines lines, without a newline at the end; "" if nothing was written. When the start
 * of the oldest line was overwritten, the rest of that line is left out, unless it is the only one.
 * Borrowed until the next call. */
const char *console_ring_tail(struct console_ring *r, size_t max_lines);
