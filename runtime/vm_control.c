/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a VM's control socket, for the monitor process and its clients.
 */
#include "vm_control.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

#define BACKLOG    64
#define ANSWER_SEC 30

/* What travels: the fixed part, and an error value behind it in CONTROL_ERROR. */
struct wire {
	uint32_t type, flags;
	int32_t value;
	uint32_t reserved;
};

void control_message_done(struct control_message *m)
{
	for (int i = 0; i < CONTROL_FD_COUNT; i++)
		m->fds[i] = fd_close(m->fds[i]);
}

/* The state directory may be deep and sun_path is short, so it is named by descriptor. */
static void control_address(int statefd, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" CONTROL_NAME, statefd);
}

int control_listen(int statefd, struct err *e)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;

	/* The mode of the socket is what bind(2) gives to its name. */
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return err_sys(e, errno, "control socket");
	control_address(statefd, &addr);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, BACKLOG) < 0)
		return err_sys(e, errno, "bind '%s'", CONTROL_NAME);
	return TAKE_FD(fd);
}

/* Both as our user namespace shows them: of the listener, who called listen(2), which was before we entered one. */
static bool is_entitled(int listener, int fd)
{
	struct ucred owner, peer;
	socklen_t size = sizeof(owner);

	if (getsockopt(listener, SOL_SOCKET, SO_PEERCRED, &owner, &size) < 0)
		return false;
	size = sizeof(peer);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == owner.uid || peer.uid == 0);
}

int control_accept(int listener)
{
	_cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 || !is_entitled(listener, fd))
		return -EAGAIN;
	return TAKE_FD(fd);
}

int control_connect(int statefd, struct err *e)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr;

	if (fd < 0)
		return err_sys(e, errno, "control socket");
	control_address(statefd, &addr);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return err_set(e, ERR_STATE, ESRCH, "the sandbox is not running");
		return err_sys(e, errno, "connect to the monitor process of the microVM");
	}
	return TAKE_FD(fd);
}

int vm_control_send(int fd, const struct control_message *m, const struct err *error, struct err *e)
{
	struct wire w = {.type = m->type, .flags = m->flags, .value = m->value};
	struct iovec v[2] = {{&w, sizeof(w)}, {(void *)error, error ? sizeof(*error) : 0}};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(m->fds))];
	} control = {0};
	struct msghdr h = {.msg_iov = v, .msg_iovlen = error ? 2 : 1};
	size_t n = 0;
	ssize_t r;

	while (n < CONTROL_FD_COUNT && m->fds[n] >= 0)
		n++;
	if (n) {
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.head), m->fds, n * sizeof(int));
	}
	do
		r = sendmsg(fd, &h, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? err_sys(e, errno, "send to the control socket") : 0;
}

static void take_fds(struct msghdr *h, struct control_message *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		/* The buffer has room for CONTROL_FD_COUNT; the kernel closed what did not fit. */
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ret->fds, CMSG_DATA(c), n * sizeof(int));
	}
}

int control_recv(int fd, struct control_message *ret, struct err *e)
{
	struct control_message m = CONTROL_MESSAGE(0);
	struct err error;
	struct wire w;
	struct iovec v[2] = {{&w, sizeof(w)}, {&error, sizeof(error)}};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(m.fds))];
	} control;
	struct msghdr h = {.msg_iov = v,
			   .msg_iovlen = 2,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n;

	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : err_sys(e, errno, "read the control socket");
	take_fds(&h, &m);
	if (n == 0)
		return err_set(e, ERR_STATE, EPIPE, "the sandbox ended");
	if ((size_t)n < sizeof(w) || (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || w.type == 0 ||
	    w.type >= CONTROL_TYPE_COUNT ||
	    (size_t)n != sizeof(w) + (w.type == CONTROL_ERROR ? sizeof(error) : 0)) {
		control_message_done(&m);
		return err_set(e, ERR_INTERNAL, EPROTO, "malformed message on the control socket");
	}
	if (w.type == CONTROL_ERROR) {
		control_message_done(&m);
		err_sanitize(&error);
		if (e)
			*e = error;
		return 1;
	}
	m.type = w.type;
	m.flags = w.flags;
	m.value = w.value;
	*ret = m;
	return 0;
}

int control_error(const struct err *e)
{
	return e && e->errnum > 0 ? -e->errnum : -EIO;
}

int control_post(int statefd, enum control_type type, int32_t value, uint32_t flags, struct err *e)
{
	struct control_message m = CONTROL_MESSAGE(type, .value = value, .flags = flags);
	_cleanup_close_ int fd = control_connect(statefd, e);

	return fd < 0 ? fd : vm_control_send(fd, &m, NULL, e);
}

int control_request(int statefd, enum control_type type, int32_t value, uint32_t flags,
		    struct err *e)
{
	struct control_message m = CONTROL_MESSAGE(type, .value = value, .flags = flags);
	const struct timeval patience = {.tv_sec = ANSWER_SEC};
	_cleanup_close_ int fd = control_connect(statefd, e);
	int r;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return err_sys(e, errno, "control socket");
	r = vm_control_send(fd, &m, NULL, e);
	if (r == 0)
		r = control_recv(fd, &m, e);
	if (r == -EAGAIN)
		return err_set(e, ERR_STATE, ETIMEDOUT,
			       "the microVM's monitor process did not answer within %d seconds",
			       ANSWER_SEC);
	if (r != 0)
		return r < 0 ? r : control_error(e);
	control_message_done(&m);
	if (m.type != CONTROL_OK)
		return err_set(e, ERR_INTERNAL, EPROTO,
			       "unexpected answer %u on the control socket", m.type);
	return 0;
}
