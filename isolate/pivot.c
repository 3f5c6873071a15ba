/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The new tree becomes the root. pivot_root(".", ".") puts the old root on top of the new one, in
 * the same place, so that no directory for it is needed; it is then taken off as a whole. All of it
 * is a slave of the host since iso_rootfs_mount(), except with a shared rootfsPropagation: then it
 * becomes one first, as what is unmounted there must not be unmounted on the host.
 *
 * pivot_root(2) knows paths only, and the old root has none any more after it: so this file changes
 * the working directory, by fchdir() on held descriptors, which the rest of the code never does.
 * The process's own cwd is set later, inside.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "inside.h"
#include "mountfd.h"
#include "mountinfo.h"

static int go_to(int fd, const char *what, struct err *e)
{
	return fchdir(fd) < 0 ? err_sys(e, errno, "change to the %s root", what) : 0;
}

static int explain_pivot(struct err *e, int errnum)
{
	int r = err_sys(e, errnum, "pivot_root");

	if (r == -EINVAL)
		err_hint(e, "the root of an initramfs cannot be pivoted away from; use --no-pivot");
	return r;
}

static int pivot(const struct inside *in, struct err *e)
{
	_cleanup_close_ int old_fd = -1;
	int r;

	old_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old_fd < 0)
		return err_sys(e, errno, "open the old root");
	r = go_to(in->root_fd, "new", e);
	if (r < 0)
		return r;
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return explain_pivot(e, errno);
	r = go_to(old_fd, "old", e);
	if (r == 0 && (in->config->rootfs.propagation & MS_SHARED))
		r = mountfd_set(old_fd, true, 0, 0, MS_SLAVE, e);
	if (r < 0)
		return r;
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, errno, "detach the old root");
	return go_to(in->root_fd, "new", e);
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Without a pivot the old mounts stay reachable to whoever has CAP_SYS_ADMIN and breaks out of the
 * chroot. An unmasked procfs or sysfs among them would also let a container mount a fresh one
 * past its masks: take those off, and cover what cannot be. */
static int drop_kernel_mounts(const struct inside *in, struct err *e)
{
	_cleanup_mountinfo_ struct mountinfo info = {0};
	const char *root = in->config->rootfs.path;
	int r;

	r = mountinfo_read(&info, e);
	if (r < 0)
		return r;
	for (size_t i = info.n; i-- > 0;) {
		const struct mountinfo_entry *m = &info.v[i];

		if (is_below(m->mountpoint, root) ||
		    (!STREQ(m->fstype, "proc") && !STREQ(m->fstype, "sysfs")))
			continue;
		if (umount2(m->mountpoint, MNT_DETACH) == 0 || errno == ENOENT)
			continue;
		if (errno != EINVAL && errno != EPERM)
			return err_sys(e, errno, "unmount '%s'", m->mountpoint);
		if (mount("tmpfs", m->mountpoint, "tmpfs", MS_RDONLY, "size=4k") < 0)
			return err_sys(e, errno, "cover '%s'", m->mountpoint);
	}
	return 0;
}

static int move_and_chroot(const struct inside *in, struct err *e)
{
	int r;

	if (in->config->rootfs.propagation & MS_SHARED)
		return err_unsupported(e,
				       "a shared rootfsPropagation without pivot_root: unmounting "
				       "the host's /proc and /sys would reach the host");
	r = drop_kernel_mounts(in, e);
	if (r < 0)
		return r;
	r = go_to(in->root_fd, "new", e);
	if (r < 0)
		return r;
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return err_sys(e, errno, "move the new root onto '/'");
	if (chroot(".") < 0)
		return err_sys(e, errno, "chroot");
	return go_to(in->root_fd, "new", e);
}

int inside_pivot(struct inside *in, struct err *e)
{
	const struct iso_rootfs *rootfs = &in->config->rootfs;
	int r;

	r = in->params->no_pivot ? move_and_chroot(in, e) : pivot(in, e);
	if (r < 0)
		return err_wrap(e, "enter the root file system");
	/* The root's mount alone: volumes in it keep what they were given. */
	if (rootfs->readonly) {
		r = mountfd_set(in->root_fd, false, MOUNT_ATTR_RDONLY, 0, 0, e);
		if (r < 0)
			return err_wrap(e, "make the root read-only");
	}
	r = rootfs->propagation ? mountfd_spread(in->root_fd, rootfs->propagation, e) : 0;
	return r < 0 ? err_wrap(e, "root file system") : 0;
}
