/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP exchange, for insula-fetch. No policy: redirects are not followed, nothing is repeated, what a status means is for
 * the caller (fetch_session.h). fetch_http.c is the only file that includes libcurl.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct http;

/* Certificates (PEM, borrowed for the life of it). */
int http_new(const void *pem, size_t pem_len, struct http **ret, struct err *e);
void http_free(struct http *h); /* NULL-safe */

/* Why an exchange brought no status. */
enum http_failure {
	HTTP_OK,
	HTTP_NOT_TLS, /* the other end does not speak TLS */
	HTTP_BROKEN, /* the connection broke, perhaps in the middle of the body: can be tried again */
	HTTP_STALLED,     /* nothing came for too long */
	HTTP_UNREACHABLE, /* name, address, proxy */
	HTTP_UNTRUSTED,   /* certificate */
	HTTP_REFUSED,     /* by us: too large, the sink said no */
	HTTP_OTHER,
};

struct http_request {
	const char *url;
	const char *accept;          /* or NULL */
	const char *authorization;   /* value of the header, or NULL */
	const char *user, *password; /* Basic, or NULL */
	const char *form;            /* POST this */
	bool head;                   /* HEAD in the place of GET */
	/* PUT the first upload_bytes of this file. */
	bool upload;
	int upload_fd;
	uint64_t upload_bytes;
	const char *content_type; /* of what is sent; or NULL */
	uint64_t from;            /* Range: bytes=from-; 0: none */
	bool verify, may_http;
	uint32_t stall_sec;
	/* The body of a 200 or 206 answer, after `begin` let it in. Of other answers `error_text` keeps the beginning. */
	int (*begin)(void *arg, const struct http_request *q, struct err *e);
	int (*body)(void *arg, const void *data, size_t len, struct err *e);
	void *arg;
	struct http_answer *answer; /* filled as it comes; of the caller */
};

struct http_answer {
	enum http_failure failure;
	int status;
	char media_type[128];
	char location[4096];
	char challenge
		[4096]; /* WWW-Authenticate headers, one after the other, separated by commas */
	char content_range[128];
	char retry_after[64];
	uint64_t content_length; /* UINT64_MAX: not said */
	char error_text[8192];
	size_t error_len;
};

/* 0: there is a status, and a body of 200/206 was delivered whole. */
int http_exchange(struct http *h, const struct http_request *q, struct err *e);

struct url_parts {
	char *scheme, *host, *port; /* owned; port is never NULL for http and https */
};
void url_parts_done(struct url_parts *u);
/* Absolute http or https, no user in it. `base` NULL, or what a relative one refers to. *ret_url: the whole; caller frees. */
int url_resolve(const char *base, const char *url, char **ret_url, struct url_parts *ret,
		struct err *e);
/* For a query: caller frees; NULL when out of memory. */
char *url_escape(const char *text);
/* Seconds that a Retry-After header asks for; -EINVAL. */
int http_retry_after(const char *value, uint64_t *ret_sec);
