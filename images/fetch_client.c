/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking insula-fetch. Its answers have a fixed shape and are bounded here once more; texts in them come from the network and
 * are made safe before anybody sees them.
 */
#include "fetch_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"

#define STREAM_BYTES (1 << 20)

struct pipes {
	int requests[2], answers[2], stream[2];
};

static void pipes_done(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		fd_close(p->requests[i]);
		fd_close(p->answers[i]);
		fd_close(p->stream[i]);
	}
}

static int pipes_make(struct pipes *p, struct err *e)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->requests) < 0 ||
	    pipe2(p->answers, O_CLOEXEC) < 0 || pipe2(p->stream, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make pipes");
	/* More in flight, fewer switches; as much as the host allows is enough. */
	fcntl(p->stream[0], F_SETPIPE_SZ, STREAM_BYTES);
	return 0;
}

static int start(struct img_store *s, const struct pipes *p, int certificates, pid_t *ret_pid,
		 struct err *e)
{
	char *args[] = {(char *)IMG_FETCH_PROGRAM, NULL};
	const int fds[] = {p->requests[0], p->answers[1], p->stream[1], certificates};

	if (!s->fetch)
		return err_set(e, ERR_INTERNAL, ENOTSUP, "the store has no way to a registry");
	return s->fetch(s->worker_arg, args, fds, 4, ret_pid, e);
}

/* One message, perhaps with a descriptor. A process that is gone is told by its answer's end. */
static int write_request(int sock, const void *data, size_t len, int fd, struct err *e)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec v = {(void *)data, len};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		control.align = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
	}
	do
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EPIPE && errno != ECONNRESET)
		return err_sys(e, errno, IMG_FETCH_PROGRAM);
	return 0;
}

int fetch_client_start(struct img_store *s, const struct fetch_registry *registry, int certificates,
		       struct fetch_client *ret, struct err *e)
{
	struct fetch_client c = {.cancel = -1};
	struct pipes p;
	int r = pipes_make(&p, e);

	if (r == 0)
		r = start(s, &p, certificates, &c.pid, e);
	if (r == 0) {
		c.requests = TAKE_FD(p.requests[1]);
		c.answers = TAKE_FD(p.answers[0]);
		c.stream = TAKE_FD(p.stream[0]);
	}
	pipes_done(&p);
	if (r < 0)
		return r;
	r = write_request(c.requests, registry, sizeof(*registry), -1, e);
	if (r < 0)
		fetch_client_stop(&c);
	else
		*ret = c;
	return r;
}

void fetch_client_stop(struct fetch_client *c)
{
	int status;

	if (c->pid <= 0)
		return;
	fd_close(c->requests);
	fd_close(c->answers);
	fd_close(c->stream);
	/* It may be in the middle of a request, or of a pause. It holds nothing. */
	kill(c->pid, SIGKILL);
	proc_reap(c->pid, &status, NULL);
	*c = (struct fetch_client){.cancel = -1};
}

/* ---- requests ----------------------------------------------------------------------------------------- */

static int send_request(struct fetch_client *c, enum fetch_kind kind, const char *reference,
			uint64_t size_bytes, struct err *e)
{
	c->request = (struct fetch_request){.kind = kind, .size_bytes = size_bytes};
	if (strlen(reference) >= sizeof(c->request.reference))
		return err_set(e, ERR_INTERNAL, ENAMETOOLONG, "a reference of %zu bytes",
			       strlen(reference));
	memcpy(c->request.reference, reference, strlen(reference));
	return write_request(c->requests, &c->request, sizeof(c->request), -1, e);
}

static int read_answer(struct fetch_client *c, struct fetch_answer *a, struct err *e)
{
	int r = fd_read_exact(c->answers, a, sizeof(*a), "answer", e);

	if (r == -ENODATA || r == -EPIPE)
		return err_set(e, ERR_INTERNAL, EIO, IMG_FETCH_PROGRAM " died");
	if (r < 0)
		return r;
	a->media_type[sizeof(a->media_type) - 1] = '\0';
	if (a->error.kind == ERR_NONE)
		return 0;
	err_sanitize(&a->error);
	if (e)
		*e = a->error;
	return -a->error.errnum;
}

static int read_body(struct fetch_client *c, const struct fetch_answer *a, char **ret,
		     struct err *e)
{
	_cleanup_free_ char *body = NULL;
	int r;

	if (a->body_len > FETCH_MANIFEST_MAX)
		return err_set(e, ERR_INTERNAL, EFBIG, IMG_FETCH_PROGRAM ": too long an answer");
	body = malloc((size_t)a->body_len + 1);
	if (!body)
		return err_nomem(e);
	r = fd_read_exact(c->answers, body, (size_t)a->body_len, "answer", e);
	if (r < 0)
		return r;
	body[a->body_len] = '\0';
	*ret = TAKE_PTR(body);
	return 0;
}

int fetch_client_get(struct fetch_client *c, enum fetch_kind kind, const char *reference,
		     uint64_t size_bytes, char **ret, size_t *ret_len, char *media_type,
		     struct err *e)
{
	struct fetch_answer a;
	int r = send_request(c, kind, reference, size_bytes, e);

	if (r == 0)
		r = read_answer(c, &a, e);
	if (r == 0)
		r = read_body(c, &a, ret, e);
	if (r < 0)
		return r;
	*ret_len = (size_t)a.body_len;
	if (media_type)
		memcpy(media_type, a.media_type, sizeof(a.media_type));
	return 0;
}

/* ---- streams ---------------------------------------------------------------------------------------------- */

static int wait_readable(const struct fetch_client *c, struct err *e)
{
	struct pollfd p[] = {{.fd = c->stream, .events = POLLIN},
			     {.fd = c->cancel, .events = POLLIN}};

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "poll");
	return p[1].revents ? err_set(e, ERR_SYSTEM, ECANCELED, "given up") : 0;
}

/* The end of the stream: the answer tells which. */
static int end_stream(struct fetch_client *c, struct err *e)
{
	struct fetch_answer a;
	int r = read_answer(c, &a, e);

	if (r == 0 && c->done < c->request.size_bytes)
		return err_set(e, ERR_INTERNAL, EIO, IMG_FETCH_PROGRAM " left out a part");
	return r;
}

static int read_stream(void *arg, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	struct fetch_client *c = arg;
	ssize_t n;
	int r = 0;

	if (!c->begun) {
		c->begun = true;
		r = write_request(c->requests, &c->request, sizeof(c->request), -1, e);
	}
	if (r == 0)
		r = wait_readable(c, e);
	if (r < 0)
		return r;
	do
		n = read(c->stream, buf, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "read");
	c->done += (uint64_t)n;
	if (n == 0 || c->done >= c->request.size_bytes) {
		r = end_stream(c, e);
		if (r < 0)
			return r;
	}
	*ret_len = (size_t)n;
	return 0;
}

int fetch_client_put(struct fetch_client *c, enum fetch_kind kind, const char *reference, int fd,
		     uint64_t size_bytes, const char *media_type, struct err *e)
{
	struct fetch_answer a;
	int r;

	c->request = (struct fetch_request){.kind = kind, .size_bytes = size_bytes};
	if (strlen(reference) >= sizeof(c->request.reference) ||
	    strlen(media_type) >= sizeof(c->request.media_type))
		return err_set(e, ERR_INTERNAL, ENAMETOOLONG, "a reference of %zu bytes",
			       strlen(reference));
	memcpy(c->request.reference, reference, strlen(reference));
	memcpy(c->request.media_type, media_type, strlen(media_type));
	r = write_request(c->requests, &c->request, sizeof(c->request), fd, e);
	return r < 0 ? r : read_answer(c, &a, e);
}

static int skip_stream(void *arg, uint64_t bytes, _unused_ struct err *e)
{
	struct fetch_client *c = arg;

	c->request.from_bytes = c->done = bytes;
	c->resumed = true;
	return 0;
}

int fetch_client_blob(struct fetch_client *c, const char *digest, uint64_t size_bytes,
		      struct blob *ret, struct err *e)
{
	if (strlen(digest) >= sizeof(c->request.reference))
		return err_set(e, ERR_INTERNAL, ENAMETOOLONG, "a digest of %zu bytes",
			       strlen(digest));
	if (size_bytes == 0)
		return err_invalid(e, "a layer of no bytes");
	c->request = (struct fetch_request){.kind = FETCH_BLOB, .size_bytes = size_bytes};
	memcpy(c->request.reference, digest, strlen(digest));
	c->done = 0;
	c->begun = c->resumed = false;
	*ret = (struct blob){.fd = -1,
			     .size_bytes = size_bytes,
			     .digest = digest,
			     .read = read_stream,
			     .skip = skip_stream,
			     .arg = c};
	return 0;
}
