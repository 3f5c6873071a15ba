/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a registry asks for before it answers: WWW-Authenticate. Hostile; parsed by insula-fetch.
 * Spec: RFC 9110 section 11.6.1; distribution "Token Authentication Specification".
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

enum challenge_scheme {
	CHALLENGE_NONE, /* none that we know */
	CHALLENGE_BASIC,
	CHALLENGE_BEARER,
};

struct challenge {
	enum challenge_scheme scheme;
	char *realm, *service, *scope, *error; /* owned; or NULL */
};
void challenge_done(struct challenge *c);

/* The value of one such header, or of several joined by commas: Bearer where there is one (with a realm), else Basic. Schemes
 * that are not known are passed over. ERR_INVALID: it is no list of challenges. */
int challenge_parse(const char *value, struct challenge *ret, struct err *e);

#define TOKEN_DEFAULT_SEC 60
#define TOKEN_ANSWER_MAX  (128u << 10)
struct token {
	char *text;
	unsigned expires_sec;
};
/* The answer of a token endpoint. */
int token_parse(const char *json, size_t len, struct token *ret, struct err *e);

/* "UNAUTHORIZED: authentication required" of a registry's {"errors": […]}, made safe to show; "" when it is none. */
void registry_error(const char *json, size_t len, char *buf, size_t size);
