/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of the VMM's main thread: descriptors that become ready (queue notifications from
 * KVM, backends, timers, the control socket) call their owner. One thread runs it, so what only it
 * calls needs no lock among itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LOOP_SOURCES_MAX 128

struct loop_source {
	int fd; /* borrowed */
	void (*ready)(void *self, uint32_t events);
	void *self;
};

struct loop {
	int epoll_fd;                                /* -1: none */
	bool stop;                                   /* loop_run() returns */
	struct loop_source source[LOOP_SOURCES_MAX]; /* fd -1: free */
};

int loop_init(struct loop *l, struct err *e);
void loop_done(struct loop *l);

/* Watch fd for `events` (EPOLLIN, EPOLLOUT, …; level triggered; 0 keeps it known but silent). */
int loop_add(struct loop *l, int fd, uint32_t events, void (*ready)(void *self, uint32_t events),
	     void *self, struct err *e);
int loop_change(struct loop *l, int fd, uint32_t events);
/* No event that was already taken from the kernel is delivered after this. Unknown fds are fine. */
void loop_remove(struct loop *l, int fd);

/* Wait for events and deliver them, once. 0 or -errno. */
int loop_turn(struct loop *l, int timeout_msec);
/* Until l->stop. */
int loop_run(struct loop *l);
