/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speaks to a service manager as a service would, a datagram for each word: say WORD… to $NOTIFY_SOCKET. "-fd" sends the next
 * one with a descriptor of ours, "-long" the next one with 5,000 bytes behind it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int say(int fd, const char *text, size_t len, int passed)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {(void *)text, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (passed >= 0) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &passed, sizeof(int));
	}
	return sendmsg(fd, &msg, 0) < 0 ? (perror("say"), 1) : 0;
}

int main(int argc, char **argv)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!path || strlen(path) >= sizeof(a.sun_path))
		return 2;
	memcpy(a.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return perror(path), 1;
	for (int i = 1; i < argc; i++) {
		static char text[8192];
		bool pass = strcmp(argv[i], "-fd") == 0, is_long = strcmp(argv[i], "-long") == 0;
		size_t n;

		if ((pass || is_long) && ++i == argc)
			return 2;
		n = (size_t)snprintf(text, 2048, "%s", argv[i]);
		if (is_long) {
			memset(text + n, 'x', 5000);
			n += 5000;
		}
		if (say(fd, text, n, pass ? STDERR_FILENO : -1))
			return 1;
	}
	return 0;
}
