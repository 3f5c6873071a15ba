/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pausing and resuming. The saved status follows, but what counts is whether the cgroup is frozen:
 * see state_status().
 */
#include <errno.h>

#include "base/sync.h"
#include "sandbox.h"

static int pause_locked(struct sandbox *s, struct err *e)
{
	enum rt_status status = sandbox_status(s);
	int r;

	if (status != RT_RUNNING && status != RT_CREATED)
		return err_set(e, ERR_STATE, EINVAL, "container not running or created: %s",
			       rt_status_name(status));
	r = s->driver->pause(s, e);
	return r < 0 ? r : sandbox_save(s, RT_PAUSED, e);
}

static int resume_locked(struct sandbox *s, struct err *e)
{
	enum rt_status status = sandbox_status(s);
	int r;

	if (status != RT_PAUSED)
		return err_set(e, ERR_STATE, EINVAL, "container not paused: %s",
			       rt_status_name(status));
	r = s->driver->resume(s, e);
	if (r < 0)
		return r;
	return sandbox_save(s, gate_is_waiting(s->dir.fd) ? RT_CREATED : RT_RUNNING, e);
}

static int with_lock(struct sandbox *s, const char *verb,
		     int (*step)(struct sandbox *s, struct err *e), struct err *e)
{
	int r = sandbox_lock(s, e);

	if (r == 0)
		r = driver_check_verb(s->driver, verb, e);
	if (r == 0)
		r = step(s, e);
	sandbox_unlock(s);
	return r < 0 ? err_wrap(e, "%s '%s'", verb, s->dir.id) : 0;
}

int rt_pause(struct sandbox *s, struct err *e)
{
	return with_lock(s, "pause", pause_locked, e);
}

int rt_resume(struct sandbox *s, struct err *e)
{
	return with_lock(s, "resume", resume_locked, e);
}
