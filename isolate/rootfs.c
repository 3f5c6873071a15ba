/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system of a sandbox. Theory of operation:
 *
 * First nothing that is mounted from here on may reach the host. Our mount namespace began as a
 * copy of the host's, in which every shared mount is a peer of the host's own: so all of them
 * become slaves, which still receive what the host mounts. Only a configured *shared*
 * rootfsPropagation (engines ask for it when a volume is to hand mounts on to the host) must keep
 * peers: then just the mount below our root and the new root's own tree become slaves, and every
 * bind mount that did not ask to be shared does, too (mounts.c).
 *
 * Then the tree is attached on its own directory, which makes its root a mount point that can be
 * pivoted into. The configured propagation itself is set on the new root after the pivot (pivot.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "mountfd.h"
#include "rootfs_kinds.h"

void iso_rootfs_done(struct iso_rootfs *r)
{
	if (!r)
		return;
	free(r->path);
	strv_free(r->layers);
	free(r->upper);
	if (r->fd > STDERR_FILENO)
		close(r->fd);
	*r = (struct iso_rootfs){.fd = -1};
}

/* The mount that an open directory lies on becomes a slave, and no other: only a mount's root takes
 * attributes, so climb to it. */
static int detach_parent(int dir_fd, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat here, up;

	fd = fd_dup_above_stdio(dir_fd);
	if (fd < 0)
		return err_sys(e, fd, "keep the directory");
	for (;;) {
		struct mount_attr slave = {.propagation = MS_SLAVE};
		int parent;

		if (mount_setattr(fd, "", AT_EMPTY_PATH, &slave, sizeof(slave)) == 0)
			return 0;
		if (errno != EINVAL)
			return err_sys(e, errno, "stop propagation from the root's mount");
		parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0 || fstat(fd, &here) < 0 || fstat(parent, &up) < 0) {
			int r = errno;

			fd_close(parent);
			return err_sys(e, r, "find the mount of the root file system");
		}
		fd_close(fd);
		fd = parent;
		if (here.st_dev == up.st_dev && here.st_ino == up.st_ino)
			return err_set(e, ERR_SYSTEM, EINVAL,
				       "find the mount of the root file system");
	}
}

static int stop_propagation(const struct iso_rootfs *r, int dir_fd, struct err *e)
{
	struct mount_attr slave = {.propagation = MS_SLAVE};
	int rc;

	if (r->propagation & MS_SHARED)
		return detach_parent(dir_fd, e);
	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave, sizeof(slave)) == 0)
		return 0;
	rc = err_sys(e, errno, "stop propagation of mounts to the host");
	if (rc == -EACCES || rc == -EPERM)
		err_hint(e, "this host may allow no mounts to who is not root (Ubuntu: sysctl "
			    "kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor "
			    "profile for insula)");
	return rc;
}

/* The directory in our own mount namespace. r->fd may have been opened before that was made; then it
 * is found again by path, and must be the same. */
static int open_directory(const struct iso_rootfs *r, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat want, have;

	if (!r->path || r->path[0] != '/')
		return err_invalid(e, "the path is not absolute");
	fd = open(r->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open directory");
	if (r->fd <= STDERR_FILENO)
		return TAKE_FD(fd);
	if (fstat(r->fd, &want) < 0 || fstat(fd, &have) < 0)
		return err_sys(e, errno, "look at the directory");
	if (want.st_dev != have.st_dev || want.st_ino != have.st_ino)
		return err_set(e, ERR_SYSTEM, ESTALE,
			       "the directory is no longer the one that was "
			       "opened");
	return TAKE_FD(fd);
}

static int mount_directory(const struct iso_rootfs *rootfs, int dir_fd, int *ret_fd, struct err *e)
{
	_cleanup_close_ int source_fd = -1, tree_fd = -1;
	int r = 0;

	source_fd = fd_dup_above_stdio(dir_fd);
	if (source_fd < 0)
		return err_sys(e, source_fd, "keep the directory");
	tree_fd = mountfd_clone(&source_fd, true, e);
	if (tree_fd < 0)
		return tree_fd;
	if (rootfs->propagation & MS_SHARED)
		r = mountfd_set(tree_fd, true, 0, 0, MS_SLAVE, e);
	if (r == 0)
		r = mountfd_attach(tree_fd, dir_fd, e);
	if (r == 0)
		*ret_fd = TAKE_FD(tree_fd);
	return r;
}

int iso_rootfs_mount(const struct iso_rootfs *r, int *ret_fd, char ***ret_readonly, struct err *e)
{
	_cleanup_close_ int dir_fd = -1;
	int rc;

	dir_fd = open_directory(r, e);
	if (dir_fd < 0)
		return err_wrap(e, "root file system '%s'", r->path ? r->path : "");
	rc = stop_propagation(r, dir_fd, e);
	if (rc == 0) {
		switch (r->kind) {
		case ISO_ROOTFS_DIRECTORY:
			rc = mount_directory(r, dir_fd, ret_fd, e);
			break;
		case ISO_ROOTFS_THROWAWAY:
			rc = rootfs_throwaway(r, dir_fd, ret_fd, ret_readonly, e);
			break;
		case ISO_ROOTFS_LAYERS:
			rc = rootfs_layers(r, dir_fd, ret_fd, e);
			break;
		}
	}
	return rc < 0 ? err_wrap(e, "root file system '%s'", r->path) : 0;
}
