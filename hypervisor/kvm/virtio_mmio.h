/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport, version 2. Spec: virtio 1.2, 4.2 (registers), 3.1.1 (order of initialisation).
 *
 * Strict: the status grows by one bit at a time (ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK) and never
 * shrinks but to 0; features are written between DRIVER and FEATURES_OK, queues between FEATURES_OK and DRIVER_OK
 * and not while ready. Whatever else is written is dropped. Each queue has an eventfd: a write to QUEUE_NOTIFY ends
 * there, by KVM's own hand (ioeventfd) or by ours, so a device never runs inside a vCPU's access.
 *
 * Who makes what: the VMM makes memory, loop and irq line; a device's constructor the device; virtio_mmio_new()
 * takes the device over in every case.
 */
#pragma once

#include "bus.h"
#include "virtio_device.h"

#define VIRTIO_MMIO_BYTES         0x1000u /* of address space, per device */
#define VIRTIO_MMIO_NOTIFY_OFFSET 0x50u   /* for KVM_IOEVENTFD: length 4, datamatch = queue */

struct virtio_mmio;

struct virtio_mmio_setup {
	const struct guest_memory *memory;
	struct io_loop *loop;
	struct irq_line irq; /* its fd stays the caller's and outlives the transport */
	struct virtio_reporter reporter;
};

int virtio_mmio_new(const struct virtio_mmio_setup *setup, struct virtio_device *d,
		    struct virtio_mmio **ret, struct err *e);
/* Resets and frees the device too. No vCPU runs any more; the loop's lock is not held. NULL-safe. */
void virtio_mmio_free(struct virtio_mmio *t);

/* For bus_add(). */
struct bus_range virtio_mmio_range(struct virtio_mmio *t, uint64_t base);

unsigned virtio_mmio_queues(const struct virtio_mmio *t);
int virtio_mmio_notify_fd(const struct virtio_mmio *t, unsigned queue); /* borrowed */

/* With the vCPUs stopped and the loop's lock held: wait for what is in flight. To go on, just go on. */
void virtio_mmio_drain(struct virtio_mmio *t);
