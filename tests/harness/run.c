/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running programs from tests, with output collected and a time limit that kills the whole process group.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int code_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct collector {
	int fd;
	char *data;
	size_t len, cap;
};

/* False at the end of the stream. */
static bool collect(struct collector *c)
{
	if (c->cap - c->len < 65536) {
		c->cap = c->cap * 2 + 131072;
		c->data = realloc(c->data, c->cap);
		assert_non_null(c->data);
		c->data[c->len] = '\0';
	}
	ssize_t n = read(c->fd, c->data + c->len, c->cap - c->len - 1);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	c->len += (size_t)n;
	c->data[c->len] = '\0';
	return true;
}

static void child_exec(const struct run_spec *s, int in, int out, int err)
{
	sigset_t none;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	if (s->user)
		user_become(s->user, !s->env);
	syscall(SYS_close_range, 3, ~0U, 0);
	if (s->cwd && chdir(s->cwd) < 0)
		_exit(126);
	if (s->env)
		execve(s->argv[0], (char *const *)s->argv, (char *const *)s->env);
	else
		execv(s->argv[0], (char *const *)s->argv);
	dprintf(2, "cannot run %s: %s\n", s->argv[0], strerror(errno));
	_exit(126);
}

/* From the beginning; closes it. */
static char *whole_file(int fd, size_t *ret_len)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = malloc((size_t)size + 1);

	assert_non_null(text);
	assert_int_equal(pread(fd, text, (size_t)size, 0), size);
	text[size] = '\0';
	*ret_len = (size_t)size;
	close(fd);
	return text;
}

/* Feed what the pipe takes; close it at the end. */
static void feed(struct pollfd *p, const char **input, size_t *left)
{
	ssize_t n = write(p->fd, *input, *left);

	if (n > 0) {
		*input += n;
		*left -= (size_t)n;
	}
	if (*left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(p->fd);
		p->fd = -1;
	}
}

/* Output in files, so that only the program's own end is waited for. */
static struct run_result run_detaching(const struct run_spec *s)
{
	struct run_result r = {0};
	int fds[3] = {open("/dev/null", O_RDONLY | O_CLOEXEC), memfd_create("out", MFD_CLOEXEC),
		      memfd_create("err", MFD_CLOEXEC)};
	pid_t pid = fork();

	assert_true(pid >= 0 && fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0);
	if (pid == 0)
		child_exec(s, fds[0], fds[1], fds[2]);
	r.code = finish(pid, s->timeout_sec ? s->timeout_sec : 120);
	r.out = whole_file(fds[1], &r.out_len);
	r.err = whole_file(fds[2], &r.err_len);
	close(fds[0]);
	return r;
}

struct run_result run(const struct run_spec *s)
{
	if (s->detaching)
		return run_detaching(s);

	int in[2] = {-1, -1}, out[2], err[2], status = 0;
	const char *input = s->input;
	size_t left = input ? (s->input_len ? s->input_len : strlen(input)) : 0;
	int64_t deadline = now_msec() + (s->timeout_sec ? s->timeout_sec : 120) * 1000LL;
	bool timed_out = false;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	if (input)
		assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	else
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		child_exec(s, in[0], out[1], err[1]);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	if (in[1] >= 0)
		fcntl(in[1], F_SETFL, O_NONBLOCK);

	struct collector o = {.fd = out[0]}, e = {.fd = err[0]};
	struct pollfd p[3] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}, {in[1], POLLOUT, 0}};

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		int64_t rest = deadline - now_msec();

		if (rest <= 0 || (poll(p, 3, (int)rest) == 0)) {
			timed_out = true;
			kill(-pid, SIGKILL);
			break;
		}
		if (p[0].revents && !collect(&o))
			p[0].fd = -1;
		if (p[1].revents && !collect(&e))
			p[1].fd = -1;
		if (p[2].fd >= 0 && p[2].revents)
			feed(&p[2], &input, &left);
	}
	if (p[2].fd >= 0)
		close(p[2].fd);
	close(out[0]);
	close(err[0]);
	if (timed_out)
		waitpid(pid, &status, 0);
	int code = timed_out ? 999 : finish(pid, (int)((deadline - now_msec()) / 1000) + 1);

	return (struct run_result){.code = code,
				   .out = o.data ? o.data : strdup(""),
				   .err = e.data ? e.data : strdup(""),
				   .out_len = o.len,
				   .err_len = e.len};
}

void run_result_done(struct run_result *r)
{
	free(r->out);
	free(r->err);
	*r = (struct run_result){0};
}

pid_t start(const char *const *argv, bool pty, int *ret_fd)
{
	return start_as(NULL, argv, pty, ret_fd);
}

pid_t start_as(const struct user *u, const char *const *argv, bool pty, int *ret_fd)
{
	struct run_spec s = {.argv = argv, .user = u};
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	int fds[2];

	if (pty) {
		pid_t pid = forkpty(ret_fd, NULL, NULL, &size);

		assert_true(pid >= 0);
		if (pid == 0) {
			/* A login gives the terminal to its user. */
			if (u && fchown(0, u->uid, u->gid) < 0)
				_exit(126);
			if (u)
				user_become(u, true);
			syscall(SYS_close_range, 3, ~0U, 0);
			execv(argv[0], (char *const *)argv);
			_exit(126);
		}
		fcntl(*ret_fd, F_SETFD, FD_CLOEXEC);
		return pid;
	}
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		child_exec(&s, null, fds[1], fds[1]);
	close(null);
	close(fds[1]);
	*ret_fd = fds[0];
	return pid;
}

int finish(pid_t pid, int timeout_sec)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status = 0, n;

	assert_true(pidfd >= 0);
	struct pollfd p = {pidfd, POLLIN, 0};

	do {
		n = poll(&p, 1, timeout_sec * 1000);
	} while (n < 0 && errno == EINTR);
	if (n == 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	close(pidfd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return n == 0 ? 999 : code_of(status);
}

bool read_until(int fd, const char *needle, char *buf, size_t size, int timeout_sec)
{
	int64_t deadline = now_msec() + timeout_sec * 1000LL;
	size_t len = strlen(buf);

	while (!strstr(buf, needle)) {
		struct pollfd p = {fd, POLLIN, 0};
		int64_t rest = deadline - now_msec();

		if (rest <= 0 || len + 1 >= size || poll(&p, 1, (int)rest) <= 0)
			return false;
		ssize_t n = read(fd, buf + len, size - len - 1);

		if (n <= 0)
			return false;
		len += (size_t)n;
		buf[len] = '\0';
	}
	return true;
}

bool eventually(bool (*condition)(void *arg), void *arg, int timeout_sec)
{
	int64_t deadline = now_msec() + timeout_sec * 1000LL;

	while (!condition(arg)) {
		if (now_msec() >= deadline)
			return false;
		poll(NULL, 0, 10);
	}
	return true;
}
