/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of insula-fetch: requests in, answers and bodies out (images/fetch.h). What comes in is from the store and still
 * checked for being terminated text, since everything is put into addresses.
 */
#include "images/fetch_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "fetch_session.h"
#include "images/fetch.h"

#define PEM_MAX (16 << 20)

/* What a process that does nothing else holds. */
struct worker {
	struct fetch_registry registry;
	struct http *http;
	struct session *session;
	bool stream_open;
};

static int map_certificates(void **ret, size_t *ret_len, struct err *e)
{
	struct stat st;

	if (fstat(FETCH_FD_CERTIFICATES, &st) < 0)
		return err_sys(e, errno, "certificates");
	if (st.st_size == 0) {
		*ret = (void *)"";
		*ret_len = 0;
		return 0;
	}
	if (st.st_size > PEM_MAX)
		return err_set(e, ERR_INVALID, EFBIG, "more than 16 MiB of certificates");
	*ret = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, FETCH_FD_CERTIFICATES, 0);
	if (*ret == MAP_FAILED)
		return err_sys(e, errno, "certificates");
	*ret_len = (size_t)st.st_size;
	return 0;
}

static bool is_text(const char *s, size_t size)
{
	size_t len = strnlen(s, size);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f)
			return false;
	return len < size;
}

static int check_registry(const struct fetch_registry *g, struct err *e)
{
	if (!is_text(g->host, sizeof(g->host)) || !*g->host || strpbrk(g->host, "/?#@\\") ||
	    !is_text(g->repository, sizeof(g->repository)) || strpbrk(g->repository, "?#\\%") ||
	    !is_text(g->mount_from, sizeof(g->mount_from)) || strpbrk(g->mount_from, "?#\\%") ||
	    strnlen(g->user, sizeof(g->user)) == sizeof(g->user) ||
	    strnlen(g->password, sizeof(g->password)) == sizeof(g->password) || g->stall_sec == 0)
		return err_set(e, ERR_INTERNAL, EINVAL, "a registry that is none");
	return 0;
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static int send_answer(const struct fetch_answer *a, const void *body)
{
	int r = fd_write_all(FETCH_FD_ANSWERS, a, sizeof(*a), "answer", NULL);

	return r < 0 || a->body_len == 0
		       ? r
		       : fd_write_all(FETCH_FD_ANSWERS, body, (size_t)a->body_len, "answer", NULL);
}

static int add_small(void *arg, const void *data, size_t len, struct err *e)
{
	struct strbuf *b = arg;

	if (len > FETCH_MANIFEST_MAX - b->len)
		return err_invalid(e, "it is larger than %u bytes", FETCH_MANIFEST_MAX);
	strbuf_add_len(b, data, len);
	return b->failed ? err_nomem(e) : 0;
}

static int add_stream(_unused_ void *arg, const void *data, size_t len, struct err *e)
{
	return fd_write_all(FETCH_FD_STREAM, data, len, "the stream", e);
}

static int serve_stream(struct worker *w, const struct fetch_request *q, struct fetch_answer *a)
{
	const struct session_sink sink = {.write = add_stream};
	int r;

	if (!w->stream_open)
		return err_set(&a->error, ERR_INTERNAL, EPIPE, "an earlier download failed");
	r = session_request(w->session, q, &sink, -1, a->media_type, &a->error);
	if (r < 0) {
		fd_close(FETCH_FD_STREAM);
		w->stream_open = false;
	}
	return r;
}

/* Texts that become part of an address or a header. */
static bool is_sound(const struct fetch_request *q, int upload_fd)
{
	const bool upload = q->kind == FETCH_PUT_BLOB || q->kind == FETCH_PUT_MANIFEST;

	return q->kind <= FETCH_PUT_MANIFEST && is_text(q->reference, sizeof(q->reference)) &&
	       !strpbrk(q->reference, "/?#\\%") && upload == (upload_fd >= 0) &&
	       is_text(q->media_type, sizeof(q->media_type)) &&
	       !(q->kind == FETCH_BLOB && q->from_bytes >= q->size_bytes);
}

static int serve(struct worker *w, const struct fetch_request *q, int upload_fd)
{
	struct fetch_answer a = {0};
	struct strbuf b = {0};
	const struct session_sink small = {.write = add_small, .arg = &b};
	int r;

	if (!is_sound(q, upload_fd))
		r = err_set(&a.error, ERR_INTERNAL, EINVAL, "a request that is none");
	else if (q->kind == FETCH_BLOB)
		r = serve_stream(w, q, &a);
	else
		r = session_request(w->session, q, &small, upload_fd, a.media_type, &a.error);
	if (r == 0) {
		/* Of tries that failed before one did not. */
		err_clear(&a.error);
		a.body_len = b.len;
	}
	r = send_answer(&a, b.data);
	strbuf_done(&b);
	return r;
}

/* ---- the process ------------------------------------------------------------------------------------------- */

/* libcurl and its TLS read files of their own when they are first used. */
int fetch_worker_prepare(struct err *e)
{
	struct http *h;
	int r = http_new("", 0, &h, e);

	if (r == 0)
		http_free(h);
	return r;
}

static int take_registry(struct worker *w, struct err *e)
{
	void *pem = NULL;
	size_t len = 0;
	int r = fd_read_exact(FETCH_FD_REQUESTS, &w->registry, sizeof(w->registry), "registry", e);

	if (r == 0)
		r = check_registry(&w->registry, e);
	if (r == 0)
		r = map_certificates(&pem, &len, e);
	if (r == 0)
		r = http_new(pem, len, &w->http, e);
	return r < 0 ? r : session_new(w->http, &w->registry, &w->session, e);
}

void fetch_worker_fail(const struct err *why)
{
	struct fetch_answer a = {.error = *why};

	fd_close(FETCH_FD_STREAM);
	send_answer(&a, NULL);
}

/* One request, and the file that comes with it (-1: none). -ENODATA at the end. */
static int next_request(struct fetch_request *q, int *ret_fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec v = {q, sizeof(*q)};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof(control.room)};
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(FETCH_FD_REQUESTS, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*q))
		return -ENODATA;
	*ret_fd = -1;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return 0;
}

int fetch_worker_run(void)
{
	_cleanup_free_ struct worker *w = calloc(1, sizeof(*w));
	struct fetch_request q;
	struct err e = ERR_INIT;
	int r = w ? take_registry(w, &e) : err_nomem(&e);

	if (r < 0) {
		fetch_worker_fail(&e);
		return 1;
	}
	w->stream_open = true;
	do {
		_cleanup_close_ int fd = -1;

		r = next_request(&q, &fd);
		if (r == 0)
			r = serve(w, &q, fd);
	} while (r == 0);
	session_free(w->session);
	http_free(w->http);
	explicit_bzero(&w->registry, sizeof(w->registry));
	return 0;
}
