/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handing descriptors to an engine: one message with the descriptor as SCM_RIGHTS and a name as data. For a
 * terminal that is the terminal's (conmon and containerd read both).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "sandbox.h"

int rt_send_descriptor(int socket, int fd, const char *name, const char *what, struct err *e)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = (char *)name, .iov_len = strlen(name)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;

	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	do {
		n = sendmsg(socket, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "send %s", what);
	return 0;
}

int console_send(int socket, int master, struct err *e)
{
	char name[128];

	/* An empty message would carry no descriptor, so there is always a name. */
	if (ptsname_r(master, name, sizeof(name)) != 0)
		snprintf(name, sizeof(name), "console");
	return rt_send_descriptor(socket, master, name, "the terminal to the console socket", e);
}
