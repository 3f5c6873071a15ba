/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of vsock connections. A guest may send what it was granted, VSOCK_BUFFER_BYTES beyond what the host
 * took, so a ring of that size never overflows; more is a broken promise that ends the connection.
 */
#include "virtio_vsock_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define GREETING_MAX 32 /* "CONNECT 4294967295\n" and some */

static struct vsock_conn **bucket_of(const struct vsock_table *t, uint32_t guest_port,
				     uint32_t host_port)
{
	uint32_t h = (guest_port * 0x9e3779b1u) ^ (host_port * 0x85ebca6bu);

	return (struct vsock_conn **)(uintptr_t)&t->bucket[(h >> 8) % VSOCK_CONNECTIONS_MAX];
}

struct vsock_conn *vsock_find(const struct vsock_table *t, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_conn *c = *bucket_of(t, guest_port, host_port);

	while (c && (c->guest_port != guest_port || c->host_port != host_port ||
		     c->state == VSOCK_GREETING || c->state == VSOCK_LINGERING))
		c = c->next_in_bucket;
	return c;
}

static void link_in(struct vsock_table *t, struct vsock_conn *c)
{
	struct vsock_conn **b = bucket_of(t, c->guest_port, c->host_port);

	c->next_in_bucket = *b;
	*b = c;
}

static void unlink_from(struct vsock_table *t, struct vsock_conn *c)
{
	struct vsock_conn **at = bucket_of(t, c->guest_port, c->host_port);

	while (*at != c)
		at = &(*at)->next_in_bucket;
	*at = c->next_in_bucket;
}

struct vsock_conn *vsock_add(struct vsock_table *t, uint32_t guest_port, uint32_t host_port, int fd)
{
	struct vsock_conn *c = t->n < VSOCK_CONNECTIONS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return NULL;
	c->guest_port = guest_port;
	c->host_port = host_port;
	c->fd = fd;
	c->guest_sends = c->guest_receives = true;
	link_in(t, c);
	t->n++;
	return c;
}

void vsock_rename(struct vsock_table *t, struct vsock_conn *c, uint32_t guest_port,
		  uint32_t host_port)
{
	unlink_from(t, c);
	c->guest_port = guest_port;
	c->host_port = host_port;
	link_in(t, c);
}

void vsock_remove(struct vsock_table *t, struct vsock_conn *c)
{
	unlink_from(t, c);
	t->n--;
	fd_close(c->fd);
	free(c->buffer);
	free(c);
}

uint32_t vsock_credit(const struct vsock_conn *c)
{
	uint32_t under_way = c->sent - c->peer_forwarded;

	return c->peer_buffer > under_way ? c->peer_buffer - under_way : 0;
}

bool vsock_set_credit(struct vsock_conn *c, uint32_t buffer, uint32_t forwarded)
{
	/* It can have taken what it was sent, and not less than it said before. */
	if (forwarded - c->peer_forwarded > c->sent - c->peer_forwarded)
		return false;
	c->peer_buffer = buffer;
	c->peer_forwarded = forwarded;
	return true;
}

static bool keep(struct vsock_conn *c, const struct virtq_chain *chain, uint64_t skip, uint32_t len)
{
	if (!c->buffer)
		c->buffer = malloc(VSOCK_BUFFER_BYTES);
	if (!c->buffer || len > VSOCK_BUFFER_BYTES - c->len)
		return false;
	while (len) {
		uint32_t at = (c->start + c->len) % VSOCK_BUFFER_BYTES;
		uint32_t n = len < VSOCK_BUFFER_BYTES - at ? len : VSOCK_BUFFER_BYTES - at;

		virtq_copy_out(chain, skip, c->buffer + at, n);
		c->len += n;
		skip += n;
		len -= n;
	}
	return true;
}

bool vsock_to_host(struct vsock_conn *c, const struct virtq_chain *chain, uint64_t skip,
		   uint32_t len)
{
	struct iovec iov[VIRTQ_SIZE_MAX];
	struct msghdr m = {.msg_iov = iov};
	ssize_t n = 0;

	if (len > VSOCK_BUFFER_BYTES - (c->received - c->forwarded))
		return false;
	c->received += len;
	if (!c->len && len) {
		m.msg_iovlen =
			virtq_slice(chain->iov, chain->n_out, skip, len, iov, VIRTQ_SIZE_MAX);
		do
			n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0)
			n = 0;
		c->forwarded += (uint32_t)n;
	}
	return (uint32_t)n == len || keep(c, chain, skip + (uint64_t)n, len - (uint32_t)n);
}

bool vsock_flush(struct vsock_conn *c)
{
	while (c->len) {
		uint32_t first = c->len < VSOCK_BUFFER_BYTES - c->start
					 ? c->len
					 : VSOCK_BUFFER_BYTES - c->start;
		ssize_t n = send(c->fd, c->buffer + c->start, first, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		c->start = (c->start + (uint32_t)n) % VSOCK_BUFFER_BYTES;
		c->len -= (uint32_t)n;
		c->forwarded += (uint32_t)n;
	}
	return true;
}

int vsock_greeting(struct vsock_conn *c, uint32_t *ret_port)
{
	char text[GREETING_MAX + 1];
	ssize_t n = recv(c->fd, text, GREETING_MAX, MSG_PEEK | MSG_DONTWAIT);
	char *end;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EPROTO;
	text[n] = 0;
	end = memchr(text, '\n', (size_t)n);
	if (!end)
		return n == 0 || n == GREETING_MAX ? -EPROTO : 0;
	/* Exactly the line is taken; what follows is the stream. */
	if (recv(c->fd, text, (size_t)(end - text) + 1, MSG_DONTWAIT) != end - text + 1)
		return -EPROTO;
	*end = 0;
	if (!str_has_prefix(text, "CONNECT ") || parse_u32(text + strlen("CONNECT "), ret_port) < 0)
		return -EPROTO;
	return 1;
}

int vsock_connect_host(const char *path, uint32_t port)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -EBADF;
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s_%u", path, port);

	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* A listener whose queue is full (EAGAIN) refuses: there is nobody who would tell when it is not. */
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* ---- the broker ---------------------------------------------------------------------------------- */

int vsock_send_port(int socket, const uint32_t *port, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	uint32_t value = port ? *port : 0;
	struct iovec iov = {.iov_base = &value, .iov_len = sizeof(value)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	do
		n = sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int vsock_receive_port(int socket, uint32_t *ret_port)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	uint32_t value = 0;
	struct iovec iov = {.iov_base = &value, .iov_len = sizeof(value)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control.bytes)};
	_cleanup_close_ int fd = -ECONNREFUSED;
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (n == 0 && fd < 0)
		return -EPIPE;
	if (n != sizeof(value))
		return -EPROTO;
	*ret_port = value;
	return fd < 0 ? -ECONNREFUSED : TAKE_FD(fd);
}

int vsock_ask_broker(int broker_fd, uint32_t port)
{
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	/* A broker with too much to do refuses, as a host would. */
	r = vsock_send_port(broker_fd, &port, theirs);
	return r < 0 ? r : TAKE_FD(ours);
}

int vsock_take_answer(int fd)
{
	uint32_t ignored;

	return vsock_receive_port(fd, &ignored);
}
