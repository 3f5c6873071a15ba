/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private procfs for what is written there on behalf of a container (sysctls, security labels).
 * The container's own /proc can be covered or redirected by its configuration or image, and then a
 * write that we believe made was not, or was made elsewhere (CVE-2019-19921, CVE-2025-52881). An
 * instance that was never attached to a path can be reached by nobody. There is no fallback to
 * /proc: where this cannot be had, the step fails.
 */
#include "procfs.h"

#include <linux/magic.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/path.h"

static int explain(int errnum, struct err *e)
{
	err_sys(e, errnum, "mount a private procfs");
	if (errnum == EPERM)
		err_hint(e,
			 "in a user namespace the kernel allows a fresh procfs only where the pid "
			 "namespace is new too and no part of the outer /proc is masked; leave out "
			 "sysctls and security labels, or unmask /proc of the outer container");
	return -errnum;
}

int procfs_open_private(bool sysctls, struct err *e)
{
	_cleanup_close_ int fs = -EBADF, fd = -EBADF;
	int r;

	fs = fsopen("proc", FSOPEN_CLOEXEC);
	if (fs < 0)
		return explain(errno, e);
	/* subset=pid is since Linux 5.8. A kernel that refuses it gives the whole instead, which is
	 * as private. */
	if (!sysctls)
		(void)!fsconfig(fs, FSCONFIG_SET_STRING, "subset", "pid", 0);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return explain(errno, e);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (fd < 0)
		return explain(errno, e);
	r = path_check_fstype(fd, PROC_SUPER_MAGIC, "the private procfs", e);
	if (r < 0)
		return r;
	return TAKE_FD(fd);
}
