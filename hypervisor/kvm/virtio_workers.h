/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for what blocks (disks). Work is submitted under the loop's lock, runs without it, and is finished
 * under it again by the thread that ran it: no detour over the loop. Who holds the lock can wait until all work has run
 * and is finished, as a reset must.
 */
#pragma once

#include "virtio_loop.h"

#define WORKERS_MAX 16u

struct work {
	struct work *next;
};

struct workers;

struct workers_ops {
	void (*cancel)(void *self, struct work *w); /* it will not run, and is finished next */
	void (*run)(void *self, struct work *w);    /* without any lock */
	void (*finish)(void *self, struct work *w); /* with the loop's lock */
	void (*finished)(void *self);               /* after some were finished, with the lock */
};

/* The threads start at once and so inherit the seccomp filter of the caller, if it has one. They block all signals. */
int workers_new(struct io_loop *loop, unsigned threads, const struct workers_ops *ops, void *self,
		struct workers **ret, struct err *e);
/* Without the lock; nothing is in flight. NULL-safe. */
void workers_free(struct workers *w);

/* All with the loop's lock held. */
void workers_submit(struct workers *w, struct work *work);
/* All that was submitted has run and is finished. May run some of it in the caller's thread. */
void workers_wait(struct workers *w);
/* What runs has run, what waited is cancelled, all is finished. Runs nothing in the caller's thread: a vCPU's, whose
 * system call filter knows no disks. */
void workers_cancel(struct workers *w);
