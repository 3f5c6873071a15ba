/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ends of a monitor's socket (attach_wire.h).
 */
#include "attach_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

#define NAME    "attach"
#define BACKLOG 128

/* sun_path is short and a state directory may be deep: name it by descriptor. */
static void address_of(int statefd, struct sockaddr_un *ret)
{
	char dir[PATH_FD_MAX];

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/" NAME, path_of_fd(statefd, dir));
}

int attach_listen(int statefd, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	struct sockaddr_un address;

	address_of(statefd, &address);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode of the socket is what bind() gives to the file: never open, not for an instant. */
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return err_sys(e, errno, "make the socket '" NAME "'");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
		return err_sys(e, errno, "bind the socket '" NAME "'");
	return TAKE_FD(fd);
}

int attach_accept(int listen_fd)
{
	for (;;) {
		_cleanup_close_ int fd =
			accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct ucred peer;
		socklen_t size = sizeof(peer);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return -errno;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
		    (peer.uid == geteuid() || peer.uid == 0))
			return TAKE_FD(fd);
	}
}

int attach_connect(int statefd, struct err *e)
{
	/* Not to wait where its queue is full: who waits for an end holds the lock that the monitor needs. */
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	int r;

	if (fd < 0)
		return err_sys(e, errno, "socket");
	address_of(statefd, &address);
	do
		r = connect(fd, (struct sockaddr *)&address, sizeof(address));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(e, errno, "connect to the sandbox's monitor");
	r = fd_set_nonblock(fd, false);
	return r < 0 ? err_sys(e, r, "connect to the sandbox's monitor") : TAKE_FD(fd);
}

int attach_send(int fd, enum attach_type type, const void *data, size_t len)
{
	uint8_t type_byte = (uint8_t)type;
	struct iovec iov[2] = {{&type_byte, 1}, {(void *)data, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = len ? 2 : 1};
	ssize_t n;

	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}
