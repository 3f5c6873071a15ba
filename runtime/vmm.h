/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor process of a microVM, `insula-vmm`: the host process of its sandbox
 * (runtime/driver.h). It owns the VM, talks to the agent in the guest, and ends as the workload
 * ended.
 *
 *	vmm_params.c	what it is told: descriptors and a document
 *	vmm_isolate.c	its own namespaces and privileges
 *	vmm_share.c	the tree that the guest sees
 *	vmm_proc.c	a process of the guest: streams, end
 *	vmm_monitor.c	phases of the creation, event loop, the end
 *	vmm_frames.c	frames of the agent
 *	vmm_clients.c	the control socket's clients
 *	vmm_system.c	full guest systems: their console in the place of agent and processes
 *	vmm_signals.c	signals and terminal sizes, for monitor and exec process
 *	vmm_exec.c	`insula-vmm --exec`: the host process of an exec
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "base/err.h"
#include "base/log.h"
#include "hypervisor/agent.h"
#include "hypervisor/agent_stream.h"
#include "hypervisor/vm.h"
#include "pollset.h"
#include "runtime/oci.h"
#include "vm_control.h"

/* Descriptors that insula-vmm is started with, beside 0, 1, 2 = the workload's. */
enum vmm_fd {
	VMM_FD_SYNC = 3, /* base/sync.h; to the creator, or the caller of exec */
	VMM_FD_STATE,    /* the sandbox's state directory */
	VMM_FD_PARAMS,   /* memfd: struct vmm_params as JSON; with --exec the process object */
	VMM_FD_ROOT,     /* state root, for the probe's cache; not with --exec */
	VMM_FD_LOG,      /* the creator's log, until commit; may be missing */
};

/* ---- vmm_params.c ----------------------------------------------------------------------- */

struct vmm_params {
	char *id;
	char *bundle;
	char *guest_dir; /* of the guest kernel */
	char *rootfs;    /* resolved root.path; "" of a guest system */
	char *storage;   /* directory of its own for changes, or "" */
	uint64_t memory_bytes;
	uint64_t throwaway_bytes;
	uint32_t vcpus;
	uint32_t boot_timeout_sec;
	uint32_t accel;  /* enum vm_accel */
	uint32_t engine; /* enum vm_engine_choice */
	uint32_t log_level;
	bool log_json;
	struct json *config; /* the OCI document */
};
void vmm_params_done(struct vmm_params *p);
int vmm_params_to_text(const struct vmm_params *p, char **ret, size_t *ret_len, struct err *e);
int vmm_params_read(int fd, struct vmm_params *ret, struct err *e);

/* ---- vmm_isolate.c ---------------------------------------------------------------------- */

/* Enter the namespaces: user where one is configured, whose maps are asked of the creator by SYNC_PID; mount, ipc, uts of
 * its own; network as configured. */
int vmm_isolate(const struct iso_config *c, int sync_fd, struct err *e);
/* What needs no privilege later is given up (see there for what is kept, and why). */
int vmm_drop(struct err *e);

/* ---- vmm_share.c ------------------------------------------------------------------------ */

#define VMM_RUN_DIR   "/run/vm" /* in the monitor's mount namespace, where /run is ours */
#define VMM_SHARE_DIR "/run/share"
#define VMM_GUEST_DIR "/run/guest"

/* Build the tree that is exported to the guest, and hide the host's /run. */
int vmm_share_build(const struct iso_config *c, const char *guest_dir, const struct log_sink *log,
		    struct err *e);

/* ---- vmm_proc.c ------------------------------------------------------------------------- */

struct vmm_client;

struct vmm_proc {
	uint32_t number;
	bool terminal, started, exited;
	int status;
	struct agent_source in;
	struct agent_sink out[2];
	struct vmm_client *client; /* whose exec it is; NULL for process 0, or when it left */
};

/* Takes the descriptors over (in every case). With a terminal all three are its slave. */
int vmm_proc_new(uint32_t number, bool terminal, int fds[3], struct vmm_proc **ret, struct err *e);
void vmm_proc_free(struct vmm_proc *p);
int vmm_proc_poll(const struct vmm_proc *p, const struct agent_conn *c, struct pollset *set);
int vmm_proc_service(struct vmm_proc *p, struct agent_conn *c);
/* Frames of the guest: -EPROTO for what it may not say. */
int vmm_proc_data(struct vmm_proc *p, const struct agent_frame *f);
int vmm_proc_credit(struct vmm_proc *p, const struct agent_frame *f);
int vmm_proc_exit(struct vmm_proc *p, uint32_t status);
/* Ended, and all its output was written. */
bool vmm_proc_is_over(const struct vmm_proc *p);
/* Where a last word of ours can go, or -1. */
int vmm_proc_stderr(const struct vmm_proc *p);

/* ---- vmm_monitor.c ---------------------------------------------------------------------- */

#define VMM_PROCS_MAX   64
#define VMM_CLIENTS_MAX 128

enum vmm_phase {
	VMM_BOOTING,  /* waiting for the agent's HELLO */
	VMM_CREATING, /* … for CREATED */
	VMM_CREATED,  /* at the gate */
	VMM_STARTING, /* … for STARTED */
	VMM_RUNNING,
	VMM_OVER, /* the workload ended */
};

struct vmm {
	struct vmm_params params;
	struct oci_config config;
	struct log_sink log;
	enum vmm_phase phase;
	bool committed;
	int sync_fd, state_fd, root_fd; /* sync_fd -1: the creator is gone or done */
	int gate_fd, control_fd, signal_fd;
	int owed_fd;               /* who ordered the start by the gate, or -1 */
	bool owed_to_creator;      /* … it was the creator, by sync_fd */
	struct vmm_system *system; /* vmm_system.c; NULL: a guest with our agent */
	int console_master, console_slave;
	struct vm *vm;
	struct agent_conn *conn;
	struct vmm_proc *procs[VMM_PROCS_MAX]; /* [0] is process 0 while it lives */
	size_t n_procs;
	uint32_t next_number;
	struct vmm_client *clients[VMM_CLIENTS_MAX];
	size_t n_clients;
	int64_t boot_deadline_msec;
	struct pollset set;
	int status; /* of the workload, when VMM_OVER */
};

/* The whole life; returns the wait status to end with. */
int vmm_monitor_run(void);

struct vmm_proc *vmm_find(struct vmm *m, uint32_t number);
void vmm_remove(struct vmm *m, struct vmm_proc *p);
int vmm_tell(struct vmm *m, enum agent_type type, uint32_t proc, uint32_t value, uint16_t flags);
int vmm_tell_time(struct vmm *m);
/* The agent's answers: everything but the exec is done; the workload runs. */
int vmm_created(struct vmm *m, struct err *e);
void vmm_started(struct vmm *m);

/* Messages of the creator, and of who opens the gate. */
int vmm_read_sync(struct vmm *m, struct err *e);
int vmm_read_gate(struct vmm *m, struct err *e);

/* ---- vmm_system.c ----------------------------------------------------------------------- */

/* Its disks and all else that is named by a path, as the caller, before there are namespaces. */
int vmm_system_open(struct vmm *m, struct err *e);
int vmm_system_set_up(struct vmm *m, struct err *e);
int vmm_system_start(struct vmm *m, struct err *e);
int vmm_system_signal(struct vmm *m, int sig, struct err *e);
int vmm_system_loop(struct vmm *m, struct err *e);

/* ---- vmm_frames.c ----------------------------------------------------------------------- */

/* Read and act. Negative: the guest broke the protocol, is gone, or could not create. */
int vmm_frames_read(struct vmm *m, struct err *e);
/* AGENT_CREATE with the guest's form of the configuration. */
int vmm_frames_create(struct vmm *m, struct err *e);

/* ---- vmm_clients.c ---------------------------------------------------------------------- */

int vmm_clients_poll(struct vmm *m);
void vmm_clients_service(struct vmm *m);
/* Answers of the guest to an exec. */
void vmm_client_started(struct vmm_client *c);
void vmm_client_failed(struct vmm_client *c, const struct err *error);
void vmm_client_exited(struct vmm_client *c, int status);
void vmm_clients_done(struct vmm *m);

/* ---- vmm_signals.c ---------------------------------------------------------------------- */

/* Block every signal that is forwarded to the workload, and WINCH; the signalfd for them. */
int vmm_signals_open(struct err *e);
/* Next signal, 0 for none. */
int vmm_signals_next(int fd);
/* Host pty pair, slave raw; it becomes our controlling terminal, so that its resizing is told by
 * SIGWINCH. Size from rows, cols if not 0. */
int vmm_terminal_open(uint16_t rows, uint16_t cols, int *ret_master, int *ret_slave, struct err *e);
/* rows << 16 | cols; 0 when unknown. */
uint32_t vmm_terminal_size(int fd);

/* ---- vmm_exec.c ------------------------------------------------------------------------- */

/* The whole life of an exec process; returns the wait status to end with. */
int vmm_exec_run(void);
