/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O loop of the devices: epoll, handlers, and the one lock that all devices of a loop share. A
 * handler runs with the lock held; an access of a vCPU to a device's registers takes it too. So a device
 * needs no lock of its own, and nobody re-enters it.
 *
 * A source is named by a number with a generation, never by a pointer: an event that was fetched before
 * its source was removed finds nobody.
 *
 * All calls but io_loop_step(), io_loop_run() and io_loop_stop() want the lock held, or no other thread yet.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct io_loop;

#define IO_SOURCE_NONE 0u /* no source: a zeroed struct holds none */

/* `events` are of epoll(7). A handler may add, change and remove any source, its own too. */
typedef void io_handler(void *self, uint32_t events);

int io_loop_new(struct io_loop **ret, struct err *e);
void io_loop_free(struct io_loop *l); /* NULL-safe; descriptors stay their owners' */

void io_loop_lock(struct io_loop *l);
void io_loop_unlock(struct io_loop *l);

/* Watch fd. events 0: known, but silent for now, hang-ups included. */
int io_loop_add(struct io_loop *l, int fd, uint32_t events, io_handler *handler, void *self,
		uint64_t *ret_id, struct err *e);
int io_loop_change(struct io_loop *l, uint64_t id, uint32_t events);
void io_loop_remove(struct io_loop *l, uint64_t *id); /* before fd is closed; *id becomes none */

/* Wait up to timeout_msec (-1: for ever) and call the handlers of what came. Returns how many were called. */
int io_loop_step(struct io_loop *l, int timeout_msec, struct err *e);
/* The epoll descriptor: readable when io_loop_step(l, 0) has something to do, so that this loop can be a source of
 * another one (loop.h) in place of a thread of its own. */
int io_loop_fd(const struct io_loop *l);
/* Until io_loop_stop(), which any thread may call, also before. */
int io_loop_run(struct io_loop *l, struct err *e);
void io_loop_stop(struct io_loop *l);
