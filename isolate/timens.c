/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A time namespace whose clocks are ahead of, or behind, the host's. Theory of operation:
 *
 * The kernel lets offsets be written only until the first process is inside, and clone3(2) would put the new process
 * inside at once. So the process unshares the namespace, which only concerns its children yet; the creator writes the
 * offsets, since the file belongs to the host's root while the process is not dumpable; and the process enters the
 * namespace by its descriptor (since Linux 5.6: setns(2) on time_for_children).
 * Source: time_namespaces(7).
 */
#include "timens.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sync.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const char *const clock_names[ISO_CLOCK_COUNT] = {
	[ISO_CLOCK_BOOTTIME] = "boottime",
	[ISO_CLOCK_MONOTONIC] = "monotonic",
};

bool timens_has_offsets(const struct iso_config *c)
{
	for (int i = 0; i < ISO_CLOCK_COUNT; i++)
		if (c->time_offsets[i].present)
			return true;
	return false;
}

int timens_enter(int fd, struct err *e)
{
	_cleanup_close_ int ns = -EBADF;
	int r;

	if (unshare(CLONE_NEWTIME) < 0) {
		r = err_sys(e, errno, "make the time namespace");
		return r == -EINVAL ? err_hint(e, "the kernel has no time namespaces") : r;
	}
	ns = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return err_sys(e, errno, "open the time namespace");
	r = sync_send(fd, SYNC_PID, 0, -1, e);
	if (r == 0)
		r = sync_expect(fd, "the creator", SYNC_PID, NULL, NULL, e);
	if (r < 0)
		return r;
	if (setns(ns, CLONE_NEWTIME) < 0)
		return err_sys(e, errno, "enter the time namespace");
	return 0;
}

int timens_write_offsets(pid_t pid, const struct iso_config *c, struct err *e)
{
	_cleanup_close_ int dir = -EBADF;
	char path[32], text[96];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	dir = path_open_dir(path, e);
	if (dir < 0)
		return dir;
	r = path_check_fstype(dir, PROC_SUPER_MAGIC, path, e);
	for (int i = 0; r == 0 && i < ISO_CLOCK_COUNT; i++) {
		const struct iso_time_offset *o = &c->time_offsets[i];

		if (!o->present)
			continue;
		snprintf(text, sizeof(text), "%s %" PRId64 " %" PRIu32 "\n", clock_names[i],
			 o->secs, o->nanosecs);
		r = path_write_file_at(dir, "timens_offsets", text, e);
		if (r == -ERANGE)
			err_hint(e, "a clock may neither become negative nor pass 146 years");
		if (r < 0)
			return err_wrap(e, "linux.timeOffsets.%s", clock_names[i]);
	}
	return r;
}
