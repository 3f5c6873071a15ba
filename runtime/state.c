/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a sandbox: the structure, its saved status, and what is true now. A saved status
 * is only what somebody wrote last; that somebody may have been killed since, so the truth is looked
 * up in the kernel: the host process (by pid and start time), the gate, the freezer.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sync.h"
#include "cgroups/cgroup.h"
#include "runtime/state.h"
#include "state_internal.h"

static const char *const status_names[] = {
	[RT_CREATING] = "creating", [RT_CREATED] = "created", [RT_RUNNING] = "running",
	[RT_PAUSED] = "paused",     [RT_STOPPED] = "stopped",
};
_Static_assert(ARRAY_SIZE(status_names) == RT_STATUS_COUNT, "a name for every status");

const char *rt_status_name(enum rt_status s)
{
	if ((unsigned)s >= RT_STATUS_COUNT)
		return "unknown";
	return status_names[s];
}

int rt_status_parse(const char *name, enum rt_status *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(status_names); i++)
		if (STREQ(name, status_names[i])) {
			*ret = (enum rt_status)i;
			return 0;
		}
	return -EINVAL;
}

void state_init(struct state *s)
{
	memset(s, 0, sizeof(*s));
	s->saved = RT_CREATING;
	s->exit_code = -1;
	s->stop_timeout_sec = -1;
}

void state_done(struct state *s)
{
	free(s->id);
	free(s->bundle);
	free(s->driver);
	free(s->cgroup_path);
	free(s->scope);
	free(s->rootfs);
	free(s->version);
	free(s->owner);
	strv_free(s->annotations);
	strv_free(s->labels);
	strv_free(s->live_mounts);
	free(s->command);
	free(s->name);
	free(s->image);
	free(s->image_id);
	free(s->storage);
	free(s->stop_signal);
	free(s->log_driver);
	free(s->log_error);
	state_init(s);
}

/* Its creator holds the lock from the directory on until the host process is recorded. So a free lock
 * and still no host process: the creator has died. Read again under the lock, since it may just have
 * been recorded. */
static bool creator_is_at_work(const struct state_dir *d)
{
	struct state now;
	bool recorded;

	state_init(&now);
	if (flock(d->fd, LOCK_SH | LOCK_NB) < 0)
		return true;
	recorded = state_load(d, &now, NULL) == 0 && now.host.pid > 0;
	(void)flock(d->fd, LOCK_UN);
	state_done(&now);
	return recorded;
}

/* No host process (yet, or any more). */
static enum rt_status status_without_host(const struct state_dir *d, const struct state *s)
{
	if (s->saved == RT_CREATING && s->host.pid == 0 && !d->locked && creator_is_at_work(d))
		return RT_CREATING;
	return RT_STOPPED;
}

static bool is_frozen(const struct state *s)
{
	_cleanup_(cg_host_freep) struct cg_host *host = NULL;
	_cleanup_(cg_freep) struct cgroup *g = NULL;

	if (!s->cgroup_path || s->cgroup_path[0] == '\0')
		return false;
	if (cg_host_open(&host, NULL) < 0 || cg_open(host, s->cgroup_path, &g, NULL) < 0)
		return false;
	return !cg_is_null(g) && cg_is_frozen(g);
}

bool pidfd_has_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return pidfd < 0 || poll(&p, 1, 0) > 0;
}

enum rt_status state_status_by(const struct state_dir *d, const struct state *s, int pidfd,
			       bool frozen)
{
	if (pidfd_has_ended(pidfd))
		return status_without_host(d, s);
	if (s->saved == RT_CREATING)
		return RT_CREATING;
	if (frozen)
		return RT_PAUSED;
	return gate_is_waiting(d->fd) ? RT_CREATED : RT_RUNNING;
}

enum rt_status state_status(const struct state_dir *d, const struct state *s)
{
	_cleanup_close_ int pidfd = -1;
	bool frozen;

	if (s->host.pid > 0)
		pidfd = proc_open(&s->host, NULL);
	/* Only a live one can be frozen: spare the dead ones the look at the host's cgroups. */
	frozen = pidfd >= 0 && s->saved != RT_CREATING && is_frozen(s);
	return state_status_by(d, s, pidfd, frozen);
}
