/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of insula-systemd, and the placeholder.
 *
 * A scope cannot be made without a process, and a process cannot be born into a group that is not there. So a scope is made around a
 * child of ours that only waits; the host process is then born in its group like in any other, with its limits, and the
 * placeholder goes. It ends with us, and we with the runtime: whoever is killed, systemd is left with an empty scope, which
 * it removes.
 */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/sync.h"
#include "systemd_bus.h"
#include "systemd_request.h"

struct server {
	const struct systemd_request *request;
	sd_bus *bus;
	int sync_fd;
	pid_t placeholder;
};

/* ---- the placeholder ------------------------------------------------------------------------- */

static _Noreturn void wait_for_end(pid_t parent)
{
	sigset_t none;

	(void)!prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* A copy of the channel would hide the program's end from the runtime. */
	(void)!close_range(0, ~0U, 0);
	sigemptyset(&none);
	while (getppid() == parent)
		sigsuspend(&none);
	proc_exit_as(0);
}

static int make_placeholder(struct server *s, struct err *e)
{
	pid_t self = getpid(), pid = proc_clone(0, SIGCHLD, -1, NULL);

	if (pid < 0)
		return err_sys(e, pid, "make the scope's first process");
	if (pid == 0)
		wait_for_end(self);
	s->placeholder = pid;
	return 0;
}

static void drop_placeholder(struct server *s)
{
	int status;

	if (s->placeholder <= 0)
		return;
	kill(s->placeholder, SIGKILL);
	(void)proc_reap(s->placeholder, &status, NULL);
	s->placeholder = 0;
}

/* ---- processes that want in -------------------------------------------------------------------- */

static void pass_credentials(int fd, int on)
{
	(void)!setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

/* Who sent the message that comes next: the kernel tells it in our pid namespace, whatever the sender's is. 0: nobody. */
static pid_t next_sender(int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr hdr = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct ucred who = {0};
	ssize_t n;

	pass_credentials(fd, 1);
	do
		n = recvmsg(fd, &hdr, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&hdr) : NULL; c; c = CMSG_NXTHDR(&hdr, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&who, CMSG_DATA(c), sizeof(who));
	/* The channel's own reader has no room for it. */
	pass_credentials(fd, 0);
	return who.pid;
}

/* Take one message. *ret_more false: the last one. */
static int serve_message(struct server *s, bool *ret_more, struct err *e)
{
	pid_t sender = next_sender(s->sync_fd);
	enum sync_type type;
	int r = sync_recv(s->sync_fd, "the runtime", &type, NULL, NULL, e);

	*ret_more = false;
	if (r < 0)
		return r;
	if (type == SYNC_PID && sender > 0) {
		r = systemd_bus_attach(s->bus, s->request, sender, e);
		*ret_more = s->placeholder > 0;
		return r < 0 ? r : sync_send(s->sync_fd, SYNC_READY, 0, -1, e);
	}
	if (type != SYNC_COMMIT || s->placeholder <= 0)
		return err_set(e, ERR_INTERNAL, EPROTO, "unexpected message %d", (int)type);
	drop_placeholder(s);
	r = systemd_bus_set(s->bus, s->request, s->request->late, e);
	return r < 0 ? r : sync_send(s->sync_fd, SYNC_STARTED, 0, -1, e);
}

static int serve_messages(struct server *s, struct err *e)
{
	bool more = true;
	int r = 0;

	while (r == 0 && more)
		r = serve_message(s, &more, e);
	return r;
}

/* ---- verbs ------------------------------------------------------------------------------------- */

static int serve_start(struct server *s, struct err *e)
{
	int r = make_placeholder(s, e);

	if (r == 0)
		r = systemd_bus_start(s->bus, s->request, s->placeholder, e);
	if (r == 0)
		r = sync_send(s->sync_fd, SYNC_HOST_READY, s->placeholder, -1, e);
	if (r == 0)
		r = serve_messages(s, e);
	drop_placeholder(s);
	return r;
}

static int serve_attach(struct server *s, struct err *e)
{
	int r = sync_send(s->sync_fd, SYNC_HOST_READY, 0, -1, e);

	return r < 0 ? r : serve_messages(s, e);
}

static int serve_set(struct server *s, struct err *e)
{
	int r = systemd_bus_set(s->bus, s->request, s->request->properties, e);

	return r < 0 ? r : sync_send(s->sync_fd, SYNC_STARTED, 0, -1, e);
}

static int serve_stop(struct server *s, struct err *e)
{
	int r = systemd_bus_stop(s->bus, s->request, e);

	return r < 0 ? r : sync_send(s->sync_fd, SYNC_STARTED, 0, -1, e);
}

static const struct {
	const char *name;
	int (*serve)(struct server *s, struct err *e);
} verbs[] = {
	{"start", serve_start},
	{"attach", serve_attach},
	{"set", serve_set},
	{"stop", serve_stop},
};

int systemd_serve(const struct systemd_request *r, int sync_fd, struct err *e)
{
	struct server s = {.request = r, .sync_fd = sync_fd};
	int x = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!STREQ(verbs[i].name, r->verb))
			continue;
		x = systemd_bus_open(r->user, &s.bus, e);
		if (x == 0)
			x = verbs[i].serve(&s, e);
		sd_bus_flush_close_unref(s.bus);
		return x;
	}
	return err_invalid(e, "no verb '%s'", r->verb);
}
