/* SPDX-License-Identifier: Apache-2.0 */
/* Applying isolate/scheduling.h to the calling process. Internal to this folder. */
#pragma once

#include "isolate/sandbox.h"

/* Policy, I/O priority, memory policy, execution domain. Behind the resource limits, of which some permit it
 * (RLIMIT_RTPRIO, RLIMIT_NICE), and behind all that forks: a SCHED_DEADLINE process cannot. */
int scheduling_apply(const struct iso_process *p, const struct iso_config *c, struct err *e);

/* An exec'd process before it enters the container's groups, and behind that. */
int scheduling_affinity_initial(const struct iso_process *p, struct err *e);
int scheduling_affinity_final(const struct iso_process *p, struct err *e);
