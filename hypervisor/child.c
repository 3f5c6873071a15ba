/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helper processes: started with nothing but the descriptors they are given, watched by pidfd, and
 * with their standard error in a bounded ring, so that a failure can be told in their own words.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define CHILD_FDS_MAX    16
#define CHILD_READ_MAX   (64u << 10)
#define CHILD_WORD_LINES 4

int vm_child_start(struct vm_child *c, char *const *argv, const struct proc_fd_map *fds,
		   size_t n_fds, struct err *e)
{
	/* Messages in one language, whatever the caller's environment; nothing else is inherited.
	 */
	static char *const env[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
				    (char *)"LC_ALL=C", NULL};
	_cleanup_close_ int read_end = -EBADF, write_end = -EBADF;
	struct proc_fd_map map[CHILD_FDS_MAX];
	struct proc_spawn spawn = {
		.argv = argv,
		.env = env,
		.fds = map,
		.new_session = true,
		.death_signal = SIGKILL,
		.cgroup_fd = -1,
		.limit_caps = !c->keep_caps,
		.caps = c->caps,
	};
	int pipefd[2], r;

	if (n_fds + 1 > CHILD_FDS_MAX)
		return err_set(e, ERR_INTERNAL, E2BIG, "start %s: too many descriptors", c->what);
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys(e, errno, "start %s: pipe", c->what);
	read_end = pipefd[0];
	write_end = pipefd[1];
	r = fd_set_nonblock(read_end, true);
	if (r < 0)
		return err_sys(e, r, "start %s: pipe", c->what);

	for (size_t i = 0; i < n_fds; i++)
		map[i] = fds[i];
	map[n_fds] = (struct proc_fd_map){.from = write_end, .to = STDERR_FILENO};
	spawn.n_fds = n_fds + 1;
	r = proc_spawn(&spawn, &c->pid, &c->pidfd, e);
	if (r < 0)
		return err_wrap(e, "start %s", c->what);
	c->stderr_fd = TAKE_FD(read_end);
	c->ended = false;
	return 0;
}

bool vm_child_listen(struct vm_child *c)
{
	char buf[4096];

	for (size_t total = 0; c->stderr_fd >= 0 && total < CHILD_READ_MAX;) {
		ssize_t n = read(c->stderr_fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		console_ring_add(&c->words, buf, (size_t)n);
		total += (size_t)n;
	}
	return c->stderr_fd >= 0;
}

bool vm_child_check(struct vm_child *c)
{
	pid_t r;

	if (c->pid <= 0)
		return c->ended;
	do
		r = waitpid(c->pid, &c->status, WNOHANG);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return false;
	if (r < 0)
		c->status = 0; /* somebody else reaped it; how it ended is lost */
	c->pid = 0;
	c->ended = true;
	return true;
}

int vm_child_epitaph(struct vm_child *c, char **ret)
{
	const char *words;
	char how[64];

	vm_child_listen(c);
	words = console_ring_tail(&c->words, CHILD_WORD_LINES);
	if (WIFSIGNALED(c->status)) {
		const char *name = signal_name(WTERMSIG(c->status));

		snprintf(how, sizeof(how), "was killed by signal %s", name ? name : "?");
	} else {
		snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(c->status));
	}
	return str_printf(ret, "%s %s%s%s", c->what, how, words[0] ? ": " : "", words);
}

void vm_child_kill(struct vm_child *c)
{
	int status;

	if (c->pid > 0) {
		/* The pid is our unreaped child's, so it cannot have become another's. */
		kill(c->pid, SIGKILL);
		if (proc_reap(c->pid, &status, NULL) == 0)
			c->status = status;
		c->pid = 0;
		c->ended = true;
	}
	c->pidfd = fd_close(c->pidfd);
	c->stderr_fd = fd_close(c->stderr_fd);
}
