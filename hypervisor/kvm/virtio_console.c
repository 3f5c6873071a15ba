/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console. Queues 0 and 1 are port 0's (to the guest, from the guest), 2 and 3 the control queues, 4 and up the other
 * ports'. Control messages to the guest are bits per port, sent in the order of their values when the driver
 * has buffers, so a driver that asks for them without end costs nothing.
 *
 * The data of a port moves straight between the guest's buffers and the descriptors. A chain that the host does not take
 * whole is kept with its position until the descriptor is writable; meanwhile that port's queue rests.
 */
#include "virtio_console.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define QUEUE_SIZE       64u
#define QUEUE_CONTROL_RX 2u
#define QUEUE_CONTROL_TX 3u
#define BURST            64u /* buffers filled before others have their turn */

/* What the guest is still to be told, in this order. */
enum {
	TELL_ADD = 1,
	TELL_CONSOLE = 2,
	TELL_NAME = 4,
	TELL_RESIZE = 8,
	TELL_OPEN = 16,
};

struct port {
	struct console *console;
	unsigned index;
	struct virtio_console_port setup; /* name copied, descriptors duplicated */
	char name[VIRTIO_CONSOLE_NAME_MAX + 1];
	bool is_console;
	uint64_t in_source, out_source;
	bool out_is_socket;
	bool in_ended, out_ended; /* the host's side is gone */
	bool guest_open;
	unsigned tell;
	uint16_t cols, rows;
	bool tx_waits; /* tx is half written */
	uint64_t tx_done;
	struct virtq_chain tx;
};

struct console {
	struct virtio_device d;
	unsigned n;
	struct port port[];
};

static struct console *of(struct virtio_device *d)
{
	return (struct console *)(void *)d;
}

static bool multiport(const struct console *c)
{
	return virtio_has(&c->d, VIRTIO_CONSOLE_F_MULTIPORT);
}

static unsigned rx_queue(const struct port *p)
{
	return p->index ? 2 * p->index + 2 : 0;
}

/* ---- control messages --------------------------------------------------------------------------- */

static size_t control_message(struct port *p, unsigned what, uint8_t *ret)
{
	struct virtio_console_control m = {.id = p->index, .value = 1};
	const struct {
		uint16_t cols, rows;
	} size = {.cols = p->cols, .rows = p->rows};
	size_t extra = 0;

	switch (what) {
	case TELL_ADD:
		m.event = VIRTIO_CONSOLE_PORT_ADD;
		break;
	case TELL_CONSOLE:
		m.event = VIRTIO_CONSOLE_CONSOLE_PORT;
		break;
	case TELL_NAME:
		m.event = VIRTIO_CONSOLE_PORT_NAME;
		extra = strlen(p->name);
		memcpy(ret + sizeof(m), p->name, extra);
		break;
	case TELL_RESIZE:
		/* As specified. Linux took them the other way round until 6.15 and its stable branches' fix of 2025. */
		m.event = VIRTIO_CONSOLE_RESIZE;
		extra = sizeof(size);
		memcpy(ret + sizeof(m), &size, sizeof(size));
		break;
	case TELL_OPEN:
		m.event = VIRTIO_CONSOLE_PORT_OPEN;
		m.value = !p->in_ended;
		break;
	}
	memcpy(ret, &m, sizeof(m));
	return sizeof(m) + extra;
}

/* The next thing to tell of any port. False: nothing, or no buffer for it. */
static bool tell_one(struct console *c, struct virtq_chain *chain)
{
	uint8_t message[sizeof(struct virtio_console_control) + VIRTIO_CONSOLE_NAME_MAX];
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < c->n; i++) {
		struct port *p = &c->port[i];
		unsigned what = p->tell & -p->tell;
		size_t len;

		if (!what)
			continue;
		if (!virtio_take(&c->d, QUEUE_CONTROL_RX, chain))
			return false;
		len = control_message(p, what, message);
		if (chain->in_bytes < len || chain->n_out) {
			err_set(&e, ERR_INVALID, EPROTO, "control: a buffer of %ju bytes for %zu",
				(uintmax_t)chain->in_bytes, len);
			virtio_fail(&c->d, &e);
			return false;
		}
		virtq_copy_in(chain, 0, message, len);
		virtq_push(&c->d.queue[QUEUE_CONTROL_RX], chain->head, (uint32_t)len);
		p->tell &= ~what;
		return true;
	}
	return false;
}

static void tell(struct console *c)
{
	struct virtq_chain chain;

	if (!c->d.active || !multiport(c))
		return;
	while (tell_one(c, &chain))
		;
	virtio_signal(&c->d, QUEUE_CONTROL_RX);
}

/* ---- from the host to the guest ----------------------------------------------------------------- */

static void watch(struct port *p, uint64_t source, uint32_t events)
{
	if (source != IO_SOURCE_NONE)
		io_loop_change(p->console->d.loop, source, events);
}

/* The host's writer is gone: the guest reads an end of file. */
static void in_ended(struct port *p)
{
	p->in_ended = true;
	watch(p, p->in_source, 0);
	p->tell |= TELL_OPEN;
	tell(p->console);
}

/* Fill one buffer. True: perhaps there is more. */
static bool fill_one(struct port *p, struct virtq_chain *chain)
{
	struct virtio_device *d = &p->console->d;
	struct err e = ERR_INIT;
	unsigned q = rx_queue(p);
	ssize_t n;

	if (!virtio_take(d, q, chain)) {
		/* The driver kicks when it has buffers. */
		watch(p, p->in_source, 0);
		return false;
	}
	if (chain->n_out || !chain->in_bytes) {
		err_set(&e, ERR_INVALID, EPROTO, "port %u: a buffer for input that is not writable",
			p->index);
		virtio_fail(d, &e);
		return false;
	}
	do
		n = readv(p->setup.in_fd, virtq_in(chain), chain->n_in);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		virtq_push(&d->queue[q], chain->head, (uint32_t)n);
		return true;
	}
	virtq_unpop(&d->queue[q], chain->head);
	if (n < 0 && errno == EAGAIN)
		watch(p, p->in_source, EPOLLIN);
	else
		in_ended(p);
	return false;
}

static void fill(struct port *p)
{
	struct virtio_device *d = &p->console->d;
	struct virtq_chain chain;

	/* Silent until the guest is there again: what a failed device does not read must not keep the loop busy. */
	if (!d->active || !p->guest_open || p->in_ended) {
		watch(p, p->in_source, 0);
		return;
	}
	/* What is left after a burst is still readable: the loop comes back. */
	watch(p, p->in_source, EPOLLIN);
	for (unsigned i = 0; i < BURST && fill_one(p, &chain); i++)
		;
	virtio_signal(d, rx_queue(p));
}

static void on_input(void *self, _unused_ uint32_t events)
{
	fill(self);
}

/* ---- from the guest to the host ----------------------------------------------------------------- */

static ssize_t write_part(struct port *p, struct iovec *iov, unsigned n)
{
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = n};

	if (p->out_is_socket)
		return sendmsg(p->setup.out_fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	return writev(p->setup.out_fd, iov, (int)n);
}

/* Write on. True: the chain is through, or nobody is there to take it. */
static bool write_on(struct port *p, const struct virtq_chain *chain)
{
	struct iovec iov[VIRTQ_SIZE_MAX];

	while (!p->out_ended && p->tx_done < chain->out_bytes) {
		unsigned n = virtq_slice(chain->iov, chain->n_out, p->tx_done, UINT64_MAX, iov,
					 VIRTQ_SIZE_MAX);
		ssize_t r = write_part(p, iov, n);

		if (r >= 0)
			p->tx_done += (uint64_t)r;
		else if (errno == EAGAIN && p->out_source != IO_SOURCE_NONE)
			return false;
		else if (errno != EINTR)
			p->out_ended = true;
	}
	return true;
}

static enum virtio_step drain_one(struct virtio_device *d, unsigned queue,
				  struct virtq_chain *chain, struct err *e)
{
	struct port *p = &of(d)->port[queue < 2 ? 0 : (queue - 2) / 2];

	if (p->tx_waits)
		return VIRTIO_STOP;
	if (chain->n_in) {
		err_set(e, ERR_INVALID, EPROTO, "port %u: a writable buffer for output", p->index);
		return VIRTIO_FAIL;
	}
	p->tx_done = 0;
	if (write_on(p, chain)) {
		virtq_push(&d->queue[queue], chain->head, 0);
		return VIRTIO_NEXT;
	}
	p->tx = *chain;
	p->tx_waits = true;
	watch(p, p->out_source, EPOLLOUT);
	return VIRTIO_NEXT;
}

static void on_output(void *self, _unused_ uint32_t events)
{
	struct port *p = self;
	struct virtio_device *d = &p->console->d;
	unsigned q = rx_queue(p) + 1;

	if (!p->tx_waits || !d->active) {
		watch(p, p->out_source, 0);
		return;
	}
	if (!write_on(p, &p->tx))
		return;
	p->tx_waits = false;
	watch(p, p->out_source, 0);
	virtq_push(&d->queue[q], p->tx.head, 0);
	virtio_signal(d, q);
	virtio_run(d, q, drain_one);
}

/* ---- what the driver says ----------------------------------------------------------------------- */

static void set_guest_open(struct port *p, bool open)
{
	if (p->guest_open == open)
		return;
	p->guest_open = open;
	if (!open) {
		watch(p, p->in_source, 0);
		if (p->setup.end_on_close)
			shutdown(p->setup.out_fd, SHUT_WR);
	}
	if (p->setup.opened)
		p->setup.opened(p->setup.arg, open);
	if (open)
		fill(p);
}

static void port_is_ready(struct port *p)
{
	if (p->is_console)
		p->tell |= TELL_CONSOLE | (p->cols ? TELL_RESIZE : 0);
	else
		p->tell |= TELL_NAME;
	p->tell |= TELL_OPEN;
}

static enum virtio_step control(struct virtio_device *d, unsigned queue, struct virtq_chain *chain,
				struct err *e)
{
	struct console *c = of(d);
	struct virtio_console_control m;

	if (chain->n_in || virtq_copy_out(chain, 0, &m, sizeof(m)) != sizeof(m)) {
		err_set(e, ERR_INVALID, EPROTO, "control: a message of %ju bytes",
			(uintmax_t)chain->out_bytes);
		return VIRTIO_FAIL;
	}
	virtq_push(&d->queue[queue], chain->head, 0);
	if (m.event == VIRTIO_CONSOLE_DEVICE_READY) {
		for (unsigned i = 0; m.value == 1 && i < c->n; i++)
			c->port[i].tell |= TELL_ADD;
	} else if (m.id < c->n) {
		if (m.event == VIRTIO_CONSOLE_PORT_READY && m.value == 1)
			port_is_ready(&c->port[m.id]);
		else if (m.event == VIRTIO_CONSOLE_PORT_OPEN)
			set_guest_open(&c->port[m.id], m.value == 1);
	}
	return VIRTIO_NEXT;
}

static void console_notify(struct virtio_device *d, unsigned queue)
{
	struct console *c = of(d);

	if (queue >= 2 && !multiport(c))
		return;
	if (queue == QUEUE_CONTROL_RX) {
		tell(c);
	} else if (queue == QUEUE_CONTROL_TX) {
		virtio_run(d, queue, control);
		tell(c);
	} else if (queue % 2) {
		virtio_run(d, queue, drain_one);
	} else {
		fill(&c->port[queue ? (queue - 2) / 2 : 0]);
	}
}

/* ---- the device --------------------------------------------------------------------------------- */

static void console_config_read(struct virtio_device *d, uint32_t offset, void *data, uint32_t len)
{
	const struct console *c = of(d);
	const struct virtio_console_config config = {
		.cols = c->port[0].cols,
		.rows = c->port[0].rows,
		.max_nr_ports = c->n,
	};

	virtio_config_copy(&config, sizeof(config), offset, data, len);
}

/* Watch a descriptor silently. A regular file cannot be watched and never blocks. */
static int add_source(struct port *p, int fd, io_handler *handler, uint64_t *ret, struct err *e)
{
	int r;

	if (fd < 0 || *ret != IO_SOURCE_NONE)
		return 0;
	r = io_loop_add(p->console->d.loop, fd, 0, handler, p, ret, e);
	if (r != -EPERM || handler == on_input)
		return r;
	err_clear(e);
	return 0;
}

static int console_activate(struct virtio_device *d, struct err *e)
{
	struct console *c = of(d);

	for (unsigned i = 0; i < c->n; i++) {
		struct port *p = &c->port[i];
		int r = add_source(p, p->setup.in_fd, on_input, &p->in_source, e);

		if (r == 0)
			r = add_source(p, p->setup.out_fd, on_output, &p->out_source, e);
		if (r < 0)
			return err_wrap(e, "port %u", i);
	}
	if (!multiport(c))
		set_guest_open(&c->port[0], true);
	return 0;
}

static void console_reset(struct virtio_device *d)
{
	struct console *c = of(d);

	for (unsigned i = 0; i < c->n; i++) {
		struct port *p = &c->port[i];

		io_loop_remove(d->loop, &p->in_source);
		io_loop_remove(d->loop, &p->out_source);
		p->tx_waits = false;
		p->tell = 0;
		set_guest_open(p, false);
	}
}

static void console_free(struct virtio_device *d)
{
	struct console *c = of(d);

	for (unsigned i = 0; i < c->n; i++) {
		fd_close(c->port[i].setup.in_fd);
		fd_close(c->port[i].setup.out_fd);
	}
	free(c);
}

static const struct virtio_device_ops console_ops = {
	.config_read = console_config_read,
	.activate = console_activate,
	.notify = console_notify,
	.reset = console_reset,
	.free = console_free,
};

void virtio_console_resize(struct virtio_device *d, unsigned port, uint16_t cols, uint16_t rows)
{
	struct console *c = of(d);

	if (port >= c->n)
		return;
	c->port[port].cols = cols;
	c->port[port].rows = rows;
	if (!d->active)
		return;
	if (multiport(c)) {
		c->port[port].tell |= TELL_RESIZE;
		tell(c);
	} else {
		d->transport->config_changed(d);
	}
}

/* One descriptor of a port, as one of ours: the same one twice could not be watched twice. */
static int take_fd(int fd, bool input, int *ret, struct err *e)
{
	struct stat st;
	int flags;

	if (fd < 0)
		return 0;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "descriptor %d", fd);
	if (input && S_ISREG(st.st_mode))
		return err_unsupported(e, "a regular file as input of a port is not supported");
	if (!S_ISREG(st.st_mode) && !(flags & O_NONBLOCK))
		return err_set(e, ERR_INTERNAL, EINVAL, "descriptor %d is not non-blocking", fd);
	*ret = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *ret < 0 ? err_sys(e, errno, "duplicate descriptor %d", fd) : 0;
}

static int port_init(struct console *c, unsigned i, const struct virtio_console_port *setup,
		     struct err *e)
{
	struct port *p = &c->port[i];
	struct stat st;
	int r;

	p->setup = *setup;
	p->setup.in_fd = p->setup.out_fd = -EBADF;
	p->setup.name = p->name;
	p->console = c;
	p->index = i;
	p->is_console = !setup->name;
	p->in_ended = setup->in_fd < 0;
	p->out_ended = setup->out_fd < 0;
	if (setup->name && (!setup->name[0] || strlen(setup->name) > VIRTIO_CONSOLE_NAME_MAX))
		return err_invalid(e, "port %u: a name is 1 to %u bytes long", i,
				   VIRTIO_CONSOLE_NAME_MAX);
	snprintf(p->name, sizeof(p->name), "%s", setup->name ? setup->name : "");
	r = take_fd(setup->in_fd, true, &p->setup.in_fd, e);
	if (r == 0)
		r = take_fd(setup->out_fd, false, &p->setup.out_fd, e);
	if (r < 0)
		return err_wrap(e, "port %u", i);
	p->out_is_socket =
		setup->out_fd >= 0 && fstat(setup->out_fd, &st) == 0 && S_ISSOCK(st.st_mode);
	if (setup->end_on_close && !p->out_is_socket)
		return err_set(e, ERR_INTERNAL, ENOTSOCK,
			       "port %u: its end can be told by a socket only", i);
	return 0;
}

int virtio_console_new(const struct virtio_console_port *ports, unsigned n,
		       struct virtio_device **ret, struct err *e)
{
	struct console *c;
	int r = 0;

	if (n == 0 || n > VIRTIO_CONSOLE_PORTS_MAX)
		return err_invalid(e, "console: %u ports, but 1 to %u are possible", n,
				   VIRTIO_CONSOLE_PORTS_MAX);
	c = calloc(1, sizeof(*c) + n * sizeof(c->port[0]));
	if (!c)
		return err_nomem(e);
	c->d.ops = &console_ops;
	c->d.name = "console";
	c->d.id = VIRTIO_ID_CONSOLE;
	c->d.offered = VIRTIO_FEATURES_RING | VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT) |
		       VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE);
	c->d.config_bytes = sizeof(struct virtio_console_config);
	c->d.n_queues = 2 * (n + 1);
	for (unsigned i = 0; i < c->d.n_queues; i++)
		c->d.queue_size[i] = QUEUE_SIZE;
	c->n = n;
	for (unsigned i = 0; i < n; i++)
		c->port[i].setup.in_fd = c->port[i].setup.out_fd = -EBADF;
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = port_init(c, i, &ports[i], e);
	if (r < 0) {
		console_free(&c->d);
		return err_wrap(e, "console");
	}
	*ret = &c->d;
	return 0;
}
