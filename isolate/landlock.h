/* SPDX-License-Identifier: Apache-2.0 */
/* Applying Landlock to the calling process. Internal to this folder. */
#pragma once

#include "isolate/landlock.h"

/*
 * Open what the rules name, in the root directory of the calling process, while it still may. Descriptors 0 to n_fds - 1
 * are the workload's: what they stand for stays reachable through /proc/self/fd and /dev/stdout, wherever it lies.
 * *ret_fd is a descriptor of the ruleset, or -1 when nothing is asked for or the kernel has not got enough of Landlock.
 */
int landlock_prepare(const struct iso_landlock *l, unsigned n_fds, int *ret_fd, struct err *e);

/* From here on, for this thread and all that it will start. A negative ruleset_fd does nothing. Needs no-new-privileges, or
 * CAP_SYS_ADMIN in its user namespace. */
int landlock_enforce(int ruleset_fd, struct err *e);
