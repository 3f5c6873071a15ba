/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals to a sandbox. No lock is needed: the host process is named by a descriptor, and a status
 * that changes meanwhile changes nothing about what a signal does.
 */
#include <errno.h>
#include <signal.h>

#include "base/cleanup.h"
#include "sandbox.h"

/* containerd and others recognise these words. */
static int not_running(struct err *e)
{
	return err_set(e, ERR_STATE, ESRCH, "container not running");
}

/* The workload ended, but without a pid namespace of its own some of its processes may live on in
 * the cgroup, and `kill --all` is how engines reach them. */
static int signal_rest(struct sandbox *s, int sig, struct err *e)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;

	if (!sandbox_has_cgroup(s) || cg_pids(s->cgroup, &pids, &n, NULL) < 0 || n == 0)
		return not_running(e);
	return cg_signal_all(s->cgroup, sig, e);
}

/* v1 delivers nothing to frozen processes; runc lets SIGKILL through all the same. */
static void thaw_for_kill(struct sandbox *s)
{
	if (sandbox_has_cgroup(s))
		(void)cg_freeze(s->cgroup, false, NULL);
}

static int send(struct sandbox *s, int sig, bool all, struct err *e)
{
	enum rt_status status = sandbox_status(s);
	int r;

	switch (status) {
	case RT_CREATING:
		return err_set(e, ERR_STATE, EBUSY, "container is still being created");
	case RT_STOPPED:
		return all ? signal_rest(s, sig, e) : not_running(e);
	case RT_CREATED:
	case RT_RUNNING:
	case RT_PAUSED:
	case RT_STATUS_COUNT:
		break;
	}
	r = driver_check_verb(s->driver, "kill", e);
	if (r == 0)
		r = s->driver->signal(s, sig, all, e);
	if (r == -ESRCH)
		return not_running(e);
	if (r == 0 && sig == SIGKILL && status == RT_PAUSED)
		thaw_for_kill(s);
	return r;
}

int rt_kill(struct sandbox *s, int sig, bool all, struct err *e)
{
	struct err local = ERR_INIT;
	int r;

	e = e ? e : &local;
	if (sig < 0 || sig > SIGRTMAX)
		r = err_invalid(e, "no signal has the number %d", sig);
	else
		r = send(s, sig, all, e);
	return r < 0 ? err_wrap(e, "kill '%s'", s->dir.id) : 0;
}
