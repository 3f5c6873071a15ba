/* SPDX-License-Identifier: Apache-2.0 */
/* Applying resource limits. Internal to this folder. */
#pragma once

#include <sys/types.h>

#include "isolate/process.h"

/* Creator: give `pid` the hard limits that it could not raise by itself once it is in a user
 * namespace (CAP_SYS_RESOURCE counts in the initial one only). Lowers nothing, leaves soft limits. */
int rlimits_raise_hard(pid_t pid, const struct iso_process *p, struct err *e);

/* Calling process: all limits of p, as they are. */
int rlimits_apply(const struct iso_process *p, struct err *e);

/* No duplicates, no soft limit above the hard one. */
int rlimits_check(const struct iso_process *p, struct err *e);
