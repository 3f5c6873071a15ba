/* SPDX-License-Identifier: Apache-2.0 */
/* Creating a process in namespaces, directly or through an intermediate that joins some first.
 * Internal to this folder. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "isolate/sandbox.h"

struct spawn {
	const char *what; /* "init", "exec": the peer's name in errors */
	uint64_t flags;   /* CLONE_NEW* of the process */
	int cgroup_fd;    /* v2 group to be born in, or -1 */
	/* The final clone happens inside a joined user namespace, which has no say over the group;
	 * the intermediate is then put there, and the process follows it. */
	bool cgroup_early;
	/* The process stays dumpable until identity_enter_userns(): an unprivileged creator could
	 * not write its id maps otherwise. */
	bool keep_dumpable;
	/* Not NULL: an intermediate process runs this, then creates the process, which so is born
	 * in what was joined (a pid namespace only counts for children). */
	int (*join)(void *arg, struct err *e);
	/* In the process. *fd is the channel, or where its error is owed later. Never returns 0. */
	int (*child)(void *arg, int *fd, struct err *e);
	void *arg;
};

/* On return the process exists, a child of the caller. With an intermediate it must not send before
 * it received something. */
int spawn_process(const struct spawn *s, struct iso_init *ret, struct err *e);

/* sync_expect() on the process's channel; if it was killed, the error says so. */
int spawn_expect(const struct spawn *s, const struct iso_init *i, int want, struct err *e);

/* Turn the -EPIPE in e (end of the channel) into what happened to the process. */
int spawn_explain_end(const char *what, const struct iso_init *i, struct err *e);

/* What the creator does for a process in a user namespace or with an oom_score_adj, since the
 * process itself may not. */
int spawn_privileged_settings(pid_t pid, const struct iso_process *p, bool userns, struct err *e);

/* Every descriptor 3..3+preserve-1 must have been passed to us: open, and not close-on-exec. */
int spawn_check_preserve(const struct iso_stdio *stdio, struct err *e);
