/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 as the strict reader, the log and the error value need it: is this a well-formed sequence?
 * Spec: RFC 3629 (no overlong forms, no surrogates, nothing above U+10FFFF).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Length (1..4) of the well-formed sequence at s, 0 if there is none. `len` bytes may be read. */
size_t utf8_sequence(const char *s, size_t len);

/* All of it well-formed? */
bool utf8_is_valid(const char *s, size_t len);

/* The longest length ≤ len that does not cut a sequence of `s` in two. */
size_t utf8_cut(const char *s, size_t len);

/* C0 controls and DEL: they have no place in a line that a person or a log reads. */
static inline bool utf8_is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}
