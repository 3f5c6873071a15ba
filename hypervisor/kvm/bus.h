/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What answers the guest's accesses to ports and MMIO, and how a device interrupts it. Accesses come from any vCPU's
 * thread; a device locks itself. An access that nobody answers reads as all ones, as on a real bus.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct bus_ops {
	/* offset is below the range's length, len 1, 2, 4 or 8 and wholly inside. */
	void (*read)(void *self, uint64_t offset, void *data, unsigned len);
	void (*write)(void *self, uint64_t offset, const void *data, unsigned len);
};

struct bus_range {
	uint64_t start, bytes;
	const struct bus_ops *ops;
	void *self;
};

#define BUS_RANGES_MAX 64
struct bus {
	struct bus_range range
		[BUS_RANGES_MAX]; /* sorted, without overlap; fixed before the first vCPU runs */
	unsigned n;
};
int bus_add(struct bus *b, const struct bus_range *r, struct err *e);
/* False when nobody answered. */
bool bus_read(const struct bus *b, uint64_t at, void *data, unsigned len);
bool bus_write(const struct bus *b, uint64_t at, const void *data, unsigned len);

/* An interrupt line: an eventfd that KVM turns into an edge (irqfd), or a test's. */
struct irq_line {
	int fd;
};
void irq_raise(const struct irq_line *irq);
