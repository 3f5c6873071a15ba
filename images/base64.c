/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64, strict: padding is required, and nothing stands behind it.
 */
#include "base64.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

int base64_decode(const char *text, char **ret, size_t *ret_len)
{
	size_t len = strlen(text), n = 0, pad = 0;
	_cleanup_free_ char *out = malloc(len / 4 * 3 + 1);

	if (!out)
		return -ENOMEM;
	if (len % 4 != 0)
		return -EINVAL;
	while (pad < 2 && len > pad && text[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < len; i += 4) {
		uint32_t word = 0;

		for (size_t k = 0; k < 4; k++) {
			int v = i + k >= len - pad ? 0 : value_of(text[i + k]);

			if (v < 0)
				return -EINVAL;
			word = word << 6 | (uint32_t)v;
		}
		out[n++] = (char)(word >> 16);
		out[n++] = (char)(word >> 8);
		out[n++] = (char)word;
	}
	n -= len ? pad : 0;
	out[n] = '\0';
	*ret = TAKE_PTR(out);
	*ret_len = n;
	return 0;
}

char *base64_encode(const void *data, size_t len)
{
	const unsigned char *in = data;
	char *out = malloc((len + 2) / 3 * 4 + 1), *p = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i += 3) {
		uint32_t word = (uint32_t)in[i] << 16 |
				(i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0) |
				(i + 2 < len ? in[i + 2] : 0);

		*p++ = digits[word >> 18];
		*p++ = digits[word >> 12 & 63];
		*p++ = i + 1 < len ? digits[word >> 6 & 63] : '=';
		*p++ = i + 2 < len ? digits[word & 63] : '=';
	}
	*p = '\0';
	return out;
}
