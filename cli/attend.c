/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being there while a command runs, for the four commands that are: run and exec of both programs.
 */
#include "attend.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

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

/*
 * A command without a terminal of its own is handed ours where a stream is one, and may leave it without echo or without
 * Ctrl-C for whoever types there next. It is put back as it was.
 */
struct kept_terminal {
	int fd; /* -1: no stream is a terminal */
	struct termios settings;
};

static struct kept_terminal keep_terminal(void)
{
	struct kept_terminal k = {.fd = -1};

	for (int fd = 0; fd < 3 && k.fd < 0; fd++)
		if (tcgetattr(fd, &k.settings) == 0)
			k.fd = fd;
	return k;
}

static void restore_terminal(const struct kept_terminal *k)
{
	sigset_t background, before;
	struct termios now = {0};

	if (k->fd < 0 || tcgetattr(k->fd, &now) < 0 || memcmp(&now, &k->settings, sizeof(now)) == 0)
		return;
	/* Also from the background, where it would stop us. */
	sigemptyset(&background);
	sigaddset(&background, SIGTTOU);
	sigprocmask(SIG_BLOCK, &background, &before);
	(void)tcsetattr(k->fd, TCSANOW, &k->settings);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

int attend_start(struct sandbox *s, bool interactive, struct rt_notify_proxy *notify, struct err *e)
{
	struct rt_relay relay = {
		.sandbox = s,
		.pid = s->state.host.pid,
		.console_fd = s->console_fd,
		.interactive = interactive,
		.forward_signals = true,
		.notify = notify,
	};
	struct kept_terminal terminal = keep_terminal();
	int status, r;

	rt_relay_prepare(&relay);
	r = rt_start(s, e);
	if (r >= 0)
		r = rt_relay_run(&relay, &status, e);
	restore_terminal(&terminal);
	if (r >= 0)
		r = rt_finish(s, status, e);
	return r < 0 ? r : proc_exit_code(status);
}

int attend_running(struct sandbox *s, struct err *e)
{
	struct rt_relay relay = {
		.sandbox = s,
		.pid = s->state.host.pid,
		.console_fd = -1,
		.forward_signals = true,
	};
	int status, r;

	rt_relay_prepare(&relay);
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
	struct kept_terminal terminal = keep_terminal();
	int status, r = rt_relay_run(&relay, &status, e);

	restore_terminal(&terminal);
	return r < 0 ? r : proc_exit_code(status);
}
