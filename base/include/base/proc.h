/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: identity that survives pid reuse, pidfds, spawning helpers, waiting.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* A process is named by pid *and* start time (field 22 of /proc/PID/stat, in clock ticks since
 * boot); a bare pid is never trusted. */
struct proc_id {
	pid_t pid;
	uint64_t start_ticks;
};

int proc_id_of(pid_t pid, struct proc_id *ret, struct err *e);

/* A pidfd for exactly that process: -ESRCH if it is gone, or a zombie, or the pid is another's. */
int proc_open(const struct proc_id *id, struct err *e);

/* pidfd_send_signal(2). -ESRCH when it is gone. */
int proc_signal(int pidfd, int sig, struct err *e);

/* Wait until the process ended; timeout_msec -1 waits for ever. -ETIMEDOUT. */
int proc_wait_exit(int pidfd, int timeout_msec, struct err *e);

/* waitpid() for a child of ours, EINTR retried; *ret_status as of waitpid. */
int proc_reap(pid_t pid, int *ret_status, struct err *e);

/* Shell convention: exit code, or 128 + signal. */
int proc_exit_code(int wait_status);

/* The one way to die as somebody else died: exit with that status, or by that signal with core
 * dumps off. Like _exit(): stdio is not flushed. */
_Noreturn void proc_exit_as(int wait_status);

/* A helper program to start: `path`, or argv[0] where that is NULL, is an absolute path; env NULL
 * inherits. */
struct proc_fd_map {
	int from, to; /* `from` becomes `to` in the child; all others are closed there */
};
struct proc_spawn {
	const char *path;
	char *const *argv;
	char *const *env;
	const struct proc_fd_map *fds;
	size_t n_fds; /* 0..2 not named here are /dev/null */
	bool new_session;
	int death_signal; /* PR_SET_PDEATHSIG, 0 for none */
	int cgroup_fd;    /* v2: CLONE_INTO_CGROUP; -1: stay */
	/* The program gets, of the caller's capabilities, no more than these (1 << CAP_*), whoever its user is: root's come
	 * with an exec else, an ordinary user's go. */
	bool limit_caps;
	uint64_t caps;
};
/* Start it with signals reset and an empty mask. A failing exec is reported here, not later.
 * ret_pidfd may be NULL. */
int proc_spawn(const struct proc_spawn *s, pid_t *ret_pid, int *ret_pidfd, struct err *e);

/* Run to the end feeding `input` (may be NULL) to stdin and collecting stderr (last 1 KiB) into
 * the error on a non-zero exit. timeout_msec -1: none; on timeout the process is killed. For hooks.
 */
int proc_run(const struct proc_spawn *s, const char *input, size_t input_len, int timeout_msec,
	     const char *what, struct err *e);

/* clone3(2) without libc's bookkeeping: returns like fork(). The child shares nothing but what
 * flags say and must only use async-signal-safe calls if the caller has threads.
 * cgroup_fd ≥ 0 adds CLONE_INTO_CGROUP. ret_pidfd may be NULL. -ENOSYS falls back to clone(2) when
 * cgroup_fd < 0. Source: clone(2), clone3. */
pid_t proc_clone(uint64_t flags, int exit_signal, int cgroup_fd, int *ret_pidfd);

/* Put every signal disposition back to default and empty the mask; ignored ones too. */
void proc_reset_signals(void);

/* Signal names: "TERM", "SIGTERM", "15", "RTMIN+3". */
int signal_parse(const char *s, int *ret);
const char *signal_name(int sig); /* "TERM"; NULL if unknown */
