/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being attached to a detached sandbox (runtime/attach.h): our standard streams on one side, its monitor's socket on
 * the other.
 *
 * With a terminal on both sides ours is raw, its size is the inner one's, and the detach keys are looked for. Input that the
 * workload does not take is held here, one message of it, and meanwhile its output is still shown.
 */
#include "runtime/attach.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "attach_keys.h"
#include "attach_wire.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "sandbox.h"

struct attached {
	const struct rt_attach *a;
	struct sandbox *s;
	int socket, signal_fd;
	bool tty; /* ours and its: raw, sizes, keys */
	bool inner_tty;
	bool raw;
	struct termios saved;
	sigset_t old_mask;
	int in; /* our standard input, or -1 */
	struct keys keys;
	char typed[ATTACH_DATA_MAX]; /* on its way to the monitor */
	size_t n_typed;
	bool detached, ended;
	int exit_code;
	int ended_by;
};

/* ---- set-up ------------------------------------------------------------------------------ */

static int check_running(struct sandbox *s, struct err *e)
{
	enum rt_status status = sandbox_status(s);

	if (status == RT_STOPPED) {
		err_set(e, ERR_STATE, ESRCH, "it has ended");
		return err_hint(e, "insula logs %s shows what it wrote", s->dir.id);
	}
	if (s->state.monitor.pid > 0)
		return 0;
	err_set(e, ERR_STATE, ENOTCONN,
		"it was not started with -d: it has the terminal that it "
		"was started from");
	return err_hint(e, "insula exec runs a further command in it");
}

static int greet(struct attached *x, uint8_t *ret_flags, struct err *e)
{
	uint8_t wishes = ATTACH_WANTS_OUTPUT;
	char message[ATTACH_MESSAGE_MAX];
	ssize_t n = -1;

	x->socket = attach_connect(x->s->dir.fd, NULL);
	if (x->socket < 0 || attach_send(x->socket, ATTACH_HELLO, &wishes, 1) < 0)
		return err_set(e, ERR_STATE, ECONNREFUSED,
			       "its monitor (process %d) is gone: nobody can attach any more",
			       (int)x->s->state.monitor.pid);
	do
		n = recv(x->socket, message, sizeof(message), 0);
	while (n < 0 && errno == EINTR);
	if (n == 2 && message[0] == ATTACH_WELCOME) {
		*ret_flags = (uint8_t)message[1];
		return 0;
	}
	if (n == 1 + (ssize_t)sizeof(int32_t) && message[0] == ATTACH_EXIT)
		return err_set(e, ERR_STATE, ESRCH, "it has ended");
	return err_set(e, ERR_INTERNAL, EPROTO, "its monitor did not answer");
}

static void make_raw(struct attached *x)
{
	struct termios t;

	if (!x->tty || (!x->raw && tcgetattr(0, &x->saved) < 0))
		return;
	t = x->saved;
	cfmakeraw(&t);
	x->raw = tcsetattr(0, TCSANOW, &t) == 0 || x->raw;
}

static void send_size(const struct attached *x, bool redraw)
{
	struct winsize w;
	struct attach_size size;

	if (!x->tty || (ioctl(0, TIOCGWINSZ, &w) < 0 && ioctl(1, TIOCGWINSZ, &w) < 0) || !w.ws_row)
		return;
	size = (struct attach_size){.rows = (uint16_t)(w.ws_row + 1), .columns = w.ws_col};
	/* A program that fills the screen draws it again only when the size has changed. */
	if (redraw)
		(void)attach_send(x->socket, ATTACH_SIZE, &size, sizeof(size));
	size.rows = w.ws_row;
	(void)attach_send(x->socket, ATTACH_SIZE, &size, sizeof(size));
}

static int take_signals(struct attached *x, struct err *e)
{
	static const int terminal[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH, SIGCONT};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (x->tty)
		for (size_t i = 0; i < ARRAY_SIZE(terminal); i++)
			sigaddset(&set, terminal[i]);
	else if (x->a->sig_proxy && !x->inner_tty)
		relay_forwarded_signals(&set);
	if (sigprocmask(SIG_BLOCK, &set, &x->old_mask) < 0)
		return err_sys(e, errno, "block signals");
	x->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return x->signal_fd < 0 ? err_sys(e, errno, "take signals") : 0;
}

static int set_up(struct attached *x, struct err *e)
{
	uint8_t flags = 0;
	int r = check_running(x->s, e);

	if (r == 0)
		r = greet(x, &flags, e);
	if (r < 0)
		return r;
	x->in = x->a->no_stdin || !(flags & ATTACH_TAKES_INPUT) ? -1 : 0;
	x->inner_tty = flags & ATTACH_HAS_TERMINAL;
	x->tty = x->inner_tty && x->in == 0 && isatty(0);
	if (x->tty) {
		memcpy(x->keys.v, x->a->detach_keys, x->a->n_detach_keys);
		x->keys.n = x->a->n_detach_keys;
	}
	r = take_signals(x, e);
	if (r < 0)
		return r;
	make_raw(x);
	send_size(x, true);
	return 0;
}

static void tear_down(struct attached *x)
{
	struct signalfd_siginfo late;

	while (x->signal_fd >= 0 && read(x->signal_fd, &late, sizeof(late)) > 0)
		;
	if (x->raw)
		(void)tcsetattr(0, TCSANOW, &x->saved);
	if (x->signal_fd >= 0)
		sigprocmask(SIG_SETMASK, &x->old_mask, NULL);
	fd_close(x->signal_fd);
	fd_close(x->socket);
	rt_close(x->s);
}

/* ---- the loop ---------------------------------------------------------------------------- */

static void on_signals(struct attached *x)
{
	struct signalfd_siginfo si;

	while (read(x->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		int sig = (int)si.ssi_signo;

		if (sig == SIGPIPE)
			continue;
		if (!x->tty) {
			/* It may be gone: its end is on its way to us then. */
			(void)rt_kill(x->s, sig, false, NULL);
		} else if (sig == SIGWINCH) {
			send_size(x, false);
		} else if (sig == SIGCONT) {
			make_raw(x);
			send_size(x, true);
		} else {
			x->ended_by = sig;
		}
	}
}

static void read_input(struct attached *x)
{
	char buf[ATTACH_DATA_MAX - RT_DETACH_KEYS_MAX];
	ssize_t n = read(x->in, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		x->in = -1;
		return;
	}
	x->detached = keys_filter(&x->keys, buf, (size_t)n, x->typed, &x->n_typed);
}

static void send_input(struct attached *x)
{
	char message[ATTACH_MESSAGE_MAX];
	ssize_t n;

	message[0] = ATTACH_INPUT;
	memcpy(message + 1, x->typed, x->n_typed);
	n = send(x->socket, message, 1 + x->n_typed, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* If that failed, the end is what we receive next. */
	x->n_typed = 0;
}

static int receive(struct attached *x, struct err *e)
{
	char message[ATTACH_MESSAGE_MAX];
	ssize_t n = recv(x->socket, message, sizeof(message), MSG_DONTWAIT);
	int32_t code;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		err_set(e, ERR_INTERNAL, EPIPE, "its monitor is gone, or gave us up");
		return err_hint(e, "insula ps -a tells whether it still runs");
	}
	switch (message[0]) {
	case ATTACH_OUT:
		return fd_write_all(1, message + 1, (size_t)n - 1, "standard output", e);
	case ATTACH_ERR:
		return fd_write_all(2, message + 1, (size_t)n - 1, "standard error", e);
	case ATTACH_EXIT:
		if (n != 1 + (ssize_t)sizeof(code))
			break;
		memcpy(&code, message + 1, sizeof(code));
		x->exit_code = code;
		x->ended = true;
		return 0;
	default:
		break;
	}
	return err_set(e, ERR_INTERNAL, EPROTO, "its monitor sent message %d", message[0]);
}

static int loop(struct attached *x, struct err *e)
{
	while (!x->ended && !(x->detached && x->n_typed == 0)) {
		struct pollfd p[3] = {
			{.fd = x->socket, .events = (short)(POLLIN | (x->n_typed ? POLLOUT : 0))},
			{.fd = x->n_typed || x->detached ? -1 : x->in, .events = POLLIN},
			{.fd = x->signal_fd, .events = POLLIN},
		};
		int r = 0;

		if (poll(p, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, errno, "wait");
		}
		if (p[2].revents)
			on_signals(x);
		if (x->ended_by)
			return err_set(e, ERR_SYSTEM, EINTR, "ended by SIG%s",
				       signal_name(x->ended_by));
		if (p[1].revents)
			read_input(x);
		if (x->n_typed)
			send_input(x);
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
			r = receive(x, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int rt_attach_run(struct rt_ctx *ctx, const char *id, const struct rt_attach *a, int *ret_exit_code,
		  bool *ret_detached, struct err *e)
{
	struct attached x = {.a = a, .socket = -1, .signal_fd = -1, .in = -1, .exit_code = -1};
	struct err local = ERR_INIT;
	int r;

	e = e ? e : &local;
	r = rt_open(ctx, id, false, &x.s, e);
	if (r < 0)
		return r;
	r = set_up(&x, e);
	if (r == 0 && a->start)
		r = rt_start(x.s, e);
	if (r == 0)
		r = loop(&x, e);
	tear_down(&x);
	if (r < 0)
		return err_wrap(e, "attach to '%s'", id);
	*ret_exit_code = x.exit_code;
	*ret_detached = x.detached && !x.ended;
	return 0;
}
