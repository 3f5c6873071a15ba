/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one interface behind which a sandbox is a container or a microVM. Nothing outside
 * runtime/driver*.c (and the option that picks one) knows which.
 *
 * Every sandbox has one *host process*: a container's init, a VM's monitor process. The common
 * part owns its pidfd, places it in the cgroup, waits for it, and kills it. A host process ends
 * exactly as the workload ended (exit status or signal), so waiting is common code and there is no
 * `wait` here; the same holds for the host process of an exec. Terminals are common too: a host
 * process whose workload has one hands out the master of a host pty, and resizing it is an ioctl on
 * that master.
 *
 *	step            container                       VM
 *	plan            cgroup as configured            memory + overhead, vCPU quota
 *	create_host     clone3 into namespaces, cgroup  insula-vmm in its namespaces, cgroup
 *	  (runtime hooks: prestart, createRuntime)
 *	create_inner    mounts, pivot_root, terminal    share tree, engine, boot, agent creates
 *	commit          init may outlive us             the same
 *	start           gate: execve                    gate: agent starts the workload
 *	exec            join namespaces, execve         insula-vmm exec: asks the agent, relays
 *	signal          pidfd_send_signal               control socket, agent; SIGKILL ends the VM
 *	pause, resume   freeze the cgroup               stop vCPUs, then freeze the cgroup
 *	update          limits of the cgroup            the same, but not what the guest limits
 *	mounts_…        a helper in its namespaces      refused
 *	checkpoint      criu                            refused
 *	delete          nothing of its own              sockets, run directory
 *
 * Operations still to join (each refused by name until then): stats of the guest, attach and
 * detach of disks and networks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/undo.h"
#include "cgroups/cgroup.h"
#include "images/rootfs.h"
#include "isolate/live_mounts.h"
#include "runtime/oci.h"
#include "runtime/state.h"

/* How far a driver does a configuration field or a verb. */
enum support_level {
	SUPPORT_NO, /* refused by name before any work */
	SUPPORT_YES,
	SUPPORT_MOOT, /* meaningless for this kind and harmless: satisfied by construction; `how`
			 says why */
};

struct support_cell {
	enum support_level level;
	const char *how; /* a short reason or way, for documents and refusals; may be NULL */
};

enum driver_id { DRIVER_CONTAINER, DRIVER_VM, DRIVER_COUNT };

/* One row per configuration field ("linux.resources.memory.limit"; "[]" for array elements) and per
 * verb ("verb:exec"), with a column per driver. The source of refusals, `features` and
 * docs/oci-support.md. A row covers all below it unless a longer row exists. */
struct support_row {
	const char *name;
	struct support_cell by_driver[DRIVER_COUNT];
};
extern const struct support_row support_table[];
extern const size_t support_table_len;

/* What must exist before the host process. */
struct rt_plan {
	struct cg_limits limits; /* the host cgroup's, after the driver's adjustments; owned */
	enum img_rootfs_form rootfs_form;
	uint64_t guest_memory_bytes; /* 0 for a container */
	unsigned vcpus;
	/* The driver itself keeps the workload within its memory, and the group's limit is a second fence: left out where
	 * the caller may not have the controller. */
	bool memory_limit_optional;
	const char *note; /* a line for --explain, static, or NULL */
};

struct rt_ctx; /* runtime/runtime.h */

/* Where the workload's standard streams go. */
struct rt_io {
	int fds[3];         /* -1: ours. Ignored with a terminal */
	int console_socket; /* connected socket that gets the terminal's master, or -1: it stays in
			       console_fd */
	unsigned preserve_fds;
};

/* One sandbox, open in this process. */
struct sandbox {
	struct rt_ctx *ctx;
	const struct driver *driver;
	struct state_dir dir;
	struct state state;
	struct oci_config config;
	struct rt_plan plan;
	struct cgroup *cgroup;
	int pidfd;      /* of the host process, or -1 */
	int sync_fd;    /* creator's end while creating, or -1 */
	int console_fd; /* master of its terminal after create_inner, or -1 */
	struct rt_io io;
	bool keep_keyring, no_pivot;
	bool notify; /* it is being created with a socket for sd_notify(3) */
	struct {
		int fd; /* -1: it does not run */
		pid_t pid;
	} scope; /* insula-systemd, while it works for us */
	struct undo undo;
	void *priv; /* the driver's; freed by its close */
};

struct rt_exec_request;
struct rt_checkpoint_request;

struct driver {
	const char *name; /* "container", "vm": in state.json and --isolation */
	enum driver_id id;

	/* Fill s->plan from s->config. Creates nothing. */
	int (*plan)(struct sandbox *s, struct err *e);

	/* Start the host process in s->cgroup and fill s->state.host, s->pidfd, s->sync_fd. It waits;
	 * nothing of the workload runs. */
	int (*create_host)(struct sandbox *s, struct err *e);

	/* Build the inside, up to the gate; fills s->console_fd for a terminal. */
	int (*create_inner)(struct sandbox *s, struct err *e);

	/* The state is saved: the host process may outlive us. */
	int (*commit)(struct sandbox *s, struct err *e);

	/* Open the gate; returns when the workload's exec happened or failed. */
	int (*start)(struct sandbox *s, struct err *e);

	/* A further process. Fills ret_pid (a child of ours whose exit status is the process's),
	 * ret_console. */
	int (*exec)(struct sandbox *s, const struct rt_exec_request *r, pid_t *ret_pid,
		    int *ret_console, struct err *e);

	/* Signal the workload; `all`: every process of the sandbox. */
	int (*signal)(struct sandbox *s, int sig, bool all, struct err *e);

	int (*pause)(struct sandbox *s, struct err *e);
	int (*resume)(struct sandbox *s, struct err *e);

	/* Set what is given of these limits, and nothing else. s->cgroup is open. */
	int (*update)(struct sandbox *s, const struct cg_limits *l, struct err *e);

	/* Mounts of one that lives: those of `added`, or those with these ids. NULL where the support table refuses
	 * the verb. */
	int (*mounts_add)(struct sandbox *s, const struct iso_config *added, iso_live_keep_fn keep,
			  void *arg, struct err *e);
	int (*mounts_remove)(struct sandbox *s, const uint64_t *ids, size_t n, struct err *e);

	/* Write the images of a running one; make its processes from them: `made` is called when its first process and
	 * namespaces exist, before anything runs. NULL where the support table refuses the verb. */
	int (*checkpoint)(struct sandbox *s, const struct rt_checkpoint_request *r, struct err *e);
	int (*restore)(struct sandbox *s, const struct rt_checkpoint_request *r,
		       int (*made)(void *arg, pid_t pid, struct err *e), void *arg, struct err *e);

	/* The host process is gone: remove what the driver left outside the cgroup and the state
	 * directory. Idempotent. */
	int (*delete)(struct sandbox *s, struct err *e);

	/* Drop handles (priv); the sandbox itself goes on. NULL-safe on priv. */
	void (*close)(struct sandbox *s);
};

extern const struct driver driver_container;
extern const struct driver driver_vm;

/* The only selection point. NULL and "" give the container driver. ERR_INVALID names the valid
 * ones. */
int driver_find(const char *name, const struct driver **ret, struct err *e);
/* The name that driver_find() takes; for the options that pick a kind. */
const char *driver_name_of(enum driver_id id);

/* Walk the document and refuse, by name and with the row's reason, the first field that this driver
 * does not do. */
int driver_check_config(const struct driver *d, const struct oci_config *c, struct err *e);
/* Refuse a verb. */
int driver_check_verb(const struct driver *d, const char *verb, struct err *e);
