/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of virtio-mmio. Reads and writes come from vCPU threads and take the loop's lock, but for what
 * happens with every interrupt (INTERRUPT_STATUS, INTERRUPT_ACK) and every kick (QUEUE_NOTIFY), which are atomic.
 */
#include "virtio_mmio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define MAGIC      0x74726976u /* "virt" */
#define VERSION    2u
#define VENDOR     0x4c534e49u /* "INSL" */
#define CONFIG_END VIRTIO_MMIO_BYTES

struct kick {
	struct virtio_mmio *t;
	unsigned queue;
	int fd;
	uint64_t source;
};

struct virtio_mmio {
	struct virtio_device *d;
	struct irq_line irq;
	_Atomic uint32_t interrupt_status;
	_Atomic uint32_t generation;
	uint32_t status;
	uint32_t device_sel, driver_sel, queue_sel;
	uint64_t acked;
	bool activated; /* reset() is owed */
	_Atomic bool interrupted_by_others;
	struct kick kick[VIRTIO_QUEUES_MAX];
	struct virtq queue[]; /* d->n_queues */
};

static struct virtio_mmio *of(struct virtio_device *d)
{
	return d->transport_self;
}

static void raise_interrupt(struct virtio_mmio *t, uint32_t why)
{
	if (!(t->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	/* The status first: the driver looks there as soon as the interrupt comes. */
	atomic_fetch_or(&t->interrupt_status, why);
	irq_raise(&t->irq);
}

static void op_interrupt(struct virtio_device *d)
{
	raise_interrupt(of(d), VIRTIO_MMIO_INT_VRING);
}

static void op_config_changed(struct virtio_device *d)
{
	atomic_fetch_add(&of(d)->generation, 1);
	raise_interrupt(of(d), VIRTIO_MMIO_INT_CONFIG);
}

static void op_needs_reset(struct virtio_device *d)
{
	of(d)->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	op_config_changed(d);
}

static void write_event(int fd)
{
	const uint64_t one = 1;
	ssize_t n;

	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

static void op_kick_again(struct virtio_device *d, unsigned queue)
{
	write_event(of(d)->kick[queue].fd);
}

static int op_kick_fd(struct virtio_device *d, unsigned queue)
{
	return of(d)->kick[queue].fd;
}

static int op_interrupt_fd(struct virtio_device *d)
{
	atomic_store(&of(d)->interrupted_by_others, true);
	return of(d)->irq.fd;
}

static const struct virtio_transport_ops transport_ops = {
	.interrupt_fd = op_interrupt_fd,
	.interrupt = op_interrupt,
	.config_changed = op_config_changed,
	.needs_reset = op_needs_reset,
	.kick_again = op_kick_again,
	.kick_fd = op_kick_fd,
};

static void on_kick(void *self, _unused_ uint32_t events)
{
	struct kick *k = self;
	struct virtio_device *d = k->t->d;
	uint64_t count;

	if (read(k->fd, &count, sizeof(count)) < 0)
		return;
	if (d->active && d->queue[k->queue].active)
		d->ops->notify(d, k->queue);
}

static void reset(struct virtio_mmio *t)
{
	struct virtio_device *d = t->d;

	d->active = false;
	if (t->activated)
		d->ops->reset(d);
	t->activated = false;
	for (unsigned i = 0; i < d->n_queues; i++)
		virtq_reset(&t->queue[i]);
	d->features = t->acked = 0;
	t->status = 0;
	t->device_sel = t->driver_sel = t->queue_sel = 0;
	atomic_store(&t->interrupt_status, 0);
	atomic_store(&t->interrupted_by_others, false);
}

static int activate_queues(struct virtio_mmio *t, struct err *e)
{
	for (unsigned i = 0; i < t->d->n_queues; i++) {
		int r = t->queue[i].ready ? virtq_activate(&t->queue[i], t->acked, e) : 0;

		if (r < 0)
			return err_wrap(e, "queue %u", i);
	}
	return 0;
}

static void activate(struct virtio_mmio *t)
{
	struct virtio_device *d = t->d;
	struct err e = ERR_INIT;
	int r;

	d->features = t->acked;
	d->active = true;
	t->activated = true;
	r = activate_queues(t, &e);
	if (r == 0 && d->ops->activate)
		r = d->ops->activate(d, &e);
	if (r < 0) {
		virtio_fail(d, &e);
		return;
	}
	/* A driver may have filled its queues before it said DRIVER_OK. */
	for (unsigned i = 0; i < d->n_queues && d->ops->notify; i++)
		if (t->queue[i].active)
			write_event(t->kick[i].fd);
}

static bool features_fine(struct virtio_mmio *t)
{
	const struct virtio_device *d = t->d;
	struct err e = ERR_INIT;

	if (!(t->acked & ~d->offered) && t->acked & VIRTIO_BIT(VIRTIO_VERSION_1) &&
	    (!d->ops->features_ok || d->ops->features_ok(d, t->acked)))
		return true;
	err_set(&e, ERR_INVALID, EPROTO, "the driver's features 0x%jx do not fit the offered 0x%jx",
		(uintmax_t)t->acked, (uintmax_t)d->offered);
	if (d->reporter.report)
		d->reporter.report(d->reporter.arg, d->name, false, &e);
	return false;
}

/* Which single bit may be added to which. Spec: 3.1.1. */
static bool may_follow(uint32_t have, uint32_t bit)
{
	const uint32_t a = VIRTIO_CONFIG_S_ACKNOWLEDGE, b = a | VIRTIO_CONFIG_S_DRIVER,
		       c = b | VIRTIO_CONFIG_S_FEATURES_OK;

	switch (bit) {
	case VIRTIO_CONFIG_S_ACKNOWLEDGE:
		return have == 0;
	case VIRTIO_CONFIG_S_DRIVER:
		return have == a;
	case VIRTIO_CONFIG_S_FEATURES_OK:
		return have == b;
	case VIRTIO_CONFIG_S_DRIVER_OK:
		return have == c;
	case VIRTIO_CONFIG_S_FAILED:
		return true;
	default:
		return false;
	}
}

static void write_status(struct virtio_mmio *t, uint32_t value)
{
	uint32_t added = value & ~t->status;

	if (value == 0) {
		reset(t);
		return;
	}
	if (t->status & ~value & ~VIRTIO_CONFIG_S_NEEDS_RESET || !may_follow(t->status, added))
		return;
	if (added == VIRTIO_CONFIG_S_FEATURES_OK && !features_fine(t))
		return;
	t->status |= added;
	if (added == VIRTIO_CONFIG_S_DRIVER_OK)
		activate(t);
}

static void write_features(struct virtio_mmio *t, uint32_t value)
{
	const uint32_t wants = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	if (t->status != wants || t->driver_sel > 1)
		return;
	if (t->driver_sel)
		t->acked = (t->acked & UINT32_MAX) | (uint64_t)value << 32;
	else
		t->acked = (t->acked & ~(uint64_t)UINT32_MAX) | value;
}

static void set_half(uint64_t *at, bool high, uint32_t value)
{
	if (high)
		*at = (*at & UINT32_MAX) | (uint64_t)value << 32;
	else
		*at = (*at & ~(uint64_t)UINT32_MAX) | value;
}

static void write_queue(struct virtio_mmio *t, uint64_t offset, uint32_t value)
{
	const uint32_t wants =
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
	struct virtq *q;

	if (t->status != wants || t->queue_sel >= t->d->n_queues)
		return;
	q = &t->queue[t->queue_sel];
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		q->ready = value == 1;
		return;
	}
	if (q->ready)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		/* An impossible size stays one, so that activation refuses it. */
		q->size = value > UINT16_MAX ? UINT16_MAX : (uint16_t)value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&q->desc, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&q->avail, offset == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&q->used, offset == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
		break;
	}
}

static void write_register(struct virtio_mmio *t, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		t->device_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		t->driver_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_features(t, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		t->queue_sel = value;
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(t, value);
		break;
	default:
		write_queue(t, offset, value);
		break;
	}
}

static uint32_t read_register(const struct virtio_mmio *t, uint64_t offset)
{
	const struct virtio_device *d = t->d;
	const struct virtq *q = t->queue_sel < d->n_queues ? &t->queue[t->queue_sel] : NULL;

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return d->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return t->device_sel > 1 ? 0 : (uint32_t)(d->offered >> 32 * t->device_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q ? q->size_max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return q && q->ready;
	case VIRTIO_MMIO_STATUS:
		return t->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX; /* no such region */
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return atomic_load(&t->generation);
	default:
		return 0;
	}
}

static void on_read(void *self, uint64_t offset, void *data, unsigned len)
{
	struct virtio_mmio *t = self;
	uint32_t value;

	memset(data, 0, len);
	if (offset >= VIRTIO_MMIO_CONFIG) {
		offset -= VIRTIO_MMIO_CONFIG;
		if (offset >= t->d->config_bytes || len > t->d->config_bytes - offset)
			return;
		io_loop_lock(t->d->loop);
		t->d->ops->config_read(t->d, (uint32_t)offset, data, len);
		io_loop_unlock(t->d->loop);
		return;
	}
	if (len != 4 || offset % 4)
		return;
	if (offset == VIRTIO_MMIO_INTERRUPT_STATUS) {
		value = atomic_load(&t->interrupt_status);
		if (atomic_load(&t->interrupted_by_others))
			value |= VIRTIO_MMIO_INT_VRING;
	} else {
		io_loop_lock(t->d->loop);
		value = read_register(t, offset);
		io_loop_unlock(t->d->loop);
	}
	memcpy(data, &value, sizeof(value));
}

static void on_write(void *self, uint64_t offset, const void *data, unsigned len)
{
	struct virtio_mmio *t = self;
	uint32_t value;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		offset -= VIRTIO_MMIO_CONFIG;
		if (!t->d->ops->config_write || offset >= t->d->config_bytes ||
		    len > t->d->config_bytes - offset)
			return;
		io_loop_lock(t->d->loop);
		t->d->ops->config_write(t->d, (uint32_t)offset, data, len);
		io_loop_unlock(t->d->loop);
		return;
	}
	if (len != 4 || offset % 4)
		return;
	memcpy(&value, data, sizeof(value));
	if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
		atomic_fetch_and(&t->interrupt_status, ~value);
	} else if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
		if (value < t->d->n_queues)
			write_event(t->kick[value].fd);
	} else {
		io_loop_lock(t->d->loop);
		write_register(t, offset, value);
		io_loop_unlock(t->d->loop);
	}
}

static const struct bus_ops bus_ops = {.read = on_read, .write = on_write};

static int make_kicks(struct virtio_mmio *t, struct err *e)
{
	struct virtio_device *d = t->d;

	for (unsigned i = 0; i < d->n_queues; i++) {
		struct kick *k = &t->kick[i];
		int r;

		*k = (struct kick){
			.t = t, .queue = i, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
		if (k->fd < 0)
			return err_sys(e, errno, "eventfd");
		r = d->ops->notify ? io_loop_add(d->loop, k->fd, EPOLLIN, on_kick, k, &k->source, e)
				   : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int virtio_mmio_new(const struct virtio_mmio_setup *setup, struct virtio_device *d,
		    struct virtio_mmio **ret, struct err *e)
{
	struct virtio_mmio *t = calloc(1, sizeof(*t) + d->n_queues * sizeof(t->queue[0]));
	int r;

	if (!t) {
		virtio_device_free(d);
		return err_nomem(e);
	}
	t->d = d;
	t->irq = setup->irq;
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		t->kick[i].fd = -EBADF;
	for (unsigned i = 0; i < d->n_queues; i++)
		virtq_init(&t->queue[i], setup->memory, d->queue_size[i]);
	d->transport = &transport_ops;
	d->transport_self = t;
	d->memory = setup->memory;
	d->loop = setup->loop;
	d->reporter = setup->reporter;
	d->queue = t->queue;
	r = make_kicks(t, e);
	if (r < 0) {
		err_wrap(e, "device '%s'", d->name);
		virtio_mmio_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void virtio_mmio_free(struct virtio_mmio *t)
{
	if (!t)
		return;
	io_loop_lock(t->d->loop);
	reset(t);
	for (unsigned i = 0; i < t->d->n_queues; i++) {
		io_loop_remove(t->d->loop, &t->kick[i].source);
		fd_close(t->kick[i].fd);
	}
	io_loop_unlock(t->d->loop);
	virtio_device_free(t->d);
	free(t);
}

struct bus_range virtio_mmio_range(struct virtio_mmio *t, uint64_t base)
{
	return (struct bus_range){
		.start = base, .bytes = VIRTIO_MMIO_BYTES, .ops = &bus_ops, .self = t};
}

unsigned virtio_mmio_queues(const struct virtio_mmio *t)
{
	return t->d->n_queues;
}

int virtio_mmio_notify_fd(const struct virtio_mmio *t, unsigned queue)
{
	return t->kick[queue].fd;
}

void virtio_mmio_drain(struct virtio_mmio *t)
{
	if (t->d->active && t->d->ops->drain)
		t->d->ops->drain(t->d);
}
