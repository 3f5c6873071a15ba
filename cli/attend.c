/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being there while a command runs, for the four commands that are: run and exec of both programs.
 */
#include "attend.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "base/proc.h"

static sigset_t ending_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	return set;
}

void attend_hold(void)
{
	sigset_t set = ending_signals();

	sigprocmask(SIG_BLOCK, &set, NULL);
}

int attend_interrupted(int r, struct err *e)
{
	sigset_t set = ending_signals();
	int sig;

	if (r != -EINTR)
		return r;
	sig = sigtimedwait(&set, NULL, &(struct timespec){0});
	if (sig < 0)
		return r;
	err_clear(e);
	return 128 + sig;
}

int attend_start(struct sandbox *s, bool interactive, struct err *e)
{
	struct rt_relay relay = {
		.sandbox = s,
		.pid = s->state.host.pid,
		.console_fd = s->console_fd,
		.interactive = interactive,
		.forward_signals = true,
	};
	int status, r;

	rt_relay_prepare(&relay);
	r = rt_start(s, e);
	if (r >= 0)
		r = rt_relay_run(&relay, &status, e);
	if (r >= 0)
		r = rt_finish(s, status, e);
	return r < 0 ? r : proc_exit_code(status);
}

int attend_exec(struct sandbox *s, pid_t pid, int console, bool interactive, struct err *e)
{
	struct rt_relay relay = {
		.sandbox = s,
		.pid = pid,
		.console_fd = console,
		.interactive = interactive,
		.forward_signals = true,
		.is_exec = true,
	};
	int status, r = rt_relay_run(&relay, &status, e);

	return r < 0 ? r : proc_exit_code(status);
}
