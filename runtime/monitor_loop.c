/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor at work (monitor.h): one loop over the workload's streams, the clients and its children.
 *
 * The log comes first and is written with ordinary blocking writes: a slow disk slows the workload, and loses nothing. A
 * chunk then is offered to all clients, and that stream is read again when all have it.
 *
 * The end is the end of the host process, not of the streams: some process of another namespace may hold them open. What
 * was written before that end is in the pipe or in the terminal and is read out.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "monitor.h"

/* A client that took nothing for so long while output was held for it is dropped. */
#define STALL_MSEC 10000

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- output ------------------------------------------------------------------------------ */

/* One read. False when there is nothing for now, or at the end. */
static bool take_output(struct monitor *m, unsigned i)
{
	struct monitor_stream *s = &m->streams[i];
	int lost = m->log.lost_errno;
	ssize_t n = s->fd < 0 ? 0 : read(s->fd, s->message + 1, LOG_CHUNK_MAX);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		s->fd = fd_close(s->fd);
		return false;
	}
	s->len = (size_t)n;
	log_write(&m->log, i == 0 ? LOG_STDOUT : LOG_STDERR, s->message + 1, s->len,
		  now_unix_nsec());
	if (!lost && m->log.lost_errno)
		monitor_note_loss(m);
	monitor_stream_offer(m, i);
	return true;
}

/* Messages that everybody has are done with; and since when somebody makes us wait. */
static void settle(struct monitor *m)
{
	bool owed = false;

	for (unsigned i = 0; i < ARRAY_SIZE(m->streams); i++) {
		if (m->streams[i].len && !monitor_stream_is_owed(m, i))
			m->streams[i].len = 0;
		owed |= m->streams[i].len > 0;
	}
	if (!owed)
		m->stalled_msec = 0;
	else if (!m->stalled_msec)
		m->stalled_msec = now_msec();
}

/* ---- input ------------------------------------------------------------------------------- */

static void give_input(struct monitor *m)
{
	ssize_t n = write(m->in_fd, m->in + m->in_start, m->in_end - m->in_start);

	if (n > 0)
		m->in_start += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* Nobody reads it any more. */
		if (!m->is_terminal)
			m->in_fd = fd_close(m->in_fd);
		m->in_start = m->in_end;
	}
	if (m->in_start < m->in_end)
		return;
	m->in_start = m->in_end = 0;
	for (size_t i = 0; i < m->n_clients; i++)
		m->clients[i].held = false;
}

/* ---- children ---------------------------------------------------------------------------- */

static void reap(struct monitor *m)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	while (read(m->signal_fd, &si, sizeof(si)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == m->host) {
			m->ended = true;
			m->wait_status = status;
		}
	/* Without children there is nothing to wait for: the host process was somebody else's, or was reaped. */
	if (pid < 0 && errno == ECHILD && !m->ended) {
		m->ended = true;
		m->wait_status = -1;
	}
}

/* ---- the loop ---------------------------------------------------------------------------- */

enum { WATCH_SIGNAL, WATCH_LISTEN, WATCH_OUT, WATCH_ERR, WATCH_IN, WATCH_CLIENTS };
#define WATCH_MAX (WATCH_CLIENTS + MONITOR_CLIENTS_MAX)

static size_t fill_polls(const struct monitor *m, struct pollfd v[WATCH_MAX])
{
	v[WATCH_SIGNAL] = (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
	v[WATCH_LISTEN] = (struct pollfd){
		.fd = m->n_clients < MONITOR_CLIENTS_MAX ? m->listen_fd : -1, .events = POLLIN};
	for (unsigned i = 0; i < ARRAY_SIZE(m->streams); i++)
		v[WATCH_OUT + i] = (struct pollfd){.fd = m->streams[i].len ? -1 : m->streams[i].fd,
						   .events = POLLIN};
	v[WATCH_IN] =
		(struct pollfd){.fd = m->in_end > m->in_start ? m->in_fd : -1, .events = POLLOUT};
	for (size_t i = 0; i < m->n_clients; i++) {
		const struct monitor_client *c = &m->clients[i];
		short events = (short)((c->held ? 0 : POLLIN) | (c->owes ? POLLOUT : 0));

		/* With nothing to ask for, a closed one would wake us again and again. */
		v[WATCH_CLIENTS + i] = (struct pollfd){.fd = events ? c->fd : -1, .events = events};
	}
	return WATCH_CLIENTS + m->n_clients;
}

static int time_left(const struct monitor *m)
{
	int64_t left = m->stalled_msec + STALL_MSEC - now_msec();

	if (!m->stalled_msec)
		return -1;
	return left > 0 ? (int)left : 0;
}

static void serve_clients(struct monitor *m, const struct pollfd *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].revents & POLLOUT) {
			monitor_client_retry(m, i);
			m->stalled_msec = 0; /* progress */
		}
		if (m->clients[i].fd >= 0 && v[i].revents & (POLLIN | POLLHUP | POLLERR))
			monitor_client_read(m, i);
	}
	monitor_clients_sweep(m);
}

/* One round. With `draining` only clients that hold output up are waited for. */
static void turn(struct monitor *m, bool draining)
{
	struct pollfd v[WATCH_MAX];
	size_t n_clients = m->n_clients, n = fill_polls(m, v);

	if (draining)
		v[WATCH_SIGNAL].fd = v[WATCH_LISTEN].fd = v[WATCH_IN].fd = v[WATCH_OUT].fd =
			v[WATCH_ERR].fd = -1;
	if (poll(v, n, time_left(m)) < 0)
		return;
	if (v[WATCH_SIGNAL].revents)
		reap(m);
	for (unsigned i = 0; i < ARRAY_SIZE(m->streams); i++)
		if (v[WATCH_OUT + i].revents)
			take_output(m, i);
	if (v[WATCH_IN].revents)
		give_input(m);
	serve_clients(m, v + WATCH_CLIENTS, n_clients);
	if (v[WATCH_LISTEN].revents)
		monitor_clients_accept(m);
	if (m->stalled_msec && time_left(m) == 0)
		monitor_drop_stalled(m);
	settle(m);
}

static void drain(struct monitor *m)
{
	for (unsigned i = 0; i < ARRAY_SIZE(m->streams); i++)
		do {
			settle(m);
			while (m->streams[i].len)
				turn(m, true);
		} while (take_output(m, i));
	settle(m);
	while (m->streams[0].len || m->streams[1].len)
		turn(m, true);
}

/* ---- beginning and end ------------------------------------------------------------------- */

static int given(enum monitor_fd fd)
{
	return fcntl(fd, F_GETFD) < 0 ? -1 : (int)fd;
}

static void take_descriptors(struct monitor *m)
{
	int console = given(MONITOR_FD_CONSOLE);

	m->dir.fd = given(MONITOR_FD_STATE);
	m->dir.rootfd = given(MONITOR_FD_ROOT);
	m->listen_fd = given(MONITOR_FD_ATTACH);
	m->is_terminal = console >= 0;
	m->streams[0].fd = console >= 0 ? console : given(MONITOR_FD_OUT);
	m->streams[1].fd = console >= 0 ? -1 : given(MONITOR_FD_ERR);
	m->in_fd = console >= 0 ? console : given(MONITOR_FD_IN);
	(void)fd_set_nonblock(m->streams[0].fd, true);
	(void)fd_set_nonblock(m->streams[1].fd, true);
	(void)fd_set_nonblock(m->in_fd, true);
	/* With a slave held open, a terminal that nobody has open for a moment is no end (relay.c). */
	m->slave = console >= 0 ? ioctl(console, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
}

/* Hanging up, Ctrl-C in the shell that started it, the orders of a session's end: none of these ends a monitor before its sandbox. */
static int set_signals(struct monitor *m)
{
	static const int ignored[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1,
				      SIGUSR2, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU};
	sigset_t set;

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return m->signal_fd < 0 ? -errno : 0;
}

static int load_host(struct monitor *m)
{
	struct state st;
	int r = state_load(&m->dir, &st, NULL);

	if (r < 0)
		return r;
	m->host = st.host.pid;
	state_done(&st);
	return 0;
}

static void run_to_end(struct monitor *m)
{
	struct err e = ERR_INIT;
	int code = -1;
	bool remove = false;

	reap(m);
	while (!m->ended)
		turn(m, false);
	drain(m);
	if (m->log.lost_errno)
		monitor_note_loss(m);
	remove = monitor_note_end(m, &code, &e) > 0;
	log_writer_done(&m->log);
	if (remove && sandbox_delete_exactly(m->ctx, &m->dir, &e) < 0)
		log_error_value(&m->ctx->log, &e);
	/* Last, so that for whoever waited the sandbox, and its name, are gone if they were to go. */
	monitor_clients_end(m, code);
}

int monitor_run(struct rt_ctx *ctx, const char *id, uint64_t log_bytes, unsigned log_files)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int code = 1;

	if (!m)
		return code;
	m->ctx = ctx;
	m->id = id;
	m->dir.id = strdup(id);
	take_descriptors(m);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (m->dir.id && set_signals(m) == 0 &&
	    log_writer_open(&m->log, given(MONITOR_FD_LOG), log_bytes, log_files, NULL) == 0 &&
	    load_host(m) == 0) {
		run_to_end(m);
		code = 0;
	}
	state_dir_done(&m->dir);
	free(m);
	return code;
}
