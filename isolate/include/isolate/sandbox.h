/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container: its configuration, the life of its first process (init) up to execve, and joining
 * it.
 *
 * Who calls what:
 *
 *	creator                       init (child of clone3)
 *	iso_init_spawn()      ----->  in its namespaces, waiting          [SYNC_HOST_READY]
 *	   …runtime hooks…
 *	iso_init_prepare()    ----->  rootfs, mounts, devices, masks, pivot_root,
 *	                              terminal, command looked up         [SYNC_READY]
 *	   …state saved…
 *	iso_init_commit()     ----->  independent of the creator, at the gate
 *	iso_init_start() or gate_open() -> hooks, identity, capabilities, seccomp, execve
 *
 * The child of clone3 runs our code in a copy of the creator's memory: the creator must be
 * single-threaded there. Programs that call this must have gone through self_seal() first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "isolate/landlock.h"
#include "isolate/mount.h"
#include "isolate/namespace.h"
#include "isolate/process.h"
#include "isolate/rootfs.h"
#include "isolate/seccomp.h"

struct iso_device {
	char *path; /* owned; absolute, in the sandbox */
	char type;  /* 'c', 'b', 'u' or 'p' */
	int64_t major, minor;
	uint32_t mode; /* permission bits */
	bool has_mode;
	uint32_t uid, gid;
};

struct iso_net_device {
	char *host_name, *name; /* owned; on the host, and in the container */
};

struct iso_sysctl {
	char *key; /* "net.ipv4.ip_forward", dots or slashes */
	char *value;
};

/* How the cgroup mounts of a container ("type": "cgroup") are made; given by the runtime, since
 * this folder knows no cgroup versions. One entry for v2; one per hierarchy for v1 and hybrid. */
struct iso_cgroup_mount {
	char *name;   /* directory below the destination: "memory", "cpu,cpuacct", "unified"; "" for
			 v2 alone */
	char *fstype; /* "cgroup2" or "cgroup" */
	char *options; /* "memory", "none,name=systemd", or NULL */
	int group_fd;  /* the container's own group, for a bind where there is no cgroup namespace;
			  borrowed */
};

/* What the clocks of a time namespace are ahead of the host's. */
enum iso_clock { ISO_CLOCK_BOOTTIME, ISO_CLOCK_MONOTONIC, ISO_CLOCK_COUNT };
struct iso_time_offset {
	bool present;
	int64_t secs;
	uint32_t nanosecs;
};

struct iso_config {
	struct iso_namespace ns[ISO_NS_COUNT];
	struct iso_id_maps uid_maps, gid_maps;
	struct iso_rootfs rootfs;
	struct iso_mount *mounts;
	size_t n_mounts;
	struct iso_device *devices; /* beyond the default ones of the specification */
	size_t n_devices;
	struct iso_net_device *net_devices; /* moved from the host */
	size_t n_net_devices;
	char **masked_paths;   /* strv */
	char **readonly_paths; /* strv */
	struct iso_sysctl *sysctls;
	size_t n_sysctls;
	char *hostname, *domainname;
	struct iso_time_offset time_offsets[ISO_CLOCK_COUNT]; /* of a new time namespace */
	unsigned long personality;                            /* persona of personality(2) */
	bool has_personality;
	struct iso_memory_policy memory_policy;
	struct iso_seccomp seccomp;
	struct iso_landlock landlock; /* a second fence: left out where the kernel has none */
	char *mount_label;            /* SELinux context for mounts, or NULL */
};

void iso_config_done(struct iso_config *c);

/* Checks that need no kernel: sysctls only in namespaces of their own, hostname only with a UTS
 * namespace, id maps only with a user namespace, devices sane, no cwd or argument missing. */
int iso_config_check(const struct iso_config *c, const struct iso_process *p, struct err *e);

/* Where the runtime's hooks run inside init. `stage` names the moment; a failure ends the creation.
 */
enum iso_stage {
	ISO_STAGE_CREATE_CONTAINER, /* container's namespaces, before pivot_root, host paths visible
				     */
	ISO_STAGE_START_CONTAINER,  /* after the gate, in the container's root */
};
typedef int (*iso_stage_fn)(void *arg, enum iso_stage stage, struct err *e);

/* The standard streams of a process, and what else it inherits. */
struct iso_stdio {
	int fds[3]; /* 0,1,2 for the process; -1: inherit ours. Ignored with a terminal */
	unsigned
		preserve; /* descriptors 3..3+preserve-1 stay open in it; they must not be close-on-exec */
};

/* The agent of a filter that wants_notify: it gets the filter's descriptor, with the text in message_fd. */
struct iso_notify {
	int socket;     /* connected to the agent; borrowed */
	int message_fd; /* a file; borrowed */
	/* Called in the creator once the process exists: puts the text there. */
	int (*fill)(void *arg, pid_t pid, int message_fd, struct err *e);
	void *arg;
};

struct iso_init_params {
	const struct iso_config *config;
	const struct iso_process *process;
	struct iso_stdio stdio;
	const struct iso_bpf *bpf;       /* compiled filter, NULL for none */
	const struct iso_notify *notify; /* iff bpf->wants_notify */
	const struct iso_cgroup_mount *cgroup_mounts;
	size_t n_cgroup_mounts;
	int cgroup_fd; /* v2 group to be born in, or -1 */
	/* Called in the process, which has one thread and its creator's ids, before anything else:
	 * it enters the groups it was not born in (v1). May be NULL. */
	int (*enter_groups)(void *arg, struct err *e);
	void *enter_arg;
	int gate_fd; /* listening gate, or -1: start comes by iso_init_start() only */
	iso_stage_fn stage;
	void *stage_arg;
	bool keep_keyring; /* --no-new-keyring */
	bool no_pivot;     /* --no-pivot: MS_MOVE + chroot for an initramfs root */
};

struct iso_init {
	pid_t pid;
	int pidfd;
	int sync_fd;    /* creator's end */
	int console_fd; /* master of the terminal after iso_init_prepare(), or -1 */
};

/* Create the process in its namespaces. On return it exists and waits; pid is seen from the
 * caller's pid namespace. Errors: kernel without the namespace, id map refused, namespace path bad.
 */
int iso_init_spawn(const struct iso_init_params *p, struct iso_init *ret, struct err *e);

/* Let it build everything. Errors carry the child's step and object. A missing or unexecutable
 * command is found here: ERR_CMD_NOT_FOUND / ERR_CMD_NOT_EXEC with the engines' phrases. */
int iso_init_prepare(struct iso_init *i, struct err *e);

/* The state is on disk: init may outlive us. */
int iso_init_commit(struct iso_init *i, struct err *e);

/* Start right away from the creator; returns when the exec happened or failed. */
int iso_init_start(struct iso_init *i, struct err *e);

/* Kill (if `kill`) and reap it, close everything. Idempotent. */
void iso_init_done(struct iso_init *i, bool kill);

/* A further process in a running container. */
struct iso_exec_params {
	int init_pidfd; /* whose namespaces are joined */
	pid_t init_pid;
	const struct iso_config *config; /* which namespaces are its own, its id maps */
	const struct iso_process *process;
	struct iso_stdio stdio;
	const struct iso_bpf *bpf;
	const struct iso_notify *notify; /* iff bpf->wants_notify */
	int cgroup_fd;                   /* as in iso_init_params */
	int (*enter_groups)(void *arg, struct err *e);
	void *enter_arg;
	bool keep_keyring;
};

/* Returns when the exec happened (or failed, with kinds as above). The process is a child of the
 * caller. */
int iso_exec_spawn(const struct iso_exec_params *p, struct iso_init *ret, struct err *e);
