/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A serial port, COM1: the guest's console, from its first line on.
 */
#pragma once

#include "base/err.h"
#include "bus.h"
#include "virtio_loop.h"

struct serial;

/* fd: where output goes and input comes from (a non-blocking socket, pipe or terminal), borrowed. The irq line's
 * fd stays the caller's. */
int serial_new(struct io_loop *loop, int fd, struct irq_line irq, struct serial **ret,
	       struct err *e);
void serial_free(struct serial *s); /* NULL-safe; with the loop's lock or the only thread */
struct bus_range serial_range(struct serial *s, uint64_t port);
