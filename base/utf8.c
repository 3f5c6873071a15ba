/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 validation, by the table of well-formed byte sequences: the allowed range of the second
 * byte depends on the first, every later one is 80..BF.
 */
#include "base/utf8.h"

#include <stdint.h>

static const struct {
	uint8_t first_min, first_max;
	uint8_t second_min, second_max;
	uint8_t length;
} rows[] = {
	{0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
	{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
	{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

size_t utf8_sequence(const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s;

	if (len == 0)
		return 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (p[0] < rows[i].first_min || p[0] > rows[i].first_max)
			continue;
		if (len < rows[i].length)
			return 0;
		if (rows[i].length > 1 && (p[1] < rows[i].second_min || p[1] > rows[i].second_max))
			return 0;
		for (size_t k = 2; k < rows[i].length; k++)
			if (p[k] < 0x80 || p[k] > 0xbf)
				return 0;
		return rows[i].length;
	}
	return 0;
}

bool utf8_is_valid(const char *s, size_t len)
{
	while (len > 0) {
		size_t n = utf8_sequence(s, len);

		if (n == 0)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

size_t utf8_cut(const char *s, size_t len)
{
	size_t start = len;

	/* Back to the first byte of the sequence that the cut may have hit; at most three steps. */
	while (start > 0 && len - start < 4) {
		start--;
		if (((uint8_t)s[start] & 0xc0) != 0x80)
			return utf8_sequence(s + start, len - start) ? len : start;
	}
	return len;
}
