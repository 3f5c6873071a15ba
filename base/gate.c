/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate (base/sync.h): a listening socket in the state directory at which the host process of a
 * created sandbox waits for the order to start.
 *
 * The first guard is the file system: the state directory is 0700 and the socket 0600. The second is
 * SO_PEERCRED, compared with the credentials of the *listening* socket, which the kernel took down at
 * listen(). Both come translated into the asking process's user namespace, so the comparison also
 * holds where a container's init waits in a namespace that does not know its creator's uid.
 */
#include "base/sync.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "proc_internal.h"

#define GATE_NAME "gate"

/* How long one who connected may hold up the queue before it sends its order. */
#define GREETING_MSEC 1000

/* sun_path is 108 bytes, a state directory may be deeper: name it by descriptor. */
static void gate_address(int statefd, struct sockaddr_un *ret)
{
	char dir[PATH_FD_MAX];

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/" GATE_NAME, path_of_fd(statefd, dir));
}

int gate_listen(int statefd, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	struct sockaddr_un address;

	gate_address(statefd, &address);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, errno, "make the start gate");
	/* The mode of the socket is what bind() gives to the file: never open, not for an instant. */
	if (fchmod(fd, 0600) < 0)
		return err_sys(e, errno, "set the mode of the start gate");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(e, errno, "bind the start gate '" GATE_NAME "'");
	if (listen(fd, 8) < 0)
		return err_sys(e, errno, "listen at the start gate");
	return TAKE_FD(fd);
}

/* A connection to the gate: the fd or -errno. */
static int gate_connect(int statefd, int socket_flags)
{
	_cleanup_close_ int fd = -EBADF;
	struct sockaddr_un address;
	int r;

	gate_address(statefd, &address);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | socket_flags, 0);
	if (fd < 0)
		return -errno;
	do
		r = connect(fd, (struct sockaddr *)&address, sizeof(address));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : TAKE_FD(fd);
}

bool gate_is_waiting(int statefd)
{
	_cleanup_close_ int fd = gate_connect(statefd, SOCK_NONBLOCK);

	/* EAGAIN: its queue is full, so there is one. */
	return fd >= 0 || fd == -EAGAIN;
}

/* One message of the host process, or its end: 1 and 0. */
static int read_message(int fd, enum sync_type *ret_type, struct err *e)
{
	ssize_t n;
	char byte;
	int r;

	/* A reset comes first, and once: it closed without having read our order. What it said before
	 * (a refusal) can still be read behind it. */
	do
		n = recv(fd, &byte, 1, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n < 0 && errno != ECONNRESET)
		return err_sys(e, errno, "receive from the start gate");
	r = sync_recv(fd, "the process at the start gate", ret_type, NULL, NULL, e);
	return r < 0 ? r : 1;
}

/* SYNC_STARTED, and then the end of file that a successful exec leaves behind. An end without it is a
 * death: somebody killed the process, or the kernel did for lack of memory. */
static int read_answer(int fd, struct err *e)
{
	enum sync_type type;
	bool started = false;
	int r;

	for (;;) {
		r = read_message(fd, &type, e);
		if (r < 0)
			return r;
		if (r == 0 && started)
			return 0;
		if (r == 0)
			return err_set(e, ERR_INTERNAL, EPIPE,
				       "the process died before its command ran");
		if (type != SYNC_STARTED || started)
			return err_set(e, ERR_INTERNAL, EPROTO,
				       "the process at the start gate sent message %d", (int)type);
		started = true;
	}
}

int gate_open(int statefd, struct err *e)
{
	_cleanup_close_ int fd = gate_connect(statefd, 0);
	int r;

	if (fd == -ECONNREFUSED || fd == -ENOENT)
		return err_set(e, ERR_STATE, -fd, "nobody waits at the start gate");
	if (fd < 0)
		return err_sys(e, fd, "connect to the start gate");
	r = sync_send(fd, SYNC_START, 0, -1, e);
	if (r == -EPIPE || r == -ECONNRESET) {
		/* Refused before we spoke: perhaps it said why. */
		enum sync_type type;

		r = read_message(fd, &type, e);
		return r < 0 ? r : err_set(e, ERR_STATE, EPIPE, "the start gate closed");
	}
	return r < 0 ? r : read_answer(fd, e);
}

/* ---- the host process's side ---- */

static int peer_uid(int fd, uid_t *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*ret = cred.uid;
	return 0;
}

/* Only who made the gate, or root. */
static bool is_entitled(int gate_fd, int peer_fd)
{
	uid_t owner = (uid_t)-1, peer = (uid_t)-1;

	if (peer_uid(gate_fd, &owner) < 0 || peer_uid(peer_fd, &peer) < 0)
		return false;
	return peer == owner || peer == 0;
}

static void refuse(int fd)
{
	struct err why = ERR_INIT;

	err_set(&why, ERR_STATE, EPERM, "the start gate belongs to another user");
	sync_send_error(fd, &why);
}

int gate_accept(int gate_fd, struct err *e)
{
	_cleanup_close_ int fd = accept4(gate_fd, NULL, NULL, SOCK_CLOEXEC);
	struct pollfd p = {.events = POLLIN};
	enum sync_type type;

	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return err_sys(e, EAGAIN, "nobody at the start gate");
	if (fd < 0)
		return err_sys(e, errno, "accept at the start gate");
	if (!is_entitled(gate_fd, fd)) {
		refuse(fd);
		return err_sys(e, EAGAIN, "a stranger at the start gate");
	}
	/* It sends its order right after connect(); one that only looked whether we are here has
	 * closed already. */
	p.fd = fd;
	if (poll(&p, 1, GREETING_MSEC) <= 0 ||
	    sync_recv(fd, "a visitor", &type, NULL, NULL, NULL) < 0 || type != SYNC_START)
		return err_sys(e, EAGAIN, "a visitor of the start gate without an order");
	return TAKE_FD(fd);
}

/* One message on the synchronisation channel while waiting. Returns 1 when it was the start. */
static int take_sync(int sync_fd, bool *committed, bool *gone, struct err *e)
{
	enum sync_type type;
	int r;

	r = sync_recv(sync_fd, "the creator", &type, NULL, NULL, e);
	if (r == -EPIPE && *committed) {
		err_clear(e);
		*gone = true;
		return 0;
	}
	if (r < 0)
		return r;
	if (type == SYNC_START)
		return 1;
	if (type != SYNC_COMMIT)
		return err_set(e, ERR_INTERNAL, EPROTO, "the creator sent message %d out of turn",
			       (int)type);
	*committed = true;
	return 0;
}

int gate_wait(int gate_fd, int sync_fd, struct err *e)
{
	struct pollfd p[2] = {
		{.fd = gate_fd, .events = POLLIN},
		{.fd = sync_fd, .events = POLLIN},
	};
	bool committed = sync_fd < 0, gone = false;
	int r;

	for (;;) {
		if (p[0].fd < 0 && p[1].fd < 0)
			return err_set(e, ERR_INTERNAL, EPIPE, "nobody is left to order the start");
		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, errno, "wait at the start gate");
		}
		if ((p[0].revents | p[1].revents) & POLLNVAL)
			return err_sys(e, EBADF, "wait at the start gate");
		if (p[1].revents) {
			r = take_sync(sync_fd, &committed, &gone, e);
			if (r != 0)
				return r < 0 ? r : sync_fd;
			if (gone)
				p[1].fd = -1;
		}
		if (p[0].revents) {
			r = gate_accept(gate_fd, e);
			if (r != -EAGAIN)
				return r;
			err_clear(e);
		}
	}
}
