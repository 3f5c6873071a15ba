/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter that notifies (SCMP_ACT_NOTIFY) is a descriptor, which an agent in user space must hold before anybody answers
 * the calls that the filter hands over. Whoever installs the filter is under it from that moment, and would wait for ever
 * if its own sending were such a call. So a helper is forked before, which shares our table of descriptors but not the
 * filter:
 *
 *	process                            helper
 *	fork, sharing descriptors ------>  read(pipe)
 *	seccomp(): descriptor N
 *	write(pipe, N) ----------------->  sendmsg(agent, state, N)
 *	wait for it <--------------------  exit
 *	whatever else, execve              (the agent answers what it is asked)
 *
 * write(2) is the one call that must not be handed over: a filter that does is refused when it is compiled. The wait, and
 * all behind it, may be: by then the agent has the descriptor.
 * Spec: OCI runtime-spec config-linux.md "Seccomp", "The Container Process State"; seccomp_unotify(2).
 */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"

/* Annotations are in it: no larger than a configuration may be, and an agent reads far less. */
#define MESSAGE_MAX (256u << 10)

static int send_with_fd(int socket, const char *text, size_t len, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (char *)text, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control.space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	while (iov.iov_len > 0) {
		ssize_t n = sendmsg(socket, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		msg.msg_control = NULL; /* it went with the first byte */
		msg.msg_controllen = 0;
	}
	return 0;
}

/* In the helper. Nothing may be closed: the table is the process's. The exit status is an errno. */
static int help(const struct iso_notify *n, int pipe_fd)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int fd = -1, r;

	if (fd_read_exact(pipe_fd, &fd, sizeof(fd), "the descriptor", NULL) < 0 || fd < 0)
		return 0; /* there is no filter */
	if (lseek(n->message_fd, 0, SEEK_SET) < 0)
		return errno;
	r = fd_read_all(n->message_fd, MESSAGE_MAX, &text, &len, "the state", NULL);
	return r < 0 ? -r : -send_with_fd(n->socket, text, len, fd);
}

int notify_begin(const struct iso_notify *n, struct notify_helper *ret, struct err *e)
{
	int pair[2], r;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe to the helper of seccomp's notifications");
	pid = proc_clone(CLONE_FILES, SIGCHLD, -1, NULL);
	if (pid == 0) {
		/* With the process, without it nobody could ever tell us. */
		(void)!prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		_exit(help(n, pair[0]));
	}
	if (pid < 0) {
		r = err_sys(e, (int)pid, "fork the helper of seccomp's notifications");
		close(pair[0]);
		close(pair[1]);
		return r == -EAGAIN ? err_hint(e, "resources.pids.limit must leave room for it: 2")
				    : r;
	}
	*ret = (struct notify_helper){.pid = pid, .pipe_fd = pair[1]};
	return 0;
}

int notify_end(const struct notify_helper *h, int notify_fd, struct err *e)
{
	int status = 0, failure;
	ssize_t n = write(h->pipe_fd, &notify_fd, sizeof(notify_fd));
	pid_t r;

	if (n != sizeof(notify_fd))
		return err_sys(e, n < 0 ? errno : EIO,
			       "tell the helper of seccomp's notifications");
	do
		r = waitpid(h->pid, &status, 0);
	while (r < 0 && errno == EINTR);
	/* A filter that forbids the wait: then nobody can say more, and the helper does its work. */
	if (r < 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	/* EPIPE is what the end of our own channel looks like. */
	failure = WIFEXITED(status) ? WEXITSTATUS(status) : ECANCELED;
	err_sys(e, failure == EPIPE || failure == ECONNRESET ? ENOTCONN : failure,
		"send the seccomp descriptor to the agent of seccomp.listenerPath");
	return err_hint(e, "the agent must accept the connection and keep it until the start");
}
