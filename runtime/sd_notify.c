/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service manager's NOTIFY_SOCKET, as runc made it customary. The container gets a socket of its own, /run/notify/notify.sock:
 * the directory is made and mounted (read-only) at the creation, and whoever starts the container binds the socket in it and
 * hands on what comes (sd_notify_message.c says what). `start` and a detached `run` wait for READY=1 or for the
 * end, and make the container's first process the service's main one; a `run` that stays does so as long as it stays.
 *
 * Of a container's datagram only the data is received, so descriptors that come with it are closed by the kernel; what is too
 * long is dropped. Nothing here waits for the container, and for the manager only where we are about to go: it must have
 * read what we said while it can still see that it was us.
 */
#include "sd_notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "sandbox.h"

#define DIRECTORY "notify"
#define SOCKET    "notify.sock"
#define INSIDE    "/run/notify"

/* As long as libsystemd waits in sd_notify_barrier() where services are told to. */
#define BARRIER_MSEC 30000

/* More than this in a second is not handed on, but for what changes the service's state. */
#define PER_SECOND_MAX 64

struct rt_notify_proxy {
	int listener, manager;
	pid_t main_pid; /* told with READY=1; 0: the manager knows who */
	bool ready;
	time_t second;
	unsigned in_second;
	char pending[SD_NOTIFY_MAX + 64]; /* the manager's queue was full */
	size_t pending_len;
};

/* ---- at the creation ------------------------------------------------------------------------ */

static int add_mount(struct iso_config *c, const char *source, struct err *e)
{
	struct iso_mount *v = realloc(c->mounts, (c->n_mounts + 1) * sizeof(*v));

	if (!v)
		return err_nomem(e);
	c->mounts = v;
	v[c->n_mounts] = (struct iso_mount){
		.destination = strdup(INSIDE),
		.source = strdup(source),
		.flags = ISO_MOUNT_BIND,
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC,
		.source_fd = -1,
	};
	c->n_mounts++;
	return v[c->n_mounts - 1].destination && v[c->n_mounts - 1].source ? 0 : err_nomem(e);
}

int sd_notify_plan(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	_cleanup_free_ char *source = NULL;
	int r;

	if (!c->request->notify)
		return 0;
	r = driver_check_verb(s->driver, "NOTIFY_SOCKET", e);
	if (r < 0)
		return err_hint(e, "unset the environment variable NOTIFY_SOCKET");
	if (str_printf(&source, "%s/%s/" DIRECTORY, c->ctx->root, c->request->id) < 0 ||
	    strv_env_set(&s->config.process.env, "NOTIFY_SOCKET=" INSIDE "/" SOCKET) < 0)
		return err_nomem(e);
	s->notify = true;
	return add_mount(&s->config.isolation, source, e);
}

/* The last mount of the configuration is ours. A container's init in a user namespace cannot walk to the directory, which lies
 * in one of root's alone: it gets the mount itself. */
int sd_notify_make_directory(struct sandbox *s, struct err *e)
{
	struct iso_config *c = &s->config.isolation;
	int r;

	if (!s->notify)
		return 0;
	r = path_mkdir_at(s->dir.fd, DIRECTORY, 0755, e);
	if (r < 0)
		return r;
	if (geteuid() != 0 || c->ns[ISO_NS_USER].mode == ISO_NS_INHERIT)
		return 0;
	r = iso_mount_open_tree(c->mounts[c->n_mounts - 1].source, e);
	if (r < 0)
		return r;
	c->mounts[c->n_mounts - 1].source_fd = r;
	return 0;
}

/* ---- the two sockets ------------------------------------------------------------------------ */

/* "/path" or "@abstract". */
static int connect_manager(const char *address, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -EBADF;
	size_t len = strlen(address);

	if ((address[0] != '/' && address[0] != '@') || !address[1] || len >= sizeof(a.sun_path)) {
		err_invalid(e,
			    "environment variable NOTIFY_SOCKET: '%s' is no address that we "
			    "can speak to",
			    address);
		return err_hint(e, "an absolute path, or @ and an abstract name");
	}
	memcpy(a.sun_path, address, len + 1);
	if (address[0] == '@')
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
					  (address[0] == '/'))) < 0)
		return err_sys(e, errno, "the service manager's socket '%s'", address);
	return TAKE_FD(fd);
}

/* Everybody in the container may speak. By descriptor: it is the socket that we made, whatever lies there by then. */
static int open_to_all(int dir, struct err *e)
{
	_cleanup_close_ int fd = path_open_in_root(dir, SOCKET, O_PATH | O_NOFOLLOW, 0, e);
	char name[PATH_FD_MAX];
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
		return err_set(e, ERR_STATE, EEXIST, "'" SOCKET "' is not the socket just made");
	return chmod(path_of_fd(fd, name), 0777) < 0 ? err_sys(e, errno, "open it to all") : 0;
}

static int bind_listener(int dir, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -EBADF;
	char name[PATH_FD_MAX];
	int r = path_unlink_at(dir, SOCKET, e); /* of a start that failed */

	if (r < 0)
		return r;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/" SOCKET, path_of_fd(dir, name));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, errno, "bind '" SOCKET "'");
	r = open_to_all(dir, e);
	return r < 0 ? r : TAKE_FD(fd);
}

const char *rt_notify_address(void)
{
	const char *address = getenv("NOTIFY_SOCKET");

	return address && *address ? address : NULL;
}

int rt_notify_open(struct sandbox *s, const char *address, struct rt_notify_proxy **ret,
		   struct err *e)
{
	_cleanup_close_ int dir = -EBADF, manager = -EBADF;
	struct rt_notify_proxy *n;
	int r;

	*ret = NULL;
	if (!address)
		return 0;
	dir = path_open_in_root(s->dir.fd, DIRECTORY, O_PATH | O_DIRECTORY, 0, NULL);
	if (dir == -ENOENT)
		return 0; /* the container was created without */
	manager = connect_manager(address, e);
	if (manager < 0)
		return manager;
	r = dir < 0 ? err_sys(e, dir, "open '" DIRECTORY "'") : bind_listener(dir, e);
	if (r < 0)
		return err_wrap(e, "notifications of '%s'", s->dir.id);
	n = calloc(1, sizeof(*n));
	if (!n) {
		fd_close(r);
		return err_nomem(e);
	}
	n->listener = r;
	n->manager = TAKE_FD(manager);
	*ret = n;
	return 0;
}

void rt_notify_close(struct rt_notify_proxy *n)
{
	if (!n)
		return;
	fd_close(n->listener);
	fd_close(n->manager);
	free(n);
}

/* ---- handing on ------------------------------------------------------------------------------ */

/* False: its queue is full. What it does not want otherwise is lost, as it is for any service. */
static bool flush(struct rt_notify_proxy *n)
{
	if (n->pending_len && send(n->manager, n->pending, n->pending_len, MSG_NOSIGNAL) < 0 &&
	    errno == EAGAIN)
		return false;
	n->pending_len = 0;
	return true;
}

static bool too_many(struct rt_notify_proxy *n)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != n->second) {
		n->second = now.tv_sec;
		n->in_second = 0;
	}
	return ++n->in_second > PER_SECOND_MAX;
}

struct pollfd rt_notify_poll(const struct rt_notify_proxy *n)
{
	if (!n)
		return (struct pollfd){.fd = -1};
	if (n->pending_len)
		return (struct pollfd){.fd = n->manager, .events = POLLOUT};
	return (struct pollfd){.fd = n->listener, .events = POLLIN};
}

bool rt_notify_handle(struct rt_notify_proxy *n)
{
	char data[SD_NOTIFY_MAX];
	bool ready = false;
	ssize_t len;

	if (!n || !flush(n))
		return false;
	/* MSG_TRUNC: the true length, so that one which was cut is known. */
	len = recv(n->listener, data, sizeof(data), MSG_TRUNC);
	if (len <= 0 || (size_t)len > sizeof(data))
		return len >= 0;
	n->pending_len =
		sd_notify_filter(data, (size_t)len, n->ready ? 0 : n->main_pid, n->pending, &ready);
	if (too_many(n) && !ready)
		n->pending_len = 0;
	n->ready |= ready;
	return flush(n);
}

/* It has read what came before when it closes this pipe. Spec: sd_notify(3), "BARRIER=1". */
static void barrier(struct rt_notify_proxy *n)
{
	static const char text[] = "BARRIER=1";
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	if (fd_set_nonblock(n->manager, false) == 0) {
		char control[CMSG_SPACE(sizeof(int))] = {0};
		struct iovec iov = {(void *)text, sizeof(text) - 1};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control)};
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		struct pollfd closed = {.fd = ends[0]};
		struct timeval limit = {.tv_sec = BARRIER_MSEC / 1000};

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &ends[1], sizeof(int));
		(void)setsockopt(n->manager, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		if (sendmsg(n->manager, &msg, MSG_NOSIGNAL) >= 0) {
			ends[1] = fd_close(ends[1]);
			(void)poll(&closed, 1, BARRIER_MSEC);
		}
	}
	fd_close(ends[0]);
	fd_close(ends[1]);
}

int rt_notify_wait(struct rt_notify_proxy *n, struct sandbox *s, struct err *e)
{
	if (!n)
		return 0;
	n->main_pid = s->state.host.pid;
	while (!n->ready || n->pending_len) {
		struct pollfd v[] = {rt_notify_poll(n), {.fd = s->pidfd, .events = POLLIN}};

		if (poll(v, ARRAY_SIZE(v), -1) < 0 && errno != EINTR)
			return err_sys(e, errno, "wait for the container's READY=1");
		if (v[0].revents)
			rt_notify_handle(n);
		else if (v[1].revents)
			return 0; /* it ended, and said nothing more */
	}
	barrier(n);
	return 0;
}
