/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: identity, pidfds, clone3, waiting and dying (base/proc.h).
 */
#include "base/proc.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "proc_internal.h"

#include <fcntl.h>

/* ---- identity ---- */

#define STAT_FIELD_STATE 3
#define STAT_FIELD_START 22

/* Fields 3 and 22 of /proc/PID/stat. The command name in field 2 may hold blanks and parentheses of
 * the process's choice, so fields are counted from the last ')'. */
static int parse_stat(char *text, char *ret_state, uint64_t *ret_start)
{
	char *p = strrchr(text, ')'), *field = NULL;

	if (!p || p[1] != ' ')
		return -EBADMSG;
	p += 2;
	*ret_state = *p;
	for (int i = STAT_FIELD_STATE; i <= STAT_FIELD_START; i++) {
		field = strsep(&p, " ");
		if (!field)
			return -EBADMSG;
	}
	return parse_u64(field, ret_start) < 0 ? -EBADMSG : 0;
}

static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	char path[48];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = path_read_file_at(AT_FDCWD, path, 8192, &text, NULL, e);
	if (r == -ENOENT || r == -ESRCH)
		return err_set(e, ERR_NOT_FOUND, ESRCH, "process %d is gone", (int)pid);
	if (r < 0)
		return r;
	r = parse_stat(text, ret_state, ret_start);
	return r < 0 ? err_sys(e, r, "read '%s'", path) : 0;
}

int proc_id_of(pid_t pid, struct proc_id *ret, struct err *e)
{
	uint64_t start;
	char state;
	int r;

	r = read_stat(pid, &state, &start, e);
	if (r < 0)
		return r;
	*ret = (struct proc_id){.pid = pid, .start_ticks = start};
	return 0;
}

int proc_open(const struct proc_id *id, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	uint64_t start;
	char state;
	int r;

	if (id->pid <= 0)
		return err_set(e, ERR_NOT_FOUND, ESRCH, "process %d is gone", (int)id->pid);
	/* The pidfd first: what /proc says afterwards is then about the process that it holds, or about
	 * a later one, which started after the one we look for. */
	fd = (int)syscall(SYS_pidfd_open, id->pid, 0);
	if (fd < 0 && errno == ESRCH)
		return err_set(e, ERR_NOT_FOUND, ESRCH, "process %d is gone", (int)id->pid);
	if (fd < 0)
		return err_sys(e, errno, "pidfd_open %d", (int)id->pid);
	r = read_stat(id->pid, &state, &start, e);
	if (r < 0)
		return r;
	if (start != id->start_ticks)
		return err_set(e, ERR_NOT_FOUND, ESRCH,
			       "process %d is gone (the number belongs to another)", (int)id->pid);
	if (state == 'Z' || state == 'X' || state == 'x')
		return err_set(e, ERR_NOT_FOUND, ESRCH, "process %d has ended", (int)id->pid);
	return TAKE_FD(fd);
}

int proc_signal(int pidfd, int sig, struct err *e)
{
	const char *name;

	if (syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) == 0)
		return 0;
	if (errno == ESRCH)
		return err_set(e, ERR_NOT_FOUND, ESRCH, "the process is gone");
	name = signal_name(sig);
	return name ? err_sys(e, errno, "send SIG%s", name)
		    : err_sys(e, errno, "send signal %d", sig);
}

/* ---- waiting ---- */

int64_t proc_now_msec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int proc_msec_left(int64_t deadline)
{
	int64_t left;

	if (deadline < 0)
		return -1;
	left = deadline - proc_now_msec();
	return left < 0 ? 0 : (int)left;
}

int proc_wait_exit(int pidfd, int timeout_msec, struct err *e)
{
	int64_t deadline = timeout_msec < 0 ? -1 : proc_now_msec() + timeout_msec;
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	for (;;) {
		int n = poll(&p, 1, proc_msec_left(deadline));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "wait for a process");
		if (n == 0)
			return err_sys(e, ETIMEDOUT, "wait for a process");
		if (p.revents & POLLNVAL)
			return err_sys(e, EBADF, "wait for a process");
		return 0;
	}
}

int proc_reap(pid_t pid, int *ret_status, struct err *e)
{
	pid_t got;
	int status;

	/* __WALL: also a child whose exit signal is not SIGCHLD. */
	do
		got = waitpid(pid, &status, __WALL);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(e, errno, "wait for process %d", (int)pid);
	*ret_status = status;
	return 0;
}

int proc_exit_code(int wait_status)
{
	if (WIFSIGNALED(wait_status))
		return 128 + WTERMSIG(wait_status);
	return WEXITSTATUS(wait_status);
}

_Noreturn void proc_exit_as(int wait_status)
{
	const struct rlimit none = {0, 0};
	sigset_t set;
	int sig;

	if (WIFSIGNALED(wait_status)) {
		sig = WTERMSIG(wait_status);
		/* The dump was the workload's to leave, not ours. A core_pattern that is a pipe
		 * ignores the limit, but not the dumpable flag. */
		setrlimit(RLIMIT_CORE, &none);
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		signal(sig, SIG_DFL);
		sigemptyset(&set);
		sigaddset(&set, sig);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		kill(getpid(), sig);
		/* Still here: PID 1 of a namespace is immune to its own signals. */
	}
	_exit(proc_exit_code(wait_status));
}

/* ---- cloning ---- */

static pid_t clone_without_clone3(uint64_t flags, int exit_signal, int *pidfd)
{
	/* The low byte is the exit signal's here, and there are only 32 bits: CLONE_NEWTIME and
	 * CLONE_CLEAR_SIGHAND cannot be said. */
	if (flags & (0xffu | ~(uint64_t)UINT32_MAX))
		return -ENOSYS;
	flags |= (uint64_t)(unsigned)exit_signal;
#if defined(__s390__) || defined(__s390x__)
	long pid = syscall(SYS_clone, NULL, (unsigned long)flags, pidfd, NULL, NULL);
#else
	long pid = syscall(SYS_clone, (unsigned long)flags, NULL, pidfd, NULL, NULL);
#endif
	return pid < 0 ? -errno : (pid_t)pid;
}

pid_t proc_clone(uint64_t flags, int exit_signal, int cgroup_fd, int *ret_pidfd)
{
	int pidfd = -EBADF;
	struct clone_args args = {0};
	long pid;

	if (ret_pidfd)
		flags |= CLONE_PIDFD;
	args.flags = flags;
	args.exit_signal = (uint64_t)(unsigned)exit_signal;
	args.pidfd = (uint64_t)(uintptr_t)&pidfd;
	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)(unsigned)cgroup_fd;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		pid = errno == ENOSYS && cgroup_fd < 0
			      ? clone_without_clone3(flags, exit_signal, &pidfd)
			      : -errno;
	if (pid > 0 && ret_pidfd)
		*ret_pidfd = pidfd;
	return (pid_t)pid;
}
