/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The synchronisation channel (base/sync.h). A message is a fixed header, and behind an SYNC_ERROR
 * the whole error value; there are exactly these two lengths. The peer may be a process that already
 * lives among the workload's, so nothing it sends is believed: lengths, type, number of descriptors
 * and the texts are checked.
 */
#include "base/sync.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

struct message {
	int32_t type; /* enum sync_type */
	int32_t value;
	struct err error; /* SYNC_ERROR only, and only then sent */
};
#define HEADER_LEN offsetof(struct message, error)

/* Linux rounds control buffers up, so room for one descriptor may hold two. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static const char *const type_names[] = {
	[SYNC_HOST_READY] = "host-ready",
	[SYNC_GO] = "go",
	[SYNC_CONSOLE] = "console",
	[SYNC_READY] = "ready",
	[SYNC_COMMIT] = "commit",
	[SYNC_START] = "start",
	[SYNC_STARTED] = "started",
	[SYNC_SECCOMP_NOTIFY] = "seccomp-notify",
	[SYNC_PID] = "pid",
	[SYNC_ERROR] = "error",
};
_Static_assert(ARRAY_SIZE(type_names) == SYNC_ERROR + 1, "name every type");

int sync_pair(int ret[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0)
		return err_sys(e, errno, "make a synchronisation channel");
	return 0;
}

static int send_message(int fd, const struct message *m, size_t len, int passed_fd)
{
	struct iovec iov = {.iov_base = (void *)m, .iov_len = len};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {0};
	ssize_t n;

	if (passed_fd >= 0) {
		struct cmsghdr *c = &control.align;

		hdr.msg_control = control.bytes;
		hdr.msg_controllen = sizeof(control.bytes);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &passed_fd, sizeof(int));
	}
	do
		n = sendmsg(fd, &hdr, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EMSGSIZE;
}

int sync_send(int fd, enum sync_type type, int32_t value, int passed_fd, struct err *e)
{
	const struct message m = {.type = type, .value = value};
	int r;

	if (type < SYNC_HOST_READY || type >= SYNC_ERROR)
		return err_set(e, ERR_INTERNAL, EINVAL, "send message of type %d", (int)type);
	r = send_message(fd, &m, HEADER_LEN, passed_fd);
	return r < 0 ? err_sys(e, r, "send '%s'", type_names[type]) : 0;
}

void sync_send_error(int fd, const struct err *error)
{
	struct message m = {.type = SYNC_ERROR};

	if (error)
		m.error = *error;
	else
		err_set(&m.error, ERR_INTERNAL, EIO, "failed without a reason");
	send_message(fd, &m, sizeof(m), -1);
}

/* Keep the first descriptor that came, close every other. */
static int take_descriptors(struct msghdr *hdr, unsigned *ret_n)
{
	int kept = -EBADF;

	*ret_n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (kept < 0)
				kept = fd;
			else
				fd_close(fd);
			(*ret_n)++;
		}
	}
	return kept;
}

static bool is_well_formed(const struct message *m, size_t len, int msg_flags, unsigned n_fds)
{
	if (msg_flags & (MSG_TRUNC | MSG_CTRUNC) || n_fds > 1 || len < HEADER_LEN)
		return false;
	if (m->type < SYNC_HOST_READY || m->type > SYNC_ERROR)
		return false;
	return len == (m->type == SYNC_ERROR ? sizeof(*m) : HEADER_LEN);
}

/*
 * Who blocks the signals that ask a program to end wants to end in order, and a peer may take long (a guest that
 * boots): so one of them that comes ends the wait. It stays pending, for the caller to see which it was. A
 * message that is there already counts more.
 */
static int wait_or_signal(int fd)
{
	static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	_cleanup_close_ int signals = -EBADF;
	sigset_t blocked, held;
	bool any = false;

	sigemptyset(&held);
	if (sigprocmask(SIG_BLOCK, NULL, &blocked) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		if (sigismember(&blocked, ending[i]) == 1) {
			sigaddset(&held, ending[i]);
			any = true;
		}
	if (!any)
		return 0;
	signals = signalfd(-1, &held, SFD_CLOEXEC);
	if (signals < 0)
		return -errno;

	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	while (poll(p, ARRAY_SIZE(p), -1) < 0)
		if (errno != EINTR)
			return -errno;
	return p[0].revents ? 0 : -EINTR;
}

/* Raw receive into *m. Returns 0, -EPIPE at the end of file, -EPROTO or -errno. */
static int recv_message(int fd, struct message *m, int *ret_passed_fd)
{
	struct iovec iov = {.iov_base = m, .iov_len = sizeof(*m)};
	union control control = {0};
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	_cleanup_close_ int passed = -EBADF;
	unsigned n_fds;
	ssize_t n;

	/* A reset is told once, before what the peer sent: it closed with a message of ours unread.
	 * Its last words, the reason for that, are still there to be read. */
	for (bool reset = false;;) {
		n = recvmsg(fd, &hdr, MSG_CMSG_CLOEXEC);
		if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
			break;
		reset |= errno == ECONNRESET;
	}
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	passed = take_descriptors(&hdr, &n_fds);
	if (n == 0)
		return -EPIPE;
	if (!is_well_formed(m, (size_t)n, hdr.msg_flags, n_fds))
		return -EPROTO;
	*ret_passed_fd = TAKE_FD(passed);
	return 0;
}

/* The peer's error becomes ours. */
static int adopt(struct err *error, struct err *e)
{
	err_sanitize(error);
	if (e)
		*e = *error;
	return -error->errnum;
}

int sync_recv(int fd, const char *peer, enum sync_type *ret_type, int32_t *ret_value, int *ret_fd,
	      struct err *e)
{
	_cleanup_close_ int passed = -EBADF;
	struct message m;
	int r = wait_or_signal(fd);

	if (r == -EINTR)
		return err_set(e, ERR_SYSTEM, EINTR, "interrupted by a signal");
	if (r == 0)
		r = recv_message(fd, &m, &passed);
	if (r == -EPIPE)
		return err_set(e, ERR_INTERNAL, EPIPE, "%s died", peer);
	if (r == -EPROTO)
		return err_set(e, ERR_INTERNAL, EPROTO, "%s sent a malformed message", peer);
	if (r < 0)
		return err_sys(e, r, "receive from %s", peer);
	if (m.type == SYNC_ERROR)
		return adopt(&m.error, e);
	*ret_type = (enum sync_type)m.type;
	if (ret_value)
		*ret_value = m.value;
	if (ret_fd) {
		*ret_fd = passed >= 0 ? passed : -1;
		passed = -EBADF;
	}
	return 0;
}

int sync_expect(int fd, const char *peer, enum sync_type want, int32_t *ret_value, int *ret_fd,
		struct err *e)
{
	_cleanup_close_ int passed = -EBADF;
	enum sync_type type;
	int32_t value;
	int r;

	r = sync_recv(fd, peer, &type, &value, &passed, e);
	if (r < 0)
		return r;
	if (type != want)
		return err_set(e, ERR_INTERNAL, EPROTO, "%s sent '%s' where '%s' was due", peer,
			       type_names[type],
			       want >= SYNC_HOST_READY && want <= SYNC_ERROR ? type_names[want]
									     : "?");
	if (ret_value)
		*ret_value = value;
	if (ret_fd) {
		*ret_fd = passed >= 0 ? passed : -1;
		passed = -EBADF;
	}
	return 0;
}
