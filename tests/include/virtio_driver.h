/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's side of a virtio device for tests: memory, a virtio-mmio transport, and a driver that builds rings by hand,
 * good ones and bad ones. No KVM, no thread: vd_turn() lets the device's loop run until it has nothing to do.
 *
 * A queue's parts lie at VD_QUEUE(i); data is for the test to place from VD_DATA on.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../hypervisor/kvm/virtio_mmio.h"

#define VD_MEMORY_BYTES (4u << 20)
#define VD_QUEUE(i)     (0x10000ull + 0x4000ull * (i))
#define VD_AVAIL        0x1000u
#define VD_USED         0x2000u
#define VD_DATA         0x200000ull
#define VD_SIZE         64u /* of queues, unless the device has less */

#define VD_FN static inline __attribute__((unused))

struct vd_queue {
	uint16_t size;
	uint16_t next_desc, avail_idx, seen_used;
};

struct vd {
	struct guest_memory memory;
	struct io_loop *loop;
	struct virtio_device *d;
	struct virtio_mmio *t;
	struct bus_range bus;
	int irq_fd;
	struct vd_queue q[VIRTIO_QUEUES_MAX];
	unsigned reports, fatal;
	struct err last;
};

/* One descriptor of a request. */
struct vd_buf {
	uint64_t at;
	uint32_t len;
	bool write;
};

VD_FN void vd_report(void *arg, const char *device, bool fatal, const struct err *error)
{
	struct vd *v = arg;

	(void)device;
	v->reports++;
	v->fatal += fatal;
	v->last = *error;
}

VD_FN void *vd_ptr(struct vd *v, uint64_t at)
{
	return v->memory.region[0].host + at;
}

VD_FN uint32_t vd_read(struct vd *v, uint32_t offset)
{
	uint32_t value = 0;

	v->bus.ops->read(v->bus.self, offset, &value, 4);
	return value;
}

VD_FN void vd_write(struct vd *v, uint32_t offset, uint32_t value)
{
	v->bus.ops->write(v->bus.self, offset, &value, 4);
}

VD_FN void vd_config(struct vd *v, uint32_t offset, void *to, unsigned len)
{
	v->bus.ops->read(v->bus.self, VIRTIO_MMIO_CONFIG + offset, to, len);
}

/* Memory and loop, before the device (whose constructor may want neither). */
VD_FN int vd_prepare(struct vd *v)
{
	*v = (struct vd){.irq_fd = -1};
	if (guest_memory_create(VD_MEMORY_BYTES, &v->memory, &v->last) < 0 ||
	    io_loop_new(&v->loop, &v->last) < 0)
		return -1;
	v->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return v->irq_fd < 0 ? -1 : 0;
}

VD_FN int vd_attach(struct vd *v, struct virtio_device *d)
{
	const struct virtio_mmio_setup setup = {
		.memory = &v->memory,
		.loop = v->loop,
		.irq = {.fd = v->irq_fd},
		.reporter = {.report = vd_report, .arg = v},
	};

	v->d = d;
	if (virtio_mmio_new(&setup, d, &v->t, &v->last) < 0)
		return -1;
	v->bus = virtio_mmio_range(v->t, 0xc0001000);
	return 0;
}

VD_FN void vd_done(struct vd *v)
{
	virtio_mmio_free(v->t);
	io_loop_free(v->loop);
	guest_memory_done(&v->memory);
	if (v->irq_fd >= 0)
		close(v->irq_fd);
}

VD_FN uint64_t vd_offered(struct vd *v)
{
	uint64_t low;

	vd_write(v, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	low = vd_read(v, VIRTIO_MMIO_DEVICE_FEATURES);
	vd_write(v, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	return low | (uint64_t)vd_read(v, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
}

VD_FN void vd_accept(struct vd *v, uint64_t features)
{
	vd_write(v, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	vd_write(v, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	vd_write(v, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	vd_write(v, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

VD_FN void vd_add_status(struct vd *v, uint32_t bit)
{
	vd_write(v, VIRTIO_MMIO_STATUS, vd_read(v, VIRTIO_MMIO_STATUS) | bit);
}

VD_FN void vd_place_queue(struct vd *v, unsigned i, uint32_t size, uint64_t desc, uint64_t avail,
			  uint64_t used)
{
	vd_write(v, VIRTIO_MMIO_QUEUE_SEL, i);
	vd_write(v, VIRTIO_MMIO_QUEUE_NUM, size);
	vd_write(v, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)desc);
	vd_write(v, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(desc >> 32));
	vd_write(v, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)avail);
	vd_write(v, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(avail >> 32));
	vd_write(v, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)used);
	vd_write(v, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(used >> 32));
	vd_write(v, VIRTIO_MMIO_QUEUE_READY, 1);
}

VD_FN void vd_queue_setup(struct vd *v, unsigned i)
{
	uint32_t max;

	vd_write(v, VIRTIO_MMIO_QUEUE_SEL, i);
	max = vd_read(v, VIRTIO_MMIO_QUEUE_NUM_MAX);
	v->q[i] = (struct vd_queue){.size = (uint16_t)(max < VD_SIZE ? max : VD_SIZE)};
	memset(vd_ptr(v, VD_QUEUE(i)), 0, 0x4000);
	vd_place_queue(v, i, v->q[i].size, VD_QUEUE(i), VD_QUEUE(i) + VD_AVAIL,
		       VD_QUEUE(i) + VD_USED);
}

/* Up to FEATURES_OK. False when the device did not take the features. */
VD_FN bool vd_negotiate(struct vd *v, uint64_t features)
{
	vd_write(v, VIRTIO_MMIO_STATUS, 0);
	vd_add_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	vd_add_status(v, VIRTIO_CONFIG_S_DRIVER);
	vd_accept(v, features);
	vd_add_status(v, VIRTIO_CONFIG_S_FEATURES_OK);
	return vd_read(v, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK;
}

VD_FN void vd_turn(struct vd *v)
{
	for (int i = 0; i < 1000 && io_loop_step(v->loop, 0, &v->last) > 0; i++)
		;
}

/* The whole way, with all queues. */
VD_FN bool vd_start(struct vd *v, uint64_t features)
{
	if (!vd_negotiate(v, features | 1ull << VIRTIO_F_VERSION_1))
		return false;
	for (unsigned i = 0; i < virtio_mmio_queues(v->t); i++)
		vd_queue_setup(v, i);
	vd_add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
	vd_turn(v);
	return vd_read(v, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER_OK;
}

VD_FN bool vd_broken(struct vd *v)
{
	return vd_read(v, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

VD_FN struct vring_desc *vd_desc(struct vd *v, unsigned q, uint16_t i)
{
	return (struct vring_desc *)vd_ptr(v, VD_QUEUE(q)) + i;
}

VD_FN uint16_t *vd_avail(struct vd *v, unsigned q)
{
	return vd_ptr(v, VD_QUEUE(q) + VD_AVAIL);
}

/* Make a head available without asking whether it should be. */
VD_FN void vd_publish(struct vd *v, unsigned q, uint16_t head)
{
	uint16_t *avail = vd_avail(v, q);

	avail[2 + v->q[q].avail_idx % v->q[q].size] = head;
	__atomic_store_n(&avail[1], ++v->q[q].avail_idx, __ATOMIC_RELEASE);
}

/* A chain of n buffers in the next descriptors. */
VD_FN uint16_t vd_chain(struct vd *v, unsigned q, const struct vd_buf *b, unsigned n)
{
	uint16_t size = v->q[q].size, head = v->q[q].next_desc;

	for (unsigned i = 0; i < n; i++) {
		uint16_t at = (uint16_t)((head + i) % size);

		*vd_desc(v, q, at) = (struct vring_desc){
			.addr = b[i].at,
			.len = b[i].len,
			.flags = (uint16_t)((b[i].write ? VRING_DESC_F_WRITE : 0) |
					    (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
			.next = (uint16_t)((at + 1) % size),
		};
	}
	v->q[q].next_desc = (uint16_t)((head + n) % size);
	return head;
}

VD_FN void vd_kick(struct vd *v, unsigned q)
{
	vd_write(v, VIRTIO_MMIO_QUEUE_NOTIFY, q);
	vd_turn(v);
}

VD_FN uint16_t vd_send(struct vd *v, unsigned q, const struct vd_buf *b, unsigned n)
{
	uint16_t head = vd_chain(v, q, b, n);

	vd_publish(v, q, head);
	vd_kick(v, q);
	return head;
}

/* The next used entry: its head, or -1. */
VD_FN int vd_used(struct vd *v, unsigned q, uint32_t *ret_len)
{
	const uint8_t *used = vd_ptr(v, VD_QUEUE(q) + VD_USED);
	struct vring_used_elem entry;
	uint16_t idx =
		__atomic_load_n((const uint16_t *)(const void *)(used + 2), __ATOMIC_ACQUIRE);

	if (idx == v->q[q].seen_used)
		return -1;
	memcpy(&entry, used + 4 + 8 * (v->q[q].seen_used % v->q[q].size), sizeof(entry));
	v->q[q].seen_used++;
	if (ret_len)
		*ret_len = entry.len;
	return (int)entry.id;
}

/* Interrupts since the last look, as the line's count; acknowledged. */
VD_FN unsigned vd_interrupts(struct vd *v)
{
	uint64_t n = 0;

	if (read(v->irq_fd, &n, sizeof(n)) < 0)
		n = 0;
	vd_write(v, VIRTIO_MMIO_INTERRUPT_ACK, vd_read(v, VIRTIO_MMIO_INTERRUPT_STATUS));
	return (unsigned)n;
}
