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

struct cg_limits {
	int64_t memory_bytes;      /* memory.max / memory.limit_in_bytes */
	int64_t memory_low_bytes;  /* reservation: memory.low / soft_limit_in_bytes */
	int64_t memory_swap_bytes; /* memory + swap together, as OCI counts it */
	int64_t cpu_quota_usec;    /* per period; CG_MAX: none */
	int64_t cpu_period_usec;
	int64_t cpu_shares; /* 2..262144, OCI's v1 scale; converted for v2 */
	int64_t cpu_weight; /* 1..10000, v2's scale; wins over shares where both are given */
	char *cpuset_cpus, *cpuset_mems; /* owned lists, "0-3,7" */
	int64_t pids_max;
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

/* --cpus: microcpus to quota and period: period max(10 ms, 1 ms / cpus), at most 1 s, since the
 * kernel refuses quotas under 1 ms. 100 ms is used where it serves. */
void cg_limits_set_cpus(struct cg_limits *l, uint64_t microcpus);

/* v1 shares 2..262144 to v2 weight 1..10000. Source: the mapping all OCI runtimes use since 2024
 * would differ by version; ours is the linear one of the kernel's KEP: 1 +
 * ((shares-2)*9999)/262142. */
uint64_t cg_weight_of_shares(uint64_t shares);
