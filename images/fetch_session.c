/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speaking to one registry. Theory of operation:
 *
 * The first request of a session is "GET /v2/": it tells whether the other end is a registry, speaks TLS (plain http is tried
 * only where the store allows it, and only when the other end does not speak TLS at all), and what it wants to be shown. A
 * 401 of any later request renews the authorization once.
 *
 * Credentials go to the registry itself (Basic), or to the token endpoint that the registry names, over https unless
 * the registry may be spoken to by plain http. They and the token never go anywhere else: a redirect to another scheme, host or port is
 * followed bare, and a challenge of another host is not answered. From https nothing leads to http.
 *
 * What breaks is tried again, after a pause that the registry may ask for, at the place where the body broke.
 */
#include "fetch_session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "fetch_session_internal.h"

#define STALLS_MAX          2
#define PROGRESS_BYTES      (1u << 20) /* that make up for a break */
#define REDIRECTS_MAX       5
#define PAUSE_MSEC          500
#define PAUSE_ASKED_MAX_SEC 60
#define TOKEN_EARLY_SEC     10 /* a token is renewed before it ends */

#define ACCEPT_MANIFESTS                                              \
	"application/vnd.oci.image.index.v1+json, "                   \
	"application/vnd.oci.image.manifest.v1+json, "                \
	"application/vnd.docker.distribution.manifest.list.v2+json, " \
	"application/vnd.docker.distribution.manifest.v2+json"

/* A body on its way. */
struct transfer {
	struct session *session;
	const struct fetch_request *request;
	const struct session_sink *sink;
	uint64_t done;  /* bytes that the sink has */
	uint64_t leave; /* bytes to pass over: the body began from its start again */
	struct http_answer *answer;
};

int session_new(struct http *h, const struct fetch_registry *registry, struct session **ret,
		struct err *e)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->http = h;
	s->registry = registry;
	*ret = s;
	return 0;
}

static void forget(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	challenge_done(&s->wanted);
	forget(&s->bearer);
	free(s);
}

static bool has_user(const struct session *s)
{
	return *s->registry->user;
}

/* ---- pauses ------------------------------------------------------------------------------------------------- */

static time_t now_sec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

void session_pause(uint64_t msec)
{
	struct timespec t = {(time_t)(msec / 1000), (long)(msec % 1000) * 1000000};

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
		;
}

/* Doubling, and somewhere between half of it and all, so that many do not come back at once. */
static uint64_t backoff_msec(int tries)
{
	uint64_t msec = (uint64_t)PAUSE_MSEC << (tries < 6 ? tries : 6);
	uint16_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = UINT16_MAX / 2;
	return msec / 2 + msec / 2 * random / UINT16_MAX;
}

bool session_is_busy(int status)
{
	return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* How long to wait before the next try; an error: it asks for too much. */
int session_pause_for(const struct http_answer *a, int tries, uint64_t *ret_msec, struct err *e)
{
	uint64_t sec;

	*ret_msec = backoff_msec(tries);
	if (a->failure != HTTP_OK || http_retry_after(a->retry_after, &sec) < 0)
		return 0;
	if (sec > PAUSE_ASKED_MAX_SEC) {
		err_set(e, ERR_SYSTEM, EAGAIN, "it is busy (%d), and asks to come back in %llu s",
			a->status, (unsigned long long)sec);
		return -EAGAIN;
	}
	*ret_msec = sec * 1000 + (sec ? 0 : *ret_msec / 4);
	return 0;
}

/* ---- what a refusal means ------------------------------------------------------------------------------------ */

static int denied(const struct session *s, const char *why, struct err *e)
{
	const char *host = s->registry->host;

	err_set(e, ERR_INVALID, EACCES, "%s%s%s",
		has_user(s) || *s->registry->password ? "the credentials are not accepted"
						      : "access is denied without credentials",
		*why ? ": " : "", why);
	if (!*s->registry->repository)
		return err_hint(e, "are the user's name and the password right?");
	return err_hint(e, "insula login %s; or there is no such image",
			STREQ(host, "registry-1.docker.io") ? "docker.io" : host);
}

int session_refused(const struct session *s, const struct http_answer *a, struct err *e)
{
	char why[320];

	registry_error(a->error_text, a->error_len, why, sizeof(why));
	switch (a->status) {
	case 401:
	case 403:
		return denied(s, why, e);
	case 413:
		return err_set(e, ERR_SYSTEM, EFBIG, "it is too large for the registry%s%s",
			       *why ? ": " : "", why);
	case 404:
		return err_set(e, ERR_NOT_FOUND, ENOENT, "the registry does not have it%s%s",
			       *why ? ": " : "", why);
	default:
		return err_set(e, ERR_SYSTEM, session_is_busy(a->status) ? EAGAIN : EPROTO,
			       "the registry answers %d%s%s", a->status, *why ? ": " : "", why);
	}
}

/* ---- tokens ---------------------------------------------------------------------------------------------------- */

struct buffer {
	struct strbuf b;
	size_t max;
};

static int add_to_buffer(void *arg, const void *data, size_t len, struct err *e)
{
	struct buffer *b = arg;

	if (len > b->max - b->b.len)
		return err_invalid(e, "it is larger than %zu bytes", b->max);
	strbuf_add_len(&b->b, data, len);
	return b->b.failed ? err_nomem(e) : 0;
}

static int add_query(struct strbuf *b, const char *name, const char *value, struct err *e)
{
	_cleanup_free_ char *escaped = NULL;

	if (!value || !*value)
		return 0;
	escaped = url_escape(value);
	if (!escaped)
		return err_nomem(e);
	strbuf_addf(b, "%s%s=%s", b->len ? "&" : "", name, escaped);
	return 0;
}

/* What we want to do there, one parameter per repository. Only a look at the registry wants nothing. */
static int add_scopes(const struct session *s, bool in_form, struct strbuf *b, struct err *e)
{
	const struct fetch_registry *g = s->registry;
	_cleanup_free_ char *scope = NULL, *other = NULL, *both = NULL;
	int r;

	if (!*g->repository)
		return 0;
	if (str_printf(&scope, "repository:%s:pull%s", g->repository, g->push ? ",push" : "") < 0 ||
	    str_printf(&other, "repository:%s:pull", g->mount_from) < 0)
		return err_nomem(e);
	if (!*g->mount_from)
		return add_query(b, "scope", scope, e);
	/* A form has them all in one word. Spec: "Token Authentication", OAuth 2.0. */
	if (in_form && str_printf(&both, "%s %s", scope, other) < 0)
		return err_nomem(e);
	r = add_query(b, "scope", both ?: scope, e);
	return r == 0 && !in_form ? add_query(b, "scope", other, e) : r;
}

/* Query or form, without its credentials. */
static int token_query(const struct session *s, char **ret, struct err *e)
{
	struct strbuf b = {0};
	const bool refresh = !has_user(s) && *s->registry->password;
	int r = add_query(&b, "service", s->wanted.service, e);

	if (r == 0)
		r = add_scopes(s, refresh, &b, e);
	if (r == 0 && refresh)
		r = add_query(&b, "client_id", "insula", e);
	if (r == 0 && refresh)
		r = add_query(&b, "grant_type", "refresh_token", e);
	if (r == 0 && refresh)
		r = add_query(&b, "refresh_token", s->registry->password, e);
	if (r == 0 && has_user(s))
		r = add_query(&b, "account", s->registry->user, e);
	if (r < 0) {
		strbuf_done(&b);
		return r;
	}
	strbuf_add(&b, "");
	return strbuf_take(&b, ret) < 0 ? err_nomem(e) : 0;
}

static int check_realm(const struct session *s, char **ret_url, struct err *e)
{
	struct url_parts u = {0};
	int r = url_resolve(NULL, s->wanted.realm, ret_url, &u, e);

	if (r == 0 && !STREQ(u.scheme, "https") && !s->registry->may_http)
		r = err_invalid(e, "'%.200s' is not https", s->wanted.realm);
	url_parts_done(&u);
	return r < 0 ? err_wrap(e, "the registry's token endpoint") : 0;
}

static int take_token(struct session *s, const struct buffer *b, struct err *e)
{
	struct token t = {0};
	int r = token_parse(b->b.data ? b->b.data : "", b->b.len, &t, e);

	if (r < 0)
		return r;
	forget(&s->bearer);
	r = str_printf(&s->bearer, "Bearer %s", t.text);
	forget(&t.text);
	s->bearer_until = now_sec() + t.expires_sec - TOKEN_EARLY_SEC;
	return r < 0 ? err_nomem(e) : 0;
}

static int ask_for_token(struct session *s, const char *url, const char *form, struct err *e)
{
	struct buffer b = {.max = TOKEN_ANSWER_MAX};
	_cleanup_free_ struct http_answer *a = calloc(1, sizeof(*a));
	const struct http_request q = {
		.url = url,
		.accept = "application/json",
		.form = form,
		.user = has_user(s) ? s->registry->user : NULL,
		.password = has_user(s) ? s->registry->password : NULL,
		.verify = s->registry->verify,
		.may_http = s->registry->may_http,
		.stall_sec = s->registry->stall_sec,
		.body = add_to_buffer,
		.arg = &b,
		.answer = a,
	};
	uint64_t msec;
	int r;

	if (!a)
		return err_nomem(e);
	for (int tries = 0;; tries++) {
		r = http_exchange(s->http, &q, e);
		if (!(r < 0 ? a->failure == HTTP_BROKEN : session_is_busy(a->status)) || tries == 2)
			break;
		r = session_pause_for(a, tries, &msec, e);
		if (r < 0)
			break;
		session_pause(msec);
		strbuf_done(&b.b);
		b.b = (struct strbuf){0};
	}
	if (r == 0)
		r = a->status == 200 ? take_token(s, &b, e) : session_refused(s, a, e);
	if (b.b.data)
		explicit_bzero(b.b.data, b.b.len);
	strbuf_done(&b.b);
	return r;
}

static int new_token(struct session *s, struct err *e)
{
	_cleanup_free_ char *realm = NULL, *query = NULL, *url = NULL;
	const bool refresh = !has_user(s) && *s->registry->password;
	int r = check_realm(s, &realm, e);

	if (r == 0)
		r = token_query(s, &query, e);
	if (r < 0)
		return r;
	if (str_printf(&url, "%s%c%s", realm, strchr(realm, '?') ? '&' : '?', query) < 0)
		return err_nomem(e);
	r = refresh ? ask_for_token(s, realm, query, e) : ask_for_token(s, url, NULL, e);
	if (query)
		explicit_bzero(query, strlen(query));
	return r < 0 ? err_wrap(e, "token from %.200s", realm) : 0;
}

/* After a 401. */
static int authorize(struct session *s, const struct http_answer *a, struct err *e)
{
	struct challenge c = {0};
	int r = challenge_parse(a->challenge, &c, e);

	if (r < 0)
		return err_wrap(e, "the registry's challenge cannot be read");
	challenge_done(&s->wanted);
	s->wanted = c;
	s->basic = false;
	forget(&s->bearer);
	switch (c.scheme) {
	case CHALLENGE_BEARER:
		return new_token(s, e);
	case CHALLENGE_BASIC:
		if (!has_user(s))
			return denied(s, "", e);
		s->basic = true;
		return 0;
	case CHALLENGE_NONE:
		break;
	}
	return err_unsupported(e, "the registry asks for neither Basic nor Bearer authentication");
}

/* ---- one request with its redirects --------------------------------------------------------------------------------- */

bool url_same_place(const struct url_parts *a, const struct url_parts *b)
{
	return STREQ(a->scheme, b->scheme) && strcasecmp(a->host, b->host) == 0 &&
	       STREQ(a->port, b->port);
}

bool session_is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* url becomes where the answer leads; *bare: our credentials do not go there. */
static int follow(const struct http_answer *a, char **url, bool *bare, struct err *e)
{
	struct url_parts from = {0}, to = {0};
	_cleanup_free_ char *old = NULL, *next = NULL;
	int r;

	if (!*a->location)
		return err_invalid(e, "a redirect that leads nowhere");
	r = url_resolve(NULL, *url, &old, &from, e);
	if (r == 0)
		r = url_resolve(*url, a->location, &next, &to, e);
	if (r == 0 && STREQ(from.scheme, "https") && !STREQ(to.scheme, "https"))
		r = err_invalid(e, "from https to http");
	if (r == 0) {
		*bare = *bare || !url_same_place(&from, &to);
		free(*url);
		*url = TAKE_PTR(next);
	}
	url_parts_done(&from);
	url_parts_done(&to);
	return r < 0 ? err_wrap(e, "redirect") : 0;
}

/* Like http_exchange(), with what the registry wants to be shown unless `bare`. */
int session_show(struct session *s, bool bare, struct http_request *q, struct err *e)
{
	q->authorization = bare ? NULL : s->bearer;
	q->user = !bare && s->basic ? s->registry->user : NULL;
	q->password = !bare && s->basic ? s->registry->password : NULL;
	return http_exchange(s->http, q, e);
}

static int get(struct session *s, const char *path, struct http_request *q, struct err *e)
{
	_cleanup_free_ char *url = NULL;
	bool bare = false;
	int r;

	if (s->bearer && now_sec() > s->bearer_until && s->wanted.scheme == CHALLENGE_BEARER) {
		r = new_token(s, e);
		if (r < 0)
			return r;
	}
	if (str_printf(&url, "%s://%s%s", s->scheme, s->registry->host, path) < 0)
		return err_nomem(e);
	for (int n = 0;; n++) {
		q->url = url;
		r = session_show(s, bare, q, e);
		if (r < 0 || !session_is_redirect(q->answer->status))
			break;
		/* What is sent goes to whom it was meant for. */
		if (q->form || q->upload)
			return err_unsupported(e, "the registry leads an upload elsewhere (%d)",
					       q->answer->status);
		if (n == REDIRECTS_MAX)
			return err_invalid(e, "more than %d redirects", REDIRECTS_MAX);
		r = follow(q->answer, &url, &bare, e);
		if (r < 0)
			return r;
	}
	/* Not the registry's own word: it would make us show credentials for somebody else's question. */
	if (r == 0 && bare && q->answer->status == 401)
		return err_set(e, ERR_INVALID, EACCES,
			       "the place that the registry leads to denies access");
	return r;
}

/* The same, and once more with what a 401 asks for. */
int session_exchange(struct session *s, const char *path, struct http_request *q, struct err *e)
{
	int r = get(s, path, q, e);

	if (r < 0 || q->answer->status != 401)
		return r;
	r = authorize(s, q->answer, e);
	return r < 0 ? r : get(s, path, q, e);
}

/* ---- is it a registry? ----------------------------------------------------------------------------------------------- */

static int ignore(_unused_ void *arg, _unused_ const void *data, _unused_ size_t len,
		  _unused_ struct err *e)
{
	return 0;
}

struct http_request session_plain(const struct session *s, struct http_answer *a)
{
	return (struct http_request){
		.verify = s->registry->verify,
		.may_http = s->registry->may_http,
		.stall_sec = s->registry->stall_sec,
		.body = ignore,
		.answer = a,
	};
}

static int get_ping(struct session *s, struct http_answer *a, struct err *e)
{
	struct http_request q = session_plain(s, a);
	int r;

	s->scheme = "https";
	r = get(s, "/v2/", &q, e);
	if (r < 0 && a->failure == HTTP_NOT_TLS && s->registry->may_http) {
		s->scheme = "http";
		r = get(s, "/v2/", &q, e);
	} else if (r < 0 && a->failure == HTTP_NOT_TLS) {
		err_hint(e, "--tls-verify=false allows plain http");
	}
	return r;
}

/* strict: the credentials have to be good. Else a later request tells. */
static int ping(struct session *s, bool strict, struct err *e)
{
	_cleanup_free_ struct http_answer *a = calloc(1, sizeof(*a));
	int r = 0;

	if (!a)
		return err_nomem(e);
	for (int tries = 0;; tries++) {
		uint64_t msec;

		r = get_ping(s, a, e);
		if (tries == SESSION_TRIES_MAX - 1 ||
		    !(r < 0 ? a->failure == HTTP_BROKEN : session_is_busy(a->status)))
			break;
		if (session_pause_for(a, tries, &msec, e) < 0)
			return -EAGAIN;
		session_pause(msec);
	}
	if (r < 0) {
		s->scheme = NULL;
		return r;
	}
	if (a->status == 401) {
		struct http_request q = session_plain(s, a);

		r = authorize(s, a, e);
		if (r == 0 && strict)
			r = get(s, "/v2/", &q, e);
		if (r < 0 || !strict)
			return r;
	}
	if (a->status == 404)
		return err_set(e, ERR_NOT_FOUND, EPROTO, "it is no registry (no /v2/)");
	return a->status == 200 ? 0 : session_refused(s, a, e);
}

/* ---- bodies ------------------------------------------------------------------------------------------------------------ */

/* Spec: RFC 9110 section 14.4. */
static int check_range(const struct transfer *t, struct err *e)
{
	unsigned long long first, last, total;
	char end;

	if (sscanf(t->answer->content_range, "bytes %llu-%llu/%llu%c", &first, &last, &total,
		   &end) != 3 ||
	    first != t->done || last + 1 != total || total != t->request->size_bytes)
		return err_invalid(e, "bytes from %llu on were asked for, '%.100s' came",
				   (unsigned long long)t->done, t->answer->content_range);
	return 0;
}

static int begin(void *arg, const struct http_request *q, struct err *e)
{
	struct transfer *t = arg;
	const uint64_t want = t->request->size_bytes, length = t->answer->content_length;

	t->leave = 0;
	if (t->answer->status == 206)
		return q->from > 0 ? check_range(t, e)
				   : err_invalid(e, "a part (206) that nobody asked for");
	if (want != UINT64_MAX && length != UINT64_MAX && length != want)
		return err_invalid(e, "it has %llu bytes, and its descriptor says %llu",
				   (unsigned long long)length, (unsigned long long)want);
	t->leave = t->done; /* from its start */
	return 0;
}

static int body(void *arg, const void *data, size_t len, struct err *e)
{
	struct transfer *t = arg;
	const uint64_t want = t->request->size_bytes;
	const char *p = data;
	int r;

	if (t->leave > 0) {
		size_t n = len < t->leave ? len : (size_t)t->leave;

		t->leave -= n;
		p += n;
		len -= n;
	}
	if (len == 0)
		return 0;
	if (want != UINT64_MAX && len > want - t->done)
		return err_invalid(e, "it is longer than the %llu bytes of its descriptor",
				   (unsigned long long)want);
	r = t->sink->write(t->sink->arg, p, len, e);
	if (r == 0)
		t->done += len;
	return r;
}

static int request_path(const struct session *s, const struct fetch_request *q, char **ret,
			struct err *e)
{
	const char *kind = q->kind == FETCH_MANIFEST ? "manifests" : "blobs";

	return str_printf(ret, "/v2/%s/%s/%s", s->registry->repository, kind, q->reference) < 0
		       ? err_nomem(e)
		       : 0;
}

static int finish(const struct session *s, const struct transfer *t, struct err *e)
{
	const struct http_answer *a = t->answer;
	const uint64_t want = t->request->size_bytes;

	if (a->status != 200 && a->status != 206)
		return session_refused(s, a, e);
	return want == UINT64_MAX || t->done == want
		       ? 0
		       : err_invalid(e, "it ends after %llu of %llu bytes",
				     (unsigned long long)t->done, (unsigned long long)want);
}

/* Is there sense in trying again? */
static bool is_passing(const struct http_answer *a, int r, int *stalls)
{
	if (r == 0)
		return session_is_busy(a->status) || a->status == 416;
	if (a->failure == HTTP_STALLED)
		return ++*stalls < STALLS_MAX;
	return a->failure == HTTP_BROKEN;
}

static int transfer(struct session *s, const struct fetch_request *q, struct transfer *t,
		    struct err *e)
{
	_cleanup_free_ char *path = NULL;
	int r = request_path(s, q, &path, e), stalls = 0;
	bool whole = false; /* ranges do not work here */

	for (int tries = 0; r == 0; tries++) {
		struct http_request h = session_plain(s, t->answer);
		const uint64_t before = t->done;
		uint64_t msec;

		h.begin = begin;
		h.body = body;
		h.arg = t;
		h.accept = q->kind == FETCH_MANIFEST ? ACCEPT_MANIFESTS : NULL;
		h.from = q->kind == FETCH_BLOB && !whole ? t->done : 0;
		r = session_exchange(s, path, &h, e);
		if (t->done - before >= PROGRESS_BYTES)
			tries = stalls = 0;
		/* What is held in memory begins anew, and so does a manifest that may have changed. */
		if (!is_passing(t->answer, r, &stalls) || tries == SESSION_TRIES_MAX - 1 ||
		    (q->kind != FETCH_BLOB && t->done > 0))
			return r < 0 ? r : finish(s, t, e);
		whole = whole || t->answer->status == 416;
		r = session_pause_for(t->answer, tries, &msec, e);
		if (r == 0)
			session_pause(msec);
	}
	return r;
}

int session_request(struct session *s, const struct fetch_request *q,
		    const struct session_sink *sink, int upload_fd, char *ret_media_type,
		    struct err *e)
{
	_cleanup_free_ struct http_answer *a = calloc(1, sizeof(*a));
	struct transfer t = {.session = s,
			     .request = q,
			     .sink = sink,
			     .done = q->kind == FETCH_BLOB ? q->from_bytes : 0,
			     .answer = a};
	int r = a ? 0 : err_nomem(e);

	if (r == 0 && !s->scheme)
		r = ping(s, q->kind == FETCH_PING, e);
	if (r < 0 || q->kind == FETCH_PING)
		return r;
	if (q->kind == FETCH_PUT_BLOB || q->kind == FETCH_PUT_MANIFEST)
		return session_put(s, q, upload_fd, e);
	r = transfer(s, q, &t, e);
	if (r == 0)
		memcpy(ret_media_type, a->media_type, sizeof(a->media_type));
	return r;
}
