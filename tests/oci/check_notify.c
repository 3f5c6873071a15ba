/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCMP_ACT_NOTIFY: the container process state that an agent gets over listenerPath (config-linux.md, The Container
 * Process State).
 */
#include "suite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"

#define NOTIFY                                                                                    \
	"linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": "             \
			 "\"@DIR@/agent\", \"listenerMetadata\":"                                 \
			 " \"opaque\", \"syscalls\": [{\"names\": [\"sched_get_priority_max\"], " \
			 "\"action\": \"SCMP_ACT_NOTIFY\"}]}"

struct agent {
	char state[8192]; /* what came */
	int fds, notify;
	bool closed; /* the connection ended behind it */
};

static int listen_agent(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/agent", env.dir);
	unlink(at.sun_path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4) < 0)
		check_fail("fixture: %s: %s", at.sun_path, strerror(errno));
	return fd;
}

static void take_descriptors(struct msghdr *m, struct agent *a)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		a->fds += (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(&a->notify, CMSG_DATA(c), sizeof(int));
	}
}

static void receive_state(int listener, struct agent *a)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};
	size_t len = 0;

	if (poll(&p, 1, 60000) != 1)
		check_fail("the runtime does not connect to the agent");
	int fd = accept(listener, NULL, NULL);

	for (;;) {
		char control[CMSG_SPACE(sizeof(int) * 8)];
		struct iovec part = {a->state + len, sizeof(a->state) - 1 - len};
		struct msghdr m = {.msg_iov = &part,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};

		p.fd = fd;
		if (poll(&p, 1, 10000) != 1)
			return;
		ssize_t n = recvmsg(fd, &m, 0);

		if (n <= 0)
			break;
		take_descriptors(&m, a);
		len += (size_t)n;
	}
	a->closed = true;
	close(fd);
}

/* The agent answers every call with error 99, as long as the check lives. */
static void answer(int notify)
{
	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct seccomp_notif *request = calloc(1, 4096);
		struct seccomp_notif_resp *response = calloc(1, 4096);

		if (ioctl(notify, SECCOMP_IOCTL_NOTIF_RECV, request) < 0)
			_exit(0);
		response->id = request->id;
		response->error = -99;
		ioctl(notify, SECCOMP_IOCTL_NOTIF_SEND, response);
		free(request);
		free(response);
	}
}

/* Some runtimes connect at create, some at start; the agent must listen all the time. */
static void start_with_agent(struct box *b, struct agent *a)
{
	static const char *const changes[] = {
		NOTIFY, "process.args",
		"[\"/inspect\", \"call\", \"sched_get_priority_max\", \"0\"]", NULL};
	int listener;

	box_bundle(b, changes);
	listener = listen_agent();
	pid_t pid = fork();

	if (pid == 0) {
		if (box_create(b) == 0)
			box_start(b);
		_exit(0);
	}
	*a = (struct agent){.notify = -1};
	receive_state(listener, a);
	if (a->notify >= 0)
		answer(a->notify);
}

/* A member of the state: "a.b". */
static char *member(const char *text, const char *path)
{
	struct json *document = NULL;
	struct err e = ERR_INIT;
	struct json_at levels[4];
	char *words = strdup(path), *save = NULL, *value = NULL;
	size_t len, n = 0;

	if (json_parse(text, strlen(text), "the agent's state", &document, &e) < 0)
		check_fail("%.150s", e.text);
	levels[0] = json_top(document);
	for (char *w = strtok_r(words, ".", &save); w; w = strtok_r(NULL, ".", &save), n++)
		if (!json_member(&levels[n], w, &levels[n + 1]))
			check_fail("%s is missing", path);
	if (json_peek_string(&levels[n]))
		return strdup(json_peek_string(&levels[n]));
	json_to_text(levels[n].value, false, &value, &len);
	return value;
}

static void state_has(const struct check *c)
{
	struct box b;
	struct agent a;
	char *value;

	start_with_agent(&b, &a);
	value = member(a.state, c->arg);
	if (c->want && strcmp(value, c->want[0]) != 0)
		check_fail("%s: '%s', wanted '%s'", c->arg, value, c->want[0]);
	if (strcmp(c->arg, "state.id") == 0 && strcmp(value, b.id) != 0)
		check_fail("another container's: %s", value);
	if (strcmp(c->arg, "state.bundle") == 0 && strcmp(value, b.bundle) != 0)
		check_fail("another bundle: %s", value);
	if (strcmp(c->arg, "pid") == 0 && atoi(value) <= 0)
		check_fail("pid %s", value);
}

static void descriptor_works(const struct check *c)
{
	struct box b;
	struct agent a;

	(void)c;
	start_with_agent(&b, &a);
	if (a.fds != 1)
		check_fail("%d descriptors came", a.fds);
	box_await_line(&b, "call sched_get_priority_max 0=EADDRNOTAVAIL");
}

static void connection_ends(const struct check *c)
{
	struct box b;
	struct agent a;

	(void)c;
	start_with_agent(&b, &a);
	if (!a.closed)
		check_fail("the connection stays open");
	free(member(a.state, "ociVersion")); /* one document, or it does not parse */
}

static void no_agent(const struct check *c)
{
	struct box b;

	(void)c;
	box_bundle(&b, LIST(NOTIFY));
	if (box_create(&b) == 0 && box_start(&b) == 0)
		check_fail("accepted");
}

#define STATE(member, ...)                                                       \
	{                                                                        \
		"linux.seccomp.notify." member, "containerprocessstate", member, \
			.run = state_has, .arg = member, __VA_ARGS__             \
	}

static const struct check notify_checks[] = {
	{"linux.seccomp.notify", "configLinuxSeccompListener",
	 "one descriptor comes, and answers decide the calls", .run = descriptor_works},
	{"linux.seccomp.notify.once", "configLinuxSeccompListener",
	 "one state in a connection, which is closed behind it", .run = connection_ends},
	{"linux.seccomp.notify.no-agent", "configLinuxSeccompListener", "nobody listens: an error",
	 .run = no_agent},
	STATE("ociVersion", ),
	STATE("fds", .want = LIST("[\"seccompFd\"]")),
	STATE("pid", ),
	STATE("metadata", .want = LIST("opaque")),
	STATE("state.id", ),
	STATE("state.bundle", ),
	STATE("state.status", ),
	STATE("state.ociVersion", ),
};
CHECKS(notify_checks);
