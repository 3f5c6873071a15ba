/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting what was created: the gate opens, the workload's exec happens, poststart hooks run.
 *
 * startContainer hooks run in the host process between gate and exec, and no lock is held while a
 * hook runs; so with such hooks the lock is dropped before the gate opens. The gate itself takes
 * one start order only.
 */
#include <errno.h>

#include "base/fault.h"
#include "base/proc.h"
#include "sandbox.h"

/* A host process that could not execute the command says so, then ends. */
#define FAILED_EXIT_MSEC 10000

static int check_status(struct sandbox *s, struct err *e)
{
	enum rt_status status = sandbox_status(s);

	switch (status) {
	case RT_CREATED:
		return 0;
	case RT_RUNNING:
		return err_set(e, ERR_STATE, EBUSY, "cannot start an already running container");
	case RT_STOPPED:
		return err_set(e, ERR_STATE, ESRCH, "cannot start a container that has stopped");
	case RT_CREATING:
	case RT_PAUSED:
	case RT_STATUS_COUNT:
		break;
	}
	return err_set(e, ERR_STATE, EBUSY, "cannot start a container that is %s",
		       rt_status_name(status));
}

static int save_as(struct sandbox *s, enum rt_status status, struct err *e)
{
	int r = sandbox_lock(s, e);

	if (r < 0)
		return r;
	if (status == RT_RUNNING)
		s->state.started_unix_nsec = now_unix_nsec();
	else
		s->state.finished_unix_nsec = now_unix_nsec();
	r = sandbox_save(s, status, e);
	sandbox_unlock(s);
	return r;
}

/* The gate was opened and the exec failed: the status becomes stopped, once the host process has
 * ended, which it does a moment after it told us. When the gate did not take the order (ERR_STATE),
 * the sandbox stays what it was. */
static void after_failed_start(struct sandbox *s, const struct err *e)
{
	if (e->kind == ERR_STATE)
		return;
	if (proc_wait_exit(s->pidfd, FAILED_EXIT_MSEC, NULL) < 0)
		return;
	(void)sandbox_kill(s, NULL); /* reaps, when it is ours */
	(void)save_as(s, RT_STOPPED, NULL);
}

/* Spec: runtime.md "Lifecycle" step 9: a failing poststart hook stops the container. */
static int run_poststart(struct sandbox *s, struct err *e)
{
	int r = sandbox_run_hooks(s, OCI_HOOK_POSTSTART, RT_RUNNING, s->state.host.pid, e);

	if (r == 0)
		return 0;
	if (sandbox_kill(s, NULL) == 0)
		(void)save_as(s, RT_STOPPED, NULL);
	return r;
}

static int start(struct sandbox *s, struct err *e)
{
	int r = sandbox_lock(s, e);

	if (r < 0)
		return r;
	r = driver_check_verb(s->driver, "start", e);
	if (r == 0)
		r = check_status(s, e);
	if (r == 0)
		r = sandbox_need_config(s, e);
	if (r == 0)
		r = FAULT("start", e);
	if (r < 0)
		return r;
	if (s->config.hooks[OCI_HOOK_START_CONTAINER].n > 0)
		sandbox_unlock(s);
	r = s->driver->start(s, e);
	if (r < 0) {
		sandbox_unlock(s);
		after_failed_start(s, e);
		sandbox_explain_oom(s, e);
		return r;
	}
	r = FAULT("started", e);
	if (r == 0)
		r = save_as(s, RT_RUNNING, e);
	return r < 0 ? r : run_poststart(s, e);
}

int rt_start(struct sandbox *s, struct err *e)
{
	struct err local = ERR_INIT;
	int r;

	e = e ? e : &local;
	r = start(s, e);
	sandbox_unlock(s);
	return r < 0 ? err_wrap(e, "start '%s'", s->dir.id) : 0;
}
