/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handing a terminal to an engine: its console socket gets one message with the master as
 * SCM_RIGHTS and the name of the terminal as data (conmon and containerd read both).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "sandbox.h"

int console_send(int socket, int master, struct err *e)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char name[128];
	struct iovec iov = {.iov_base = name};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;

	/* An empty message would carry no descriptor, so there is always a name. */
	if (ptsname_r(master, name, sizeof(name)) != 0)
		snprintf(name, sizeof(name), "console");
	iov.iov_len = strlen(name);
	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &master, sizeof(int));
	do {
		n = sendmsg(socket, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "send the terminal to the console socket");
	return 0;
}
