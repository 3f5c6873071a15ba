/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.terminal and process.consoleSize, through a console socket as engines use it; /dev/console.
 */
#include "suite.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_at(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4) < 0)
		check_fail("fixture: %s: %s", path, strerror(errno));
	return fd;
}

/* The descriptor that came with the message, and the message. */
static int receive(int listener, char *text, size_t size)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = {text, size - 1};
	struct msghdr m = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int master = -1;

	if (poll(&p, 1, 60000) != 1)
		check_fail("nobody connects to the console socket");
	int fd = accept(listener, NULL, NULL);
	ssize_t n = recvmsg(fd, &m, 0);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	close(fd);
	if (n < 0 || !c || c->cmsg_type != SCM_RIGHTS)
		check_fail("no descriptor comes through the console socket");
	text[n] = '\0';
	memcpy(&master, CMSG_DATA(c), sizeof(master));
	return master;
}

/* All that the container writes until its end. Terminals end lines with \r\n. */
static char *read_all(int master)
{
	char *text = calloc(1, 65536), *to = text;
	size_t len = 0;

	for (;;) {
		struct pollfd p = {.fd = master, .events = POLLIN};

		if (poll(&p, 1, 60000) != 1)
			check_fail("the terminal stays open and silent");
		ssize_t n = read(master, text + len, 65535 - len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	for (const char *p = text; *p; p++)
		if (*p != '\r')
			*to++ = *p;
	*to = '\0';
	return text;
}

/* The report of a container with a terminal. The inspector ends at once, but not before all is read. */
static char *report_through_terminal(struct box *b, const char *const *changes, char *message,
				     size_t size)
{
	char path[160];
	int listener, master;

	box_bundle(b, LIST("process.terminal", "true", "process.args",
			   "[\"/inspect\", \"stat\", \"/dev/console\"]"));
	box_change(b, changes);
	snprintf(path, sizeof(path), "%s/console", env.dir);
	unlink(path);
	listener = listen_at(path);
	if (runtime_verb(b->id, LIST("create", "--console-socket", path, "--bundle", b->bundle,
				     b->id)) != 0)
		check_fail("create failed: %s", complaint(b->id));
	master = receive(listener, message, size);
	if (box_start(b) != 0)
		check_fail("start failed");
	return read_all(master);
}

static void report_has(const struct check *c)
{
	static const char *const size[] = {"process.consoleSize",
					   "{\"height\": 33, \"width\": 111}", NULL};
	char message[4096];
	struct box b;

	report_want(report_through_terminal(&b, size, message, sizeof(message)), LIST(c->arg));
}

static void socket_is_needed(const struct check *c)
{
	struct box b;

	(void)c;
	box_bundle(&b, LIST("process.terminal", "true"));
	if (box_create(&b) == 0)
		check_fail("create works without --console-socket");
	box_must_be_gone(&b);
}

static void socket_is_not_taken(const struct check *c)
{
	struct box b;
	char path[160];

	(void)c;
	box_bundle(&b, NULL);
	snprintf(path, sizeof(path), "%s/console", env.dir);
	unlink(path);
	close(listen_at(path));
	if (runtime_verb(b.id,
			 LIST("create", "--console-socket", path, "--bundle", b.bundle, b.id)) == 0)
		check_fail("create takes a console socket without a terminal");
}

static const struct check terminal_checks[] = {
	{"process.terminal", "configProcess", "the three standard streams are a terminal",
	 .run = report_has, .arg = "tty=111"},
	{"process.terminal.controlling", "configProcess",
	 "it is the process's controlling terminal", .run = report_has, .arg = "tty.controlling=1"},
	{"process.terminal.name", "configProcess", "it has a name inside", .run = report_has,
	 .arg = "tty.name"},
	{"process.terminal.console", "DefaultDevices", "/dev/console is there with a terminal",
	 .run = report_has, .arg = "stat /dev/console=c"},
	{"process.terminal.console-mount", "DefaultDevices",
	 "/dev/console is a bind mount of the terminal", .run = report_has,
	 .arg = "mount /dev/console:type=devpts"},
	{"process.consoleSize", "configProcess", "the terminal has the size from its start",
	 .run = report_has, .arg = "tty.size=33x111"},
	{"process.terminal.no-socket", "cli", "create without --console-socket is an error",
	 .run = socket_is_needed},
	{"process.terminal.not-asked", "cli", "--console-socket without a terminal is an error",
	 .run = socket_is_not_taken},
};
CHECKS(terminal_checks);
