/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masked and read-only paths. Done before the pivot, when the host's /dev/null can still be opened
 * by a path that the container cannot influence; what was opened is looked at all the same, as a
 * mask that is some other file would be a way to it (CVE-2025-31133).
 *
 * A directory is masked by an empty read-only tmpfs, one for all of them, anything else by
 * /dev/null. Both are mounted once and copied for each further path. Both are read-only mounts:
 * device /dev/null can be used through such a mount as ever, but its mode and owner, which are the
 * host's, cannot be changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "inside.h"
#include "mountfd.h"

/* A mount that is attached at its first use and copied at the next ones (kernels before 6.15 copy
 * nothing that is detached). */
struct mask {
	int fd; /* -1: not made yet */
	bool attached;
};

static int mask_tmpfs(const char *label, struct err *e)
{
	_cleanup_close_ int fs_fd = -1;
	int r;

	fs_fd = mountfd_fs_open("tmpfs", e);
	if (fs_fd < 0)
		return fs_fd;
	/* One inode is the root directory's. */
	r = mountfd_fs_data(fs_fd, "source=tmpfs,mode=755,size=4k,nr_inodes=1", e);
	if (r == 0 && label && *label)
		r = mountfd_fs_set(fs_fd, "context", label, e);
	if (r < 0)
		return r;
	return mountfd_fs_mount(
		fs_fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
		e);
}

static int mask_null(struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	fd = mountfd_clone_path("/dev/null", false, e);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "look at '/dev/null'");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ERR_SYSTEM, ENODEV,
			       "the host's '/dev/null' is not character device 1:3");
	r = mountfd_set(fd, false, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0,
			MS_PRIVATE, e);
	return r < 0 ? r : TAKE_FD(fd);
}

static int mask_put(struct mask *mask, int target_fd, struct err *e)
{
	_cleanup_close_ int copy = -1;
	int r;

	if (mask->attached) {
		copy = open_tree(mask->fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (copy < 0)
			return err_sys(e, errno, "copy the mask");
		return mountfd_attach(copy, target_fd, e);
	}
	r = mountfd_attach(mask->fd, target_fd, e);
	if (r == 0)
		mask->attached = true;
	return r;
}

/* -ENOENT without an error: there is nothing to protect. */
static int open_existing(int root_fd, const char *path, struct err *e)
{
	int fd;

	if (path[0] != '/')
		return err_invalid(e, "the path is not absolute");
	fd = path_open_in_root(root_fd, path, O_PATH, 0, e);
	if ((fd == -ENOENT || fd == -ENOTDIR) && e)
		err_clear(e);
	return fd == -ENOTDIR ? -ENOENT : fd;
}

static int mask_path(int root_fd, const char *path, const char *label, struct mask *dirs,
		     struct mask *others, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct mask *mask;
	struct stat st;

	fd = open_existing(root_fd, path, e);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "look at it");
	mask = S_ISDIR(st.st_mode) ? dirs : others;
	if (mask->fd < 0)
		mask->fd = S_ISDIR(st.st_mode) ? mask_tmpfs(label, e) : mask_null(e);
	return mask->fd < 0 ? mask->fd : mask_put(mask, fd, e);
}

/* A copy of the path's own mounts, all of them read-only, over it. The copy keeps the flags. */
static int readonly_path(int root_fd, const char *path, struct err *e)
{
	_cleanup_close_ int fd = -1, tree_fd = -1;
	int r;

	fd = open_existing(root_fd, path, e);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	tree_fd = open_tree(fd, "",
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (tree_fd < 0)
		return err_sys(e, errno, "copy its mount");
	r = mountfd_set(tree_fd, true, MOUNT_ATTR_RDONLY, 0, 0, e);
	return r < 0 ? r : mountfd_attach(tree_fd, fd, e);
}

int iso_rootfs_hide(int root_fd, char *const *paths, const char *mount_label, struct err *e)
{
	struct mask dirs = {-1, false}, others = {-1, false};
	int r = 0;

	for (; paths && *paths && r == 0; paths++) {
		r = mask_path(root_fd, *paths, mount_label, &dirs, &others, e);
		if (r < 0)
			err_wrap(e, "masked path '%s'", *paths);
	}
	cleanup_closep(&dirs.fd);
	cleanup_closep(&others.fd);
	return r;
}

int inside_masks(struct inside *in, struct err *e)
{
	for (char **p = in->config->readonly_paths; p && *p; p++) {
		int r = readonly_path(in->root_fd, *p, e);

		if (r < 0)
			return err_wrap(e, "read-only path '%s'", *p);
	}
	return iso_rootfs_hide(in->root_fd, in->config->masked_paths, in->config->mount_label, e);
}
