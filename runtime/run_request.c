/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request of `insula run` that asks for nothing.
 */
#include "cgroups/limits.h"
#include "images/image.h"
#include "runtime/runtime.h"

void rt_run_request_init(struct rt_run_request *r)
{
	*r = (struct rt_run_request){
		.shm_bytes = CG_UNSET,
		.memory_bytes = CG_UNSET,
		.memory_swap_bytes = CG_UNSET,
		.memory_reservation_bytes = CG_UNSET,
		.cpus_micro = CG_UNSET,
		.cpu_weight = CG_UNSET,
		.cpu_shares = CG_UNSET,
		.cpu_quota_usec = CG_UNSET,
		.cpu_period_usec = CG_UNSET,
		.pids_limit = CG_UNSET,
		.oom_score_adj = CG_UNSET,
		.stop_timeout_sec = -1,
	};
}

const char *rt_run_stop_signal(const struct rt_run_request *r)
{
	if (r->stop_signal)
		return r->stop_signal;
	return r->image ? r->image->config.stop_signal : NULL;
}
