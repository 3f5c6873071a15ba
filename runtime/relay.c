/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time between the start of a process and its end, seen from the terminal of who started it.
 *
 * With a terminal (console_fd): bytes go both ways between our standard streams and the master,
 * our own terminal is raw meanwhile, so that Ctrl-C is a byte which the *inner* line discipline
 * turns into a signal; the window's size follows. A signal that would end us ends the relay, with
 * our terminal restored.
 *
 * Without: the process has our streams itself and nothing is copied; signals that we get are
 * forwarded.
 *
 * We hold a slave of the inner terminal open. Without one, the master would report "hung up" as
 * soon as the workload closed its last, and again and again until it opens another; with one, a
 * read just finds nothing. The end of the relay is the end of the process, then what is in the
 * terminal is read out: the kernel pushes all that was written before it lets a read say "nothing".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "runtime/runtime.h"
#include "sandbox.h"

/* Not among them: what job control is made of (TSTP, TTIN, TTOU) and what the kernel says to us
 * alone (CHLD, PIPE, URG, WINCH: some servers take the last for an order to end). */
static const int forwarded[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGCONT,
};

/* With a terminal: the end of the relay, a new size, back from being stopped; and SIGPIPE as
 * EPIPE. */
static const int terminal_end[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
static const int terminal_other[] = {SIGWINCH, SIGCONT, SIGPIPE};

/* One direction of copying. */
struct pump {
	int from, to; /* -1: this end is closed */
	size_t start, end;
	char buf[8192];
	char last; /* the last byte that went through */
};

struct relay {
	const struct rt_relay *r;
	int pidfd, signal_fd, slave;
	int tty; /* which of our streams is a terminal, or -1 */
	bool raw;
	struct termios saved;
	sigset_t old_mask;
	struct pump in, out;
	int ended_by; /* the signal that ended the relay, or 0 */
};

/* ---- our terminal ----------------------------------------------------------------------- */

static int find_tty(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (isatty(fd))
			return fd;
	return -1;
}

static void make_raw(struct relay *x)
{
	struct termios t;

	/* Only a terminal that we read from: with the input elsewhere its own Ctrl-C must work. */
	if (!x->r->interactive || !isatty(0))
		return;
	if (!x->raw && tcgetattr(0, &x->saved) < 0)
		return;
	t = x->saved;
	cfmakeraw(&t);
	x->raw = tcsetattr(0, TCSANOW, &t) == 0 || x->raw;
}

static void follow_size(const struct relay *x)
{
	struct winsize size;

	if (x->tty >= 0 && ioctl(x->tty, TIOCGWINSZ, &size) == 0 && (size.ws_row || size.ws_col))
		(void)ioctl(x->r->console_fd, TIOCSWINSZ, &size);
}

/* ---- signals ---------------------------------------------------------------------------- */

static void add_signals(sigset_t *set, const int *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sigaddset(set, v[i]);
}

void relay_forwarded_signals(sigset_t *set)
{
	add_signals(set, forwarded, ARRAY_SIZE(forwarded));
}

static sigset_t signals_of(const struct rt_relay *r)
{
	sigset_t set;

	sigemptyset(&set);
	if (r->console_fd >= 0) {
		add_signals(&set, terminal_end, ARRAY_SIZE(terminal_end));
		add_signals(&set, terminal_other, ARRAY_SIZE(terminal_other));
	} else if (r->forward_signals) {
		add_signals(&set, forwarded, ARRAY_SIZE(forwarded));
	}
	return set;
}

void rt_relay_prepare(const struct rt_relay *r)
{
	struct relay x = {.r = r, .tty = find_tty()};
	sigset_t set = signals_of(r);

	sigprocmask(SIG_BLOCK, &set, NULL);
	if (r->console_fd >= 0)
		follow_size(&x);
}

static int take_signals(struct relay *x, struct err *e)
{
	sigset_t set = signals_of(x->r);

	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, errno, "block signals");
	x->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (x->signal_fd < 0)
		return err_sys(e, errno, "take signals");
	return 0;
}

/* The workload may be gone already: its end is what we wait for then. */
static void forward(struct relay *x, int sig)
{
	if (x->r->sandbox && !x->r->is_exec)
		(void)rt_kill(x->r->sandbox, sig, false, NULL);
	else
		(void)proc_signal(x->pidfd, sig, NULL);
}

static void on_terminal_signal(struct relay *x, int sig)
{
	switch (sig) {
	case SIGWINCH:
		follow_size(x);
		break;
	case SIGCONT:
		/* The shell had its own settings while we were stopped. */
		make_raw(x);
		follow_size(x);
		break;
	case SIGPIPE:
		break;
	default:
		x->ended_by = sig;
	}
}

static void on_signals(struct relay *x)
{
	struct signalfd_siginfo si;

	while (read(x->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (x->r->console_fd >= 0)
			on_terminal_signal(x, (int)si.ssi_signo);
		else
			forward(x, (int)si.ssi_signo);
	}
}

/* ---- copying ---------------------------------------------------------------------------- */

static bool has_data(const struct pump *p)
{
	return p->end > p->start;
}

/* Read once. False at the end of the source. */
static bool pump_read(struct pump *p)
{
	ssize_t n = read(p->from, p->buf, sizeof(p->buf));

	if (n > 0) {
		p->start = 0;
		p->end = (size_t)n;
		p->last = p->buf[n - 1];
		return true;
	}
	/* EIO: a master without slaves, or our own terminal hung up. */
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Write what a poll() said will not block: a pipe that is writable takes this much. */
static int pump_write(struct pump *p)
{
	size_t len = p->end - p->start;
	ssize_t n = write(p->to, p->buf + p->start, len > 4096 ? 4096 : len);

	if (n > 0)
		p->start += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	return 0;
}

/* Our input ended, the workload's has to. A terminal has no end of file but the character for it,
 * which counts at the start of a line and in the middle of one only hands over what is there. */
static void end_input(struct relay *x)
{
	struct termios t;
	struct pump *p = &x->in;
	bool mid_line = p->last != '\0' && p->last != '\n' && p->last != '\r';

	p->from = -1;
	if (tcgetattr(x->r->console_fd, &t) < 0 || !(t.c_lflag & ICANON) ||
	    t.c_cc[VEOF] == _POSIX_VDISABLE)
		return;
	p->start = 0;
	p->end = mid_line ? 2 : 1;
	memset(p->buf, t.c_cc[VEOF], p->end);
}

static int output_failed(int r, struct err *e)
{
	return err_sys(e, r, "write the terminal's output to standard output");
}

enum {
	WATCH_PID,
	WATCH_SIGNALS,
	WATCH_IN,
	WATCH_OUT,
	WATCH_MASTER_IN,
	WATCH_MASTER_OUT,
	WATCH_NOTIFY,
	WATCH_COUNT
};

static void fill_polls(const struct relay *x, struct pollfd v[WATCH_COUNT])
{
	const struct pump *in = &x->in, *out = &x->out;

	v[WATCH_PID] = (struct pollfd){.fd = x->pidfd, .events = POLLIN};
	v[WATCH_SIGNALS] = (struct pollfd){.fd = x->signal_fd, .events = POLLIN};
	v[WATCH_IN] = (struct pollfd){.fd = has_data(in) ? -1 : in->from, .events = POLLIN};
	v[WATCH_MASTER_OUT] = (struct pollfd){.fd = has_data(in) ? in->to : -1, .events = POLLOUT};
	v[WATCH_MASTER_IN] =
		(struct pollfd){.fd = has_data(out) ? -1 : out->from, .events = POLLIN};
	v[WATCH_OUT] = (struct pollfd){.fd = has_data(out) ? out->to : -1, .events = POLLOUT};
	v[WATCH_NOTIFY] = rt_notify_poll(x->r->notify);
}

static int copy(struct relay *x, const struct pollfd v[WATCH_COUNT], struct err *e)
{
	int r;

	if (v[WATCH_IN].revents && !pump_read(&x->in))
		end_input(x);
	/* A failing write to the master: the inner terminal is gone, and nobody wants the rest. */
	if (v[WATCH_MASTER_OUT].revents && pump_write(&x->in) < 0)
		x->in.from = x->in.to = -1, x->in.end = x->in.start;
	if (v[WATCH_MASTER_IN].revents && !pump_read(&x->out))
		x->out.from = -1;
	if (v[WATCH_OUT].revents) {
		r = pump_write(&x->out);
		if (r < 0)
			return output_failed(r, e);
	}
	return 0;
}

/* The process has ended: everything that it wrote is in the terminal. */
static int drain(struct relay *x, struct err *e)
{
	struct pump *p = &x->out;

	for (;;) {
		struct pollfd out = {.fd = p->to, .events = POLLOUT};
		int r;

		while (has_data(p)) {
			if (poll(&out, 1, -1) < 0 && errno != EINTR)
				return output_failed(errno, e);
			r = pump_write(p);
			if (r < 0)
				return output_failed(r, e);
		}
		if (p->from < 0 || !pump_read(p) || !has_data(p))
			return 0;
	}
}

/* ---- the whole -------------------------------------------------------------------------- */

/* What was said before the end; somebody else in it may speak for ever. */
static void hear_last_words(struct relay *x)
{
	for (int i = 0; i < 256 && rt_notify_handle(x->r->notify); i++)
		;
}

static int loop(struct relay *x, struct err *e)
{
	struct pollfd v[WATCH_COUNT];
	int r;

	for (;;) {
		fill_polls(x, v);
		if (poll(v, WATCH_COUNT, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, errno, "wait for the sandbox");
		}
		if (v[WATCH_SIGNALS].revents)
			on_signals(x);
		if (x->ended_by)
			return err_set(e, ERR_SYSTEM, EINTR, "ended by SIG%s",
				       signal_name(x->ended_by));
		if (v[WATCH_NOTIFY].revents)
			(void)rt_notify_handle(x->r->notify);
		r = copy(x, v, e);
		if (r < 0)
			return r;
		if (v[WATCH_PID].revents) {
			hear_last_words(x);
			return drain(x, e);
		}
	}
}

static int set_up(struct relay *x, struct err *e)
{
	const struct rt_relay *r = x->r;
	int x_err;

	/* A child of ours keeps its number until it is reaped, a zombie too. */
	x->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	if (x->pidfd < 0)
		return err_sys(e, errno, "process %d", (int)r->pid);
	x_err = take_signals(x, e);
	if (x_err < 0 || r->console_fd < 0)
		return x_err;
	x_err = fd_set_nonblock(r->console_fd, true);
	if (x_err < 0)
		return err_sys(e, x_err, "terminal");
	/* Where it cannot be had, hanging up just ends the output. */
	x->slave = ioctl(r->console_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	x->in.from = r->interactive ? 0 : -1;
	x->in.to = x->out.from = r->console_fd;
	x->out.to = 1;
	x->tty = find_tty();
	follow_size(x);
	make_raw(x);
	return 0;
}

static void tear_down(struct relay *x)
{
	struct signalfd_siginfo late;

	/* What is pending would be delivered with the old mask, and end us before the caller could
	 * clean up: the SIGPIPE of a failed write, a signal for a workload that has ended. */
	while (x->signal_fd >= 0 && read(x->signal_fd, &late, sizeof(late)) > 0)
		;
	if (x->raw)
		(void)tcsetattr(0, TCSANOW, &x->saved);
	fd_close(x->slave);
	fd_close(x->signal_fd);
	fd_close(x->pidfd);
	sigprocmask(SIG_SETMASK, &x->old_mask, NULL);
}

int rt_relay_run(struct rt_relay *r, int *ret_wait_status, struct err *e)
{
	struct relay x = {.r = r, .pidfd = -1, .signal_fd = -1, .slave = -1, .tty = -1};
	int status, v;

	x.in.from = x.in.to = x.out.from = x.out.to = -1;
	sigprocmask(SIG_BLOCK, NULL, &x.old_mask);
	v = set_up(&x, e);
	if (v == 0)
		v = loop(&x, e);
	tear_down(&x);
	if (v == 0)
		v = proc_reap(r->pid, &status, e);
	if (v < 0)
		return err_wrap(e, "relay");
	*ret_wait_status = status;
	return 0;
}
