/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of `insula run`: linux.resources and linux.sysctl, with docker's rules of what goes together.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cgroups/limits.h"
#include "run_document.h"

/* 0 is docker's word for "not given", too. */
static bool is_given(int64_t v)
{
	return v != CG_UNSET && v != 0;
}

static int check_combinations(const struct rt_run_request *r, struct err *e)
{
	if (is_given(r->cpus_micro) &&
	    (is_given(r->cpu_quota_usec) || is_given(r->cpu_period_usec)))
		return err_invalid(e,
				   "--cpus and --cpu-quota or --cpu-period say the same; give one");
	if (is_given(r->cpu_weight) && is_given(r->cpu_shares))
		return err_invalid(e, "--cpu-weight and --cpu-shares say the same; give one");
	if (is_given(r->memory_swap_bytes) && !is_given(r->memory_bytes)) {
		err_invalid(e, "--memory-swap without --memory");
		return err_hint(e,
				"--memory-swap is memory and swap together, so it needs --memory");
	}
	if (r->memory_swap_bytes > 0 && r->memory_swap_bytes < r->memory_bytes) {
		err_invalid(e, "--memory-swap is less than --memory");
		return err_hint(e, "--memory-swap is memory and swap together");
	}
	if (is_given(r->memory_reservation_bytes) && is_given(r->memory_bytes) &&
	    r->memory_reservation_bytes > r->memory_bytes)
		return err_invalid(e, "--memory-reservation is more than --memory");
	return 0;
}

static int check_range(const char *flag, int64_t v, int64_t min, int64_t max, struct err *e)
{
	if (!is_given(v) || (v >= min && v <= max))
		return 0;
	return err_invalid(e, "%s %lld is not between %lld and %lld", flag, (long long)v,
			   (long long)min, (long long)max);
}

/* "0-3,7": numbers and ranges that go up. Which of them exist is the kernel's to say. */
static int check_list(const char *flag, const char *s, struct err *e)
{
	_cleanup_strv_ char **parts = NULL;

	if (!s)
		return 0;
	if (strv_split(s, ',', &parts) < 0)
		return err_nomem(e);
	for (size_t i = 0; i < strv_len(parts); i++) {
		char *dash = strchr(parts[i], '-');
		uint32_t first, last;

		if (dash)
			*dash = '\0';
		if (parse_u32(parts[i], &first) < 0 || (dash && parse_u32(dash + 1, &last) < 0) ||
		    (dash && last < first))
			return err_invalid(e, "%s '%s' is not a list such as 0-3,7", flag, s);
	}
	return 0;
}

static int check(const struct rt_run_request *r, struct err *e)
{
	int rc = check_combinations(r, e);

	/* Source: Linux Documentation/admin-guide/cgroup-v2.rst; kernel/sched/core.c for the period. */
	if (rc == 0)
		rc = check_range("--cpu-weight", r->cpu_weight, 1, 10000, e);
	if (rc == 0)
		rc = check_range("--cpu-shares", r->cpu_shares, 2, 262144, e);
	if (rc == 0)
		rc = check_range("--cpu-period", r->cpu_period_usec, 1000, 1000000, e);
	if (rc == 0 && r->cpu_quota_usec != -1)
		rc = check_range("--cpu-quota", r->cpu_quota_usec, 1000, INT64_MAX / 1000, e);
	if (rc == 0)
		rc = check_list("--cpuset-cpus", r->cpuset_cpus, e);
	return rc < 0 ? rc : check_list("--cpuset-mems", r->cpuset_mems, e);
}

static int set_number(struct json *object, const char *key, int64_t value)
{
	return is_given(value) ? json_set(object, key, json_new_i64(value)) : 0;
}

static int set_text(struct json *object, const char *key, const char *value)
{
	return value && *value ? json_set(object, key, json_new_string(value)) : 0;
}

/* Put it in only if it has members: an empty one says nothing. */
static int set_object(struct json *resources, const char *key, struct json *object)
{
	_cleanup_json_ struct json *owned = object;
	struct json_at at = json_top(object), first;
	size_t pos = 0;

	return json_next_member(&at, &pos, &first) ? json_set(resources, key, TAKE_PTR(owned)) : 0;
}

static int add_memory(struct json *resources, const struct rt_run_request *r)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || set_number(o, "limit", r->memory_bytes) < 0 ||
	    set_number(o, "reservation", r->memory_reservation_bytes) < 0 ||
	    set_number(o, "swap", r->memory_swap_bytes) < 0)
		return -ENOMEM;
	return set_object(resources, "memory", TAKE_PTR(o));
}

/* OCI knows v1's shares alone: the least that become this weight. */
static int64_t shares_of(int64_t weight)
{
	int64_t shares = 2 + (weight - 1) * 262142 / 9999;

	while (cg_weight_of_shares((uint64_t)shares) < (uint64_t)weight)
		shares++;
	return shares;
}

static int add_cpu(struct json *resources, const struct rt_run_request *r)
{
	_cleanup_json_ struct json *o = json_new_object();
	int64_t quota = r->cpu_quota_usec, period = r->cpu_period_usec;
	struct cg_limits l;

	if (!o)
		return -ENOMEM;
	if (is_given(r->cpus_micro)) {
		cg_limits_init(&l);
		cg_limits_set_cpus(&l, (uint64_t)r->cpus_micro);
		quota = l.cpu_quota_usec;
		period = l.cpu_period_usec;
		cg_limits_done(&l);
	}
	if (set_number(o, "shares",
		       is_given(r->cpu_weight) ? shares_of(r->cpu_weight) : r->cpu_shares) < 0 ||
	    set_number(o, "quota", quota) < 0 || set_number(o, "period", period) < 0 ||
	    set_text(o, "cpus", r->cpuset_cpus) < 0 || set_text(o, "mems", r->cpuset_mems) < 0)
		return -ENOMEM;
	return set_object(resources, "cpu", TAKE_PTR(o));
}

static int add_pids(struct json *resources, const struct rt_run_request *r)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || set_number(o, "limit", r->pids_limit) < 0)
		return -ENOMEM;
	return set_object(resources, "pids", TAKE_PTR(o));
}

int run_resources_json(const struct rt_run_request *r, struct json **ret, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	int rc = check(r, e);

	if (rc < 0)
		return rc;
	if (!o || add_memory(o, r) < 0 || add_cpu(o, r) < 0 || add_pids(o, r) < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(o);
	return 0;
}

int run_sysctls_add(struct json *l, const struct rt_run_request *r, struct err *e)
{
	struct json *o;

	if (!r->sysctls || !*r->sysctls)
		return 0;
	o = json_object_member(l, "sysctl", true);
	if (!o)
		return err_nomem(e);
	for (char *const *s = r->sysctls; *s; s++) {
		const char *equals = strchr(*s, '=');
		_cleanup_free_ char *key = equals ? strndup(*s, (size_t)(equals - *s)) : NULL;

		if (!equals || equals == *s)
			return err_invalid(e, "--sysctl '%s' is not NAME=VALUE", *s);
		if (!key || json_set(o, key, json_new_string(equals + 1)) < 0)
			return err_nomem(e);
	}
	return 0;
}
