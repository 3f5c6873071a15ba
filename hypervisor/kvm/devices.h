/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices of a machine: which ones a configuration asks for, and their place in the address space.
 */
#pragma once

#include "acpi.h"
#include "wire.h"
#include "layout.h"
#include "machine.h"
#include "virtio_loop.h"
#include "virtio_mmio.h"

struct devices {
	struct virtio_mmio *transport[VIRTIO_DEVICES_MAX];
	struct acpi_virtio where[VIRTIO_DEVICES_MAX]; /* for the DSDT */
	unsigned n;
	struct virtio_device *balloon; /* one of them */
};

/* Make them, on the machine's bus. On failure the ones made are still devices_free()'s. */
int devices_add(struct devices *d, struct machine *m, struct io_loop *loop,
		const struct wire_config *c, struct err *e);
/* With the vCPUs stopped. */
void devices_free(struct devices *d);
/* With the vCPUs stopped and the loop's lock held: nothing is in flight after it. */
void devices_drain(struct devices *d);
