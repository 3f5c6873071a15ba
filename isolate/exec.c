/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A further process in a running container. An intermediate enters the container's namespaces
 * through init's pidfd, all at once, and creates the process in them (spawn.c); that takes a terminal
 * of the container's devpts if asked, finds the command and becomes what it is to be by the same code
 * as the first process (identity.c).
 *
 *	creator                             process
 *	limits, oom_score_adj
 *	SYNC_GO -------------------------->  enters its groups (v1)
 *	                                    SYNC_CONSOLE + fd (only with a terminal)
 *	                                    SYNC_STARTED, exec: end of the channel
 *
 * setns(2) leaves us in the root directory of the mount *namespace*. That is the container's only where
 * the runtime itself had the namespace's root: on a host that runs in a chroot (a rescue system, an
 * initramfs) pivot_root(2) moves what is at the chroot, and the namespace's root stays the host's. So
 * the root directory is taken from init, by descriptor, opened before anything is joined.
 *
 * The cgroup namespace is joined with the others: unlike a new one, which is rooted in the group of
 * whoever makes it, one that exists does not depend on where we are when we join.
 */
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/sync.h"
#include "command.h"
#include "identity.h"
#include "isolate/sandbox.h"
#include "nsfile.h"
#include "procfs.h"
#include "scheduling.h"
#include "spawn.h"
#include "terminal.h"

static const char peer[] = "the exec'd process";

struct exec_plan {
	const struct iso_exec_params *params;
	uint64_t flags; /* CLONE_NEW* of the namespaces that are the container's */
	int root_fd;    /* init's root directory; -1: the mount namespace is not the container's */
	bool nested;    /* all of us are in an outer user namespace */
};

/* ---- joining (in the intermediate) ------------------------------------------------------------ */

/* Kernels and sandboxes without setns() on a pidfd (before Linux 5.8). All are opened before the
 * first is joined, and init must still live after that, or the number may have been another's. */
static int join_by_path(const struct exec_plan *plan, struct err *e)
{
	int fds[ISO_NS_COUNT], r = 0;

	for (int i = 0; i < ISO_NS_COUNT; i++)
		fds[i] = -1;
	for (int i = 0; i < ISO_NS_COUNT && r >= 0; i++)
		if (plan->flags & iso_ns_table[i].clone_flag)
			r = fds[i] = iso_ns_open(plan->params->init_pid, (enum iso_ns)i, e);
	if (r >= 0)
		r = proc_signal(plan->params->init_pidfd, 0, e);
	for (int i = 0; i < ISO_NS_COUNT; i++) {
		if (r >= 0 && fds[i] >= 0 && setns(fds[i], (int)iso_ns_table[i].clone_flag) < 0)
			r = err_sys(e, errno, "join the %s namespace", iso_ns_table[i].oci_name);
		fd_close(fds[i]);
	}
	return r < 0 ? r : 0;
}

static int join_namespaces(const struct exec_plan *plan, struct err *e)
{
	int pidfd = plan->params->init_pidfd, flags = (int)plan->flags;

	if (flags == 0 || setns(pidfd, flags) == 0)
		return 0;
	if (errno == EINVAL || errno == ENOSYS)
		return join_by_path(plan, e);
	/* A namespace may belong to the creator's user namespace, not to the container's (one that
	 * an engine made): then it must be joined while we still have our privileges. */
	if (errno == EPERM && (flags & CLONE_NEWUSER) &&
	    setns(pidfd, flags & ~CLONE_NEWUSER) == 0 && setns(pidfd, CLONE_NEWUSER) == 0)
		return 0;
	return err_sys(e, errno, "join the container's namespaces");
}

static int exec_join(void *arg, struct err *e)
{
	const struct exec_plan *plan = arg;
	int r = scheduling_affinity_initial(plan->params->process, e);

	if (r == 0)
		r = join_namespaces(plan, e);
	if (r < 0 || plan->root_fd < 0)
		return r;
	if (fchdir(plan->root_fd) < 0 || chroot(".") < 0)
		return err_sys(e, errno, "enter the container's root directory");
	return 0;
}

/* In the creator. Init must still live after the look, or the number may have been another's. */
static int open_root(struct exec_plan *plan, struct err *e)
{
	const struct iso_exec_params *p = plan->params;

	if (!(plan->flags & CLONE_NEWNS))
		return 0;
	plan->root_fd = ns_open_root(p->init_pid, e);
	return plan->root_fd < 0 ? plan->root_fd : proc_signal(p->init_pidfd, 0, e);
}

/* ---- the process ------------------------------------------------------------------------------ */

static int take_terminal(const struct iso_process *p, int fd, int *ret_slave, struct err *e)
{
	_cleanup_close_ int root = -EBADF, master = -EBADF, slave = -EBADF;
	int r;

	if (!p->terminal)
		return 0;
	root = path_open_dir("/", e);
	if (root < 0)
		return root;
	r = terminal_open(root, p, &master, &slave, e);
	if (r == 0)
		r = sync_send(fd, SYNC_CONSOLE, 0, master, e);
	if (r < 0)
		return err_wrap(e, "terminal");
	*ret_slave = TAKE_FD(slave);
	return 0;
}

static int exec_child(void *arg, int *fd, struct err *e)
{
	const struct exec_plan *plan = arg;
	const struct iso_exec_params *p = plan->params;
	_cleanup_close_ int slave = -EBADF, proc_fd = -EBADF;
	_cleanup_free_ char *command = NULL;
	struct identity id = {
		.process = p->process,
		.bpf = p->bpf,
		.notify = p->notify,
		.config = p->config,
		.preserve = p->stdio.preserve,
		.keep_keyring = p->keep_keyring,
		.userns = plan->flags & CLONE_NEWUSER,
		.tell_fd = *fd,
	};
	int r;

	r = sync_expect(*fd, "the creator", SYNC_GO, NULL, NULL, e);
	if (r == 0 && p->enter_groups)
		r = p->enter_groups(p->enter_arg, e);
	if (r == 0)
		r = scheduling_affinity_final(p->process, e);
	if (r == 0 && id.userns)
		r = identity_enter_userns(e);
	id.userns |= plan->nested;
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		r = err_sys(e, errno, "set the death signal");
	if (r == 0 && identity_needs_procfs(p->process))
		r = proc_fd = procfs_open_private(false, e);
	if (r >= 0)
		r = take_terminal(p->process, *fd, &slave, e);
	if (r == 0)
		r = identity_stdio(&p->stdio, slave, p->process, e);
	if (r == 0)
		r = command_find(p->process, &command, e);
	if (r == 0)
		r = FAULT("init-exec", e);
	if (r < 0)
		return r;
	id.proc_fd = proc_fd;
	return identity_exec(&id, command, e);
}

/* ---- the creator ------------------------------------------------------------------------------ */

static bool init_ended(const struct iso_exec_params *p, int timeout_msec)
{
	return proc_wait_exit(p->init_pidfd, timeout_msec, NULL) == 0;
}

/* How long to wait for init's end before a failure is believed. A dying pid namespace kills what is
 * in it (our process's channel ends) and takes no more (ENOMEM), but its init has only ended when
 * our process is reaped and gone. */
static int dying_msec(int r)
{
	return r == -EPIPE || r == -ECONNRESET || r == -ENOMEM || r == -ESRCH ? 1000 : 0;
}

static int plan_flags(struct exec_plan *plan, struct err *e)
{
	const struct iso_exec_params *p = plan->params;

	for (int i = 0; i < ISO_NS_COUNT; i++) {
		_cleanup_close_ int fd = -EBADF;
		int r = 0;

		if (p->config->ns[i].mode == ISO_NS_INHERIT)
			continue;
		/* The kernel refuses to join the user namespace one is in already, which a path may
		 * have led to. */
		if (i == ISO_NS_USER) {
			fd = iso_ns_open(p->init_pid, ISO_NS_USER, e);
			r = fd < 0 ? fd : ns_is_ours(ISO_NS_USER, fd, e);
		}
		if (r < 0)
			return r;
		if (r == 0)
			plan->flags |= iso_ns_table[i].clone_flag;
	}
	return 0;
}

static int check_exec(const struct iso_exec_params *p, struct err *e)
{
	int r;

	r = iso_config_check(p->config, p->process, e);
	if (r < 0)
		return r;
	if (p->bpf && p->bpf->wants_notify && !p->notify)
		return err_set(e, ERR_INTERNAL, EINVAL, "seccomp: nobody to be notified");
	return spawn_check_preserve(&p->stdio, e);
}

static int let_go(const struct exec_plan *plan, const struct iso_init *i, struct err *e)
{
	const struct iso_exec_params *p = plan->params;
	int r = p->notify ? p->notify->fill(p->notify->arg, i->pid, p->notify->message_fd, e) : 0;

	if (r == 0)
		r = spawn_privileged_settings(i->pid, p->process, plan->flags & CLONE_NEWUSER, e);
	if (r == 0)
		r = sync_send(i->sync_fd, SYNC_GO, 0, -1, e);
	return r;
}

static int await_exec(struct iso_init *i, struct err *e)
{
	bool started = false;

	for (;;) {
		_cleanup_close_ int fd = -EBADF;
		enum sync_type type;
		int r;

		r = sync_recv(i->sync_fd, peer, &type, NULL, &fd, e);
		if (r == -EPIPE && started) {
			err_clear(e);
			i->sync_fd = fd_close(i->sync_fd);
			return 0;
		}
		if (r == -EPIPE)
			return spawn_explain_end(peer, i, e);
		if (r < 0)
			return r;
		if (type == SYNC_STARTED)
			started = true;
		else if (type == SYNC_CONSOLE && fd >= 0 && i->console_fd < 0)
			i->console_fd = TAKE_FD(fd);
		else
			return err_set(e, ERR_INTERNAL, EPROTO, "%s sent message %d", peer,
				       (int)type);
	}
}

int iso_exec_spawn(const struct iso_exec_params *p, struct iso_init *ret, struct err *e)
{
	struct exec_plan plan = {.params = p, .root_fd = -1, .nested = ns_user_is_nested()};
	struct spawn s = {
		.what = peer,
		.cgroup_fd = p->cgroup_fd,
		.join = exec_join,
		.child = exec_child,
		.arg = &plan,
	};
	struct iso_init i = {.pid = -1, .pidfd = -1, .sync_fd = -1, .console_fd = -1};
	int r;

	r = check_exec(p, e);
	if (r < 0)
		return r;
	r = init_ended(p, 0) ? -ESRCH : plan_flags(&plan, e);
	if (r == 0)
		r = open_root(&plan, e);
	if (r == 0) {
		s.cgroup_early = plan.flags & CLONE_NEWUSER;
		r = spawn_process(&s, &i, e);
	}
	plan.root_fd = fd_close(plan.root_fd);
	if (r == 0)
		r = let_go(&plan, &i, e);
	if (r == 0)
		r = await_exec(&i, e);
	if (r < 0) {
		iso_init_done(&i, true);
		/* Whatever went wrong in a container that was ending meanwhile went wrong by that. */
		if (init_ended(p, dying_msec(r)))
			return err_set(e, ERR_STATE, ESRCH, "the container is not running");
		return r;
	}
	*ret = i;
	return 0;
}
