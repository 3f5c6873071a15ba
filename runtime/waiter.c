/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for the end of a sandbox that is not ours (runtime/attach.h).
 *
 * With a monitor: connect to it while holding the lock. The monitor notes the end under that lock, and only then
 * sends the code to everybody connected; so while we hold the lock and the state says that it has not ended, a
 * connection is certain to be told, whatever happens to the sandbox's files.
 *
 * Without one (a run in the foreground, an engine's, a monitor that was killed): the host process's end is seen by its
 * pidfd. Its exit code is what its parent saves, which inotify tells, or what a kernel since 6.15 keeps with
 * the pidfd of a reaped process. A parent that saves nothing within NOTE_MSEC is none that does.
 */
#include <errno.h>
#include <linux/types.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "attach_wire.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "runtime/attach.h"
#include "sandbox.h"

#define NOTE_MSEC 2000

/* linux/pidfd.h since 6.13; the exit code since 6.15. */
struct pidfd_end {
	__u64 mask, cgroup;
	__u32 ids[11];
	__s32 wait_status;
};
_Static_assert(sizeof(struct pidfd_end) == 64, "struct pidfd_info of the first version");
#define PIDFD_END_GET  _IOWR(0xFF, 11, struct pidfd_end)
#define PIDFD_END_EXIT (1u << 3)

struct rt_waiter {
	struct state_dir dir;
	int epoll, socket, inotify, host, timer;
	bool ended, host_ended;
	int exit_code;
};

static int end(struct rt_waiter *w, int exit_code)
{
	w->ended = true;
	w->exit_code = exit_code;
	return 0;
}

static int watch(struct rt_waiter *w, int fd, struct err *e)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return err_sys(e, errno, "wait: watch");
	return 0;
}

/* ---- without a monitor ------------------------------------------------------------------- */

static bool kernel_knows(int pidfd, int *ret_exit_code)
{
	struct pidfd_end info = {.mask = PIDFD_END_EXIT};

	if (pidfd < 0 || ioctl(pidfd, PIDFD_END_GET, &info) < 0 || !(info.mask & PIDFD_END_EXIT))
		return false;
	*ret_exit_code = proc_exit_code(info.wait_status);
	return true;
}

/* Give its parent a moment to note the code. */
static int host_has_ended(struct rt_waiter *w, struct err *e)
{
	const struct itimerspec once = {
		.it_value = {NOTE_MSEC / 1000, (NOTE_MSEC % 1000) * 1000000}};

	if (w->host >= 0)
		(void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, w->host, NULL);
	w->host_ended = true;
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->timer < 0 || timerfd_settime(w->timer, 0, &once, NULL) < 0)
		return err_sys(e, errno, "wait: timer");
	return watch(w, w->timer, e);
}

static int watch_host(struct rt_waiter *w, const struct state *st, struct err *e)
{
	char path[PATH_FD_MAX];
	int r;

	w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->inotify < 0 || inotify_add_watch(w->inotify, path_of_fd(w->dir.fd, path),
						IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) < 0)
		return err_sys(e, errno, "watch the state of '%s'", w->dir.id);
	r = watch(w, w->inotify, e);
	if (r < 0)
		return r;
	if (st->host.pid <= 0)
		return host_has_ended(w, e);
	w->host = proc_open(&st->host, e);
	if (w->host == -ESRCH) {
		err_clear(e);
		return host_has_ended(w, e);
	}
	return w->host < 0 ? w->host : watch(w, w->host, e);
}

/* What was saved since; its own directory is looked at, not its name. */
static int look_at_state(struct rt_waiter *w, struct err *e)
{
	struct state st;
	int code = -1, r = state_load(&w->dir, &st, e);

	if (r == -ENOENT) {
		/* Removed: by somebody who may have ended it first. */
		err_clear(e);
		(void)kernel_knows(w->host, &code);
		state_done(&st);
		return end(w, code);
	}
	if (r < 0)
		return r;
	if (st.saved == RT_STOPPED && st.exit_code < 0)
		(void)kernel_knows(w->host, &st.exit_code);
	if (st.saved == RT_STOPPED)
		end(w, st.exit_code);
	state_done(&st);
	return 0;
}

static int check_host(struct rt_waiter *w, struct err *e)
{
	struct pollfd p = {.fd = w->host, .events = POLLIN};
	char events[2048];
	uint64_t expirations;
	int code = -1, r;

	while (read(w->inotify, events, sizeof(events)) > 0)
		;
	r = look_at_state(w, e);
	if (r < 0 || w->ended)
		return r;
	if (!w->host_ended && w->host >= 0 && poll(&p, 1, 0) > 0)
		return host_has_ended(w, e);
	if (w->host_ended && read(w->timer, &expirations, sizeof(expirations)) > 0) {
		(void)kernel_knows(w->host, &code);
		return end(w, code);
	}
	return 0;
}

/* ---- with one ---------------------------------------------------------------------------- */

/* It died: the sandbox may go on. */
static int monitor_is_gone(struct rt_waiter *w, struct err *e)
{
	struct state st;
	int r;

	w->socket = fd_close(w->socket);
	r = look_at_state(w, e);
	if (r < 0 || w->ended)
		return r;
	r = state_load(&w->dir, &st, e);
	if (r == -ENOENT) {
		state_done(&st);
		err_clear(e);
		return end(w, -1);
	}
	if (r == 0) {
		r = watch_host(w, &st, e);
		state_done(&st);
	}
	return r;
}

static int check_socket(struct rt_waiter *w, struct err *e)
{
	char message[ATTACH_MESSAGE_MAX];
	ssize_t n;

	for (;;) {
		n = recv(w->socket, message, sizeof(message), MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return monitor_is_gone(w, e);
		if (message[0] == ATTACH_EXIT && n == 1 + (ssize_t)sizeof(int32_t)) {
			int32_t code;

			memcpy(&code, message + 1, sizeof(code));
			return end(w, code);
		}
	}
}

/* ---- the whole --------------------------------------------------------------------------- */

/* The lock is held, and the state says that it has not ended. */
static int begin(struct rt_waiter *w, const struct state *st, struct err *e)
{
	uint8_t wishes = 0;

	if (st->monitor.pid > 0)
		w->socket = attach_connect(w->dir.fd, NULL);
	if (w->socket >= 0 && attach_send(w->socket, ATTACH_HELLO, &wishes, 1) == 0)
		return watch(w, w->socket, e);
	w->socket = fd_close(w->socket);
	return watch_host(w, st, e);
}

int rt_waiter_open(struct rt_ctx *ctx, const char *id, struct rt_waiter **ret, struct err *e)
{
	struct rt_waiter *w = calloc(1, sizeof(*w));
	struct err local = ERR_INIT;
	struct state st;
	int r;

	e = e ? e : &local;
	if (!w)
		return err_nomem(e);
	w->dir.fd = w->dir.rootfd = -1;
	w->socket = w->inotify = w->host = w->timer = -1;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	r = w->epoll < 0 ? err_sys(e, errno, "wait: epoll")
			 : state_dir_open(ctx->root, id, true, &w->dir, e);
	if (r == 0) {
		r = state_load(&w->dir, &st, e);
		if (r == -ENOENT) {
			/* Its creator died before the first save. */
			err_clear(e);
			r = end(w, -1);
			state_done(&st);
		} else if (r == 0) {
			r = st.saved == RT_STOPPED ? end(w, st.exit_code) : begin(w, &st, e);
			state_done(&st);
		}
		state_dir_unlock(&w->dir);
	}
	if (r < 0) {
		rt_waiter_close(w);
		return r;
	}
	*ret = w;
	return 0;
}

void rt_waiter_close(struct rt_waiter *w)
{
	if (!w)
		return;
	fd_close(w->socket);
	fd_close(w->inotify);
	fd_close(w->host);
	fd_close(w->timer);
	fd_close(w->epoll);
	state_dir_done(&w->dir);
	free(w);
}

int rt_waiter_fd(const struct rt_waiter *w)
{
	return w->epoll;
}

int rt_waiter_check(struct rt_waiter *w, int *ret_exit_code, struct err *e)
{
	struct err local = ERR_INIT;
	int r = 0;

	e = e ? e : &local;
	if (!w->ended)
		r = w->socket >= 0 ? check_socket(w, e) : check_host(w, e);
	if (r < 0)
		return err_wrap(e, "wait for '%s'", w->dir.id);
	if (!w->ended)
		return 0;
	*ret_exit_code = w->exit_code;
	return 1;
}

int rt_waiter_wait(struct rt_waiter *w, int timeout_msec, int *ret_exit_code, struct err *e)
{
	for (;;) {
		struct pollfd p = {.fd = w->epoll, .events = POLLIN};
		int n, r = rt_waiter_check(w, ret_exit_code, e);

		if (r != 0)
			return r < 0 ? r : 0;
		/* The time is for the whole; only a monitor's death makes a second round. */
		n = poll(&p, 1, timeout_msec);
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "wait for '%s'", w->dir.id);
		if (n == 0)
			return err_set(e, ERR_STATE, ETIMEDOUT,
				       "wait for '%s': it has not ended in time", w->dir.id);
	}
}

int rt_wait_for(struct rt_ctx *ctx, const char *id, int *ret_exit_code, struct err *e)
{
	_cleanup_waiter_ struct rt_waiter *w = NULL;
	int r = rt_waiter_open(ctx, id, &w, e);

	return r < 0 ? r : rt_waiter_wait(w, -1, ret_exit_code, e);
}
