/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's side of vsock: packets. What the guest is to be told is a set of bits per connection, and connections with
 * bits stand in a list that is served in turn as long as the driver has buffers; so nothing grows when it has none.
 * Answers to packets of no connection are kept in a short list, and when that is full the driver's own queue waits.
 */
#include "virtio_vsock.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "virtio_vsock_conn.h"

#define QUEUE_RX   0u
#define QUEUE_TX   1u
#define QUEUE_SIZE 128u
#define HOST_CID   2u
#define PACKET_MAX (64u << 10)
#define RSTS_MAX   64u
#define BURST      256u
/* Ports of connections that the host begins, out of the way of well-known ones. */
#define HOST_PORT_FIRST (1u << 30)

struct vsock {
	struct virtio_device d;
	struct virtio_vsock_config config;
	int listen_fd;
	uint64_t listen_source;
	char *path;
	int broker_fd; /* -1: none */
	uint32_t next_host_port;
	struct vsock_table table;
	struct vsock_conn *first, *last; /* with something to say */
	unsigned n_rsts;
	struct virtio_vsock_hdr rst[RSTS_MAX]; /* whole headers, ready to go */
};

static struct vsock *of(struct virtio_device *d)
{
	return (struct vsock *)(void *)d;
}

static void to_guest(struct vsock *v);

/* ---- connections -------------------------------------------------------------------------------- */

static void list_remove(struct vsock *v, struct vsock_conn *c)
{
	*(c->prev_to_say ? &c->prev_to_say->next_to_say : &v->first) = c->next_to_say;
	*(c->next_to_say ? &c->next_to_say->prev_to_say : &v->last) = c->prev_to_say;
	c->next_to_say = c->prev_to_say = NULL;
}

static void list_append(struct vsock *v, struct vsock_conn *c)
{
	c->prev_to_say = v->last;
	*(v->last ? &v->last->next_to_say : &v->first) = c;
	v->last = c;
}

static void say(struct vsock *v, struct vsock_conn *c, unsigned what)
{
	if (!c->say)
		list_append(v, c);
	c->say |= what;
}

static void drop(struct vsock *v, struct vsock_conn *c)
{
	if (c->say)
		list_remove(v, c);
	io_loop_remove(v->d.loop, &c->source);
	vsock_remove(&v->table, c);
}

/* End it on both sides: the host sees the end now, the guest as soon as it has a buffer. */
static void kill_conn(struct vsock *v, struct vsock_conn *c)
{
	if (c->state == VSOCK_GREETING || c->state == VSOCK_LINGERING) {
		drop(v, c);
		return;
	}
	io_loop_remove(v->d.loop, &c->source);
	c->fd = fd_close(c->fd);
	c->state = VSOCK_DYING;
	if (c->say)
		list_remove(v, c);
	c->say = 0;
	say(v, c, VSOCK_SAY_RST);
}

static void watch(struct vsock *v, struct vsock_conn *c)
{
	uint32_t events = 0;

	if (c->state == VSOCK_GREETING || c->state == VSOCK_ASKING ||
	    (c->state == VSOCK_OPEN && !c->host_ended && c->guest_receives &&
	     !(c->say & VSOCK_SAY_DATA) && vsock_credit(c)))
		events |= EPOLLIN;
	if (c->len)
		events |= EPOLLOUT;
	io_loop_change(v->d.loop, c->source, events);
}

/* After bytes went to the host: grant the guest more before it runs dry, and end what is to be ended. False: it is
 * gone. */
static bool after_flush(struct vsock *v, struct vsock_conn *c)
{
	if (c->state == VSOCK_OPEN && c->forwarded - c->told_forwarded >= VSOCK_BUFFER_BYTES / 2)
		say(v, c, VSOCK_SAY_CREDIT);
	if (!c->len && !c->guest_sends) {
		if (!c->guest_receives) {
			kill_conn(v, c);
			return false;
		}
		shutdown(c->fd, SHUT_WR);
	}
	watch(v, c);
	return true;
}

static bool host_port_taken(const struct vsock *v, uint32_t port)
{
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
		for (const struct vsock_conn *c = v->table.bucket[i]; c; c = c->next_in_bucket)
			if (c->host_port == port)
				return true;
	return false;
}

static void on_greeting(struct vsock *v, struct vsock_conn *c)
{
	uint32_t port, host_port;
	int r = vsock_greeting(c, &port);

	if (r < 0)
		drop(v, c);
	if (r <= 0)
		return;
	do
		host_port = v->next_host_port++ | HOST_PORT_FIRST;
	while (host_port_taken(v, host_port));
	vsock_rename(&v->table, c, port, host_port);
	c->state = VSOCK_CONNECTING;
	say(v, c, VSOCK_SAY_REQUEST);
	watch(v, c);
}

static void on_socket(void *self, uint32_t events);

/* The guest's connection is there, or refused. */
static void on_answer(struct vsock *v, struct vsock_conn *c)
{
	_cleanup_close_ int fd = vsock_take_answer(c->fd);
	uint64_t source;

	if (fd == -EAGAIN)
		return;
	if (fd < 0 || io_loop_add(v->d.loop, fd, 0, on_socket, c, &source, NULL) < 0) {
		kill_conn(v, c);
		return;
	}
	io_loop_remove(v->d.loop, &c->source);
	fd_close(c->fd);
	c->fd = TAKE_FD(fd);
	c->source = source;
	c->state = VSOCK_OPEN;
	say(v, c, VSOCK_SAY_RESPONSE);
	watch(v, c);
}

static void on_socket(void *self, uint32_t events)
{
	struct vsock_conn *c = self;
	struct vsock *v = c->device;

	if (c->state == VSOCK_GREETING) {
		on_greeting(v, c);
		to_guest(v);
		return;
	}
	if (c->state == VSOCK_ASKING) {
		on_answer(v, c);
		to_guest(v);
		return;
	}
	if (events & EPOLLHUP)
		c->host_hung_up = true;
	if (c->len && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		if (!vsock_flush(c)) {
			kill_conn(v, c);
			to_guest(v);
			return;
		}
		if (!after_flush(v, c)) {
			to_guest(v);
			return;
		}
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->state == VSOCK_OPEN && !c->host_ended)
		say(v, c, VSOCK_SAY_DATA);
	watch(v, c);
	to_guest(v);
}

static struct vsock_conn *new_conn(struct vsock *v, uint32_t guest_port, uint32_t host_port, int fd)
{
	struct vsock_conn *c = vsock_add(&v->table, guest_port, host_port, fd);

	if (!c)
		return NULL;
	c->device = v;
	if (io_loop_add(v->d.loop, fd, 0, on_socket, c, &c->source, NULL) < 0) {
		c->fd = -EBADF; /* stays the caller's */
		vsock_remove(&v->table, c);
		return NULL;
	}
	return c;
}

static void on_listen(void *self, _unused_ uint32_t events)
{
	struct vsock *v = self;
	_cleanup_close_ int fd = accept4(v->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct vsock_conn *c;

	if (!v->d.active)
		io_loop_change(v->d.loop, v->listen_source, 0);
	if (fd < 0 || !v->d.active)
		return;
	/* No ports yet: it is found by nobody while it greets. */
	c = new_conn(v, 0, 0, fd);
	if (!c)
		return;
	(void)TAKE_FD(fd);
	c->state = VSOCK_GREETING;
	watch(v, c);
}

/* ---- to the guest ------------------------------------------------------------------------------- */

static struct virtio_vsock_hdr header(const struct vsock *v, const struct vsock_conn *c,
				      uint16_t op)
{
	return (struct virtio_vsock_hdr){
		.src_cid = HOST_CID,
		.dst_cid = v->config.guest_cid,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = VSOCK_BUFFER_BYTES,
		.fwd_cnt = c->forwarded,
	};
}

/* Read from the host into the guest's buffer. Bytes, 0: nothing for now or the end. */
static uint32_t read_host(struct vsock_conn *c, const struct virtq_chain *chain)
{
	struct iovec iov[VIRTQ_SIZE_MAX];
	uint64_t room = chain->in_bytes - sizeof(struct virtio_vsock_hdr);
	uint32_t credit = vsock_credit(c);
	uint32_t max = credit < PACKET_MAX ? credit : PACKET_MAX;
	unsigned k;
	ssize_t n;

	c->say &= ~VSOCK_SAY_DATA;
	if (c->host_ended || !c->guest_receives)
		return 0;
	if (!max) {
		c->say |= VSOCK_SAY_CREDIT_REQUEST;
		return 0;
	}
	k = virtq_slice(virtq_in(chain), chain->n_in, sizeof(struct virtio_vsock_hdr),
			room < max ? room : max, iov, VIRTQ_SIZE_MAX);
	do
		n = readv(c->fd, iov, (int)k);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		c->say |= VSOCK_SAY_DATA; /* perhaps more */
		c->sent += (uint32_t)n;
		return (uint32_t)n;
	}
	if (n == 0 || errno != EAGAIN) {
		c->host_ended = true;
		c->say |= VSOCK_SAY_SHUTDOWN;
	}
	return 0;
}

/* The next packet of a connection into h; its data is in the chain already. False: none after all. */
static bool next_packet(struct vsock *v, struct vsock_conn *c, const struct virtq_chain *chain,
			struct virtio_vsock_hdr *h)
{
	static const struct {
		unsigned bit;
		uint16_t op;
	} simple[] = {
		{VSOCK_SAY_RST, VIRTIO_VSOCK_OP_RST},
		{VSOCK_SAY_REQUEST, VIRTIO_VSOCK_OP_REQUEST},
		{VSOCK_SAY_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
		{VSOCK_SAY_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
		{VSOCK_SAY_CREDIT_REQUEST, VIRTIO_VSOCK_OP_CREDIT_REQUEST},
	};
	uint32_t n;

	for (size_t i = 0; i < ARRAY_SIZE(simple); i++)
		if (c->say & simple[i].bit) {
			c->say &= ~simple[i].bit;
			*h = header(v, c, simple[i].op);
			return true;
		}
	if (c->say & VSOCK_SAY_DATA) {
		n = read_host(c, chain);
		if (n) {
			*h = header(v, c, VIRTIO_VSOCK_OP_RW);
			h->len = n;
			return true;
		}
	}
	if (c->say & VSOCK_SAY_CREDIT_REQUEST) {
		c->say &= ~VSOCK_SAY_CREDIT_REQUEST;
		*h = header(v, c, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
		return true;
	}
	if (c->say & VSOCK_SAY_SHUTDOWN) {
		c->say &= ~VSOCK_SAY_SHUTDOWN;
		*h = header(v, c, VIRTIO_VSOCK_OP_SHUTDOWN);
		h->flags = VIRTIO_VSOCK_SHUTDOWN_SEND |
			   (c->host_hung_up ? VIRTIO_VSOCK_SHUTDOWN_RCV : 0);
		return true;
	}
	return false;
}

static void give(struct vsock *v, const struct virtq_chain *chain, const struct virtio_vsock_hdr *h)
{
	virtq_copy_in(chain, 0, h, sizeof(*h));
	virtq_push(&v->d.queue[QUEUE_RX], chain->head, (uint32_t)sizeof(*h) + h->len);
}

/* The first connection in the list has its turn. */
static void serve_first(struct vsock *v, const struct virtq_chain *chain)
{
	struct vsock_conn *c = v->first;
	struct virtio_vsock_hdr h;
	bool spoke;

	list_remove(v, c);
	spoke = next_packet(v, c, chain, &h);
	if (spoke) {
		c->told_forwarded = c->forwarded;
		give(v, chain, &h);
	} else {
		virtq_unpop(&v->d.queue[QUEUE_RX], chain->head);
	}
	if (c->state == VSOCK_DYING) {
		vsock_remove(&v->table, c);
		return;
	}
	if (c->say)
		list_append(v, c);
	watch(v, c);
}

static void to_guest(struct vsock *v)
{
	bool was_full = v->n_rsts == RSTS_MAX;
	struct virtq_chain chain;
	struct err e = ERR_INIT;

	for (unsigned i = 0; v->d.active && (v->n_rsts || v->first); i++) {
		if (i == BURST) {
			v->d.transport->kick_again(&v->d, QUEUE_RX);
			break;
		}
		if (!virtio_take(&v->d, QUEUE_RX, &chain))
			break;
		if (chain.n_out || chain.in_bytes <= sizeof(struct virtio_vsock_hdr)) {
			err_set(&e, ERR_INVALID, EPROTO, "a receive buffer of %ju bytes",
				(uintmax_t)chain.in_bytes);
			virtio_fail(&v->d, &e);
			return;
		}
		if (v->n_rsts) {
			give(v, &chain, &v->rst[0]);
			memmove(v->rst, v->rst + 1, --v->n_rsts * sizeof(v->rst[0]));
		} else {
			serve_first(v, &chain);
		}
	}
	virtio_signal(&v->d, QUEUE_RX);
	/* The driver's packets may have waited for room in that list. */
	if (was_full && v->n_rsts < RSTS_MAX)
		v->d.transport->kick_again(&v->d, QUEUE_TX);
}

/* ---- from the guest ----------------------------------------------------------------------------- */

/* "No such connection", to whatever the guest said; never to an RST. */
static void refuse(struct vsock *v, const struct virtio_vsock_hdr *h)
{
	if (h->op == VIRTIO_VSOCK_OP_RST)
		return;
	v->rst[v->n_rsts++] = (struct virtio_vsock_hdr){
		.src_cid = h->dst_cid,
		.dst_cid = v->config.guest_cid,
		.src_port = h->dst_port,
		.dst_port = h->src_port,
		.type = h->type,
		.op = VIRTIO_VSOCK_OP_RST,
	};
}

static int reach_host(const struct vsock *v, uint32_t port)
{
	if (v->path)
		return vsock_connect_host(v->path, port);
	return v->broker_fd >= 0 ? vsock_ask_broker(v->broker_fd, port) : -ECONNREFUSED;
}

static void on_request(struct vsock *v, const struct virtio_vsock_hdr *h)
{
	_cleanup_close_ int fd = reach_host(v, h->dst_port);
	struct vsock_conn *c = fd >= 0 ? new_conn(v, h->src_port, h->dst_port, fd) : NULL;

	if (!c) {
		refuse(v, h);
		return;
	}
	(void)TAKE_FD(fd);
	c->state = v->path ? VSOCK_OPEN : VSOCK_ASKING;
	c->peer_buffer = h->buf_alloc;
	if (v->path)
		say(v, c, VSOCK_SAY_RESPONSE);
	watch(v, c);
}

static bool on_response(struct vsock *v, struct vsock_conn *c)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "OK %u\n", c->host_port);

	if (c->state != VSOCK_CONNECTING)
		return false;
	c->state = VSOCK_OPEN;
	/* The first bytes in an empty socket: they fit, or somebody plays with its buffer size. */
	if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
		return false;
	watch(v, c);
	return true;
}

static bool on_shutdown(struct vsock *v, struct vsock_conn *c, uint32_t flags)
{
	if (c->state != VSOCK_OPEN)
		return false;
	if (flags & VIRTIO_VSOCK_SHUTDOWN_RCV)
		c->guest_receives = false;
	if (flags & VIRTIO_VSOCK_SHUTDOWN_SEND)
		c->guest_sends = false;
	after_flush(v, c);
	return true;
}

static bool on_data(struct vsock *v, struct vsock_conn *c, const struct virtq_chain *chain,
		    uint32_t len)
{
	if (c->state != VSOCK_OPEN || !c->guest_sends ||
	    !vsock_to_host(c, chain, sizeof(struct virtio_vsock_hdr), len))
		return false;
	after_flush(v, c);
	return true;
}

/* A guest that closed waits some seconds for the host and then resets; what it sent before is still the host's to read. */
static void on_rst(struct vsock *v, struct vsock_conn *c)
{
	if (c->state != VSOCK_OPEN || c->guest_sends || !c->len) {
		drop(v, c);
		return;
	}
	if (c->say)
		list_remove(v, c);
	c->say = 0;
	c->state = VSOCK_LINGERING;
	c->guest_receives = false;
	watch(v, c);
}

/* A packet of a known connection. False: it broke the protocol, or the host is gone. */
static bool on_packet(struct vsock *v, struct vsock_conn *c, const struct virtq_chain *chain,
		      const struct virtio_vsock_hdr *h)
{
	switch (h->op) {
	case VIRTIO_VSOCK_OP_RESPONSE:
		return on_response(v, c);
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		return on_shutdown(v, c, h->flags);
	case VIRTIO_VSOCK_OP_RW:
		return on_data(v, c, chain, h->len);
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		watch(v, c);
		return true;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		say(v, c, VSOCK_SAY_CREDIT);
		return true;
	default:
		return false;
	}
}

static void dispatch(struct vsock *v, const struct virtq_chain *chain,
		     const struct virtio_vsock_hdr *h)
{
	struct vsock_conn *c;

	/* Nobody but the guest sends here, and to nobody but the host. */
	if (h->src_cid != v->config.guest_cid)
		return;
	if (h->dst_cid != HOST_CID || h->type != VIRTIO_VSOCK_TYPE_STREAM) {
		refuse(v, h);
		return;
	}
	c = vsock_find(&v->table, h->src_port, h->dst_port);
	if (!c && h->op == VIRTIO_VSOCK_OP_REQUEST) {
		on_request(v, h);
	} else if (!c) {
		refuse(v, h);
	} else if (h->op == VIRTIO_VSOCK_OP_RST) {
		on_rst(v, c);
	} else if (c->state == VSOCK_DYING) {
		return;
	} else if (!vsock_set_credit(c, h->buf_alloc, h->fwd_cnt) || !on_packet(v, c, chain, h)) {
		kill_conn(v, c);
	}
}

static enum virtio_step from_guest(struct virtio_device *d, unsigned queue, struct virtq_chain *c,
				   struct err *e)
{
	struct vsock *v = of(d);
	struct virtio_vsock_hdr h;

	if (v->n_rsts == RSTS_MAX)
		return VIRTIO_STOP;
	if (c->n_in || virtq_copy_out(c, 0, &h, sizeof(h)) != sizeof(h) || h.len > PACKET_MAX ||
	    h.len > c->out_bytes - sizeof(h)) {
		err_set(e, ERR_INVALID, EPROTO, "a packet of %ju bytes that is none",
			(uintmax_t)c->out_bytes);
		return VIRTIO_FAIL;
	}
	dispatch(v, c, &h);
	virtq_push(&d->queue[queue], c->head, 0);
	return VIRTIO_NEXT;
}

static void vsock_notify(struct virtio_device *d, unsigned queue)
{
	struct vsock *v = of(d);

	if (queue == QUEUE_TX)
		virtio_run(d, queue, from_guest);
	/* The event queue is for migrations, which do not happen. */
	to_guest(v);
}

/* ---- the device --------------------------------------------------------------------------------- */

static void vsock_config_read(struct virtio_device *d, uint32_t offset, void *data, uint32_t len)
{
	virtio_config_copy(&of(d)->config, sizeof(of(d)->config), offset, data, len);
}

static int vsock_activate(struct virtio_device *d, struct err *e)
{
	struct vsock *v = of(d);

	if (v->listen_fd < 0)
		return 0;
	return io_loop_add(d->loop, v->listen_fd, EPOLLIN, on_listen, v, &v->listen_source, e);
}

static void vsock_reset(struct virtio_device *d)
{
	struct vsock *v = of(d);

	io_loop_remove(d->loop, &v->listen_source);
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
		while (v->table.bucket[i])
			drop(v, v->table.bucket[i]);
	v->n_rsts = 0;
}

static void vsock_free(struct virtio_device *d)
{
	struct vsock *v = of(d);

	fd_close(v->listen_fd);
	free(v->path);
	free(v);
}

static const struct virtio_device_ops vsock_ops = {
	.config_read = vsock_config_read,
	.activate = vsock_activate,
	.notify = vsock_notify,
	.reset = vsock_reset,
	.free = vsock_free,
};

int virtio_vsock_new(const struct virtio_vsock_setup *setup, struct virtio_device **ret,
		     struct err *e)
{
	_cleanup_close_ int listen_fd = setup->listen_fd;
	struct vsock *v;

	if (setup->guest_cid < 3 || setup->guest_cid >= UINT32_MAX)
		return err_invalid(e, "vsock: CID %ju is not one of a guest (3 to 4294967294)",
				   (uintmax_t)setup->guest_cid);
	v = calloc(1, sizeof(*v));
	if (!v)
		return err_nomem(e);
	if (setup->path) {
		v->path = strdup(setup->path);
		if (!v->path) {
			free(v);
			return err_nomem(e);
		}
	}
	v->listen_fd = TAKE_FD(listen_fd);
	v->broker_fd = setup->has_broker ? setup->broker_fd : -EBADF;
	v->config.guest_cid = setup->guest_cid;
	v->d.ops = &vsock_ops;
	v->d.name = "vsock";
	v->d.id = VIRTIO_ID_VSOCK;
	v->d.offered = VIRTIO_FEATURES_RING;
	v->d.config_bytes = sizeof(v->config);
	v->d.n_queues = 3;
	for (unsigned i = 0; i < 3; i++)
		v->d.queue_size[i] = QUEUE_SIZE;
	*ret = &v->d;
	return 0;
}
