/* SPDX-License-Identifier: Apache-2.0 */
/* Handing the descriptor of a notifying filter to its agent. Internal to this folder. */
#pragma once

#include "isolate/sandbox.h"

struct notify_helper {
	pid_t pid;   /* -1: none */
	int pipe_fd; /* where it is told the descriptor */
};

/* Start the helper, before anything that keeps from forking (SCHED_DEADLINE) or that a filter may forbid. */
int notify_begin(const struct iso_notify *n, struct notify_helper *ret, struct err *e);

/* The filter is in force: have the helper send, and wait for it. */
int notify_end(const struct notify_helper *h, int notify_fd, struct err *e);
