/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freezing, and waiting for what a group reports. v2 notifies through cgroup.events (poll(2)); v1
 * has no notification, so there the state is read again after a growing delay.
 * Source: Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst; cgroup-v2.rst "cgroup.freeze".
 */
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "base/cleanup.h"
#include "base/fd.h"

#define FREEZE_TIMEOUT_USEC INT64_C(2000000)

int64_t cg_now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

bool cg_backoff(int64_t deadline_usec, unsigned *round)
{
	int64_t left = deadline_usec - cg_now_usec();
	int64_t usec = INT64_C(500) << (*round < 7 ? *round : 7);

	if (left <= 0)
		return false;
	if (usec > 50000)
		usec = 50000;
	if (usec > left)
		usec = left;
	(*round)++;
	nanosleep(&(struct timespec){.tv_nsec = usec * 1000}, NULL);
	return true;
}

int cg_events_wait(int dirfd, const char *key, uint64_t want, int64_t deadline_usec, struct err *e)
{
	_cleanup_close_ int fd = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "open 'cgroup.events'");
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLPRI};
		int64_t left;
		uint64_t value;
		char buf[256];
		/* Reading arms the notification, so nothing is lost between read and poll. */
		ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read 'cgroup.events'");
		buf[n] = '\0';
		if (!cg_text_key(buf, key, &value))
			return err_unsupported(e, "'cgroup.events' of this kernel has no '%s'",
					       key);
		if (value == want)
			return 0;
		left = deadline_usec - cg_now_usec();
		if (left <= 0)
			return err_sys(e, ETIMEDOUT, "wait for '%s %u' in 'cgroup.events'", key,
				       (unsigned)want);
		if (poll(&p, 1, (int)(left / 1000) + 1) < 0 && errno != EINTR)
			return err_sys(e, errno, "poll 'cgroup.events'");
	}
}

int cg_freeze_v1(const struct cg_dir *d, bool frozen, struct err *e)
{
	const char *want = frozen ? "FROZEN" : "THAWED";
	int64_t deadline = cg_now_usec() + FREEZE_TIMEOUT_USEC;
	unsigned round = 0;

	for (;;) {
		char state[32];
		/* Written again each time: a process that forked while FREEZING is only caught by
		 * another try. */
		int r = cg_file_write(d->fd, "freezer.state", want, e);

		if (r == 0)
			r = cg_file_read(d->fd, "freezer.state", state, sizeof(state), e);
		if (r < 0)
			return r;
		if (STREQ(state, want))
			return 0;
		if (cg_backoff(deadline, &round))
			continue;
		/* Half frozen is worse than running. */
		if (frozen)
			cg_file_write(d->fd, "freezer.state", "THAWED", NULL);
		err_sys(e, ETIMEDOUT, "wait for %s in 'freezer.state', which stays %s", want,
			state);
		return err_hint(e, frozen ? "a process is in uninterruptible sleep"
					  : "a parent group is frozen");
	}
}

bool cg_is_frozen_v1(const struct cg_dir *d)
{
	char state[32];

	return cg_file_read(d->fd, "freezer.state", state, sizeof(state), NULL) == 0 &&
	       STREQ(state, "FROZEN");
}

int cg_freeze_v2(const struct cg_dir *d, bool frozen, struct err *e)
{
	int64_t deadline = cg_now_usec() + FREEZE_TIMEOUT_USEC;
	int r = cg_file_write(d->fd, "cgroup.freeze", frozen ? "1" : "0", e);

	if (r < 0)
		return r;
	r = cg_events_wait(d->fd, "frozen", frozen, deadline, e);
	if (r == -ETIMEDOUT) {
		if (frozen)
			cg_file_write(d->fd, "cgroup.freeze", "0", NULL);
		err_hint(e, frozen ? "a process is in uninterruptible sleep"
				   : "a parent group is frozen");
	}
	return r;
}

bool cg_is_frozen_v2(const struct cg_dir *d)
{
	char events[256];
	uint64_t frozen = 0;

	return cg_file_read(d->fd, "cgroup.events", events, sizeof(events), NULL) == 0 &&
	       cg_text_key(events, "frozen", &frozen) && frozen == 1;
}

int cg_freeze(struct cgroup *g, bool frozen, struct err *e)
{
	const struct cg_dir *d = cg_group_dir(g, CG_CTL_FREEZER);
	int r;

	if (!d) {
		err_unsupported(e, "%s: the sandbox has no cgroup with a freezer",
				frozen ? "pause" : "resume");
		return err_hint(e, "run as root, or with a delegated cgroup v2");
	}
	r = d->hier->ops->freeze(d, frozen, e);
	if (r < 0)
		err_wrap(e, "%s cgroup '%s'", frozen ? "freeze" : "thaw", g->path);
	return r;
}

bool cg_is_frozen(struct cgroup *g)
{
	const struct cg_dir *d = cg_group_dir(g, CG_CTL_FREEZER);

	return d && d->hier->ops->is_frozen(d);
}

static const struct cg_hier *freezer_of(const struct cg_host *h)
{
	const struct cg_hier *v2 = NULL;

	for (size_t i = 0; i < h->n_hier; i++) {
		if (h->hier[i].v2)
			v2 = &h->hier[i];
		else if (h->hier[i].controllers & CG_BIT(CG_CTL_FREEZER))
			return &h->hier[i];
	}
	return v2;
}

bool cg_path_is_frozen(struct cg_host *h, const char *path)
{
	const struct cg_hier *hier = freezer_of(h);
	struct cg_dir d = {.hier = hier, .fd = -EBADF};
	bool frozen;

	if (!hier || cg_path_check(path, NULL) < 0)
		return false;
	d.fd = cg_dir_open_at(hier->root_fd, cg_path_below(hier, path), NULL);
	frozen = d.fd >= 0 && hier->ops->is_frozen(&d);
	fd_close(d.fd);
	return frozen;
}
