/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest program: init of the initramfs and agent of the sandbox, in one single-threaded
 * process. It is a small container runtime: what it is told in OCI documents it does with the code
 * that makes containers on a host (isolate/, cgroups/, the parser), so a workload finds in a VM
 * what it finds in a container.
 *
 *	programs/insula-guest.c	arguments, order of the steps
 *	guest_boot.c		from the kernel's hands to a system: mounts, modules, the channel
 *	guest_root.c		the other way to be init: find a guest system's disk and give way to its init
 *	guest_agent.c		event loop and frames
 *	guest_sandbox.c		documents to processes
 *	guest_process.c		one process: its streams, its end
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "cgroups/cgroup.h"
#include "hypervisor/agent.h"
#include "hypervisor/agent_stream.h"
#include "isolate/sandbox.h"
#include "pollset.h"
#include "runtime/oci.h"

/* ---- guest_boot.c: only as PID 1 -------------------------------------------------------- */

/* /proc, /sys, /dev and standard streams; may be called again after an exec. */
int guest_boot_basics(struct err *e);
/* Modules of the initramfs, in order. Their files are removed: they are memory. */
int guest_boot_modules(struct err *e);
/* Wait for the agent's port and open it: non-blocking. Returns it or -errno. */
int guest_boot_channel(struct err *e);
/* The shared tree, /run, cgroups, loopback; a root that can be pivoted from. */
int guest_boot_system(struct err *e);
_Noreturn void guest_power_off(void);

/* ---- guest_root.c ----------------------------------------------------------------------- */

/* The value of insula.root= on the kernel's command line, fresh, or NULL: this guest runs a workload of ours. */
int guest_root_wish(char **ret, struct err *e);
/* Mount that device as the root and execute its init with argv's arguments. Returns only on failure. */
int guest_root_enter(const char *device, char **argv, struct err *e);

/* ---- guest_process.c -------------------------------------------------------------------- */

struct guest_proc {
	uint32_t number;
	struct iso_init handle;
	bool terminal;
	bool reaped;
	int status;
	struct agent_sink in;
	struct agent_source out[2]; /* stdout (or the terminal), stderr */
};

/* Ends of the pipes for a process's standard streams: its three, and ours in p. With a terminal
 * there are none. */
int guest_proc_pipes(struct guest_proc *p, const struct iso_process *process, int ret_theirs[3],
		     struct err *e);
/* Take the terminal's master out of the handle. */
int guest_proc_terminal(struct guest_proc *p, struct err *e);
int guest_proc_poll(const struct guest_proc *p, const struct agent_conn *c, struct pollset *set);
/* Move what can be moved. Negative: the connection failed. */
int guest_proc_service(struct guest_proc *p, struct agent_conn *c);
/* Reaped, and what it left in its pipes can be moved now: not to be waited for, as a stranger may hold the
 * other ends for ever. */
bool guest_proc_is_draining(const struct guest_proc *p, const struct agent_conn *c);
/* Reaped, and all that it said was sent? */
bool guest_proc_is_over(const struct guest_proc *p);
void guest_proc_resize(struct guest_proc *p, uint32_t rows_cols);
/* Its input is complete: a terminal hangs up. */
int guest_proc_data(struct guest_proc *p, struct agent_conn *c, const struct agent_frame *f);
int guest_proc_credit(struct guest_proc *p, const struct agent_frame *f);
void guest_proc_free(struct guest_proc *p);

/* ---- guest_sandbox.c -------------------------------------------------------------------- */

/* The sandbox of this guest. Zero before it is created. */
struct guest_sandbox {
	bool exists;
	struct oci_config config;
	struct iso_bpf bpf;
	struct cg_host *cgroups;
	struct cgroup *cgroup;
	pid_t init_pid;
	int init_pidfd; /* borrowed from process 0 */
};

/* From the document of AGENT_CREATE to a process at its gate. */
int guest_sandbox_create(struct guest_sandbox *s, const char *text, size_t len,
			 struct guest_proc **ret, struct err *e);
/* From the document of AGENT_EXEC to a running process. */
int guest_sandbox_exec(struct guest_sandbox *s, uint32_t number, const char *text, size_t len,
		       struct guest_proc **ret, struct err *e);
int guest_sandbox_signal_all(struct guest_sandbox *s, int sig, struct err *e);
void guest_sandbox_done(struct guest_sandbox *s);

/* ---- guest_agent.c ---------------------------------------------------------------------- */

struct guest_agent_options {
	int fd;                       /* the channel, non-blocking */
	bool owns_host;               /* PID 1 of a VM: may set the clock */
	const struct err *boot_error; /* say this instead of HELLO, and end; or NULL */
};
/* Serve until the host says SHUTDOWN or the channel ends: 0. */
int guest_agent_run(const struct guest_agent_options *o, struct err *e);
