/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 as a stream, and digests as text: "sha256:" and 64 lower case digits.
 * Spec: OCI image-spec descriptor.md "Digests".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_HEX_LEN 64
#define DIGEST_MAX     72 /* "sha256:", 64 digits and NUL */

/* Room for the library's context (digest.c checks the size), so that only one file includes it. */
struct digest {
	_Alignas(16) unsigned char state[128];
};

void digest_init(struct digest *d);
void digest_add(struct digest *d, const void *data, size_t len);
/* Ends the stream. */
void digest_text(struct digest *d, char ret[DIGEST_MAX]);

/* Of one buffer. */
void digest_of(const void *data, size_t len, char ret[DIGEST_MAX]);

/* "sha256:<64 lower case hex digits>" and nothing else; so the digits are safe as a path component. */
bool digest_is_valid(const char *digest);
/* The digits of a valid one. Borrowed. */
const char *digest_hex(const char *digest);
