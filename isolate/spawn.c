/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating a process in namespaces. New ones come with clone3(2). Joined ones need the process
 * itself to enter them, and for a pid namespace (which counts only for children) or for a user
 * namespace (which must own the ones made after it) that means an intermediate process:
 *
 *	creator --clone--> intermediate: setns(...) --clone, CLONE_PARENT--> process
 *	   ^------------------ SYNC_PID + pidfd --------'
 *
 * CLONE_PARENT makes the process a child of the creator, which can wait for it like for any other;
 * the pid that the intermediate got from clone is already the creator's view of it, since a joined
 * pid namespace does not change the view of who joined it.
 *
 * All run in copies of the creator's memory, hence not dumpable before anything is joined: a process
 * in the joined namespaces could otherwise trace them or reach the host through their /proc entries.
 */
#include "spawn.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/self.h"
#include "base/sync.h"
#include "rlimit.h"

#define DEATH_WAIT_MSEC 10000

/* The status of a process that could not become the workload, as shells have it. */
static int failure_status(const struct err *e)
{
	switch ((enum err_kind)e->kind) {
	case ERR_CMD_NOT_FOUND:
		return 127;
	case ERR_CMD_NOT_EXEC:
		return 126;
	case ERR_NONE:
	case ERR_SYSTEM:
	case ERR_INVALID:
	case ERR_UNSUPPORTED:
	case ERR_NOT_FOUND:
	case ERR_EXISTS:
	case ERR_STATE:
	case ERR_LIMIT:
	case ERR_INTERNAL:
	case ERR_KIND_COUNT:
		break;
	}
	return 1;
}

/* In a new user namespace, where nobody else is yet. */
static int leave_program(struct err *e)
{
	struct self_link link;
	int r = self_link_prepare(&link, e);

	return r < 0 ? r : self_link_exchange(&link, e);
}

static _Noreturn void child_main(const struct spawn *s, int fd)
{
	struct err e = ERR_INIT;

	proc_reset_signals();
	/* If the creator died before this line, the channel is at its end, and the child's first
	 * receive says so. */
	(void)!prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (!s->keep_dumpable)
		self_undumpable();
	(void)!setsid();
	if (!(s->flags & CLONE_NEWUSER) || leave_program(&e) == 0)
		s->child(s->arg, &fd, &e);
	sync_send_error(fd, &e);
	_exit(failure_status(&e));
}

static _Noreturn void intermediate_main(const struct spawn *s, int fd)
{
	_cleanup_close_ int pidfd = -EBADF;
	struct err e = ERR_INIT;
	struct self_link link;
	pid_t pid;
	int r;

	proc_reset_signals();
	(void)!prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	self_undumpable();
	/* Prepared here, as /proc may be the sandbox's afterwards; nobody there sees us before the clone. */
	r = self_link_prepare(&link, &e);
	if (r == 0)
		r = s->join(s->arg, &e);
	if (r == 0)
		r = self_link_exchange(&link, &e);
	if (r < 0)
		goto fail;
	/* setns() to a user namespace changed our credentials, and dumpable with them. */
	self_undumpable();
	/* With CLONE_PARENT the exit signal is that of the caller and may not be given. */
	pid = proc_clone(s->flags | CLONE_PARENT, 0, s->cgroup_early ? -1 : s->cgroup_fd, &pidfd);
	if (pid < 0) {
		err_sys(&e, pid, "create %s in the joined namespaces", s->what);
		goto fail;
	}
	if (pid == 0)
		child_main(s, fd);
	r = sync_send(fd, SYNC_PID, pid, pidfd, &e);
	if (r == 0)
		_exit(0);
	kill(pid, SIGKILL);
fail:
	sync_send_error(fd, &e);
	_exit(1);
}

/* A signal handler of the creator's must not run in its copy: nothing is delivered between clone
 * and proc_reset_signals(). A copy that is to be dumpable must be so from its first moment, as the
 * creator may open its id maps before it ran. */
static pid_t clone_quietly(uint64_t flags, int cgroup_fd, bool dumpable, int *ret_pidfd)
{
	int before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	if (dumpable && before == 0)
		(void)!prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	pid = proc_clone(flags, SIGCHLD, cgroup_fd, ret_pidfd);
	if (pid == 0)
		return 0;
	if (dumpable && before == 0)
		self_undumpable();
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

static int explain_clone(const struct spawn *s, int r, struct err *e)
{
	err_sys(e, r, "create %s in its namespaces", s->what);
	switch (-r) {
	case EINVAL:
		return err_hint(e, "the kernel may lack one of the namespaces (ls /proc/self/ns)");
	case ENOSPC:
	case EUSERS:
		return err_hint(e, "too many or too deeply nested namespaces (sysctl "
				   "user.max_*_namespaces)");
	case EPERM:
		if (s->flags & CLONE_NEWUSER)
			return err_hint(
				e, "this host allows ordinary users no user namespaces (sysctl "
				   "kernel.unprivileged_userns_clone=1 does), or an outer "
				   "container's filter forbids them");
		return err_hint(e, "new namespaces need CAP_SYS_ADMIN, or a user namespace beside "
				   "them");
	case EAGAIN:
		return err_hint(e, "a limit on the number of processes is reached (pids.max, "
				   "RLIMIT_NPROC)");
	}
	return r;
}

/* Take the process over from the intermediate, and reap that. */
static int take_over(const struct spawn *s, pid_t helper, struct iso_init *i, struct err *e)
{
	_cleanup_close_ int pidfd = -EBADF;
	int32_t pid = 0;
	int r, status;

	r = sync_expect(i->sync_fd, s->what, SYNC_PID, &pid, &pidfd, e);
	if (r < 0)
		kill(helper, SIGKILL);
	(void)proc_reap(helper, &status, NULL);
	if (r < 0)
		return err_wrap(e, "join namespaces");
	i->pid = pid;
	i->pidfd = TAKE_FD(pidfd);
	return 0;
}

int spawn_process(const struct spawn *s, struct iso_init *ret, struct err *e)
{
	struct iso_init i = {.pid = -1, .pidfd = -1, .sync_fd = -1, .console_fd = -1};
	bool early = !s->join || s->cgroup_early;
	int pair[2], pidfd = -1, r;
	pid_t pid;

	r = sync_pair(pair, e);
	if (r < 0)
		return r;
	pid = clone_quietly(s->join ? 0 : s->flags, early ? s->cgroup_fd : -1, s->keep_dumpable,
			    &pidfd);
	if (pid == 0) {
		/* Our copy of the creator's end would hide its death from us. */
		close(pair[0]);
		if (s->join)
			intermediate_main(s, pair[1]);
		child_main(s, pair[1]);
	}
	close(pair[1]);
	i.sync_fd = pair[0];
	if (pid < 0) {
		fd_close(i.sync_fd);
		return explain_clone(s, pid, e);
	}
	if (s->join) {
		fd_close(pidfd);
		r = take_over(s, pid, &i, e);
	} else {
		i.pid = pid;
		i.pidfd = pidfd;
	}
	if (r < 0) {
		iso_init_done(&i, true);
		return r;
	}
	*ret = i;
	return 0;
}

/* ---- the creator's side ------------------------------------------------------------------------- */

int spawn_explain_end(const char *what, const struct iso_init *i, struct err *e)
{
	siginfo_t si = {0};

	/* The channel ends a moment before the process does. */
	if (proc_wait_exit(i->pidfd, DEATH_WAIT_MSEC, NULL) < 0)
		return -EPIPE;
	if (waitid(P_PID, (id_t)i->pid, &si, WEXITED | WNOWAIT | WNOHANG) < 0 || si.si_pid == 0)
		return -EPIPE;
	if (si.si_code == CLD_EXITED)
		return -EPIPE;
	if (si.si_status == SIGKILL)
		return err_set(e, ERR_INTERNAL, EPIPE, "%s was killed during set-up", what);
	return err_set(e, ERR_INTERNAL, EPIPE, "%s died of SIG%s during set-up", what,
		       signal_name(si.si_status) ?: "?");
}

int spawn_expect(const struct spawn *s, const struct iso_init *i, int want, struct err *e)
{
	int r = sync_expect(i->sync_fd, s->what, (enum sync_type)want, NULL, NULL, e);

	return r == -EPIPE ? spawn_explain_end(s->what, i, e) : r;
}

static int write_oom_score_adj(pid_t pid, int value, struct err *e)
{
	_cleanup_close_ int dir = -EBADF;
	char path[32], text[16];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	snprintf(text, sizeof(text), "%d", value);
	dir = path_open_dir(path, e);
	if (dir < 0)
		return dir;
	r = path_check_fstype(dir, PROC_SUPER_MAGIC, path, e);
	if (r == 0)
		r = path_write_file_at(dir, "oom_score_adj", text, e);
	if (r == 0)
		return 0;
	err_wrap(e, "set oomScoreAdj to %d", value);
	if (r == -EACCES)
		err_hint(e, "a value below the caller's own needs CAP_SYS_RESOURCE");
	return r;
}

int spawn_privileged_settings(pid_t pid, const struct iso_process *p, bool userns, struct err *e)
{
	int r = 0;

	if (userns)
		r = rlimits_raise_hard(pid, p, e);
	if (r == 0 && p->has_oom_score_adj)
		r = write_oom_score_adj(pid, p->oom_score_adj, e);
	return r;
}

int spawn_check_preserve(const struct iso_stdio *stdio, struct err *e)
{
	if (stdio->preserve > (1u << 20))
		return err_invalid(e, "%u descriptors to be preserved are too many",
				   stdio->preserve);
	for (unsigned fd = 3; fd < 3 + stdio->preserve; fd++) {
		int flags = fcntl((int)fd, F_GETFD);

		if (flags < 0)
			return err_invalid(e, "descriptor %u, to be preserved, is not open", fd);
		/* What survived our own exec is not close-on-exec, and all that we opened is: it was not
		 * passed, and one of ours took the number. Some of those lead to the host's files. */
		if (flags & FD_CLOEXEC)
			return err_invalid(e, "descriptor %u, to be preserved, was not passed", fd);
	}
	return 0;
}
