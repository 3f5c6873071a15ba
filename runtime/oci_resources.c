/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `linux.resources`: the limits that become a control group's. Numbers outside of what the kernel
 * takes are refused here, with the member's name, rather than as an unexplained EINVAL of a cgroup
 * file later. For memory and cpu, 0 means "not given", as every engine and runtime has it; -1 means
 * "no limit". Members that we do not do are refused by the support table, not here.
 * Spec: OCI runtime-spec config-linux.md "Control groups"; Linux
 * Documentation/admin-guide/cgroup-v1/devices.rst, Documentation/scheduler/sched-bwc.rst.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

/* An integer that is 0 (not given), -1 where `allow_max` (no limit), or in min..max. */
static int read_limit(const struct json_at *at, bool allow_max, int64_t min, int64_t max,
		      int64_t *ret, struct err *e)
{
	int64_t v;
	int r;

	r = json_get_i64(at, &v, e);
	if (r < 0)
		return r;
	if (v == 0)
		return 0;
	if (allow_max && v == -1) {
		*ret = CG_MAX;
		return 0;
	}
	if (v < min || v > max)
		return json_error(at, e, "%lld is not between %lld and %lld%s", (long long)v,
				  (long long)min, (long long)max,
				  allow_max ? ", nor -1 for no limit" : "");
	*ret = v;
	return 0;
}

static int read_bytes(const struct json_at *at, void *target, struct err *e)
{
	return read_limit(at, true, 1, INT64_MAX, target, e);
}

/* Source: kernel/sched/core.c, min_cfs_quota_period 1 ms, max_cfs_quota_period 1 s. */
static int read_quota(const struct json_at *at, void *target, struct err *e)
{
	return read_limit(at, true, 1000, INT64_MAX / 1000, target, e);
}

static int read_period(const struct json_at *at, void *target, struct err *e)
{
	return read_limit(at, false, 1000, 1000000, target, e);
}

static int read_shares(const struct json_at *at, void *target, struct err *e)
{
	return read_limit(at, false, 2, 262144, target, e);
}

/* Unlike the others, 0 is a limit here, no task at all (specification 1.3): nothing could run. */
static int read_pids(const struct json_at *at, void *target, struct err *e)
{
	int64_t v;
	int r;

	r = json_get_i64(at, &v, e);
	if (r < 0)
		return r;
	/* PID_MAX_LIMIT of a 64-bit kernel. */
	if (v < -1 || v == 0 || v > 4194304)
		return json_error(at, e, "%lld is not between 1 and 4194304, nor -1 for no limit",
				  (long long)v);
	*(int64_t *)target = v == -1 ? CG_MAX : v;
	return 0;
}

/* ---- device rules ----------------------------------------------------------------------- */

static int read_rule_type(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (!s || strlen(s) > 1 || (*s && !strchr("abc", *s)))
		return json_error(at, e, "expected one of the strings 'a', 'b', 'c'");
	*(char *)target = *s ? *s : 'a';
	return 0;
}

static int read_rule_number(const struct json_at *at, void *target, struct err *e)
{
	int64_t v;
	int r;

	r = json_get_i64(at, &v, e);
	if (r < 0)
		return r;
	if (v < -1 || v > UINT32_MAX)
		return json_error(at, e, "%lld is no device number, nor -1 for any", (long long)v);
	*(int64_t *)target = v;
	return 0;
}

static int read_access(const struct json_at *at, void *target, struct err *e)
{
	struct cg_device_rule *rule = target;
	const char *s = json_peek_string(at);

	if (!s)
		return json_error(at, e, "expected a string of 'r', 'w' and 'm'");
	if (!*s) /* as if absent */
		return 0;
	rule->read = rule->write = rule->mknod = false;
	for (; *s; s++) {
		bool *bit = *s == 'r'   ? &rule->read
			    : *s == 'w' ? &rule->write
			    : *s == 'm' ? &rule->mknod
					: NULL;

		if (!bit)
			return json_error(at, e, "'%s' is not made of 'r', 'w' and 'm'",
					  json_peek_string(at));
		*bit = true;
	}
	return 0;
}

static const struct json_field rule_fields[] = {
	JSON_REQUIRED(struct cg_device_rule, allow, "allow", json_read_bool),
	JSON_FIELD(struct cg_device_rule, type, "type", read_rule_type),
	JSON_FIELD(struct cg_device_rule, major, "major", read_rule_number),
	JSON_FIELD(struct cg_device_rule, minor, "minor", read_rule_number),
	{"access", read_access, 0, false, -1},
};

static int read_rule(const struct json_at *at, void *target, struct err *e)
{
	/* The specification does not say what an absent `access` is; a rule about no access at all
	 * could not be meant. */
	*(struct cg_device_rule *)target = (struct cg_device_rule){
		.type = 'a', .major = -1, .minor = -1, .read = true, .write = true, .mknod = true};
	return json_read_object(at, rule_fields, ARRAY_SIZE(rule_fields), target, e);
}

/* Devices that every container must be able to use (specification, "Default Devices"), and making
 * nodes, which gives no access by itself. Appended to the rules of a configuration, so that
 * engines' "deny all" at their head leaves a working /dev. */
static const struct cg_device_rule default_rules[] = {
	{true, 'c', -1, -1, false, false, true},                                      /* mknod */
	{true, 'b', -1, -1, false, false, true}, {true, 'c', 1, 3, true, true, true}, /* null */
	{true, 'c', 1, 5, true, true, true},                                          /* zero */
	{true, 'c', 1, 7, true, true, true},                                          /* full */
	{true, 'c', 1, 8, true, true, true},                                          /* random */
	{true, 'c', 1, 9, true, true, true},                                          /* urandom */
	{true, 'c', 5, 0, true, true, true},                                          /* tty */
	{true, 'c', 5, 2, true, true, true},                                          /* ptmx */
	{true, 'c', 136, -1, true, true, true},                                       /* pts */
};

static int append_default_rules(struct cg_limits *l, struct err *e)
{
	struct cg_device_rule *v;

	if (!l->n_devices) /* no rules: every device is allowed */
		return 0;
	v = reallocarray(l->devices, l->n_devices + ARRAY_SIZE(default_rules), sizeof(*v));
	if (!v)
		return err_nomem(e);
	l->devices = v;
	memcpy(v + l->n_devices, default_rules, sizeof(default_rules));
	l->n_devices += ARRAY_SIZE(default_rules);
	return 0;
}

static int read_rules(const struct json_at *at, void *target, struct err *e)
{
	struct cg_limits *l = target;

	int r;

	r = json_read_array(at, sizeof(*l->devices), read_rule, (void **)&l->devices, &l->n_devices,
			    e);
	return r < 0 ? r : append_default_rules(l, e);
}

/* ---- unified ---------------------------------------------------------------------------- */

/* The key becomes a file name in the group's directory. */
static int take_unified(const struct json_at *at, const char *key, const char *value, void *target,
			struct err *e)
{
	struct cg_limits *l = target;
	struct cg_unified *v;

	if (strchr(key, '/') || *key == '.' || !strchr(key, '.'))
		return json_error(at, e, "'%s' is not the name of a cgroup file like 'memory.high'",
				  key);
	v = reallocarray(l->unified, l->n_unified + 1, sizeof(*v));
	if (!v)
		return err_nomem(e);
	l->unified = v;
	v = &v[l->n_unified++];
	v->file = strdup(key);
	v->value = strdup(value);
	return v->file && v->value ? 0 : err_nomem(e);
}

static int read_unified(const struct json_at *at, void *target, struct err *e)
{
	return oci_read_string_map(at, take_unified, target, e);
}

/* ---- the object ------------------------------------------------------------------------- */

static int read_swappiness(const struct json_at *at, void *target, struct err *e)
{
	uint64_t v;
	int r = json_get_u64(at, &v, e);

	if (r < 0)
		return r;
	if (v > 100)
		return json_error(at, e, "%llu is not between 0 and 100", (unsigned long long)v);
	*(int64_t *)target = (int64_t)v;
	return 0;
}

static const struct json_field memory_fields[] = {
	JSON_FIELD(struct cg_limits, memory_bytes, "limit", read_bytes),
	JSON_FIELD(struct cg_limits, memory_low_bytes, "reservation", read_bytes),
	JSON_FIELD(struct cg_limits, memory_swap_bytes, "swap", read_bytes),
	JSON_FIELD(struct cg_limits, memory_swappiness, "swappiness", read_swappiness),
	JSON_FIELD(struct cg_limits, oom_kill_disable, "disableOOMKiller", json_read_bool),
	JSON_FIELD(struct cg_limits, memory_check_before, "checkBeforeUpdate", json_read_bool),
};

static int read_burst(const struct json_at *at, void *target, struct err *e)
{
	return read_limit(at, false, 1, INT64_MAX / 1000, target, e);
}

/* Here 0 is a value: the idle class is taken away. */
static int read_idle(const struct json_at *at, void *target, struct err *e)
{
	int64_t v;
	int r = json_get_i64(at, &v, e);

	if (r < 0)
		return r;
	if (v != 0 && v != 1)
		return json_error(at, e, "%lld is not 0 or 1", (long long)v);
	*(int64_t *)target = v;
	return 0;
}

static int read_rt_runtime(const struct json_at *at, void *target, struct err *e)
{
	return read_limit(at, true, 1, INT64_MAX / 1000, target, e);
}

static int read_rt_period(const struct json_at *at, void *target, struct err *e)
{
	return read_limit(at, false, 1, INT64_MAX / 1000, target, e);
}

static const struct json_field cpu_fields[] = {
	JSON_FIELD(struct cg_limits, cpu_quota_usec, "quota", read_quota),
	JSON_FIELD(struct cg_limits, cpu_period_usec, "period", read_period),
	JSON_FIELD(struct cg_limits, cpu_shares, "shares", read_shares),
	JSON_FIELD(struct cg_limits, cpu_burst_usec, "burst", read_burst),
	JSON_FIELD(struct cg_limits, cpu_idle, "idle", read_idle),
	JSON_FIELD(struct cg_limits, cpu_rt_runtime_usec, "realtimeRuntime", read_rt_runtime),
	JSON_FIELD(struct cg_limits, cpu_rt_period_usec, "realtimePeriod", read_rt_period),
	JSON_FIELD(struct cg_limits, cpuset_cpus, "cpus", oci_read_cpu_list),
	JSON_FIELD(struct cg_limits, cpuset_mems, "mems", oci_read_cpu_list),
};

static const struct json_field pids_fields[] = {
	JSON_FIELD(struct cg_limits, pids_max, "limit", read_pids),
};

static int read_memory(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, memory_fields, ARRAY_SIZE(memory_fields), target, e);
}

static int read_cpu(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, cpu_fields, ARRAY_SIZE(cpu_fields), target, e);
}

static int read_pids_object(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, pids_fields, ARRAY_SIZE(pids_fields), target, e);
}

static const struct json_field resource_fields[] = {
	{"memory", read_memory, 0, false, -1},
	{"cpu", read_cpu, 0, false, -1},
	{"pids", read_pids_object, 0, false, -1},
	{"devices", read_rules, 0, false, -1},
	{"unified", read_unified, 0, false, -1},
	{"blockIO", oci_read_block_io, 0, false, -1},
	{"hugepageLimits", oci_read_page_limits, 0, false, -1},
	{"rdma", oci_read_rdma, 0, false, -1},
	{"network", oci_read_network_limits, 0, false, -1},
};

int oci_read_resources_unchecked(const struct json_at *at, void *limits, struct err *e)
{
	return json_read_object(at, resource_fields, ARRAY_SIZE(resource_fields), limits, e);
}

int oci_read_resources(const struct json_at *at, void *limits, struct err *e)
{
	_cleanup_free_ char *place = NULL;
	int r = oci_read_resources_unchecked(at, limits, e);

	if (r < 0)
		return r;
	/* Combinations, such as swap below memory. */
	if (cg_limits_check(limits, e) == 0)
		return 0;
	place = json_path(at);
	return err_wrap(e, "%s", place ? place : "linux.resources");
}
