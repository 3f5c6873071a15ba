/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of the worker process, from the store's side of images/worker.h.
 */
#pragma once

#include <sys/types.h>

#include "images/worker.h"
#include "store.h"

struct worker_call {
	pid_t pid;
	int report; /* our end */
};

/* Start mode (with an argument, or NULL); fds become 3, 4, … with the report's descriptor put at place `report_at`. The
 * caller keeps his fds. */
int worker_start(struct img_store *s, const char *mode, const char *arg, const int *fds,
		 size_t n_fds, size_t report_at, struct worker_call *ret, struct err *e);
/* Wait for its end: its error becomes ours. ret may be NULL. */
int worker_finish(struct worker_call *c, struct img_worker_report *ret, struct err *e);
/* After a failure of ours: wait for its end and forget what it says. */
void worker_abandon(struct worker_call *c);

/* A stream to the worker on which a worker that died is -EPIPE and no signal: [0] is the worker's. */
int worker_stream(int ret[2], struct err *e);

/* Send the blob's bytes, hash and count them. -EPIPE (no error text): the worker left early, and says why. Less or more than
 * size_bytes, or another digest, is an error. progress may be NULL; `label` is what it shows. */
int worker_feed(const struct blob *from, int out, const struct img_progress *p, const char *label,
		struct err *e);
