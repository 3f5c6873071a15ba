/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with criu, which dumps and restores processes. Internal to this folder. */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "criu_wire.h"

struct criu {
	int fd;        /* our end of its channel */
	int peer_fd;   /* its end, until it is started */
	int stderr_fd; /* a memfd */
	int work_fd;   /* where it writes its log; borrowed */
	const char *log;
	pid_t pid;
	char *program;
};

/* Find the program and make the channel; it is not started yet. ERR_UNSUPPORTED with a hint where there is none. */
int criu_init(struct criu *c, int work_fd, const char *log, struct err *e);
/* Start it as a child with nothing special about it. */
int criu_start(struct criu *c, struct err *e);
void criu_done(struct criu *c);

/* One request and its answer. `notify` is asked at each step that criu tells of; a failure ends the request. The reason of a
 * refusal is looked for in criu's log, and then in what it said on its standard error. */
typedef int (*criu_notify_fn)(void *arg, const char *script, pid_t pid, struct err *e);
int criu_call(struct criu *c, enum criu_request type, struct strbuf *opts, criu_notify_fn notify,
	      void *arg, pid_t *ret_pid, struct err *e);
