/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for the end of a workload, and writing down how it ended. Only the parent of the host
 * process learns that; for everybody else there is what the parent wrote down.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/proc.h"
#include "sandbox.h"

/* The wait status whose exit code was saved. That a signal was the end is lost in the code. */
static int status_of_code(int32_t code)
{
	return W_EXITCODE(code & 0xff, 0);
}

int rt_finish(struct sandbox *s, int wait_status, struct err *e)
{
	struct err local = ERR_INIT;
	int r;

	e = e ? e : &local;
	r = sandbox_lock(s, e);
	/* Deleted meanwhile: then there is nothing to write it into. */
	if (r == -ENOENT) {
		err_clear(e);
		s->state.saved = RT_STOPPED;
		s->state.exit_code = proc_exit_code(wait_status);
		return 0;
	}
	if (r < 0)
		return err_wrap(e, "finish '%s'", s->dir.id);
	s->state.exit_code = proc_exit_code(wait_status);
	s->state.finished_unix_nsec = now_unix_nsec();
	r = sandbox_save(s, RT_STOPPED, e);
	sandbox_unlock(s);
	return r < 0 ? err_wrap(e, "finish '%s'", s->dir.id) : 0;
}

/* Somebody else's child: its end is seen by the pidfd, its exit code by what its parent saved. */
static int wait_for_stranger(struct sandbox *s, int *ret_wait_status, struct err *e)
{
	int r;

	if (s->pidfd >= 0) {
		r = proc_wait_exit(s->pidfd, -1, e);
		if (r < 0)
			return r;
	}
	r = sandbox_load(s, e);
	if (r < 0)
		return r;
	if (s->state.exit_code < 0)
		return err_set(e, ERR_STATE, ECHILD,
			       "it ended, but only its parent process knows how");
	*ret_wait_status = status_of_code(s->state.exit_code);
	return 0;
}

int rt_wait(struct sandbox *s, int *ret_wait_status, struct err *e)
{
	struct err local = ERR_INIT;
	int status, r;

	if (s->state.saved == RT_STOPPED && s->state.exit_code >= 0) {
		*ret_wait_status = status_of_code(s->state.exit_code);
		return 0;
	}
	r = s->state.host.pid > 0 ? proc_reap(s->state.host.pid, &status, &local) : -ECHILD;
	if (r == -ECHILD)
		r = wait_for_stranger(s, ret_wait_status, e);
	else if (r < 0)
		r = err_sys(e, r, "wait for process %d", (int)s->state.host.pid);
	else if ((r = rt_finish(s, status, e)) == 0)
		*ret_wait_status = status;
	return r < 0 ? err_wrap(e, "wait for '%s'", s->dir.id) : 0;
}
