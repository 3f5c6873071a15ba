/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a process is run: scheduling policy, I/O priority, processors, memory nodes, execution domain. All zero: as it
 * comes, and then no system call is made.
 * Spec: OCI runtime-spec config.md "process.scheduler", "ioPriority", "execCPUAffinity"; config-linux.md
 * "memoryPolicy", "personality"; sched_setattr(2), ioprio_set(2), sched_setaffinity(2), set_mempolicy(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct iso_scheduler {
	bool present;
	uint32_t policy;                                   /* SCHED_* */
	int32_t nice;                                      /* -20 to 19 */
	uint32_t priority;                                 /* 1 to 99, of SCHED_FIFO and SCHED_RR */
	uint64_t flags;                                    /* SCHED_FLAG_* */
	uint64_t runtime_nsec, deadline_nsec, period_nsec; /* of SCHED_DEADLINE */
};

struct iso_io_priority {
	bool present;
	int32_t io_class; /* IOPRIO_CLASS_* */
	int32_t level;    /* 0 (first) to 7 */
};

struct iso_memory_policy {
	bool present;
	uint32_t mode;  /* MPOL_* */
	uint32_t flags; /* MPOL_F_* */
	char *nodes;    /* owned; "0-3,7", or NULL */
};

/* OCI words. -EINVAL for unknown ones; -ENOTSUP for one that has no meaning to a configuration or to Linux. */
int iso_sched_policy_parse(const char *oci_name, uint32_t *ret);
int iso_sched_flag_parse(const char *oci_name, uint64_t *ret);
int iso_io_class_parse(const char *oci_name, int32_t *ret);
int iso_memory_mode_parse(const char *oci_name, uint32_t *ret);
int iso_memory_flag_parse(const char *oci_name, uint32_t *ret);
/* The way back; NULL for numbers that no word has. */
const char *iso_sched_policy_name(uint32_t policy);
const char *iso_sched_flag_name(uint64_t flag);
const char *iso_io_class_name(int32_t io_class);

/* Words that are done, NULL-terminated, for `features`. Static. */
const char *const *iso_memory_mode_names(void);
const char *const *iso_memory_flag_names(void);

/* What goes together. */
int iso_scheduler_check(const struct iso_scheduler *s, struct err *e);
int iso_memory_policy_check(const struct iso_memory_policy *p, struct err *e);
