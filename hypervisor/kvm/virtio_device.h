/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device, apart from how the guest reaches it. The transport (virtio_mmio.h) owns the status machine, the
 * queues and the interrupts; a device has a table of operations, all called with its loop's lock held.
 *
 * A guest's error is told by virtio_fail(): the device stops, DEVICE_NEEDS_RESET is set, the VMM hears why. It
 * never ends the process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "guest_memory.h"
#include "virtio_loop.h"
#include "virtio_queue.h"

#define VIRTIO_QUEUES_MAX 64u

#define VIRTIO_BIT(n) (1ull << (n))
/* Bits that belong to no device. Spec: 6. */
#define VIRTIO_RING_INDIRECT_DESC 28
#define VIRTIO_RING_EVENT_IDX     29
#define VIRTIO_VERSION_1          32
#define VIRTIO_FEATURES_RING                                                         \
	(VIRTIO_BIT(VIRTIO_RING_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_RING_EVENT_IDX) | \
	 VIRTIO_BIT(VIRTIO_VERSION_1))

struct virtio_device;

struct virtio_device_ops {
	/* The bytes [offset, offset + len) of the device's own configuration, len at most 8, inside
	 * config_bytes. write may be NULL: the driver's writes are dropped. */
	void (*config_read)(struct virtio_device *d, uint32_t offset, void *data, uint32_t len);
	void (*config_write)(struct virtio_device *d, uint32_t offset, const void *data,
			     uint32_t len);

	/* May the driver use these together? All were offered. NULL: any. */
	bool (*features_ok)(const struct virtio_device *d, uint64_t features);

	/* DRIVER_OK: the queues are active, d->features are what was acknowledged. May be NULL. */
	int (*activate)(struct virtio_device *d, struct err *e);

	/* The driver kicked an active queue. NULL: somebody else listens to the kicks (vhost-user). */
	void (*notify)(struct virtio_device *d, unsigned queue);

	/* Finish or give up everything in flight: on return nothing of the device touches guest memory. Called
	 * with the queues still active, before they are reset, also for a broken device. */
	void (*reset)(struct virtio_device *d);

	/* Wait until nothing is in flight, keep what is configured (pause). May be NULL. */
	void (*drain)(struct virtio_device *d);

	/* Free; a reset came before, nothing is registered with the loop. Called without the lock. */
	void (*free)(struct virtio_device *d);
};

/* What the transport is to a device. */
struct virtio_transport_ops {
	void (*interrupt)(struct virtio_device *d);      /* used buffers */
	void (*config_changed)(struct virtio_device *d); /* new generation and an interrupt */
	void (*needs_reset)(struct virtio_device *d);
	/* The line itself, for another process that interrupts by its own hand (vhost-user). From then on "used buffers" is always
	 * set in the status that the driver reads, since we do not know better; drivers look into their queues anyway. */
	int (*interrupt_fd)(struct virtio_device *d);
	void (*kick_again)(struct virtio_device *d,
			   unsigned queue);                      /* as if the driver had kicked */
	int (*kick_fd)(struct virtio_device *d, unsigned queue); /* the eventfd behind a kick */
};

/* What the VMM hears of devices: a guest's error, or with `fatal` a helper that is gone (a file server), after which the
 * VM cannot go on. Called with the loop's lock held. */
struct virtio_reporter {
	void (*report)(void *arg, const char *device, bool fatal, const struct err *error);
	void *arg;
};

struct virtio_device {
	/* Set by the device's constructor. */
	const struct virtio_device_ops *ops;
	const char *name; /* for messages */
	uint32_t id;      /* Spec: 5 */
	uint64_t offered; /* features */
	uint32_t config_bytes;
	unsigned n_queues;
	uint16_t queue_size[VIRTIO_QUEUES_MAX]; /* at most VIRTQ_SIZE_MAX */

	/* Set by the transport. */
	const struct virtio_transport_ops *transport;
	void *transport_self;
	const struct guest_memory *memory;
	struct io_loop *loop;
	struct virtio_reporter reporter;
	struct virtq *queue; /* n_queues */
	uint64_t features;   /* acknowledged */
	bool active;         /* between DRIVER_OK and reset or failure */
};

/* Frees a device that no transport took. NULL-safe. */
void virtio_device_free(struct virtio_device *d);

static inline bool virtio_has(const struct virtio_device *d, unsigned bit)
{
	return d->features & VIRTIO_BIT(bit);
}

/* config_read for those that keep their configuration as bytes. */
void virtio_config_copy(const void *config, size_t size, uint32_t offset, void *data, uint32_t len);

/* The guest broke the rules (or could not be served any more): stop the device. Idempotent. */
void virtio_fail(struct virtio_device *d, const struct err *error);
/* A helper of the device is gone: the same, and the VMM ends the VM. */
void virtio_fail_fatal(struct virtio_device *d, const struct err *error);

/* Interrupt the driver if it wants that for this queue. */
void virtio_signal(struct virtio_device *d, unsigned queue);

enum virtio_step {
	VIRTIO_NEXT, /* the chain is pushed, or kept by the device */
	VIRTIO_STOP, /* not now: put back; the device calls virtio_run() when it can go on */
	VIRTIO_FAIL, /* *e is set: the guest's error */
};
typedef enum virtio_step virtio_handler(struct virtio_device *d, unsigned queue,
					struct virtq_chain *c, struct err *e);

/* Hand each waiting chain to `handler`, interrupt once. Bounded: a driver that refills without end is served again
 * after others had their turn. */
void virtio_run(struct virtio_device *d, unsigned queue, virtio_handler *handler);

/* For devices that fill buffers when the host has something: take a chain. False: there is none, and the driver was asked
 * to kick when there is; or the guest broke the rules and the device has failed. */
bool virtio_take(struct virtio_device *d, unsigned queue, struct virtq_chain *ret);
