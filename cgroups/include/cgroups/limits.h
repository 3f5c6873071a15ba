/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of a control group, in one form for v1, hybrid and v2.
 * Spec: OCI runtime-spec config-linux.md "Control groups"; Linux
 * Documentation/admin-guide/cgroup-v2.rst.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* "not given". A limit of -1 in the configuration means "no limit" and is CG_MAX. */
#define CG_UNSET INT64_MIN
#define CG_MAX   ((int64_t)-1)

struct cg_device_rule {
	bool allow;
	char type;            /* 'a', 'b' or 'c' */
	int64_t major, minor; /* -1: any */
	bool read, write, mknod;
};

/* A file of the unified hierarchy, written as it is (v2 only). */
struct cg_unified {
	char *file, *value;
};

/* Of block devices: reads and writes, bytes and operations per second. */
enum cg_io_limit {
	CG_IO_READ_BPS,
	CG_IO_WRITE_BPS,
	CG_IO_READ_IOPS,
	CG_IO_WRITE_IOPS,
	CG_IO_COUNT
};
struct cg_io_rule {
	int64_t major, minor;
	uint64_t value; /* 0: no limit */
};

struct cg_page_limit {
	char *size; /* "2MB", as the kernel's files are named */
	uint64_t bytes;
};

struct cg_rdma_limit {
	char *device;             /* "mlx5_0" */
	int64_t handles, objects; /* CG_UNSET, CG_MAX */
};

struct cg_net_priority {
	char *interface;
	uint32_t priority;
};

struct cg_limits {
	int64_t memory_bytes;      /* memory.max / memory.limit_in_bytes */
	int64_t memory_low_bytes;  /* reservation: memory.low / soft_limit_in_bytes */
	int64_t memory_swap_bytes; /* memory + swap together, as OCI counts it */
	int64_t memory_swappiness; /* 0..100; v1 only */
	bool oom_kill_disable;     /* v1 only */
	/* Refuse a memory limit below what is used, where the kernel would rather kill (v2). */
	bool memory_check_before;
	int64_t cpu_quota_usec; /* per period; CG_MAX: none */
	int64_t cpu_period_usec;
	int64_t cpu_burst_usec; /* what may be saved up and used at once */
	int64_t cpu_idle;       /* 1: runs only when nobody else wants to; 0: not so */
	int64_t cpu_rt_runtime_usec, cpu_rt_period_usec; /* v1 only */
	int64_t cpu_shares; /* 2..262144, OCI's v1 scale; converted for v2 */
	int64_t cpu_weight; /* 1..10000, v2's scale; wins over shares where both are given */
	char *cpuset_cpus, *cpuset_mems; /* owned lists, "0-3,7" */
	int64_t pids_max;
	int64_t io_weight; /* 10..1000, OCI's v1 scale; converted for v2 */
	/* owned; per device */
	struct cg_io_rule *io_weights;
	size_t n_io_weights;
	struct cg_io_rule *io_max[CG_IO_COUNT];
	size_t n_io_max[CG_IO_COUNT];
	struct cg_page_limit *pages; /* owned; usage of huge pages */
	size_t n_pages;
	struct cg_rdma_limit *rdma; /* owned */
	size_t n_rdma;
	int64_t net_class;                      /* v1 only, as the two below */
	struct cg_net_priority *net_priorities; /* owned */
	size_t n_net_priorities;
	struct cg_device_rule
		*devices; /* owned, in order, the last match wins; n 0: no device rules */
	size_t n_devices;
	struct cg_unified *unified; /* owned */
	size_t n_unified;
};

/* Everything CG_UNSET or empty. */
void cg_limits_init(struct cg_limits *l);
void cg_limits_done(struct cg_limits *l);

/* Ranges and combinations, without a kernel. */
int cg_limits_check(const struct cg_limits *l, struct err *e);

/* The name of a limit that is set, device rules aside; NULL: none is. */
const char *cg_limits_first(const struct cg_limits *l);

/* --cpus: microcpus to quota and period: period max(10 ms, 1 ms / cpus), at most 1 s, since the
 * kernel refuses quotas under 1 ms. 100 ms is used where it serves. */
void cg_limits_set_cpus(struct cg_limits *l, uint64_t microcpus);

/* v1 shares 2..262144 to v2 weight 1..10000. Source: the mapping all OCI runtimes use since 2024
 * would differ by version; ours is the linear one of the kernel's KEP: 1 +
 * ((shares-2)*9999)/262142. */
uint64_t cg_weight_of_shares(uint64_t shares);
