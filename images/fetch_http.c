/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP exchange with libcurl. It is told to do as little as possible by itself: no redirects, no
 * authentication of its own, no cookies, HTTP/1.1 only (less to parse, and faster for one long body), no decompression. All that
 * a server can make long is bounded: header lines and their sum, texts that are kept, error bodies.
 */
#include "fetch_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define HEADERS_MAX_BYTES   (64u << 10)
#define CONNECT_TIMEOUT_SEC 30L
#define RECEIVE_BUFFER      (256L << 10)

struct http {
	CURL *curl;
	struct curl_blob certificates;
	const struct http_request *now;
	size_t header_bytes;
	uint64_t sent; /* of an upload */
	struct err *e; /* what a callback of ours said */
	bool refused, begun;
	char why[CURL_ERROR_SIZE];
};

int http_new(const void *pem, size_t pem_len, struct http **ret, struct err *e)
{
	struct http *h;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return err_set(e, ERR_INTERNAL, EIO, "libcurl cannot be used");
	h = calloc(1, sizeof(*h));
	if (!h)
		return err_nomem(e);
	h->curl = curl_easy_init();
	h->certificates = (struct curl_blob){(void *)pem, pem_len, CURL_BLOB_NOCOPY};
	if (!h->curl) {
		free(h);
		return err_nomem(e);
	}
	*ret = h;
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->curl);
	free(h);
}

/* ---- what comes ------------------------------------------------------------------------------------- */

/* Value of header `name` in a line, or NULL. Not terminated. */
static const char *header_value(const char *line, size_t len, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	len -= n + 1;
	for (; len > 0 && (*line == ' ' || *line == '\t'); line++)
		len--;
	while (len > 0 && strchr("\r\n \t", line[len - 1]))
		len--;
	*ret_len = len;
	return line;
}

static void copy(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		len = 0; /* a cut one would mean something else */
	memcpy(to, from, len);
	to[len] = '\0';
}

static void add_challenge(struct http_answer *a, const char *value, size_t len)
{
	size_t have = strlen(a->challenge);

	if (have + 2 + len + 1 > sizeof(a->challenge))
		return;
	if (have > 0) {
		memcpy(a->challenge + have, ", ", 2);
		have += 2;
	}
	copy(a->challenge + have, sizeof(a->challenge) - have, value, len);
}

static void take_header(struct http_answer *a, const char *line, size_t len)
{
	const struct {
		const char *name;
		char *to;
		size_t size;
	} kept[] = {
		{"Location", a->location, sizeof(a->location)},
		{"Content-Range", a->content_range, sizeof(a->content_range)},
		{"Retry-After", a->retry_after, sizeof(a->retry_after)},
		{"Content-Type", a->media_type, sizeof(a->media_type)},
	};
	const char *value;
	size_t n;

	value = header_value(line, len, "WWW-Authenticate", &n);
	if (value && !memchr(value, '\0', n))
		add_challenge(a, value, n);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		value = header_value(line, len, kept[i].name, &n);
		if (value && !memchr(value, '\0', n))
			copy(kept[i].to, kept[i].size, value, n);
	}
}

/* A new status line (after "100 Continue", or a proxy's answer) makes what stood before void. */
static void begin_answer(struct http_answer *a)
{
	*a->location = *a->content_range = *a->retry_after = *a->media_type = *a->challenge = '\0';
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct http *h = arg;

	n *= size;
	h->header_bytes += n;
	if (h->header_bytes > HEADERS_MAX_BYTES) {
		err_invalid(h->e, "its headers do not end");
		h->refused = true;
		return 0;
	}
	if (n > 5 && memcmp(line, "HTTP/", 5) == 0)
		begin_answer(h->now->answer);
	else
		take_header(h->now->answer, line, n);
	return n;
}

static void take_status(struct http *h)
{
	struct http_answer *a = h->now->answer;
	curl_off_t length = -1;
	long status = 0;

	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(h->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	a->status = (int)status;
	a->content_length = length < 0 ? UINT64_MAX : (uint64_t)length;
}

static bool has_body(const struct http_answer *a)
{
	return a->status == 200 || a->status == 206;
}

static int let_in(struct http *h)
{
	const struct http_request *q = h->now;

	if (h->begun)
		return 0;
	h->begun = true;
	return q->begin ? q->begin(q->arg, q, h->e) : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct http *h = arg;
	struct http_answer *a = h->now->answer;
	size_t room = sizeof(a->error_text) - a->error_len;

	n *= size;
	take_status(h);
	if (!has_body(a)) {
		if (n > room) {
			/* Nobody reads more than the beginning of it. */
			memcpy(a->error_text + a->error_len, data, room);
			a->error_len += room;
			return 0;
		}
		memcpy(a->error_text + a->error_len, data, n);
		a->error_len += n;
		return n;
	}
	if (let_in(h) < 0 || h->now->body(h->now->arg, data, n, h->e) < 0) {
		h->refused = true;
		return 0;
	}
	return n;
}

/* ---- what goes ------------------------------------------------------------------------------------------- */

static size_t on_upload(char *to, size_t size, size_t n, void *arg)
{
	struct http *h = arg;
	const struct http_request *q = h->now;
	uint64_t left = q->upload_bytes - h->sent;
	ssize_t got;

	n *= size;
	if (n > left)
		n = (size_t)left;
	if (n == 0)
		return 0;
	got = pread(q->upload_fd, to, n, (off_t)h->sent);
	if (got <= 0) {
		err_sys(h->e, got < 0 ? errno : EIO, "read what is sent");
		h->refused = true;
		return CURL_READFUNC_ABORT;
	}
	h->sent += (uint64_t)got;
	return (size_t)got;
}

/* The body once more, after a connection that was kept open turned out to be closed. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct http *h = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > h->now->upload_bytes)
		return CURL_SEEKFUNC_FAIL;
	h->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* ---- the exchange -------------------------------------------------------------------------------------- */

static int add_header(struct curl_slist **list, const char *name, const char *value, struct err *e)
{
	_cleanup_free_ char *line = NULL;
	struct curl_slist *more;

	if (!value)
		return 0;
	if (strpbrk(value, "\r\n"))
		return err_set(e, ERR_INTERNAL, EINVAL, "a header with a line break");
	if (str_printf(&line, "%s: %s", name, value) < 0)
		return err_nomem(e);
	more = curl_slist_append(*list, line);
	if (!more)
		return err_nomem(e);
	*list = more;
	return 0;
}

static void set_options(struct http *h, const struct http_request *q, struct curl_slist *headers)
{
	CURL *c = h->curl;

	curl_easy_reset(c); /* keeps the connections */
	curl_easy_setopt(c, CURLOPT_URL, q->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, q->may_http ? "http,https" : "https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "insula/" INSULA_VERSION);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->why);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_SEC);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)q->stall_sec);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, q->verify ? 1L : 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, q->verify ? 2L : 0L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	if (q->verify)
		curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &h->certificates);
	if (q->user && q->password) {
		curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(c, CURLOPT_USERNAME, q->user);
		curl_easy_setopt(c, CURLOPT_PASSWORD, q->password);
	}
	if (q->form)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->form);
	if (q->head)
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	if (q->upload) {
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->upload_bytes);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(c, CURLOPT_READDATA, h);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, h);
	}
	if (q->from > 0) {
		char range[32];

		snprintf(range, sizeof(range), "%llu-", (unsigned long long)q->from);
		curl_easy_setopt(c, CURLOPT_RANGE, range);
	}
}

static enum http_failure failure_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_OK:
		return HTTP_OK;
	case CURLE_SSL_CONNECT_ERROR:
		return HTTP_NOT_TLS;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_HTTP2:
		return HTTP_BROKEN;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_STALLED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
		return HTTP_UNREACHABLE;
	case CURLE_PEER_FAILED_VERIFICATION:
		return HTTP_UNTRUSTED;
	default:
		return HTTP_OTHER;
	}
}

static const char *reason(const struct http *h, CURLcode code)
{
	return *h->why ? h->why : curl_easy_strerror(code);
}

static int told(struct http *h, const struct http_request *q, CURLcode code, struct err *e)
{
	struct http_answer *a = q->answer;

	switch (a->failure) {
	case HTTP_OK:
		return 0;
	case HTTP_STALLED:
		return err_set(e, ERR_SYSTEM, ETIMEDOUT, "nothing came for %u s", q->stall_sec);
	case HTTP_UNREACHABLE:
		return err_set(e, ERR_SYSTEM, EHOSTUNREACH, "%s", reason(h, code));
	case HTTP_UNTRUSTED:
		err_set(e, ERR_SYSTEM, EACCES, "its certificate is not trusted: %s",
			reason(h, code));
		return err_hint(e, "put its authority into /etc/containers/certs.d/HOST/ca.crt, "
				   "or --tls-verify=false");
	case HTTP_NOT_TLS:
		return err_set(e, ERR_SYSTEM, EPROTO, "it does not speak TLS as we do: %s",
			       reason(h, code));
	case HTTP_REFUSED: /* told already */
		return err_wrap(e, "answer");
	case HTTP_BROKEN:
	case HTTP_OTHER:
		break;
	}
	return err_set(e, ERR_SYSTEM, EIO, "%s", reason(h, code));
}

int http_exchange(struct http *h, const struct http_request *q, struct err *e)
{
	struct curl_slist *headers = NULL;
	struct http_answer *a = q->answer;
	CURLcode code;
	int r;

	*a = (struct http_answer){.content_length = UINT64_MAX};
	h->now = q;
	h->e = e;
	h->header_bytes = 0;
	h->sent = 0;
	h->refused = h->begun = false;
	*h->why = '\0';
	a->failure = HTTP_OTHER;
	r = add_header(&headers, "Accept", q->accept, e);
	if (r == 0)
		r = add_header(&headers, "Content-Type", q->content_type, e);
	if (r == 0)
		r = add_header(&headers, "Authorization", q->authorization, e);
	if (r < 0) {
		curl_slist_free_all(headers);
		return r;
	}
	set_options(h, q, headers);
	code = curl_easy_perform(h->curl);
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	take_status(h);
	a->media_type[strcspn(a->media_type, "; \t")] = '\0';
	a->failure = h->refused ? HTTP_REFUSED : failure_of(code);
	/* The rest of a long error text was ours not to read. */
	if (code == CURLE_WRITE_ERROR && !h->refused && !has_body(a) && a->status > 0)
		a->failure = HTTP_OK;
	/* An empty body begins, too. */
	if (a->failure == HTTP_OK && has_body(a) && let_in(h) < 0)
		a->failure = HTTP_REFUSED;
	return told(h, q, code, e);
}

/* ---- URLs ------------------------------------------------------------------------------------------------- */

void url_parts_done(struct url_parts *u)
{
	free(u->scheme);
	free(u->host);
	free(u->port);
	*u = (struct url_parts){0};
}

static int part(CURLU *u, CURLUPart what, unsigned flags, char **ret)
{
	char *text = NULL;

	if (curl_url_get(u, what, &text, flags) != CURLUE_OK)
		return -EINVAL;
	*ret = strdup(text);
	curl_free(text);
	return *ret ? 0 : -ENOMEM;
}

static bool has_user(CURLU *u)
{
	char *text = NULL;
	bool has = curl_url_get(u, CURLUPART_USER, &text, 0) == CURLUE_OK;

	curl_free(text);
	if (!has)
		has = curl_url_get(u, CURLUPART_PASSWORD, &text, 0) == CURLUE_OK;
	else
		text = NULL;
	curl_free(text);
	return has;
}

static int resolve(CURLU *u, const char *base, const char *url, char **ret_url, struct url_parts *p,
		   struct err *e)
{
	if ((base && curl_url_set(u, CURLUPART_URL, base, 0) != CURLUE_OK) ||
	    curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    part(u, CURLUPART_SCHEME, 0, &p->scheme) < 0 ||
	    part(u, CURLUPART_HOST, 0, &p->host) < 0 ||
	    part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, &p->port) < 0)
		return err_invalid(e, "'%.200s' is no address", url);
	if (!STREQ(p->scheme, "https") && !STREQ(p->scheme, "http"))
		return err_invalid(e, "'%.200s' is neither https nor http", url);
	if (has_user(u))
		return err_invalid(e, "an address with a user's name in it");
	return part(u, CURLUPART_URL, 0, ret_url) < 0 ? err_nomem(e) : 0;
}

int url_resolve(const char *base, const char *url, char **ret_url, struct url_parts *ret,
		struct err *e)
{
	struct url_parts p = {0};
	CURLU *u = curl_url();
	int r = u ? resolve(u, base, url, ret_url, &p, e) : err_nomem(e);

	curl_url_cleanup(u);
	if (r < 0)
		url_parts_done(&p);
	else
		*ret = p;
	return r;
}

char *url_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0), *own = escaped ? strdup(escaped) : NULL;

	curl_free(escaped);
	return own;
}

/* Spec: RFC 9110 section 10.2.3: seconds, or a date. */
int http_retry_after(const char *value, uint64_t *ret_sec)
{
	time_t at;

	if (!*value)
		return -EINVAL;
	if (parse_u64(value, ret_sec) == 0)
		return 0;
	at = curl_getdate(value, NULL);
	if (at == -1)
		return -EINVAL;
	*ret_sec = at > time(NULL) ? (uint64_t)(at - time(NULL)) : 0;
	return 0;
}
