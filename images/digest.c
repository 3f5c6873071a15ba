/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 by nettle, which uses the processor's own instructions where it has them. The only file that includes
 * it.
 */
#include "digest.h"

#include <nettle/sha2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct digest), "the context fits");
_Static_assert(SHA256_DIGEST_SIZE * 2 == DIGEST_HEX_LEN, "two digits per byte");

static struct sha256_ctx *context(struct digest *d)
{
	return (struct sha256_ctx *)(void *)d->state;
}

void digest_init(struct digest *d)
{
	nettle_sha256_init(context(d));
}

void digest_add(struct digest *d, const void *data, size_t len)
{
	nettle_sha256_update(context(d), len, data);
}

void digest_text(struct digest *d, char ret[DIGEST_MAX])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t raw[SHA256_DIGEST_SIZE];
	char *p = ret;

	nettle_sha256_digest(context(d), sizeof(raw), raw);
	memcpy(p, "sha256:", 7);
	p += 7;
	for (size_t i = 0; i < sizeof(raw); i++) {
		*p++ = digits[raw[i] >> 4];
		*p++ = digits[raw[i] & 15];
	}
	*p = '\0';
}

void digest_of(const void *data, size_t len, char ret[DIGEST_MAX])
{
	struct digest d;

	digest_init(&d);
	digest_add(&d, data, len);
	digest_text(&d, ret);
}

bool digest_is_valid(const char *digest)
{
	return str_has_prefix(digest, "sha256:") &&
	       strspn(digest + 7, "0123456789abcdef") == DIGEST_HEX_LEN &&
	       digest[7 + DIGEST_HEX_LEN] == '\0';
}

const char *digest_hex(const char *digest)
{
	return digest + 7;
}
