/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this folder shares inside: controllers, hierarchies, the open group, and the few helpers
 * for kernel files. Nothing here is seen from outside.
 *
 *	host.c mounts.c	which hierarchies there are		 -> struct cg_host, cg_hier
 *	path.c		the path of a group, in each of them
 *	create.c	directories, controllers enabled	 -> struct cgroup, cg_dir
 *	apply.c		the order of limits; per version: v1.c, v2.c (backend.h)
 *	devices_*.c	device rules: the v1 list, the v2 program
 *	procs.c signal.c freeze.c remove.c stats.c views.c
 *	libcgroup.c	the only file that includes <libcgroup.h>
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cgroups/cgroup.h"
#include "cgroups/limits.h"

/* The controllers we know by name. A mounted v1 hierarchy of others only (net_cls, perf_event, ...)
 * still gets the group, so that a cgroup namespace has one consistent root. */
enum cg_ctl {
	CG_CTL_CPU,
	CG_CTL_CPUACCT,
	CG_CTL_CPUSET,
	CG_CTL_MEMORY,
	CG_CTL_PIDS,
	CG_CTL_IO, /* "blkio" in v1 */
	CG_CTL_DEVICES,
	CG_CTL_FREEZER,
	CG_CTL_HUGETLB,
	CG_CTL_RDMA,
	CG_CTL_MISC,
	CG_CTL_NET_CLS,
	CG_CTL_NET_PRIO,
	CG_CTL_COUNT,
};
#define CG_BIT(c) (1u << (c))

/* v2 has these without any controller. */
#define CG_V2_CORE (CG_BIT(CG_CTL_DEVICES) | CG_BIT(CG_CTL_FREEZER) | CG_BIT(CG_CTL_CPUACCT))

/* v2: handed down where it can be, asked for or not, as engines read usage there. */
#define CG_V2_USUAL                                                                               \
	(CG_BIT(CG_CTL_CPU) | CG_BIT(CG_CTL_CPUSET) | CG_BIT(CG_CTL_IO) | CG_BIT(CG_CTL_MEMORY) | \
	 CG_BIT(CG_CTL_PIDS))

const char *cg_ctl_name(enum cg_ctl c, bool v2); /* NULL: not in that version */
bool cg_ctl_parse(const char *s, size_t len, enum cg_ctl *ret);
/* "cpu memory pids" (cgroup.controllers, subtree_control) to bits; unknown words are skipped. */
unsigned cg_ctl_words(const char *s);

struct cg_backend;

#define CG_HIER_MAX 24

/* Deeper than any container nests; a bound, since a hostile one could nest without end. */
#define CG_DEPTH_MAX 256

/* One mounted hierarchy. */
struct cg_hier {
	char *mount_point;
	char *root;           /* the group, seen from our cgroup namespace, mounted there */
	char *own;            /* our own group, from /proc/self/cgroup; NULL if not told */
	char *name;           /* as in cg_mount_view */
	char *options;        /* as in cg_mount_view */
	unsigned controllers; /* CG_BIT()s; v2: those of cgroup.controllers at the mount */
	bool v2;
	int root_fd; /* the mounted directory */
	const struct cg_backend *ops;
};

struct cg_host {
	unsigned refs;
	enum cg_layout layout;
	struct cg_hier hier[CG_HIER_MAX];
	size_t n_hier;
	char **controllers;
};

/* The group in one hierarchy. */
struct cg_dir {
	const struct cg_hier *hier;
	int fd;
	unsigned controllers; /* usable in this very group, core ones of v2 included */
	size_t made_len; /* of the path below the mount: the shallowest part that we made; 0: none */
};

struct cgroup {
	struct cg_host *host; /* a reference */
	char *path;
	struct cg_dir dirs[CG_HIER_MAX];
	size_t n_dirs; /* 0: null group */
	struct cg_mount_view views[CG_HIER_MAX];
};

/* mounts.c: fill host->hier from mountinfo. */
int cg_mounts_read(struct cg_host *h, struct err *e);
/* Take the v2 hierarchy mounted there with its real root, without mountinfo. */
int cg_mounts_add_v2(struct cg_host *h, const char *mount_point, struct err *e);

void cg_mounts_done(struct cg_host *h);

/* path.c */
int cg_path_check(const char *path, struct err *e);
/* The path of group `path` below the mounted root of `hier`; "" is the root itself. Borrowed. */
const char *cg_path_below(const struct cg_hier *hier, const char *path);

/* group.c */
int cg_group_new(struct cg_host *h, const char *path, struct cgroup **ret, struct err *e);
/* The directory that has the controller: its v1 hierarchy, else v2. NULL: nobody. */
const struct cg_dir *cg_group_dir(const struct cgroup *g, enum cg_ctl c);
const struct cg_dir *cg_group_v2(const struct cgroup *g);
/* Where to list processes: v2, or the first v1 hierarchy. NULL for a null group. */
const struct cg_dir *cg_group_primary(const struct cgroup *g);
/* The error for a limit whose controller is missing, with the way out. */
int cg_group_missing(const struct cgroup *g, enum cg_ctl c, struct err *e);
unsigned cg_limits_needs(const struct cg_limits *l);
bool cg_is_denied(int r); /* EACCES, EPERM, EROFS: not ours to change */

/* file.c: kernel files, by descriptor of their directory. */
#define CG_FILE_MAX 8192
int cg_file_write(int dirfd, const char *file, const char *value, struct err *e);
/* The two halves of it, for a file that takes several values: `value` of the open is for its error alone. */
int cg_file_open_write(int dirfd, const char *file, const char *value, struct err *e);
int cg_file_put(int fd, const char *file, const char *value, struct err *e);
int cg_file_write_i64(int dirfd, const char *file, int64_t value, struct err *e);
/* Into buf, trailing newline cut. -ENOENT and so on without a text if e is NULL. */
int cg_file_read(int dirfd, const char *file, char *buf, size_t size, struct err *e);
/* A number, "max" as UINT64_MAX. */
int cg_file_read_u64(int dirfd, const char *file, uint64_t *ret, struct err *e);
/* The number after `key ` in a flat keyed file's text. */
bool cg_text_key(const char *text, const char *key, uint64_t *ret);
bool cg_file_exists(int dirfd, const char *file);
/* A whole file of any length (cgroup.procs); caller frees. */
int cg_file_slurp(int dirfd, const char *file, char **ret, struct err *e);
int cg_dir_open_at(int dirfd, const char *path, struct err *e); /* "" is dirfd itself */

/* procs.c: pids below a directory, appended to *ret; sub-groups too. 0 and own pid are left out. */
struct cg_pidlist {
	pid_t *pids;
	size_t n, cap;
};
int cg_pids_below(int dirfd, struct cg_pidlist *out, struct err *e);

/* freeze.c */
int cg_events_wait(int dirfd, const char *key, uint64_t want, int64_t deadline_usec, struct err *e);
int64_t cg_now_usec(void);
/* For what has no notification: sleep a delay that doubles from 0.5 ms up to 50 ms, at most to the
 * deadline. False when it has passed. */
bool cg_backoff(int64_t deadline_usec, unsigned *round);

/* create.c, for libcgroup.c: does the top group hand down what it should; make it so. */
bool cg_prefix_is_ready(const struct cg_host *h, const struct cg_hier *hier, const char *path);
int cg_prefix_finish(const struct cg_host *h, const char *path, struct err *e);

/* remove.c: no waiting. Remove the path's directories from the deepest up to
 * the one made_len long; or a directory with all
 * below it (0 or -errno, the first one met). */
int cg_tree_rmdir(int parent, const char *name);
void cg_dir_undo(const struct cg_hier *hier, const char *path, size_t made_len);

/* devices_v1.c */
struct cg_device_entry {
	char type; /* 'b' or 'c' */
	int64_t major, minor;
	unsigned access; /* CG_DEV_* */
};
enum { CG_DEV_MKNOD = 1, CG_DEV_READ = 2, CG_DEV_WRITE = 4, CG_DEV_ALL = 7 };
struct cg_device_plan {
	bool default_allow;
	struct cg_device_entry *entries; /* owned; exceptions to the default */
	size_t n;
};
/* Ordered rules as one default and exceptions, which is all that v1 can hold. ERR_UNSUPPORTED if
 * the rules do not fit that form. */
int cg_devices_plan(const struct cg_device_rule *rules, size_t n, struct cg_device_plan *ret,
		    struct err *e);
void cg_devices_plan_done(struct cg_device_plan *p);
unsigned cg_device_access(const struct cg_device_rule *r);
