/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps of a process of a container, from our code to the workload's. The same for the
 * first process and for an exec'd one. Internal to this folder. */
#pragma once

#include <stdbool.h>

#include "isolate/sandbox.h"

struct identity {
	const struct iso_process *process;
	const struct iso_bpf *bpf;       /* NULL: none */
	const struct iso_notify *notify; /* of a filter that notifies */
	const struct iso_config *config; /* the container's */
	unsigned preserve;               /* descriptors 3..3+preserve-1 stay open */
	bool keep_keyring;
	bool userns; /* in a user namespace of the container's */
	int proc_fd; /* private procfs, or -1 when no label is to be written */
	int tell_fd; /* a SYNC_STARTED goes there when nothing but exec is left */
};

/* Does it need a private procfs? */
bool identity_needs_procfs(const struct iso_process *p);

/* Root of the user namespace that the process was born into or joined. */
int identity_enter_userns(struct err *e);

/* Standard streams: the terminal if slave_fd ≥ 0, else what stdio says; pipes are given to the
 * process's user. Descriptors below 3+preserve that are not meant for the process are not touched.
 */
int identity_stdio(const struct iso_stdio *stdio, int slave_fd, const struct iso_process *p,
		   struct err *e);

/* Become what the process is to be, and execute `path`. Returns only on failure. */
int identity_exec(const struct identity *id, const char *path, struct err *e);
