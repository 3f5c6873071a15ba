/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speaking to one registry, for insula-fetch: which scheme, which authentication, redirects, repeats.
 * Spec: OCI distribution-spec 1.1; distribution "Token Authentication Specification".
 */
#pragma once

#include "fetch_http.h"
#include "images/fetch.h"

struct session;

/* Both borrowed. */
int session_new(struct http *h, const struct fetch_registry *registry, struct session **ret,
		struct err *e);
void session_free(struct session *s); /* NULL-safe */

/* Where a body goes. A sink that fails ends the request. */
struct session_sink {
	int (*write)(void *arg, const void *data, size_t len, struct err *e);
	void *arg;
};

/* upload_fd: the file of a FETCH_PUT_*. ret_media_type: of a manifest; 128 bytes. */
int session_request(struct session *s, const struct fetch_request *q,
		    const struct session_sink *sink, int upload_fd, char *ret_media_type,
		    struct err *e);
