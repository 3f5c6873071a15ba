/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's event loop: frames from the host to calls, ends of processes to frames. One thread;
 * a round is: wait, reap, read frames, move streams, tell who is over, flush.
 *
 * The host is trusted here (it could do anything to this guest), so a frame that makes no sense is
 * a bug and ends the connection; frames for a process that is over are not: they crossed its EXIT
 * on the way.
 */
#include "guest.h"

#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"

#define PROCS_MAX 256

struct agent {
	const struct guest_agent_options *options;
	struct agent_conn *conn;
	struct guest_sandbox sandbox;
	struct guest_proc *procs[PROCS_MAX];
	size_t n_procs;
	struct strbuf document; /* chunks so far */
	struct pollset set;
	int signal_fd;
	bool stop;
};

static void agent_done(struct agent *a)
{
	/* Process 0 last: the others live in its namespaces. */
	while (a->n_procs)
		guest_proc_free(a->procs[--a->n_procs]);
	guest_sandbox_done(&a->sandbox);
	strbuf_done(&a->document);
	pollset_done(&a->set);
	agent_conn_free(a->conn);
	fd_close(a->signal_fd);
}

static struct guest_proc *find(struct agent *a, uint32_t number)
{
	for (size_t i = 0; i < a->n_procs; i++)
		if (a->procs[i]->number == number)
			return a->procs[i];
	return NULL;
}

static int tell(struct agent *a, enum agent_type type, uint32_t proc, uint32_t value)
{
	struct agent_header h = {.type = (uint8_t)type, .proc = proc, .value = value};

	return agent_send(a->conn, &h, NULL);
}

/* An error of the sandbox's is an answer, not an error of ours. */
static int answer(struct agent *a, uint32_t proc, int r, enum agent_type success,
		  const struct err *error)
{
	return r < 0 ? agent_send_error(a->conn, proc, error) : tell(a, success, proc, 0);
}

/* ---- frames ----------------------------------------------------------------------------- */

/* Collect a chunk. 1 when the document is whole. */
static int collect(struct agent *a, const struct agent_frame *f)
{
	if (a->document.len + f->h.length > AGENT_DOCUMENT_MAX)
		return -EPROTO;
	strbuf_add_len(&a->document, f->payload, f->h.length);
	if (a->document.failed)
		return -ENOMEM;
	return f->h.flags & AGENT_MORE ? 0 : 1;
}

static int on_document(struct agent *a, const struct agent_frame *f)
{
	bool create = f->h.type == AGENT_CREATE;
	struct guest_proc *p = NULL;
	struct err error = ERR_INIT;
	const char *text;
	int r = collect(a, f);

	if (r <= 0)
		return r;
	text = a->document.data ? a->document.data : "";
	if (create ? f->h.proc != 0 : f->h.proc == 0 || find(a, f->h.proc))
		return -EPROTO;
	if (a->n_procs == PROCS_MAX)
		r = err_set(&error, ERR_LIMIT, EAGAIN, "the guest runs %d processes already",
			    PROCS_MAX);
	else if (create)
		r = guest_sandbox_create(&a->sandbox, text, a->document.len, &p, &error);
	else
		r = guest_sandbox_exec(&a->sandbox, f->h.proc, text, a->document.len, &p, &error);
	strbuf_done(&a->document);
	a->document = (struct strbuf){0};
	if (r == 0)
		a->procs[a->n_procs++] = p;
	return answer(a, f->h.proc, r, create ? AGENT_CREATED : AGENT_STARTED, &error);
}

static int on_start(struct agent *a)
{
	struct guest_proc *p = find(a, 0);
	struct err error = ERR_INIT;
	int r;

	if (!p)
		r = err_set(&error, ERR_STATE, ESRCH, "the sandbox was not created or has ended");
	else
		r = iso_init_start(&p->handle, &error);
	return answer(a, 0, r, AGENT_STARTED, &error);
}

static void on_signal(struct agent *a, const struct agent_frame *f)
{
	struct guest_proc *p = find(a, f->h.proc);

	/* A process that ended meanwhile is what the signal wanted, or does not mind. */
	if (f->h.flags & AGENT_ALL)
		guest_sandbox_signal_all(&a->sandbox, (int)f->h.value, NULL);
	else if (p && !p->reaped)
		proc_signal(p->handle.pidfd, (int)f->h.value, NULL);
}

static void on_time(struct agent *a, const struct agent_frame *f)
{
	uint64_t nsec;
	struct timespec t;

	if (!a->options->owns_host)
		return;
	memcpy(&nsec, f->payload, sizeof(nsec));
	nsec = le64toh(nsec);
	t = (struct timespec){.tv_sec = (time_t)(nsec / 1000000000u),
			      .tv_nsec = (long)(nsec % 1000000000u)};
	clock_settime(CLOCK_REALTIME, &t);
}

static int on_frame(struct agent *a, const struct agent_frame *f)
{
	struct guest_proc *p;

	switch ((enum agent_type)f->h.type) {
	case AGENT_CREATE:
	case AGENT_EXEC:
		return on_document(a, f);
	case AGENT_START:
		return on_start(a);
	case AGENT_SIGNAL:
		on_signal(a, f);
		return 0;
	case AGENT_TIME:
		on_time(a, f);
		return 0;
	case AGENT_SHUTDOWN:
		a->stop = true;
		return 0;
	case AGENT_RESIZE:
		p = find(a, f->h.proc);
		if (p)
			guest_proc_resize(p, f->h.value);
		return 0;
	case AGENT_DATA:
		p = find(a, f->h.proc);
		return p ? guest_proc_data(p, a->conn, f) : 0;
	case AGENT_CREDIT:
		p = find(a, f->h.proc);
		return p ? guest_proc_credit(p, f) : 0;
	case AGENT_HELLO:
	case AGENT_CREATED:
	case AGENT_STARTED:
	case AGENT_ERROR:
	case AGENT_EXIT:
	case AGENT_TYPE_COUNT:
		break;
	}
	return -EPROTO;
}

static int read_frames(struct agent *a, struct err *e)
{
	struct agent_frame f;
	int r = agent_conn_fill(a->conn, e);

	if (r < 0)
		return r;
	while (!a->stop && (r = agent_conn_next(a->conn, &f, e)) > 0) {
		r = on_frame(a, &f);
		if (r < 0)
			return err_sys(e, r, "frame %u of process %u", f.h.type, f.h.proc);
	}
	return r < 0 ? r : 0;
}

/* ---- processes -------------------------------------------------------------------------- */

static void drain_signals(const struct agent *a)
{
	struct signalfd_siginfo info;

	while (read(a->signal_fd, &info, sizeof(info)) > 0)
		;
}

/* Our own processes by number and not by what SIGCHLD says: their pidfds wake us, and nothing that ends at
 * the same moment can take an end away. -ECHILD: somebody else reaped one, a bug that must not look like a
 * process that runs for ever. */
static int reap_own(struct agent *a, struct err *e)
{
	for (size_t i = 0; i < a->n_procs; i++) {
		struct guest_proc *p = a->procs[i];
		pid_t pid;

		if (p->reaped)
			continue;
		pid = waitpid(p->handle.pid, &p->status, WNOHANG | __WALL);
		if (pid < 0)
			return err_sys(e, errno, "end of process %u", p->number);
		p->reaped = pid > 0;
	}
	return 0;
}

/* What the sandbox orphaned is ours as PID 1. WNOWAIT, since the next to end may be one of our own. */
static void reap_orphans(const struct agent *a)
{
	for (;;) {
		siginfo_t info = {0};

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 ||
		    info.si_pid == 0)
			return;
		for (size_t i = 0; i < a->n_procs; i++)
			if (!a->procs[i]->reaped && a->procs[i]->handle.pid == info.si_pid)
				return; /* it ended this moment: its pidfd wakes us again */
		(void)waitpid(info.si_pid, NULL, WNOHANG | __WALL);
	}
}

static int tell_exit(struct agent *a, struct guest_proc *p)
{
	if (p->number == 0) {
		a->sandbox.init_pidfd = -1;
		/* The machine is switched off when the host hears of it: what mapped files still
		 * hold goes to the shared tree now. */
		if (a->options->owns_host)
			sync();
	}
	return tell(a, AGENT_EXIT, p->number, (uint32_t)p->status);
}

static int service(struct agent *a, struct err *e)
{
	for (size_t i = 0; i < a->n_procs;) {
		struct guest_proc *p = a->procs[i];
		int r = guest_proc_service(p, a->conn);

		if (r == 0 && guest_proc_is_over(p)) {
			r = tell_exit(a, p);
			guest_proc_free(p);
			a->procs[i] = a->procs[--a->n_procs];
		} else {
			i++;
		}
		if (r < 0)
			return err_sys(e, r, "stream of a process");
	}
	return agent_conn_flush(a->conn, e);
}

static int wait_for_work(struct agent *a, struct err *e)
{
	short events = POLLIN | (agent_conn_wants_write(a->conn) ? POLLOUT : 0);
	int timeout = -1, r;

	pollset_clear(&a->set);
	r = pollset_add(&a->set, a->options->fd, events);
	if (r == 0)
		r = pollset_add(&a->set, a->signal_fd, POLLIN);
	for (size_t i = 0; r == 0 && i < a->n_procs; i++) {
		if (guest_proc_is_draining(a->procs[i], a->conn))
			timeout = 0;
		r = guest_proc_poll(a->procs[i], a->conn, &a->set);
	}
	return r < 0 ? err_nomem(e) : pollset_wait(&a->set, timeout, e);
}

static int loop(struct agent *a, struct err *e)
{
	int r = 0;

	while (r == 0 && !a->stop) {
		r = service(a, e);
		if (r == 0)
			r = wait_for_work(a, e);
		if (r < 0)
			return r;
		/* Reap first: what a frame starts in this round is not looked for yet. */
		drain_signals(a);
		r = reap_own(a, e);
		if (r < 0)
			return r;
		reap_orphans(a);
		r = read_frames(a, e);
	}
	return r == -EPIPE ? 0 : r;
}

static int open_signals(struct agent *a, struct err *e)
{
	sigset_t set;

	sigfillset(&set);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return err_sys(e, errno, "block signals");
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	a->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (a->signal_fd < 0)
		return err_sys(e, errno, "signalfd");
	return 0;
}

int guest_agent_run(const struct guest_agent_options *o, struct err *e)
{
	_cleanup_(agent_done) struct agent a = {.options = o, .signal_fd = -1};
	int r;

	a.sandbox.init_pidfd = -1;
	if (agent_conn_new(o->fd, &a.conn) < 0)
		return err_nomem(e);
	r = open_signals(&a, e);
	if (r < 0)
		return r;
	r = o->boot_error ? agent_send_error(a.conn, 0, o->boot_error)
			  : tell(&a, AGENT_HELLO, 0, AGENT_VERSION);
	if (r < 0)
		return err_nomem(e);
	return loop(&a, e);
}
