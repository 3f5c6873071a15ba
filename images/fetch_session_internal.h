/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a session share: fetch_session.c (reading), fetch_upload.c (writing). */
#pragma once

#include <time.h>

#include "fetch_challenge.h"
#include "fetch_session.h"

#define SESSION_TRIES_MAX 5

struct session {
	struct http *http;
	const struct fetch_registry *registry;
	const char *scheme;      /* NULL: not known yet */
	struct challenge wanted; /* what the registry asked for last */
	char *bearer;            /* header value; or NULL */
	time_t bearer_until;
	bool basic; /* show user and password to the registry */
};

/* One exchange as it stands, with what the registry wants to be shown unless `bare` (it goes elsewhere). */
int session_show(struct session *s, bool bare, struct http_request *q, struct err *e);
/* One at a path of the registry, redirects followed, and once more with what a 401 asks for. */
int session_exchange(struct session *s, const char *path, struct http_request *q, struct err *e);
/* A request with what the registry's settings say. */
struct http_request session_plain(const struct session *s, struct http_answer *a);

/* What an answer that is a refusal means. */
int session_refused(const struct session *s, const struct http_answer *a, struct err *e);
bool session_is_busy(int status);
bool session_is_redirect(int status);
/* How long to wait before the next try; an error: the registry asks for too much. */
int session_pause_for(const struct http_answer *a, int tries, uint64_t *ret_msec, struct err *e);
void session_pause(uint64_t msec);

bool url_same_place(const struct url_parts *a, const struct url_parts *b);

/* fetch_upload.c: FETCH_PUT_BLOB, FETCH_PUT_MANIFEST. */
int session_put(struct session *s, const struct fetch_request *q, int fd, struct err *e);
