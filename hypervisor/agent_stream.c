/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of processes over an agent connection: credit, the ring of a sink, ends in both
 * directions. See hypervisor/agent_stream.h for the rules.
 */
#include "hypervisor/agent_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

/* Grants are saved up to this much, so that a slow reader does not cost a frame per write. */
#define GRANT_STEP (AGENT_WINDOW / 4)

/* ---- descriptors ------------------------------------------------------------------------ */

int agent_stream_open(int fd, bool for_writing)
{
	char name[PATH_FD_MAX];
	struct stat st;
	int again, flags;

	if (fd < 0)
		return -EBADF;
	if (fstat(fd, &st) < 0) {
		int r = -errno;

		fd_close(fd);
		return r;
	}
	if (!S_ISFIFO(st.st_mode) && !(S_ISCHR(st.st_mode) && isatty(fd)))
		return fd;
	/* Already ours alone in spirit: whoever gave it lives with O_NONBLOCK. */
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && (flags & O_NONBLOCK))
		return fd;
	again = open(path_of_fd(fd, name),
		     (for_writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (again < 0)
		return fd; /* no permission, no procfs: small pieces after poll will do */
	fd_close(fd);
	return again;
}

/* Can the descriptor be used right now without blocking? */
static bool is_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) > 0;
}

static bool is_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_NONBLOCK);
}

static ssize_t read_some(int fd, void *buf, size_t n)
{
	ssize_t got;

	if (!is_nonblocking(fd) && !is_ready(fd, POLLIN)) {
		errno = EAGAIN;
		return -1;
	}
	do
		got = read(fd, buf, n);
	while (got < 0 && errno == EINTR);
	return got;
}

/* A ready pipe takes PIPE_BUF bytes whatever its mode; a socket can be asked per call. */
static ssize_t write_some(int fd, const struct iovec *v, int n)
{
	struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n};
	ssize_t put;

	if (is_nonblocking(fd)) {
		do
			put = writev(fd, v, n);
		while (put < 0 && errno == EINTR);
		return put;
	}
	put = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put >= 0 || errno != ENOTSOCK)
		return put;
	if (!is_ready(fd, POLLOUT)) {
		errno = EAGAIN;
		return -1;
	}
	do
		put = write(fd, v[0].iov_base, v[0].iov_len < PIPE_BUF ? v[0].iov_len : PIPE_BUF);
	while (put < 0 && errno == EINTR);
	return put;
}

static int send_frame(struct agent_conn *c, enum agent_type type, uint32_t proc, uint8_t stream,
		      uint32_t value)
{
	struct agent_header h = {
		.type = (uint8_t)type, .stream = stream, .proc = proc, .value = value};

	return agent_send(c, &h, NULL);
}

/* ---- source ----------------------------------------------------------------------------- */

void agent_source_init(struct agent_source *s, int fd, uint32_t proc, enum agent_stream stream)
{
	*s = (struct agent_source){
		.fd = fd, .credit = AGENT_WINDOW, .proc = proc, .stream = (uint8_t)stream};
}

void agent_source_done(struct agent_source *s)
{
	s->fd = fd_close(s->fd);
}

bool agent_source_wants(const struct agent_source *s, const struct agent_conn *c)
{
	return s->fd >= 0 && s->credit > 0 && !agent_conn_wants_write(c);
}

int agent_source_end(struct agent_source *s, struct agent_conn *c)
{
	int r;

	s->fd = fd_close(s->fd);
	if (s->end_sent)
		return 0;
	r = send_frame(c, AGENT_DATA, s->proc, s->stream, 0);
	if (r == 0)
		s->end_sent = true;
	return r;
}

int agent_source_move(struct agent_source *s, struct agent_conn *c)
{
	uint8_t buf[AGENT_PAYLOAD_MAX];
	struct agent_header h = {.type = AGENT_DATA, .stream = s->stream, .proc = s->proc};
	ssize_t n;
	int r;

	if (s->fd < 0)
		return -ENODATA;
	if (!s->credit)
		return 0;
	n = read_some(s->fd, buf, s->credit < sizeof(buf) ? s->credit : sizeof(buf));
	if (n < 0 && errno == EAGAIN)
		return 0;
	/* EIO is how a terminal's master tells that the last slave was closed. */
	if (n <= 0) {
		r = agent_source_end(s, c);
		return r < 0 ? r : -ENODATA;
	}
	h.length = (uint32_t)n;
	r = agent_send(c, &h, buf);
	if (r < 0)
		return r;
	s->credit -= (uint32_t)n;
	return 1;
}

int agent_source_grant(struct agent_source *s, uint32_t bytes)
{
	if (bytes > AGENT_WINDOW - s->credit)
		return -EPROTO;
	s->credit += bytes;
	return 0;
}

void agent_source_abort(struct agent_source *s)
{
	s->fd = fd_close(s->fd);
	s->end_sent = true; /* who does not read needs no end */
}

/* ---- sink ------------------------------------------------------------------------------- */

void agent_sink_init(struct agent_sink *s, int fd, uint32_t proc, enum agent_stream stream)
{
	*s = (struct agent_sink){
		.fd = fd, .window = AGENT_WINDOW, .proc = proc, .stream = (uint8_t)stream};
}

void agent_sink_done(struct agent_sink *s)
{
	s->fd = fd_close(s->fd);
	free(s->buf);
	s->buf = NULL;
	s->len = 0;
}

int agent_sink_push(struct agent_sink *s, const uint8_t *data, uint32_t len)
{
	uint32_t at, first;

	if (s->end)
		return -EPROTO;
	if (!len) {
		s->end = true;
		return 0;
	}
	if (len > s->window)
		return -EPROTO;
	if (s->fd >= 0 && !s->buf) {
		s->buf = malloc(AGENT_WINDOW);
		if (!s->buf)
			return -ENOMEM;
	}
	s->window -= len;
	if (s->fd < 0) {
		s->owed += len;
		return 0;
	}
	/* window + len + owed never exceeds AGENT_WINDOW, so the ring has room. */
	at = (s->start + s->len) % AGENT_WINDOW;
	first = AGENT_WINDOW - at < len ? AGENT_WINDOW - at : len;
	memcpy(s->buf + at, data, first);
	memcpy(s->buf, data + first, len - first);
	s->len += len;
	return 0;
}

bool agent_sink_wants(const struct agent_sink *s)
{
	return s->fd >= 0 && s->len > 0;
}

static int grant(struct agent_sink *s, struct agent_conn *c)
{
	int r;

	if (s->end || !s->owed || (s->owed < GRANT_STEP && s->len))
		return 0;
	r = send_frame(c, AGENT_CREDIT, s->proc, s->stream, s->owed);
	if (r < 0)
		return r;
	s->window += s->owed;
	s->owed = 0;
	return 0;
}

/* The local reader is gone: what is buffered goes nowhere, and the peer is told once. */
static int reader_gone(struct agent_sink *s, struct agent_conn *c)
{
	s->fd = fd_close(s->fd);
	s->owed += s->len;
	s->len = 0;
	if (s->end || s->gone_sent)
		return 0;
	s->gone_sent = true;
	return send_frame(c, AGENT_DATA, s->proc, s->stream, 0);
}

int agent_sink_move(struct agent_sink *s, struct agent_conn *c)
{
	int r;

	while (agent_sink_wants(s)) {
		uint32_t first =
			AGENT_WINDOW - s->start < s->len ? AGENT_WINDOW - s->start : s->len;
		struct iovec v[2] = {{s->buf + s->start, first}, {s->buf, s->len - first}};
		ssize_t n = write_some(s->fd, v, v[1].iov_len ? 2 : 1);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			r = reader_gone(s, c);
			if (r < 0)
				return r;
			break;
		}
		s->start = (s->start + (uint32_t)n) % AGENT_WINDOW;
		s->len -= (uint32_t)n;
		s->owed += (uint32_t)n;
	}
	if (s->end && !s->len)
		s->fd = fd_close(s->fd);
	return grant(s, c);
}

bool agent_sink_is_done(const struct agent_sink *s)
{
	return s->fd < 0 || (s->end && !s->len);
}
