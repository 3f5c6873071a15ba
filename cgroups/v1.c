/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits and statistics in the legacy hierarchies.
 * Source: Documentation/admin-guide/cgroup-v1/{memory,cpusets,pids,cpuacct}.rst;
 * Documentation/scheduler/sched-bwc.rst.
 */
#include "backend.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define MEM_LIMIT   "memory.limit_in_bytes"
#define MEM_USAGE   "memory.usage_in_bytes"
#define MEMSW_LIMIT "memory.memsw.limit_in_bytes"
#define MEMSW_USAGE "memory.memsw.usage_in_bytes"

/* Limits read back as "no limit" are the largest page count, not -1. */
#define V1_NO_LIMIT (UINT64_C(1) << 62)

static int set_cpuset(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int r = 0;

	if (l->cpuset_cpus)
		r = cg_file_write(d->fd, "cpuset.cpus", l->cpuset_cpus, e);
	if (r == 0 && l->cpuset_mems)
		r = cg_file_write(d->fd, "cpuset.mems", l->cpuset_mems, e);
	if (r == -EACCES || r == -EINVAL || r == -ERANGE)
		err_hint(e, "the list must lie within what the machine and the parent group have");
	return r;
}

/* The kernel checks quota/period against the parent's at each write. Where both change, one order
 * can pass through a ratio that is refused, and the other one does not. */
static int set_quota(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	bool quota = l->cpu_quota_usec != CG_UNSET, period = l->cpu_period_usec != CG_UNSET;
	int r;

	if (quota && period &&
	    cg_file_write_i64(d->fd, "cpu.cfs_period_us", l->cpu_period_usec, NULL) < 0) {
		r = cg_file_write_i64(d->fd, "cpu.cfs_quota_us", l->cpu_quota_usec, e);
		return r < 0 ? r
			     : cg_file_write_i64(d->fd, "cpu.cfs_period_us", l->cpu_period_usec, e);
	}
	r = 0;
	if (period && !quota)
		r = cg_file_write_i64(d->fd, "cpu.cfs_period_us", l->cpu_period_usec, e);
	if (r == 0 && quota)
		r = cg_file_write_i64(d->fd, "cpu.cfs_quota_us", l->cpu_quota_usec, e);
	return r;
}

/* The kernel keeps burst <= quota: raising the quota comes first, lowering it last. */
static int set_bandwidth(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	if (l->cpu_burst_usec != CG_UNSET && set_quota(d, l, NULL) == 0)
		return cg_burst_set(d, "cpu.cfs_burst_us", l, e);
	int r = cg_burst_set(d, "cpu.cfs_burst_us", l, e);

	return r < 0 ? r : set_quota(d, l, e);
}

static int set_realtime(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int r = 0;

	if (l->cpu_rt_period_usec != CG_UNSET)
		r = cg_file_write_i64(d->fd, "cpu.rt_period_us", l->cpu_rt_period_usec, e);
	if (r == 0 && l->cpu_rt_runtime_usec != CG_UNSET)
		r = cg_file_write_i64(d->fd, "cpu.rt_runtime_us", l->cpu_rt_runtime_usec, e);
	if (r == -EINVAL)
		err_hint(e, "the parent groups must have real-time bandwidth to give");
	return r;
}

/* v2's weight 1..10000 (100 is the default) on v1's scale (1024 is the default). */
static int64_t shares_of_weight(int64_t weight)
{
	int64_t shares = weight * 1024 / 100;

	return shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
}

static int set_cpu(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int64_t shares = l->cpu_shares;
	int r = 0;

	if (l->cpu_weight != CG_UNSET)
		shares = shares_of_weight(l->cpu_weight);
	if (l->cpu_idle == 0)
		r = cg_idle_set(d, l, e);
	if (r == 0 && shares != CG_UNSET)
		r = cg_file_write_i64(d->fd, "cpu.shares", shares, e);
	if (r == 0)
		r = set_bandwidth(d, l, e);
	if (r == 0)
		r = set_realtime(d, l, e);
	if (r == -EINVAL)
		err_hint(e, "a parent group may allow less CPU time");
	if (r == -ENOENT)
		err_hint(e, "the kernel lacks CONFIG_CFS_BANDWIDTH or CONFIG_FAIR_GROUP_SCHED");
	/* An idle group has no weight, so that comes last. */
	if (r == 0 && l->cpu_idle == 1)
		r = cg_idle_set(d, l, e);
	return r;
}

/* ---- memory ----------------------------------------------------------------------------------------- */

static int write_limit(const struct cg_dir *d, const char *file, const char *usage_file,
		       int64_t value, struct err *e)
{
	char limit[STR_SIZE_MAX], used[STR_SIZE_MAX];
	uint64_t usage = 0;
	int r = cg_file_write_i64(d->fd, file, value, e);

	/* The kernel tried to reclaim and could not get below. */
	if (r != -EBUSY)
		return r;
	cg_file_read_u64(d->fd, usage_file, &usage, NULL);
	err_set(e, ERR_LIMIT, EBUSY,
		"'%s': the limit of %s is below what is used: the group uses %s", file,
		str_size((uint64_t)value, limit), str_size(usage, used));
	return err_hint(e, "give a limit above that, or let the sandbox free memory first");
}

/* What memory.memsw gets: OCI's swap value is memory and swap together, as v1's file is. A lifted
 * memory limit lifts this one too, or the kernel would refuse. */
static int64_t memsw_value(const struct cg_limits *l)
{
	if (l->memory_swap_bytes == CG_UNSET && l->memory_bytes == CG_MAX)
		return CG_MAX;
	return l->memory_swap_bytes;
}

/* Without swap accounting there is no file; what it would forbid cannot be forbidden. */
static int check_no_memsw(const struct cg_limits *l, struct err *e)
{
	if (l->memory_swap_bytes == CG_UNSET || l->memory_swap_bytes == CG_MAX ||
	    l->memory_swap_bytes == l->memory_bytes)
		return 0;
	err_unsupported(e, "limit swap: this kernel has no '" MEMSW_LIMIT "'");
	return err_hint(e, "boot with swapaccount=1, or give no swap limit");
}

/* The kernel keeps limit <= memsw limit at each write: raising starts with memsw, lowering with
 * memory. */
static int set_memory_and_swap(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int64_t memory = l->memory_bytes, memsw = memsw_value(l);
	uint64_t current = 0;
	bool memsw_first = memsw == CG_MAX;
	int r;

	if (memsw != CG_UNSET && !cg_file_exists(d->fd, MEMSW_LIMIT)) {
		r = check_no_memsw(l, e);
		if (r < 0)
			return r;
		memsw = CG_UNSET;
	}
	if (memsw != CG_UNSET && memsw != CG_MAX) {
		r = cg_file_read_u64(d->fd, MEM_LIMIT, &current, e);
		if (r < 0)
			return r;
		memsw_first = (uint64_t)memsw >= current;
	}
	if (memsw != CG_UNSET && memsw_first) {
		r = write_limit(d, MEMSW_LIMIT, MEMSW_USAGE, memsw, e);
		if (r < 0)
			return r;
	}
	if (memory != CG_UNSET) {
		r = write_limit(d, MEM_LIMIT, MEM_USAGE, memory, e);
		if (r == -EINVAL && memsw == CG_UNSET)
			err_hint(e, "the limit of memory and swap together is lower; raise it too");
		if (r < 0)
			return r;
	}
	if (memsw != CG_UNSET && !memsw_first)
		return write_limit(d, MEMSW_LIMIT, MEMSW_USAGE, memsw, e);
	return 0;
}

static int set_memory(const struct cg_dir *d, const struct cg_limits *l, struct err *e)
{
	int r = set_memory_and_swap(d, l, e);

	if (r == 0 && l->memory_swappiness != CG_UNSET)
		r = cg_file_write_i64(d->fd, "memory.swappiness", l->memory_swappiness, e);
	if (r == 0 && l->oom_kill_disable)
		r = cg_file_write(d->fd, "memory.oom_control", "1", e);
	if (r < 0 || l->memory_low_bytes == CG_UNSET)
		return r;
	r = cg_file_write_i64(d->fd, "memory.soft_limit_in_bytes", l->memory_low_bytes, e);
	if (r == -ENOENT || r == -EOPNOTSUPP)
		return err_unsupported(e, "memory reservation: this kernel has no "
					  "'memory.soft_limit_in_bytes'");
	return r;
}

/* ---- statistics ------------------------------------------------------------------------------------- */

static void stats_cpu(const struct cg_dir *d, struct cg_stats *s)
{
	char text[1024];
	uint64_t v;

	if (d->controllers & CG_BIT(CG_CTL_CPUACCT)) {
		if (cg_file_read_u64(d->fd, "cpuacct.usage", &v, NULL) == 0)
			s->cpu_usec = v / 1000;
		if (cg_file_read_u64(d->fd, "cpuacct.usage_user", &v, NULL) == 0)
			s->cpu_user_usec = v / 1000;
		if (cg_file_read_u64(d->fd, "cpuacct.usage_sys", &v, NULL) == 0)
			s->cpu_system_usec = v / 1000;
	}
	if ((d->controllers & CG_BIT(CG_CTL_CPU)) &&
	    cg_file_read(d->fd, "cpu.stat", text, sizeof(text), NULL) == 0 &&
	    cg_text_key(text, "throttled_time", &v)) {
		s->cpu_throttled_usec = v / 1000;
		cg_text_key(text, "nr_periods", &s->cpu_periods);
		cg_text_key(text, "nr_throttled", &s->cpu_throttled_periods);
	}
}

static uint64_t oom_kills(const struct cg_dir *d)
{
	char text[512];
	uint64_t v = 0;

	if (cg_file_read(d->fd, "memory.oom_control", text, sizeof(text), NULL) == 0)
		cg_text_key(text, "oom_kill", &v);
	return v;
}

static void stats_memory(const struct cg_dir *d, struct cg_stats *s)
{
	uint64_t limit;

	cg_file_read_u64(d->fd, MEM_USAGE, &s->memory_bytes, NULL);
	cg_file_read_u64(d->fd, "memory.max_usage_in_bytes", &s->memory_peak_bytes, NULL);
	if (cg_file_read_u64(d->fd, MEM_LIMIT, &limit, NULL) == 0)
		s->memory_limit_bytes = limit >= V1_NO_LIMIT ? UINT64_MAX : limit;
	cg_file_read_u64(d->fd, MEMSW_USAGE, &s->swap_bytes, NULL);
	if (cg_file_read_u64(d->fd, MEMSW_LIMIT, &limit, NULL) == 0)
		s->swap_limit_bytes = limit >= V1_NO_LIMIT ? UINT64_MAX : limit;
	cg_file_read_u64(d->fd, "memory.failcnt", &s->memory_failures, NULL);
	s->oom_kills = oom_kills(d);
}

const struct cg_backend cg_backend_v1 = {
	.set_cpuset = set_cpuset,
	.set_cpu = set_cpu,
	.set_memory = set_memory,
	.set_pids = cg_pids_set,
	.set_devices = cg_devices_v1_set,
	.set_io = cg_io_set_v1,
	.set_pages = cg_pages_set_v1,
	.set_rdma = cg_rdma_set,
	.set_net_class = cg_net_class_set,
	.set_net_priorities = cg_net_priorities_set,
	.freeze = cg_freeze_v1,
	.is_frozen = cg_is_frozen_v1,
	.stats_cpu = stats_cpu,
	.stats_memory = stats_memory,
	.stats_io = cg_stats_io_v1,
	.oom_watch = cg_oom_watch_v1,
	.oom_kills = oom_kills,
};
