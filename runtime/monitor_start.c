/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From `run -d` to a monitor (monitor.h).
 *
 *	caller ---fork---> (setsid) ---fork---> the monitor to be
 *	                   ends at once           creates the sandbox, starts it
 *	waits <---- SYNC_STARTED, or the error ---'
 *	                                          becomes insula-monitor
 *
 * The host process must be a child of the monitor, since only a parent learns an exit status; so it is the
 * copy that creates the sandbox, with the same code and the same taking back as a run in the foreground. Its standard error is the caller's until
 * the start is told, so warnings and hooks speak to the terminal as they would there.
 *
 * A signal that asks the caller to end is handed on, interrupts the creation there and comes back as its error. A caller that is killed
 * leaves a creation that goes on: a sandbox with its monitor, which `ps` shows.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "attach_wire.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sync.h"
#include "monitor.h"

#define DEFAULT_LOG_BYTES (10u << 20)
#define DEFAULT_LOG_FILES 2
#define LEAST_LOG_BYTES   1024

static const char peer[] = "the monitor of the sandbox";

struct detached {
	struct rt_ctx *ctx;
	struct rt_create_request *request;
	bool keep_stdin, hold;
	const char *program;
	int fds[MONITOR_FD_END]; /* what becomes MONITOR_FD_x */
	struct sandbox *s;
};

int rt_log_options_check(struct rt_log_options *o, struct err *e)
{
	if (!o->driver)
		o->driver = "k8s-file";
	if (STREQ(o->driver, "journald") || STREQ(o->driver, "json-file") ||
	    STREQ(o->driver, "syslog") || STREQ(o->driver, "local") ||
	    STREQ(o->driver, "passthrough")) {
		err_unsupported(e, "log driver '%s'", o->driver);
		return err_hint(e, "k8s-file and none are there");
	}
	if (!STREQ(o->driver, "k8s-file") && !STREQ(o->driver, "none")) {
		err_invalid(e, "'%s' is not a log driver", o->driver);
		return err_hint(e, "k8s-file and none are there");
	}
	if (!o->max_bytes)
		o->max_bytes = DEFAULT_LOG_BYTES;
	if (!o->max_files)
		o->max_files = DEFAULT_LOG_FILES;
	if (o->max_bytes < LEAST_LOG_BYTES)
		return err_invalid(e, "log option max-size: at least 1k");
	if (o->max_files > LOG_MAX_FILES_MAX)
		return err_invalid(e, "log option max-file: at most %d", LOG_MAX_FILES_MAX);
	return 0;
}

/* ---- in the monitor to be ---------------------------------------------------------------- */

/* ret: the workload's ends, in its order. Ours go into d->fds. */
static int make_pipes(struct detached *d, int ret[3], struct err *e)
{
	int p[2];

	ret[0] = path_open_null(e);
	if (ret[0] < 0)
		return ret[0];
	if (d->keep_stdin) {
		fd_close(ret[0]);
		if (pipe2(p, O_CLOEXEC) < 0)
			return err_sys(e, errno, "pipe");
		ret[0] = p[0];
		d->fds[MONITOR_FD_IN] = p[1];
	}
	for (int i = 1; i < 3; i++) {
		if (pipe2(p, O_CLOEXEC) < 0)
			return err_sys(e, errno, "pipe");
		ret[i] = p[1];
		d->fds[i == 1 ? MONITOR_FD_OUT : MONITOR_FD_ERR] = p[0];
	}
	return 0;
}

/* The size of the terminal that it was started from, as the first one who attaches most likely has it. */
static void set_size(int console)
{
	struct winsize size;

	for (int fd = 0; fd <= 2; fd++)
		if (ioctl(fd, TIOCGWINSZ, &size) == 0 && (size.ws_row || size.ws_col)) {
			(void)ioctl(console, TIOCSWINSZ, &size);
			return;
		}
}

static int open_log_dir(const struct detached *d, struct err *e)
{
	struct log_writer w;
	int fd, r;

	if (STREQ(d->request->log.driver, "none"))
		return -1;
	fd = d->s->state.storage ? path_open_dir(d->s->state.storage, e)
				 : fd_dup_above_stdio(d->s->dir.fd);
	if (fd < 0)
		return fd == -1 ? -EPERM : fd;
	/* That it can be written is found now, and told to the caller. */
	r = log_writer_open(&w, fd, d->request->log.max_bytes, d->request->log.max_files, e);
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	log_writer_done(&w);
	return fd;
}

static int note_monitor(struct detached *d, struct err *e)
{
	struct sandbox *s = d->s;
	char *driver = strdup(d->request->log.driver);
	int r;

	if (!driver)
		return err_nomem(e);
	r = sandbox_lock(s, e);
	if (r < 0) {
		free(driver);
		return r;
	}
	free(s->state.log_driver);
	s->state.log_driver = driver;
	s->state.stdin_open = d->keep_stdin;
	r = proc_id_of(getpid(), &s->state.monitor, e);
	if (r == 0)
		r = sandbox_save(s, s->state.saved, e);
	sandbox_unlock(s);
	return r;
}

/* With the sandbox created: what the monitor needs of it, then the start. */
static int prepare(struct detached *d, struct err *e)
{
	struct sandbox *s = d->s;
	int fd, r;

	fd = open_log_dir(d, e);
	if (fd < -1)
		return err_wrap(e, "log of '%s'", s->dir.id);
	d->fds[MONITOR_FD_LOG] = fd;
	fd = attach_listen(s->dir.fd, e);
	if (fd < 0)
		return fd;
	d->fds[MONITOR_FD_ATTACH] = fd;
	r = note_monitor(d, e);
	if (r == 0)
		r = FAULT("monitor-noted", e);
	if (r < 0)
		return r;
	if (s->console_fd >= 0) {
		set_size(s->console_fd);
		d->fds[MONITOR_FD_CONSOLE] = s->console_fd;
		s->console_fd = -1;
	}
	if (d->hold)
		return 0;
	r = rt_start(s, e);
	return r == 0 ? FAULT("monitor-started", e) : r;
}

static int create(struct detached *d, struct err *e)
{
	int theirs[3] = {-1, -1, -1};
	int r = make_pipes(d, theirs, e);

	if (r == 0) {
		for (int i = 0; i < 3; i++)
			d->request->io.fds[i] = theirs[i];
		d->request->io.console_socket = -1;
		r = rt_create(d->ctx, d->request, &d->s, e);
	} else {
		json_free(TAKE_PTR(d->request->document));
	}
	/* Or we would never see the end of its output. */
	for (int i = 0; i < 3; i++)
		fd_close(theirs[i]);
	if (r == 0)
		r = FAULT("monitor-created", e);
	if (r == 0)
		r = prepare(d, e);
	if (r < 0 && d->s)
		(void)rt_delete(d->ctx, d->request->id, true, NULL);
	return r;
}

/* Everything to its number, everything else closed by the exec. */
static int arrange(struct detached *d)
{
	d->fds[MONITOR_FD_STATE] = d->s->dir.fd;
	d->fds[MONITOR_FD_ROOT] = d->s->dir.rootfd;
	for (int to = MONITOR_FD_STATE; to < MONITOR_FD_END; to++)
		if (d->fds[to] >= 0) {
			d->fds[to] = fcntl(d->fds[to], F_DUPFD_CLOEXEC, MONITOR_FD_END);
			if (d->fds[to] < 0)
				return -errno;
		}
	for (int to = MONITOR_FD_STATE; to < MONITOR_FD_END; to++) {
		if (d->fds[to] < 0)
			close(to);
		else if (dup2(d->fds[to], to) < 0)
			return -errno;
	}
	return fd_cloexec_from(MONITOR_FD_END, NULL);
}

/* Its words, and what names the user's directories; a caller's secrets are not its business. */
static int make_environment(const struct detached *d, char ***ret)
{
	static const char *const kept[] = {
		"HOME",          "PATH", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME",
		"XDG_CACHE_HOME"};
	const struct rt_log_options *log = &d->request->log;
	const struct {
		const char *name, *value;
		uint64_t number;
	} own[] = {
		{MONITOR_ENV_ROOT, d->ctx->root, 0},
		{MONITOR_ENV_ID, d->request->id, 0},
		{MONITOR_ENV_LOG_BYTES, NULL, log->max_bytes},
		{MONITOR_ENV_LOG_FILES, NULL, log->max_files},
	};
	char *line;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if ((own[i].value ? str_printf(&line, "%s=%s", own[i].name, own[i].value)
				  : str_printf(&line, "%s=%llu", own[i].name,
					       (unsigned long long)own[i].number)) < 0 ||
		    strv_consume(ret, line) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		const char *value = getenv(kept[i]);

		if (value &&
		    (str_printf(&line, "%s=%s", kept[i], value) < 0 || strv_consume(ret, line) < 0))
			return -ENOMEM;
	}
	return 0;
}

static void to_null(void)
{
	int null = path_open_null(NULL);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		fd_close(null);
}

/* The sandbox runs. Where the small program cannot be had after all, the large one does the same work. */
static _Noreturn void become_monitor(struct detached *d, int sync)
{
	_cleanup_free_ char *title = NULL;
	char **env = NULL, *argv[2] = {NULL};
	int r = arrange(d);

	(void)sync_send(sync, SYNC_STARTED, 0, -1, NULL);
	if (r < 0)
		_exit(1);
	to_null();
	d->ctx->log.fd = -1;
	if (str_printf(&title, "insula: monitor %s", d->request->id) == 0 &&
	    make_environment(d, &env) == 0) {
		argv[0] = title;
		for (int fd = MONITOR_FD_STATE; fd < MONITOR_FD_END; fd++)
			(void)fd_set_cloexec(fd, false);
		execve(d->program, argv, env);
	}
	fd_close(sync);
	_exit(monitor_run(d->ctx, d->request->id, d->request->log.max_bytes,
			  d->request->log.max_files));
}

static _Noreturn void monitor_to_be(struct detached *d, int sync)
{
	struct err e = ERR_INIT;
	int r;

	/* Away from the caller's numbers, which arrange() needs. */
	sync = fcntl(sync, F_DUPFD_CLOEXEC, MONITOR_FD_END);
	if (sync < 0)
		_exit(1);
	for (int i = 0; i < MONITOR_FD_END; i++)
		d->fds[i] = -1;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	r = sync_send(sync, SYNC_PID, (int32_t)getpid(), -1, &e);
	/* Nothing of a working directory that somebody may want to unmount is kept busy. Relative paths
	 * were made absolute by whoever wrote the request. */
	if (r == 0 && chdir("/") < 0)
		r = err_sys(&e, errno, "change to '/'");
	if (r == 0)
		r = FAULT("monitor-forked", &e);
	if (r == 0)
		r = create(d, &e);
	else
		json_free(TAKE_PTR(d->request->document));
	if (r == 0)
		become_monitor(d, sync);
	sync_send_error(sync, &e);
	_exit(1);
}

/* ---- in the caller ----------------------------------------------------------------------- */

/* The process that leads the new session ends at once: what is left can never get a controlling terminal. */
static _Noreturn void session_leader(struct detached *d, const int pair[2])
{
	pid_t pid;

	close(pair[0]);
	if (setsid() < 0)
		_exit(1);
	pid = proc_clone(0, 0, -1, NULL);
	if (pid == 0)
		monitor_to_be(d, pair[1]);
	_exit(pid < 0 ? 1 : 0);
}

/* What the caller waits with. */
struct waiting {
	int sync, signal_fd;
	int monitor; /* its pidfd, or -1 as long as we do not know it */
	bool dead;
	int signal; /* that was handed on, or is to be */
};

/* The signals that the caller holds back, and that ask it to end. */
static int open_signals(struct err *e)
{
	static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t set, blocked;
	int fd;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		if (sigismember(&blocked, ending[i]) == 1)
			sigaddset(&set, ending[i]);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_sys(e, errno, "take signals") : fd;
}

/* True when there was one. */
static bool hand_on_signal(struct waiting *w)
{
	struct signalfd_siginfo si;

	if (read(w->signal_fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return false;
	w->signal = (int)si.ssi_signo;
	if (w->monitor >= 0)
		(void)proc_signal(w->monitor, w->signal, NULL);
	return true;
}

static void know_monitor(struct waiting *w, pid_t pid)
{
	struct proc_id id;

	if (proc_id_of(pid, &id, NULL) == 0)
		w->monitor = proc_open(&id, NULL);
	w->dead = w->monitor < 0;
	if (w->signal && !w->dead)
		(void)proc_signal(w->monitor, w->signal, NULL);
}

/* One message: 1; none yet: 0. The end of the channel is not enough to tell a death: until its exec, the host process has a copy
 * of the other end. */
static int next_message(struct waiting *w, enum sync_type *ret_type, int32_t *ret_value,
			struct err *e)
{
	struct pollfd p[3] = {{.fd = w->sync, .events = POLLIN},
			      {.fd = w->signal_fd, .events = POLLIN},
			      {.fd = w->monitor, .events = POLLIN}};
	int r;

	if (poll(p, 3, w->dead ? 0 : -1) < 0 && errno != EINTR)
		return err_sys(e, errno, "wait for %s", peer);
	if (hand_on_signal(w))
		return 0;
	if (!p[0].revents) {
		/* What it said before it died is there by now: look once more. */
		if (w->dead) {
			err_set(e, ERR_INTERNAL, EPIPE, "%s died", peer);
			return err_hint(e, "insula ps -a shows what is left of it, and insula rm "
					   "-f removes it");
		}
		w->dead = p[2].revents != 0;
		return 0;
	}
	r = sync_recv(w->sync, peer, ret_type, ret_value, NULL, e);
	/* By a signal of ours, or was the creation, which then says so? */
	if (r == -EINTR && hand_on_signal(w)) {
		err_clear(e);
		return 0;
	}
	return r < 0 ? r : 1;
}

/* Interrupted, the error that comes back is -EINTR and the signal is pending again. */
static int await_start(int sync, struct err *e)
{
	_cleanup_close_ int signal_fd = open_signals(e);
	struct waiting w = {.sync = sync, .signal_fd = signal_fd, .monitor = -1};
	enum sync_type type = SYNC_ERROR;
	int32_t value = 0;
	int r = signal_fd < 0 ? signal_fd : 0;

	while (r == 0) {
		r = next_message(&w, &type, &value, e);
		if (r <= 0)
			continue;
		if (type != SYNC_PID || w.monitor >= 0)
			break;
		know_monitor(&w, value);
		r = 0;
	}
	if (r > 0 && type != SYNC_STARTED)
		r = err_set(e, ERR_INTERNAL, EPROTO, "%s sent message %d", peer, (int)type);
	fd_close(w.monitor);
	if (w.signal)
		(void)raise(w.signal);
	return r < 0 ? r : 0;
}

static int detach(struct detached *d, struct err *e)
{
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF;
	_cleanup_free_ char *program = NULL;
	int pair[2], status, r;
	pid_t pid;

	r = rt_log_options_check(&d->request->log, e);
	if (r == 0)
		r = helper_program_find(MONITOR_PROGRAM, &program, e);
	if (r == 0)
		r = sync_pair(pair, e);
	if (r < 0)
		return r;
	d->program = program;
	ours = pair[0];
	theirs = pair[1];
	pid = proc_clone(0, SIGCHLD, -1, NULL);
	if (pid == 0)
		session_leader(d, pair);
	if (pid < 0)
		return err_sys(e, pid, "start the monitor");
	theirs = fd_close(theirs);
	r = proc_reap(pid, &status, e);
	return r < 0 ? r : await_start(ours, e);
}

static int detach_request(struct rt_ctx *ctx, struct rt_create_request *r, bool keep_stdin_open,
			  bool hold, struct err *e)
{
	struct detached d = {.ctx = ctx, .request = r, .keep_stdin = keep_stdin_open, .hold = hold};
	int x = detach(&d, e);

	json_free(TAKE_PTR(r->document));
	return x;
}

int rt_run_detached(struct rt_ctx *ctx, struct rt_create_request *r, bool keep_stdin_open,
		    struct err *e)
{
	return detach_request(ctx, r, keep_stdin_open, false, e);
}

int rt_create_detached(struct rt_ctx *ctx, struct rt_create_request *r, bool keep_stdin_open,
		       struct err *e)
{
	return detach_request(ctx, r, keep_stdin_open, true, e);
}
