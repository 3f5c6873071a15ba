/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits and statistics in the unified hierarchy.
 * Source: Documentation/admin-guide/cgroup-v2.rst.
 */
#include "backend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define CPU_PERIOD_DEFAULT INT64_C(100000)

static int write_or_max(const struct cg_dir *d, const char *file, int64_t value, struct err *e)
{
	return value == CG_MAX ? cg_file_write(d->fd, file, "max", e)
			       : cg_file_write_i64(d->fd, file, value, e);
}

static int set_cpuset(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int r = 0;

	if (l->cpuset_cpus)
		r = cg_file_write(d->fd, "cpuset.cpus", l->cpuset_cpus, e);
	if (r == 0 && l->cpuset_mems)
		r = cg_file_write(d->fd, "cpuset.mems", l->cpuset_mems, e);
	if (r == -EINVAL || r == -ERANGE)
		err_hint(e, "the list must lie within what the machine has");
	return r;
}

/* cpu.max holds "quota period". One number alone would leave or reset the other: both are written,
 * the one not given as it stands. */
static int set_quota(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int64_t quota = l->cpu_quota_usec, period = l->cpu_period_usec;
	char text[64];
	int r;

	if (quota == CG_UNSET && period == CG_UNSET)
		return 0;
	if (quota == CG_UNSET || period == CG_UNSET) {
		int64_t now_quota = CG_MAX, now_period = CPU_PERIOD_DEFAULT;

		r = cg_file_read(d->fd, "cpu.max", text, sizeof(text), e);
		if (r < 0)
			return r;
		if (sscanf(text, "max %" SCNd64, &now_period) != 1 &&
		    sscanf(text, "%" SCNd64 " %" SCNd64, &now_quota, &now_period) != 2)
			return err_sys(e, EPROTO, "'cpu.max' holds '%s'", text);
		quota = quota == CG_UNSET ? now_quota : quota;
		period = period == CG_UNSET ? now_period : period;
	}
	if (quota == CG_MAX)
		snprintf(text, sizeof(text), "max %" PRId64, period);
	else
		snprintf(text, sizeof(text), "%" PRId64 " %" PRId64, quota, period);
	return cg_file_write(d->fd, "cpu.max", text, e);
}

/* The kernel keeps burst <= quota: raising the quota comes first, lowering it last. */
static int set_bandwidth(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	if (l->cpu_burst_usec != CG_UNSET && set_quota(d, l, NULL) == 0)
		return cg_burst_set(d, "cpu.max.burst", l, e);
	int r = cg_burst_set(d, "cpu.max.burst", l, e);

	return r < 0 ? r : set_quota(d, l, e);
}

static int set_cpu(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int64_t weight = l->cpu_weight;
	int r = 0;

	if (l->cpu_rt_runtime_usec != CG_UNSET || l->cpu_rt_period_usec != CG_UNSET)
		return err_unsupported(e, "real-time limits of groups are of cgroup v1 only");
	if (l->cpu_idle == 0)
		r = cg_idle_set(d, l, e);

	if (weight == CG_UNSET && l->cpu_shares != CG_UNSET)
		weight = (int64_t)cg_weight_of_shares((uint64_t)l->cpu_shares);
	if (r == 0 && weight != CG_UNSET)
		r = cg_file_write_i64(d->fd, "cpu.weight", weight, e);
	if (r == 0)
		r = set_bandwidth(d, l, e);
	if (r == -ENOENT)
		err_hint(e, "the kernel lacks CONFIG_CFS_BANDWIDTH or CONFIG_FAIR_GROUP_SCHED");
	/* An idle group has no weight, so that comes last. */
	if (r == 0 && l->cpu_idle == 1)
		r = cg_idle_set(d, l, e);
	return r;
}

/* OCI counts memory and swap together, v2 counts swap alone. */
static int set_swap(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int64_t swap = l->memory_swap_bytes;
	int r;

	if (swap == CG_UNSET && l->memory_bytes == CG_MAX)
		swap = CG_MAX;
	if (swap == CG_UNSET)
		return 0;
	if (swap != CG_MAX)
		swap -= l->memory_bytes; /* cg_limits_check(): it is given and not above */
	r = write_or_max(d, "memory.swap.max", swap, e);
	if (r != -ENOENT)
		return r;
	if (swap == CG_MAX || swap == 0) {
		err_clear(e); /* nothing is asked that the kernel could fail to do */
		return 0;
	}
	err_unsupported(e, "limit swap: this kernel has no 'memory.swap.max'");
	return err_hint(e, "boot with swapaccount=1, or give no swap limit");
}

/* v2 takes any limit, and kills until it holds. */
static int check_usage(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	char limit[STR_SIZE_MAX], used[STR_SIZE_MAX];
	uint64_t usage;
	int r;

	if (!l->memory_check_before || l->memory_bytes == CG_UNSET || l->memory_bytes == CG_MAX)
		return 0;
	r = cg_file_read_u64(d->fd, "memory.current", &usage, e);
	if (r < 0 || usage <= (uint64_t)l->memory_bytes)
		return r;
	return err_set(e, ERR_LIMIT, EBUSY,
		       "the memory limit of %s is below what is used: the group uses %s",
		       str_size((uint64_t)l->memory_bytes, limit), str_size(usage, used));
}

static int set_memory(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int r = check_usage(d, l, e);

	if (r == 0 && (l->memory_swappiness != CG_UNSET || l->oom_kill_disable))
		return err_unsupported(e, "%s is of cgroup v1 only",
				       l->oom_kill_disable ? "disabling the OOM killer"
							   : "memory swappiness");
	if (r == 0)
		r = set_swap(d, l, e);

	if (r == 0 && l->memory_low_bytes != CG_UNSET)
		r = write_or_max(d, "memory.low", l->memory_low_bytes, e);
	if (r == 0 && l->memory_bytes != CG_UNSET)
		r = write_or_max(d, "memory.max", l->memory_bytes, e);
	return r;
}

int cg_pids_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	return write_or_max(d, "pids.max", l->pids_max, e); /* the same file in both versions */
}

/* ---- statistics ------------------------------------------------------------------------------------- */

static void stats_cpu(const struct cg_dir *d, struct cg_stats *s)
{
	char text[2048];

	if (cg_file_read(d->fd, "cpu.stat", text, sizeof(text), NULL) < 0)
		return;
	cg_text_key(text, "usage_usec", &s->cpu_usec);
	cg_text_key(text, "user_usec", &s->cpu_user_usec);
	cg_text_key(text, "system_usec", &s->cpu_system_usec);
	cg_text_key(text, "throttled_usec", &s->cpu_throttled_usec);
	cg_text_key(text, "nr_periods", &s->cpu_periods);
	cg_text_key(text, "nr_throttled", &s->cpu_throttled_periods);
}

static uint64_t memory_event(const struct cg_dir *d, const char *key)
{
	char text[512];
	uint64_t v = 0;

	if (cg_file_read(d->fd, "memory.events", text, sizeof(text), NULL) == 0)
		cg_text_key(text, key, &v);
	return v;
}

static uint64_t oom_kills(const struct cg_dir *d)
{
	return memory_event(d, "oom_kill");
}

static void stats_memory(const struct cg_dir *d, struct cg_stats *s)
{
	cg_file_read_u64(d->fd, "memory.current", &s->memory_bytes, NULL);
	cg_file_read_u64(d->fd, "memory.max", &s->memory_limit_bytes, NULL);
	cg_file_read_u64(d->fd, "memory.peak", &s->memory_peak_bytes, NULL); /* Linux 5.19 */
	if (s->memory_peak_bytes < s->memory_bytes)
		s->memory_peak_bytes = s->memory_bytes;
	cg_file_read_u64(d->fd, "memory.swap.current", &s->swap_bytes, NULL);
	cg_file_read_u64(d->fd, "memory.swap.max", &s->swap_limit_bytes, NULL);
	s->memory_failures = memory_event(d, "max");
	s->oom_kills = oom_kills(d);
}

const struct cg_backend cg_backend_v2 = {
	.set_cpuset = set_cpuset,
	.set_cpu = set_cpu,
	.set_memory = set_memory,
	.set_pids = cg_pids_set,
	.set_devices = cg_devices_v2_set,
	.set_io = cg_io_set_v2,
	.set_pages = cg_pages_set_v2,
	.set_rdma = cg_rdma_set,
	.freeze = cg_freeze_v2,
	.is_frozen = cg_is_frozen_v2,
	.stats_cpu = stats_cpu,
	.stats_memory = stats_memory,
	.stats_io = cg_stats_io_v2,
	.oom_watch = cg_oom_watch_v2,
	.oom_kills = oom_kills,
};
