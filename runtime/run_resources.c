/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of `insula run`: linux.resources.
 */
#include "base/cleanup.h"
#include "cgroups/limits.h"
#include "run_document.h"

static int set_number(struct json *object, const char *key, int64_t value)
{
	return value == CG_UNSET ? 0 : json_set(object, key, json_new_i64(value));
}

struct json *run_make_resources(const struct rt_run_request *r)
{
	_cleanup_json_ struct json *o =
		run_fixed("{\"devices\": [{\"allow\": false, \"access\": \"rwm\"}]}");
	struct json *memory, *cpu, *pids;
	struct cg_limits l;
	int rc;

	memory = o ? json_object_member(o, "memory", r->memory_bytes != CG_UNSET) : NULL;
	cpu = o ? json_object_member(o, "cpu", r->cpus_micro != CG_UNSET) : NULL;
	pids = o ? json_object_member(o, "pids", r->pids_limit != CG_UNSET) : NULL;
	if (!o || (r->memory_bytes != CG_UNSET && !memory) || (r->cpus_micro != CG_UNSET && !cpu) ||
	    (r->pids_limit != CG_UNSET && !pids))
		return NULL;

	cg_limits_init(&l);
	if (cpu)
		cg_limits_set_cpus(&l, (uint64_t)r->cpus_micro);
	rc = memory ? set_number(memory, "limit", r->memory_bytes) : 0;
	if (rc == 0 && cpu)
		rc = set_number(cpu, "quota", l.cpu_quota_usec);
	if (rc == 0 && cpu)
		rc = set_number(cpu, "period", l.cpu_period_usec);
	if (rc == 0 && pids)
		rc = set_number(pids, "limit", r->pids_limit);
	cg_limits_done(&l);
	return rc < 0 ? NULL : TAKE_PTR(o);
}
