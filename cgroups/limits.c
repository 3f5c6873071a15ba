/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits as values: life, ranges and combinations, conversions. No kernel is asked here.
 */
#include "group.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

/* Kernel: kernel/sched/core.c, min_cfs_quota_period and max_cfs_quota_period. */
#define CPU_PERIOD_MIN_USEC INT64_C(1000)
#define CPU_PERIOD_MAX_USEC INT64_C(1000000)
#define CPU_QUOTA_MIN_USEC  INT64_C(1000)
/* max_cfs_runtime: what fits the kernel's 44-bit microseconds. */
#define CPU_QUOTA_MAX_USEC (INT64_C(1) << 43)
#define CPU_PERIOD_DEFAULT INT64_C(100000)
#define CPUSET_MAX         65535 /* no kernel has more CPUs or nodes */

void cg_limits_init(struct cg_limits *l)
{
	*l = (struct cg_limits){
		.memory_bytes = CG_UNSET,
		.memory_low_bytes = CG_UNSET,
		.memory_swap_bytes = CG_UNSET,
		.cpu_quota_usec = CG_UNSET,
		.cpu_period_usec = CG_UNSET,
		.cpu_shares = CG_UNSET,
		.cpu_weight = CG_UNSET,
		.pids_max = CG_UNSET,
		.memory_swappiness = CG_UNSET,
		.cpu_burst_usec = CG_UNSET,
		.cpu_idle = CG_UNSET,
		.cpu_rt_runtime_usec = CG_UNSET,
		.cpu_rt_period_usec = CG_UNSET,
		.io_weight = CG_UNSET,
		.net_class = CG_UNSET,
	};
}

void cg_limits_done(struct cg_limits *l)
{
	for (size_t i = 0; i < l->n_unified; i++) {
		free(l->unified[i].file);
		free(l->unified[i].value);
	}
	free(l->unified);
	for (size_t i = 0; i < l->n_pages; i++)
		free(l->pages[i].size);
	for (size_t i = 0; i < l->n_rdma; i++)
		free(l->rdma[i].device);
	for (size_t i = 0; i < l->n_net_priorities; i++)
		free(l->net_priorities[i].interface);
	for (size_t i = 0; i < CG_IO_COUNT; i++)
		free(l->io_max[i]);
	free(l->pages);
	free(l->rdma);
	free(l->net_priorities);
	free(l->io_weights);
	free(l->devices);
	free(l->cpuset_cpus);
	free(l->cpuset_mems);
	cg_limits_init(l);
}

/* ---- ranges --------------------------------------------------------------------------------- */

struct range_row {
	const char *name, *unit;
	size_t offset;
	int64_t min, max;
	bool unlimited; /* -1 is a value */
};
#define RANGE(label, unit, member, min, max, unlimited)                              \
	{                                                                            \
		label, unit, offsetof(struct cg_limits, member), min, max, unlimited \
	}

static const struct range_row range_table[] = {
	RANGE("memory limit", " bytes", memory_bytes, 1, INT64_MAX, true),
	RANGE("memory reservation", " bytes", memory_low_bytes, 0, INT64_MAX, true),
	RANGE("memory and swap limit", " bytes", memory_swap_bytes, 1, INT64_MAX, true),
	RANGE("cpu quota", " us", cpu_quota_usec, CPU_QUOTA_MIN_USEC, CPU_QUOTA_MAX_USEC, true),
	RANGE("cpu period", " us", cpu_period_usec, CPU_PERIOD_MIN_USEC, CPU_PERIOD_MAX_USEC,
	      false),
	RANGE("cpu shares", "", cpu_shares, 2, 262144, false),
	RANGE("cpu weight", "", cpu_weight, 1, 10000, false),
	RANGE("cpu burst", " us", cpu_burst_usec, 0, CPU_QUOTA_MAX_USEC, false),
	RANGE("cpu idle", "", cpu_idle, 0, 1, false),
	RANGE("cpu real-time runtime", " us", cpu_rt_runtime_usec, 0, INT64_MAX / 1000, true),
	RANGE("cpu real-time period", " us", cpu_rt_period_usec, 1, INT64_MAX / 1000, false),
	RANGE("memory swappiness", "", memory_swappiness, 0, 100, false),
	RANGE("block I/O weight", "", io_weight, 10, 1000, false),
	RANGE("network class", "", net_class, 0, UINT32_MAX, false),
	/* With 0 the workload itself could not start. */
	RANGE("pids limit", "", pids_max, 1, INT64_MAX, true),
};

static int check_ranges(const struct cg_limits *l, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(range_table); i++) {
		const struct range_row *r = &range_table[i];
		int64_t v;

		memcpy(&v, (const char *)l + r->offset, sizeof(v));
		if (v == CG_UNSET || (r->unlimited && v == CG_MAX) || (v >= r->min && v <= r->max))
			continue;
		if (r->max == INT64_MAX)
			err_invalid(e, "%s %" PRId64 "%s is out of range: %" PRId64 " or more",
				    r->name, v, r->unit, r->min);
		else
			err_invalid(e, "%s %" PRId64 "%s is out of range: %" PRId64 " to %" PRId64,
				    r->name, v, r->unit, r->min, r->max);
		if (r->unlimited)
			err_hint(e, "-1 means no limit");
		return -EINVAL;
	}
	return 0;
}

const char *cg_limits_first(const struct cg_limits *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(range_table); i++) {
		int64_t v;

		memcpy(&v, (const char *)l + range_table[i].offset, sizeof(v));
		if (v != CG_UNSET && !(range_table[i].unlimited && v == CG_MAX))
			return range_table[i].name;
	}
	if (l->cpuset_cpus || l->cpuset_mems)
		return "cpuset";
	for (size_t i = 0; i < CG_IO_COUNT; i++)
		if (l->n_io_max[i])
			return "block I/O limit";
	if (l->n_io_weights)
		return "block I/O weight";
	if (l->n_pages)
		return "huge page limit";
	if (l->n_rdma)
		return "rdma limit";
	if (l->n_net_priorities)
		return "network priority";
	return l->n_unified ? "unified" : NULL;
}

static int check_memory(const struct cg_limits *l, struct err *e)
{
	int64_t memory = l->memory_bytes, swap = l->memory_swap_bytes;

	if (swap == CG_UNSET || swap == CG_MAX)
		return 0;
	if (memory == CG_UNSET || memory == CG_MAX) {
		err_invalid(e, "memory and swap limit %" PRId64 " bytes without a memory limit",
			    swap);
		return err_hint(e, "it counts memory and swap together; give the memory limit too");
	}
	if (swap < memory) {
		err_invalid(e,
			    "memory and swap limit %" PRId64
			    " bytes is below the memory limit %" PRId64 " bytes",
			    swap, memory);
		return err_hint(e, "it counts memory and swap together");
	}
	return 0;
}

/* ---- cpuset lists ---------------------------------------------------------------------------- */

static bool list_number(const char **p, unsigned *ret)
{
	unsigned v = 0;
	const char *s = *p;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (unsigned)(*s - '0');
		if (v > CPUSET_MAX)
			return false;
	}
	*p = s;
	*ret = v;
	return true;
}

/* One element: "N", "N-M" or the kernel's "N-M:used/group". */
static bool list_element(const char **p)
{
	unsigned from, to, used, group;

	if (!list_number(p, &from))
		return false;
	if (**p != '-')
		return true;
	(*p)++;
	if (!list_number(p, &to) || to < from)
		return false;
	if (**p != ':')
		return true;
	(*p)++;
	if (!list_number(p, &used) || **p != '/')
		return false;
	(*p)++;
	return list_number(p, &group) && group > 0 && used <= group;
}

static int check_list(const char *what, const char *s, struct err *e)
{
	const char *p = s;

	if (!s)
		return 0;
	if (strlen(s) >= CG_FILE_MAX / 2)
		return err_invalid(e, "%s is too long", what);
	for (;;) {
		if (!list_element(&p))
			break;
		if (*p == '\0')
			return 0;
		if (*p++ != ',')
			break;
	}
	err_invalid(e, "%s '%s' is not a list of numbers and ranges", what, s);
	return err_hint(e, "write it like '0-3,7'");
}

/* ---- device rules and unified files ------------------------------------------------------------ */

static int check_device(const struct cg_device_rule *r, size_t i, struct err *e)
{
	if (r->type != 'a' && r->type != 'b' && r->type != 'c')
		return err_invalid(e, "device rule %zu: type '%c' is not a, b or c", i + 1,
				   r->type ? r->type : '?');
	/* Source: include/linux/kdev_t.h, MINORBITS 20. */
	if (r->major < -1 || r->major > 0xfff)
		return err_invalid(e, "device rule %zu: major %" PRId64 " is out of range", i + 1,
				   r->major);
	if (r->minor < -1 || r->minor > 0xfffff)
		return err_invalid(e, "device rule %zu: minor %" PRId64 " is out of range", i + 1,
				   r->minor);
	if (!cg_device_access(r))
		return err_invalid(e, "device rule %zu: none of read, write, mknod", i + 1);
	return 0;
}

/* Files of the core that are limits. The others move processes, kill or freeze them, or change
 * what the group is: not for a configuration. */
static const char *const unified_core_files[] = {"cgroup.max.depth", "cgroup.max.descendants",
						 "cgroup.pressure"};

static int check_unified_name(const char *file, struct err *e)
{
	if (!file || !*file || strchr(file, '/') || file[0] == '.' || !strchr(file, '.'))
		return err_invalid(e, "unified '%s' is not a control group file name",
				   file ? file : "");
	if (!str_has_prefix(file, "cgroup."))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(unified_core_files); i++)
		if (STREQ(file, unified_core_files[i]))
			return 0;
	return err_invalid(e, "unified '%s' is not a limit", file);
}

static int check_unified(const struct cg_limits *l, struct err *e)
{
	for (size_t i = 0; i < l->n_unified; i++) {
		const struct cg_unified *u = &l->unified[i];
		int r = check_unified_name(u->file, e);

		if (r < 0)
			return r;
		if (!u->value || !*u->value || strlen(u->value) >= CG_FILE_MAX / 2)
			return err_invalid(e, "unified '%s' has an empty or too long value",
					   u->file);
		for (size_t k = 0; k < i; k++)
			if (STREQ(l->unified[k].file, u->file))
				return err_invalid(e, "unified '%s' is given twice", u->file);
	}
	return 0;
}

/* ---- names that become a part of a file's name or of its text ------------------------------- */

static bool is_word(const char *s)
{
	return s && *s && strlen(s) < 64 && s[0] != '.' &&
	       s[strspn(s,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@")] ==
		       '\0';
}

static int check_io(const struct cg_limits *l, struct err *e)
{
	for (size_t i = 0; i < l->n_io_weights; i++)
		if (l->io_weights[i].value != 0 &&
		    (l->io_weights[i].value < 10 || l->io_weights[i].value > 1000))
			return err_invalid(e,
					   "block I/O weight %" PRIu64
					   " of a device is out of range: 10 to 1000",
					   l->io_weights[i].value);
	return 0;
}

static int check_named(const struct cg_limits *l, struct err *e)
{
	for (size_t i = 0; i < l->n_pages; i++)
		if (!is_word(l->pages[i].size))
			return err_invalid(e, "huge page size '%s' is none", l->pages[i].size);
	for (size_t i = 0; i < l->n_rdma; i++)
		if (!is_word(l->rdma[i].device))
			return err_invalid(e, "rdma device '%s' is no device name",
					   l->rdma[i].device);
	for (size_t i = 0; i < l->n_net_priorities; i++)
		if (!is_word(l->net_priorities[i].interface))
			return err_invalid(e, "network interface '%s' is no interface name",
					   l->net_priorities[i].interface);
	return check_io(l, e);
}

int cg_limits_check(const struct cg_limits *l, struct err *e)
{
	int r = check_ranges(l, e);

	if (r < 0)
		return r;
	r = check_memory(l, e);
	if (r < 0)
		return r;
	r = check_list("cpuset cpus", l->cpuset_cpus, e);
	if (r < 0)
		return r;
	r = check_list("cpuset mems", l->cpuset_mems, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l->n_devices; i++) {
		r = check_device(&l->devices[i], i, e);
		if (r < 0)
			return r;
	}
	r = check_named(l, e);
	return r < 0 ? r : check_unified(l, e);
}

/* ---- conversions ------------------------------------------------------------------------------- */

void cg_limits_set_cpus(struct cg_limits *l, uint64_t microcpus)
{
	uint64_t period = (uint64_t)CPU_PERIOD_DEFAULT;

	/* More CPUs than any machine has would overflow the quota; the kernel knows no more. */
	if (microcpus > UINT64_C(65536) * 1000000)
		microcpus = UINT64_C(65536) * 1000000;
	if (microcpus == 0)
		microcpus = 1;
	/* Under 0.01 CPU the quota of a 100 ms period would be under the kernel's 1 ms. */
	if (microcpus * period < (uint64_t)CPU_QUOTA_MIN_USEC * 1000000)
		period = ((uint64_t)CPU_QUOTA_MIN_USEC * 1000000 + microcpus - 1) / microcpus;
	if (period > (uint64_t)CPU_PERIOD_MAX_USEC)
		period = (uint64_t)CPU_PERIOD_MAX_USEC;

	l->cpu_period_usec = (int64_t)period;
	l->cpu_quota_usec = (int64_t)((microcpus * period + 500000) / 1000000);
	if (l->cpu_quota_usec < CPU_QUOTA_MIN_USEC)
		l->cpu_quota_usec = CPU_QUOTA_MIN_USEC;
}

uint64_t cg_weight_of_shares(uint64_t shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + ((shares - 2) * 9999) / 262142;
}

unsigned cg_limits_needs(const struct cg_limits *l)
{
	unsigned needs = 0;

	if (!l)
		return 0;
	if (l->memory_bytes != CG_UNSET || l->memory_low_bytes != CG_UNSET ||
	    l->memory_swap_bytes != CG_UNSET || l->memory_swappiness != CG_UNSET ||
	    l->oom_kill_disable)
		needs |= CG_BIT(CG_CTL_MEMORY);
	if (l->cpu_quota_usec != CG_UNSET || l->cpu_period_usec != CG_UNSET ||
	    l->cpu_shares != CG_UNSET || l->cpu_weight != CG_UNSET ||
	    l->cpu_burst_usec != CG_UNSET || l->cpu_idle != CG_UNSET ||
	    l->cpu_rt_runtime_usec != CG_UNSET || l->cpu_rt_period_usec != CG_UNSET)
		needs |= CG_BIT(CG_CTL_CPU);
	if (l->cpuset_cpus || l->cpuset_mems)
		needs |= CG_BIT(CG_CTL_CPUSET);
	if (l->pids_max != CG_UNSET)
		needs |= CG_BIT(CG_CTL_PIDS);
	if (l->n_devices)
		needs |= CG_BIT(CG_CTL_DEVICES);
	if (l->io_weight != CG_UNSET || l->n_io_weights)
		needs |= CG_BIT(CG_CTL_IO);
	for (size_t i = 0; i < CG_IO_COUNT; i++)
		if (l->n_io_max[i])
			needs |= CG_BIT(CG_CTL_IO);
	if (l->n_pages)
		needs |= CG_BIT(CG_CTL_HUGETLB);
	if (l->n_rdma)
		needs |= CG_BIT(CG_CTL_RDMA);
	if (l->net_class != CG_UNSET)
		needs |= CG_BIT(CG_CTL_NET_CLS);
	if (l->n_net_priorities)
		needs |= CG_BIT(CG_CTL_NET_PRIO);
	for (size_t i = 0; i < l->n_unified; i++) {
		const char *file = l->unified[i].file;
		enum cg_ctl c;

		if (file && cg_ctl_parse(file, strcspn(file, "."), &c))
			needs |= CG_BIT(c);
	}
	return needs;
}
