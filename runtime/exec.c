/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A further process in a sandbox. Takes no lock: probes run many of these per second, and nothing
 * of the state changes.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/proc.h"
#include "sandbox.h"

/* Before its start the first process is still a copy of our own program, into which the kernel lets nobody look but who is
 * privileged over the namespace that the program came from: so not an ordinary user. */
static int check_unstarted(struct sandbox *s, struct err *e)
{
	int r = sandbox_need_config(s, e);

	if (r < 0 || geteuid() == 0 || s->config.isolation.ns[ISO_NS_USER].mode == ISO_NS_INHERIT)
		return r;
	err_set(e, ERR_STATE, EBUSY,
		"cannot exec in a container of an ordinary user that is not started yet");
	return err_hint(e, "start it first");
}

static int check_status(struct sandbox *s, bool ignore_paused, struct err *e)
{
	enum rt_status status = sandbox_status(s);

	switch (status) {
	case RT_CREATED:
		return check_unstarted(s, e);
	case RT_RUNNING:
		return 0;
	case RT_PAUSED:
		if (ignore_paused)
			return 0;
		err_set(e, ERR_STATE, EBUSY, "cannot exec in a paused container");
		return err_hint(e, "resume it first");
	case RT_STOPPED:
		return err_set(e, ERR_STATE, ESRCH,
			       "cannot exec in a stopped container: container not running");
	case RT_CREATING:
	case RT_STATUS_COUNT:
		break;
	}
	return err_set(e, ERR_STATE, EBUSY, "cannot exec in a container that is %s",
		       rt_status_name(status));
}

static int check_request(const struct rt_exec_request *r, struct err *e)
{
	if (r->io.console_socket >= 0 && !r->process->terminal) {
		err_invalid(e, "a console socket is given, but the process has no terminal");
		return err_hint(e, "give --tty, or leave the console socket out");
	}
	return 0;
}

static int check_options(struct sandbox *s, const struct rt_exec_request *r, struct err *e)
{
	int x = r->cgroup ? driver_check_verb(s->driver, "exec --cgroup", e) : 0;

	if (x == 0 && r->ignore_paused)
		x = driver_check_verb(s->driver, "exec --ignore-paused", e);
	return x;
}

/* What follows once the process runs. */
static int announce(const struct rt_exec_request *r, pid_t pid, int *console, struct err *e)
{
	int x = FAULT("exec", e);

	if (x == 0 && *console >= 0 && r->io.console_socket >= 0) {
		x = console_send(r->io.console_socket, *console, e);
		*console = fd_close(*console);
	}
	if (x == 0 && r->pid_file)
		x = pid_file_write(r->pid_file, pid, e);
	return x;
}

static int exec_in(struct sandbox *s, const struct rt_exec_request *r, pid_t *ret_pid,
		   int *ret_console, struct err *e)
{
	_cleanup_close_ int console = -1;
	pid_t pid;
	int x = check_request(r, e);

	if (x == 0)
		x = driver_check_verb(s->driver, "exec", e);
	if (x == 0)
		x = check_options(s, r, e);
	if (x == 0)
		x = check_status(s, r->ignore_paused, e);
	if (x == 0)
		x = sandbox_need_config(s, e);
	if (x == 0)
		x = s->driver->exec(s, r, &pid, &console, e);
	if (x < 0)
		return x;
	x = announce(r, pid, &console, e);
	if (x < 0) {
		/* Not reaped yet, so the number is still this process's. */
		kill(pid, SIGKILL);
		(void)proc_reap(pid, &(int){0}, NULL);
		return x;
	}
	*ret_pid = pid;
	*ret_console = TAKE_FD(console);
	return 0;
}

int rt_exec(struct sandbox *s, const struct rt_exec_request *r, pid_t *ret_pid, int *ret_console,
	    struct err *e)
{
	int x = exec_in(s, r, ret_pid, ret_console, e);

	return x < 0 ? err_wrap(e, "exec in '%s'", s->dir.id) : 0;
}
