/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following a sandbox: statistics at intervals, out-of-memory kills as they happen, until it ends. Also the list of
 * its processes.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox.h"
#include "state_internal.h"

struct follower {
	struct sandbox *s;
	rt_event_fn event;
	void *arg;
	int timer, oom;
	uint64_t oom_kills;
};

static int start_timer(unsigned interval_sec, struct err *e)
{
	const struct itimerspec when = {.it_interval.tv_sec = interval_sec, .it_value.tv_nsec = 1};
	_cleanup_close_ int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, 0, &when, NULL) < 0)
		return err_sys(e, errno, "start a timer");
	return TAKE_FD(fd);
}

/* v1 tells at the beginning of the kill, when nothing is counted yet: so the counter is asked at every turn. */
static int look_for_kills(struct follower *f)
{
	uint64_t now;

	if (f->oom < 0)
		return 0;
	cg_oom_watch_clear(f->oom);
	now = cg_oom_kills(f->s->cgroup);
	if (now <= f->oom_kills)
		return 0;
	f->oom_kills = now;
	return f->event(f->arg, "oom", NULL);
}

static int on_timer(struct follower *f, struct err *e)
{
	_cleanup_json_ struct json *data = NULL;
	uint64_t expirations;
	int r;

	(void)!read(f->timer, &expirations, sizeof(expirations));
	r = rt_stats_json(f->s, &data, e);
	return r < 0 ? r : f->event(f->arg, "stats", data);
}

static int follow(struct follower *f, struct err *e)
{
	struct pollfd p[] = {
		{.fd = f->s->pidfd, .events = POLLIN},
		{.fd = f->timer, .events = POLLIN},
		{.fd = f->oom, .events = POLLIN},
	};
	int r = 0;

	while (r == 0) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, errno, "wait for events");
		}
		/* First: a kill is often the last that happens. */
		r = look_for_kills(f);
		if (r == 0 && p[0].revents)
			return 0;
		if (r == 0 && p[1].revents)
			r = on_timer(f, e);
	}
	/* The group can be gone a moment before its last process is. */
	return r == -ENOENT && pidfd_has_ended(f->s->pidfd) ? 0 : r;
}

int rt_events(struct sandbox *s, unsigned interval_sec, rt_event_fn event, void *arg, struct err *e)
{
	_cleanup_close_ int timer = -1, oom = -1;
	struct follower f = {.s = s, .event = event, .arg = arg};
	int r = driver_check_verb(s->driver, "events", e);

	if (r == 0 && (s->pidfd < 0 || sandbox_status(s) == RT_STOPPED))
		r = err_set(e, ERR_STATE, EINVAL, "container not running");
	if (r == 0)
		r = timer = start_timer(interval_sec, e);
	if (r >= 0 && sandbox_has_cgroup(s)) {
		/* Without a memory controller nobody is killed by its limit. */
		oom = cg_oom_watch(s->cgroup, NULL);
		f.oom_kills = cg_oom_kills(s->cgroup);
	}
	f.timer = timer;
	f.oom = oom;
	if (r >= 0)
		r = follow(&f, e);
	return r < 0 ? err_wrap(e, "events of '%s'", s->dir.id) : r;
}

static int by_number(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

int rt_pids(struct sandbox *s, pid_t **ret, size_t *ret_n, struct err *e)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r = driver_check_verb(s->driver, "ps", e);

	if (r == 0 && sandbox_status(s) == RT_STOPPED)
		r = err_set(e, ERR_STATE, EINVAL, "container not running");
	if (r == 0 && !sandbox_has_cgroup(s)) {
		err_unsupported(e, "the sandbox has no cgroup of its own to list");
		r = err_hint(e, "have the cgroup controllers delegated to this user");
	}
	if (r == 0)
		r = cg_pids(s->cgroup, &pids, &n, e);
	if (r < 0)
		return err_wrap(e, "processes of '%s'", s->dir.id);
	qsort(pids, n, sizeof(*pids), by_number);
	*ret = TAKE_PTR(pids);
	*ret_n = n;
	return 0;
}
