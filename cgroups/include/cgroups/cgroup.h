/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups: one facade over v1, hybrid and v2. Nothing outside this folder knows a version.
 *
 * A group is a path below the root of each hierarchy that has a controller we use (v1), or of the
 * one hierarchy (v2). `struct cgroup` holds open directory descriptors of them; all its files are
 * reached through those.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"
#include "cgroups/limits.h"

struct cg_host; /* what this host mounts where */
struct cgroup;  /* one open group */

enum cg_layout { CG_LAYOUT_V1, CG_LAYOUT_HYBRID, CG_LAYOUT_V2, CG_LAYOUT_NONE };

/* Look at the host once per process (cheap: statfs and /proc/self/cgroup; mountinfo only for v1).
 */
int cg_host_open(struct cg_host **ret, struct err *e);
void cg_host_free(struct cg_host *h);
static inline void cg_host_freep(struct cg_host **p)
{
	cg_host_free(*p);
}
enum cg_layout cg_host_layout(const struct cg_host *h);
const char *cg_layout_name(enum cg_layout l);
/* Controllers usable by this process, strv, borrowed. */
char *const *cg_host_controllers(const struct cg_host *h);

/* The group path for a sandbox. `wanted` is linux.cgroupsPath: absolute = below the hierarchies'
 * root, relative or NULL = "<prefix>/<id>" below our own group's parent ("/" for root). Rejects
 * "..". *ret is a fresh string, the same for all hierarchies. */
int cg_path_resolve(const struct cg_host *h, const char *wanted, const char *prefix, const char *id,
		    char **ret, struct err *e);

/* Make the group (parents too, enabling controllers on the way in v2) and open it. An existing
 * group with processes in it is -EEXIST; an empty left-over is taken. On failure nothing we made is
 * left. Rootless without delegation: ERR_UNSUPPORTED with the controller and the way out as hint if
 * `l` asks for a limit; otherwise success with a group that is `cg_is_null()`. */
int cg_create(struct cg_host *h, const char *path, const struct cg_limits *l, struct cgroup **ret,
	      struct err *e);

/* The same for a group that somebody made for us, with whatever processes are in it already (systemd); in hierarchies where it
 * is missing it is made. */
int cg_adopt(struct cg_host *h, const char *path, const struct cg_limits *l, struct cgroup **ret,
	     struct err *e);
/* The group of what has none: cg_is_null(). */
int cg_new_null(struct cg_host *h, struct cgroup **ret, struct err *e);

/* Note on cg_create(): `l` says which controllers the group must have; its values are set by
 * cg_set_limits() afterwards. NULL: none. */

/* Open an existing one for stats, kill, update, exec. -ENOENT if it is gone. */
int cg_open(struct cg_host *h, const char *path, struct cgroup **ret, struct err *e);
void cg_free(struct cgroup *g);
static inline void cg_freep(struct cgroup **p)
{
	cg_free(*p);
}
bool cg_is_null(const struct cgroup *g);
const char *cg_path(const struct cgroup *g);

/* Apply every limit that is set. Files are named in errors; a limit that is below what is used is
 * told as such (v1 EBUSY). Device rules: v1 list, v2 eBPF program. */
int cg_set_limits(struct cgroup *g, const struct cg_limits *l, struct err *e);

/* v2: descriptor for CLONE_INTO_CGROUP (borrowed); v1, hybrid with v1 controllers in use, none: -1,
 * and cg_attach() must be called with the new process. */
int cg_clone_fd(const struct cgroup *g);
/* Put process `pid` into the group, in every hierarchy. pid 0: the calling process, which must have
 * one thread only; on v1 this is the quick way (no RCU grace period), so a freshly cloned child does
 * best to attach itself. */
int cg_attach(struct cgroup *g, pid_t pid, struct err *e);

/* The quickest way for a new process: cloned into cg_birth_fd() (v2 alone and hybrid; -1: v1 alone,
 * none), it calls cg_enter() itself, with one thread, before it changes its ids. What is left then is
 * v1, and there only the calling thread can be moved without an RCU grace period. */
int cg_birth_fd(const struct cgroup *g);
int cg_enter(struct cgroup *g, struct err *e);

/* All processes, of the group and all below. *ret is fresh; caller frees. */
int cg_pids(struct cgroup *g, pid_t **ret, size_t *ret_n, struct err *e);

/* Freeze or thaw and wait until it is so (at most 2 s: -ETIMEDOUT). */
int cg_freeze(struct cgroup *g, bool frozen, struct err *e);
bool cg_is_frozen(struct cgroup *g);
/* The same of a group that need not be opened for it in every hierarchy: of one of many. One that does not exist is not. */
bool cg_path_is_frozen(struct cg_host *h, const char *path);

/* Signal every process: cgroup.kill for SIGKILL where the kernel has it, else freeze, signal, thaw.
 */
int cg_signal_all(struct cgroup *g, int sig, struct err *e);

/* Remove the group and all below it; processes in it are killed first when `kill`. Waits (at
 * most 10 s) until it is really gone. Idempotent: a missing one is success. */
int cg_remove(struct cg_host *h, const char *path, bool kill, struct err *e);

struct cg_stats {
	uint64_t cpu_usec, cpu_user_usec, cpu_system_usec, cpu_throttled_usec;
	uint64_t memory_bytes, memory_peak_bytes, memory_limit_bytes; /* limit UINT64_MAX: none */
	uint64_t pids, pids_limit;
	uint64_t oom_kills;
	uint64_t cpu_periods, cpu_throttled_periods;
	uint64_t swap_bytes, swap_limit_bytes; /* v2: swap alone; v1: memory and swap */
	uint64_t memory_failures;              /* how often the limit was hit */
	uint64_t io_read_bytes, io_write_bytes, io_reads, io_writes;
};
int cg_stats(struct cgroup *g, struct cg_stats *ret, struct err *e);
/* Only the number of OOM kills: for telling "out of memory during set-up". 0 on any doubt. */
uint64_t cg_oom_kills(struct cgroup *g);

/* The kernel's own table of the group's memory ("anon 4096\nfile …"). Caller frees. -ENOENT without a memory controller. */
int cg_memory_table(struct cgroup *g, char **ret, struct err *e);

/* A descriptor that becomes readable when the group's out-of-memory events change, for poll(); then it is read with
 * cg_oom_watch_clear(). -ENOTSUP where there is no memory controller. */
int cg_oom_watch(struct cgroup *g, struct err *e);
void cg_oom_watch_clear(int fd);

/* How the group's hierarchies are mounted inside a container; arrays and strings are owned by the
 * group. */
struct cg_mount_view {
	const char *name;    /* "memory", "cpu,cpuacct", "systemd", "unified"; "" for v2 alone */
	const char *fstype;  /* "cgroup" or "cgroup2" */
	const char *options; /* or NULL */
	int group_fd;
};
size_t cg_mount_views(struct cgroup *g, const struct cg_mount_view **ret);

/* ---- off the per-container path, by libcgroup (cgroups/libcgroup.c) ---------------------------- */

/* One controller the kernel knows, for `insula info`. */
struct cg_controller_info {
	char *name;        /* "memory"; "blkio" in v1, "io" in v2 */
	char *mount_point; /* where its hierarchy is mounted; NULL: nowhere */
	int version;       /* 1 or 2; 0: not mounted */
	bool enabled;      /* false: switched off on the kernel's command line */
};
/* *ret is a fresh array; no cgroup file system mounted gives *ret_n 0. */
int cg_host_describe(const struct cg_host *h, struct cg_controller_info **ret, size_t *ret_n,
		     struct err *e);
void cg_host_describe_free(struct cg_controller_info *c, size_t n);

/* Make the permanent top group "/<prefix>" ready in every hierarchy, once per boot: made, cpuset
 * filled (v1), controllers handed down (v2). When it is ready already this costs one look per
 * hierarchy and libcgroup is not entered. Needs no call: cg_create() makes what is missing. Denied
 * (rootless): -EACCES, which a caller may ignore. */
int cg_prefix_prepare(struct cg_host *h, const char *prefix, struct err *e);
