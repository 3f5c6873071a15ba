/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being told of out-of-memory events: v2 changes a file that inotify sees, v1 counts into an eventfd that was
 * registered with the group.
 * Source: Documentation/admin-guide/cgroup-v2.rst "memory.events"; cgroup-v1/memory.rst "OOM control".
 */
#include "backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

int cg_oom_watch_v1(const struct cg_dir *d, struct err *e)
{
	_cleanup_close_ int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	_cleanup_close_ int control =
		openat(d->fd, "memory.oom_control", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[32];
	int r;

	if (event < 0)
		return err_sys(e, errno, "make an event counter");
	if (control < 0)
		return err_sys(e, errno, "open 'memory.oom_control'");
	snprintf(text, sizeof(text), "%d %d", event, control);
	r = cg_file_write(d->fd, "cgroup.event_control", text, e);
	return r < 0 ? r : TAKE_FD(event);
}

int cg_oom_watch_v2(const struct cg_dir *d, struct err *e)
{
	_cleanup_close_ int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[64];

	if (notify < 0)
		return err_sys(e, errno, "make a watch");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/memory.events", d->fd);
	if (inotify_add_watch(notify, path, IN_MODIFY) < 0)
		return err_sys(e, errno, "watch 'memory.events'");
	return TAKE_FD(notify);
}
