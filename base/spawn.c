/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting helper programs and hooks (base/proc.h). Everything that can fail or allocate happens in the
 * parent; the child only makes system calls, as the parent may have threads. What fails there is told
 * through a close-on-exec pipe: end of file on it means that the program runs.
 *
 * Descriptors: a map may permute (3 becomes 4, 4 becomes 3), so a source that is some other entry's
 * target is first moved out of the way. Afterwards everything is close-on-exec but the targets.
 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "proc_internal.h"

/* What the child was doing when it failed; the pipe carries it with the errno. */
enum spawn_step {
	STEP_SESSION,
	STEP_DEATH_SIGNAL,
	STEP_DESCRIPTORS,
	STEP_CAPABILITIES,
	STEP_EXEC,
};

static const char *const step_names[] = {
	[STEP_SESSION] = "new session",
	[STEP_DEATH_SIGNAL] = "set the death signal",
	[STEP_DESCRIPTORS] = "arrange descriptors",
	[STEP_CAPABILITIES] = "limit capabilities",
	[STEP_EXEC] = "execute",
};

struct spawn_report {
	int32_t step;
	int32_t errnum;
};

/* The caller's map, with the standard streams filled up and room to move sources. */
struct plan {
	struct proc_fd_map *fds;
	size_t n;
	int above; /* no target is here or higher */
	int null_fd;
	int report_fd;
	pid_t parent;
};

static void plan_done(struct plan *p)
{
	free(p->fds);
	p->null_fd = fd_close(p->null_fd);
	p->report_fd = fd_close(p->report_fd);
}
#define _cleanup_plan_ __attribute__((cleanup(plan_done)))

static const char *program_of(const struct proc_spawn *s)
{
	return s->path ? s->path : s->argv[0];
}

static bool is_target(const struct proc_fd_map *fds, size_t n, int fd)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i].to == fd)
			return true;
	return false;
}

static int make_plan(const struct proc_spawn *s, struct plan *p, struct err *e)
{
	for (size_t i = 0; i < s->n_fds; i++)
		if (s->fds[i].from < 0 || s->fds[i].to < 0 || is_target(s->fds, i, s->fds[i].to))
			return err_invalid(e, "descriptor map: %d to %d", s->fds[i].from,
					   s->fds[i].to);
	p->fds = calloc(s->n_fds + 3, sizeof(*p->fds));
	if (!p->fds)
		return err_nomem(e);
	for (; p->n < s->n_fds; p->n++)
		p->fds[p->n] = s->fds[p->n];
	for (int fd = 0; fd <= 2; fd++) {
		if (is_target(s->fds, s->n_fds, fd))
			continue;
		if (p->null_fd < 0)
			p->null_fd = path_open_null(e);
		if (p->null_fd < 0)
			return p->null_fd;
		p->fds[p->n++] = (struct proc_fd_map){.from = p->null_fd, .to = fd};
	}
	for (size_t i = 0; i < p->n; i++)
		if (p->fds[i].to >= p->above)
			p->above = p->fds[i].to + 1;
	return 0;
}

/* ---- in the child ---- */

/* A failure there ends the child; should even the report fail, the status says that much. */
static _Noreturn void child_fail(const struct plan *p, enum spawn_step step)
{
	const struct spawn_report report = {.step = step, .errnum = errno};

	while (write(p->report_fd, &report, sizeof(report)) < 0 && errno == EINTR)
		;
	_exit(127);
}

static int child_arrange(struct plan *p)
{
	if (is_target(p->fds, p->n, p->report_fd)) {
		p->report_fd = fcntl(p->report_fd, F_DUPFD_CLOEXEC, p->above);
		if (p->report_fd < 0)
			return -1;
	}
	for (size_t i = 0; i < p->n; i++) {
		int moved;

		if (p->fds[i].from == p->fds[i].to || !is_target(p->fds, p->n, p->fds[i].from))
			continue;
		moved = fcntl(p->fds[i].from, F_DUPFD_CLOEXEC, p->above);
		if (moved < 0)
			return -1;
		p->fds[i].from = moved;
	}
	for (size_t i = 0; i < p->n; i++)
		if (p->fds[i].from != p->fds[i].to && dup2(p->fds[i].from, p->fds[i].to) < 0)
			return -1;
	if (fd_cloexec_from(0, NULL) < 0)
		return -1;
	for (size_t i = 0; i < p->n; i++)
		if (fcntl(p->fds[i].to, F_SETFD, 0) < 0)
			return -1;
	return 0;
}

/* Ambient capabilities are what an exec leaves to who is not root; and root is nobody special to it with SECBIT_NOROOT. Who
 * may not set that (no CAP_SETPCAP) has been limited by somebody else. Source: capabilities(7). */
static int child_limit_caps(uint64_t caps)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, have) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		have[i].inheritable = have[i].permitted & (uint32_t)(caps >> (32 * i));
	if (syscall(SYS_capset, &head, have) < 0)
		return -1;
	for (unsigned cap = 0; cap < 32 * _LINUX_CAPABILITY_U32S_3; cap++)
		if ((have[cap / 32].inheritable & (1u << (cap % 32))) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -1;
	if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0) < 0 &&
	    errno != EPERM)
		return -1;
	return 0;
}

static _Noreturn void child_run(const struct proc_spawn *s, struct plan *p)
{
	if (s->new_session && setsid() < 0)
		child_fail(p, STEP_SESSION);
	if (s->death_signal) {
		if (prctl(PR_SET_PDEATHSIG, s->death_signal, 0, 0, 0) < 0)
			child_fail(p, STEP_DEATH_SIGNAL);
		/* It died before we asked: nobody would ever tell us. */
		if (getppid() != p->parent)
			_exit(127);
	}
	if (child_arrange(p) < 0)
		child_fail(p, STEP_DESCRIPTORS);
	if (s->limit_caps && child_limit_caps(s->caps) < 0)
		child_fail(p, STEP_CAPABILITIES);
	proc_reset_signals();
	execve(program_of(s), s->argv, s->env ? s->env : environ);
	child_fail(p, STEP_EXEC);
}

/* ---- in the parent ---- */

static int read_report(int fd, pid_t pid, const char *program, struct err *e)
{
	struct spawn_report report;
	int r, status;

	r = fd_read_exact(fd, &report, sizeof(report), "the report of a new process", e);
	if (r == -ENODATA) {
		err_clear(e);
		return 0; /* the exec closed it */
	}
	proc_reap(pid, &status, NULL);
	if (r < 0)
		return err_wrap(e, "start '%s'", program);
	if (report.step < 0 || (size_t)report.step >= ARRAY_SIZE(step_names))
		return err_set(e, ERR_INTERNAL, EBADMSG, "start '%s': unknown report", program);
	return err_sys(e, report.errnum, "start '%s': %s", program, step_names[report.step]);
}

int proc_spawn(const struct proc_spawn *s, pid_t *ret_pid, int *ret_pidfd, struct err *e)
{
	_cleanup_close_ int read_fd = -EBADF, pidfd = -EBADF;
	_cleanup_plan_ struct plan p = {.null_fd = -EBADF, .report_fd = -EBADF};
	sigset_t all, before;
	int pipe_fds[2], r;
	pid_t pid;

	r = make_plan(s, &p, e);
	if (r < 0)
		return err_wrap(e, "start '%s'", program_of(s));
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "start '%s': pipe", program_of(s));
	read_fd = pipe_fds[0];
	p.report_fd = pipe_fds[1];
	p.parent = getpid();

	/* No handler of ours may run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = proc_clone(0, SIGCHLD, s->cgroup_fd, ret_pidfd ? &pidfd : NULL);
	if (pid == 0)
		child_run(s, &p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return err_sys(e, pid, "start '%s': clone", program_of(s));

	p.report_fd = fd_close(p.report_fd);
	r = read_report(read_fd, pid, program_of(s), e);
	if (r < 0)
		return r;
	*ret_pid = pid;
	if (ret_pidfd)
		*ret_pidfd = TAKE_FD(pidfd);
	return 0;
}

/* ---- run to the end ---- */

#define STDERR_KEEP 1024

/* The last STDERR_KEEP bytes of what came. */
struct tail {
	char text[2 * STDERR_KEEP + 1];
	size_t len;
};

static void tail_add(struct tail *t, const char *data, size_t n)
{
	if (n > STDERR_KEEP) {
		data += n - STDERR_KEEP;
		n = STDERR_KEEP;
	}
	if (t->len + n >= sizeof(t->text)) {
		size_t keep = STDERR_KEEP - n;

		memmove(t->text, t->text + t->len - keep, keep);
		t->len = keep;
	}
	memcpy(t->text + t->len, data, n);
	t->len += n;
}

/* One line without control characters; the end is what matters. */
static const char *tail_text(struct tail *t)
{
	char *start = t->text + (t->len > STDERR_KEEP ? t->len - STDERR_KEEP : 0);

	while (t->len > 0 && strchr(" \t\r\n", t->text[t->len - 1]))
		t->len--;
	if (start > t->text + t->len)
		start = t->text + t->len;
	t->text[t->len] = '\0';
	for (char *c = start; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	return start;
}

/* Read what is there. Returns false at the end of file. */
static bool tail_read(struct tail *t, int fd)
{
	char buf[512];

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n > 0)
			tail_add(t, buf, (size_t)n);
		else if (n < 0 && errno == EINTR)
			continue;
		else
			return n < 0 && errno == EAGAIN;
	}
}

/* Wait for the process to end, emptying its stderr meanwhile. What a grandchild still holds open is
 * not waited for. */
static int follow(int pidfd, int stderr_fd, struct tail *t, int timeout_msec)
{
	int64_t deadline = timeout_msec < 0 ? -1 : proc_now_msec() + timeout_msec;
	struct pollfd p[2] = {
		{.fd = pidfd, .events = POLLIN},
		{.fd = stderr_fd, .events = POLLIN},
	};

	for (;;) {
		int n = poll(p, 2, proc_msec_left(deadline));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ETIMEDOUT;
		if (p[1].revents && !tail_read(t, stderr_fd))
			p[1].fd = -1;
		if (p[0].revents) {
			tail_read(t, stderr_fd);
			return 0;
		}
	}
}

static int judge(int status, struct tail *t, const char *what, struct err *e)
{
	const char *said = tail_text(t), *colon = *said ? ": " : "";
	const char *sig;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status))
		return err_set(e, ERR_SYSTEM, EIO, "%s: exit status %d%s%s", what,
			       WEXITSTATUS(status), colon, said);
	sig = signal_name(WTERMSIG(status));
	return err_set(e, ERR_SYSTEM, EIO, "%s: killed by SIG%s%s%s", what, sig ? sig : "?", colon,
		       said);
}

/* The caller's map with our stdin and stderr. Input is a sealed file, not a pipe: a program that does
 * not read it costs nobody a SIGPIPE, and one that reads late blocks nobody. */
static int run_map(const struct proc_spawn *s, int input_fd, int stderr_fd,
		   struct proc_fd_map **ret, size_t *ret_n, struct err *e)
{
	struct proc_fd_map *fds;
	size_t n = s->n_fds;

	if (is_target(s->fds, n, 2) || (input_fd >= 0 && is_target(s->fds, n, 0)))
		return err_invalid(e, "descriptor map: stdin and stderr are taken");
	fds = calloc(n + 2, sizeof(*fds));
	if (!fds)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		fds[i] = s->fds[i];
	fds[n++] = (struct proc_fd_map){.from = stderr_fd, .to = 2};
	if (input_fd >= 0)
		fds[n++] = (struct proc_fd_map){.from = input_fd, .to = 0};
	*ret = fds;
	*ret_n = n;
	return 0;
}

int proc_run(const struct proc_spawn *s, const char *input, size_t input_len, int timeout_msec,
	     const char *what, struct err *e)
{
	_cleanup_close_ int input_fd = -EBADF, read_fd = -EBADF, write_fd = -EBADF, pidfd = -EBADF;
	_cleanup_free_ struct proc_fd_map *fds = NULL;
	struct proc_spawn with = *s;
	struct tail tail = {.len = 0};
	int pipe_fds[2], status, r, waited;
	pid_t pid;

	if (input) {
		input_fd = fd_sealed_memfd("input", input, input_len, e);
		if (input_fd < 0)
			return err_wrap(e, "%s", what);
	}
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "%s: pipe", what);
	read_fd = pipe_fds[0];
	write_fd = pipe_fds[1];
	r = fd_set_nonblock(read_fd, true);
	if (r < 0)
		return err_sys(e, r, "%s: pipe", what);
	r = run_map(s, input_fd, write_fd, &fds, &with.n_fds, e);
	with.fds = fds;
	if (r == 0)
		r = proc_spawn(&with, &pid, &pidfd, e);
	if (r < 0)
		return err_wrap(e, "%s", what);
	write_fd = fd_close(write_fd);

	waited = follow(pidfd, read_fd, &tail, timeout_msec);
	if (waited < 0)
		proc_signal(pidfd, SIGKILL, NULL);
	r = proc_reap(pid, &status, e);
	if (r < 0)
		return err_wrap(e, "%s", what);
	if (waited == -ETIMEDOUT)
		return err_set(e, ERR_SYSTEM, ETIMEDOUT,
			       "%s: killed, as it did not end within %d ms", what, timeout_msec);
	if (waited < 0)
		return err_sys(e, waited, "%s: wait", what);
	return judge(status, &tail, what, e);
}
