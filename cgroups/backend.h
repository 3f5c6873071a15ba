/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between the versions, for one directory of a group. On a hybrid host a group has
 * directories of both; each controller is reached through the version that has it.
 */
#pragma once

#include "group.h"

struct cg_backend {
	int (*set_cpuset)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
	int (*set_cpu)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
	int (*set_memory)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
	int (*set_pids)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
	int (*set_devices)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
	int (*set_io)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
	int (*set_pages)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
	int (*set_rdma)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
	/* v1 only: v2 has no such controllers, so nobody asks its backend. */
	int (*set_net_class)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
	int (*set_net_priorities)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
	int (*freeze)(const struct cg_dir *d, bool frozen, struct err *e);
	bool (*is_frozen)(const struct cg_dir *d);
	void (*stats_cpu)(const struct cg_dir *d, struct cg_stats *s);
	void (*stats_memory)(const struct cg_dir *d, struct cg_stats *s);
	void (*stats_io)(const struct cg_dir *d, struct cg_stats *s);
	int (*oom_watch)(const struct cg_dir *d, struct err *e);
	uint64_t (*oom_kills)(const struct cg_dir *d);
};

extern const struct cg_backend cg_backend_v1;
extern const struct cg_backend cg_backend_v2;

int cg_devices_v1_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
int cg_devices_v2_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
int cg_freeze_v1(const struct cg_dir *d, bool frozen, struct err *e);
int cg_freeze_v2(const struct cg_dir *d, bool frozen, struct err *e);
bool cg_is_frozen_v1(const struct cg_dir *d);
bool cg_is_frozen_v2(const struct cg_dir *d);
int cg_pids_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
int cg_io_set_v1(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
int cg_io_set_v2(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
int cg_pages_set_v1(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
int cg_pages_set_v2(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
int cg_rdma_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
int cg_net_class_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
int cg_net_priorities_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
/* Write burst where the kernel has it: `file` of either version. */
int cg_burst_set(const struct cg_dir *d, const char *file, const struct cg_limits *l,
		 struct err *e);
int cg_idle_set(const struct cg_dir *d, const struct cg_limits *l, struct err *e);
void cg_stats_io_v1(const struct cg_dir *d, struct cg_stats *s);
void cg_stats_io_v2(const struct cg_dir *d, struct cg_stats *s);
int cg_oom_watch_v1(const struct cg_dir *d, struct err *e);
int cg_oom_watch_v2(const struct cg_dir *d, struct err *e);
