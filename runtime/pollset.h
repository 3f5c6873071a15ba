/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors that an event loop waits for, collected anew for each round: what a process
 * wants to hear of changes with every frame (credit, full pipes), and a list that is made afresh
 * holds nothing that was closed meanwhile. After the wait, each party looks for itself whether it
 * has something to do; all descriptors are used without blocking.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct pollset {
	struct pollfd *v;
	size_t n, cap;
};

void pollset_done(struct pollset *p);
static inline void pollset_clear(struct pollset *p)
{
	p->n = 0;
}
/* fd -1 is left out. 0 or -ENOMEM. */
int pollset_add(struct pollset *p, int fd, short events);
/* Wait; timeout_msec -1 for ever. 0 (also after a timeout or a signal), or -errno. */
int pollset_wait(struct pollset *p, int timeout_msec, struct err *e);
/* After a wait: has this descriptor something, or an error? */
bool pollset_is_ready(const struct pollset *p, int fd);
