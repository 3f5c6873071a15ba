/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's own system as a root file system for who may not cover it: in a user namespace the kernel keeps the host's
 * mounts together, so that nobody there sees what the host hid under one of them; an overlay needs a mount
 * without those below it, and cannot be.
 *
 * So the new root is a small tmpfs with the names of the old one: directories and files are bound, read-only with all that
 * is mounted below them, links are made anew, and /proc, /sys, /dev and /run are left out (empty directories). New
 * mount points can be made in the root itself, but in no directory of the system.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "mountfd.h"
#include "rootfs_kinds.h"

/* Names and empty directories only. */
#define ROOT_OPTIONS "source=root,mode=755,size=4m,nr_inodes=4096"

/* Setuid programs could not become anybody who is not mapped; devices come from /dev. */
#define BOUND_ATTRS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

static int copy_link(int from_fd, int to_fd, const char *name, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_fd, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(e, errno, "read link '/%s'", name);
	target[n] = '\0';
	return path_symlink_at(to_fd, target, name, e);
}

/* In our own tmpfs, which nobody else sees: no walk. */
static int make_place(int to_fd, const char *name, struct err *e)
{
	int r = path_mkdir_at(to_fd, name, 0755, e);

	return r < 0 ? r : path_open_in_root(to_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, e);
}

static int bind_entry(int from_fd, int to_fd, const char *name, bool directory, struct err *e)
{
	_cleanup_close_ int tree_fd = -1, target_fd = -1;
	int r;

	target_fd = directory ? make_place(to_fd, name, e)
			      : path_mkfile_in_root(to_fd, name, 0755, 0444, e);
	if (target_fd < 0)
		return target_fd;
	tree_fd =
		open_tree(from_fd, name,
			  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
	/* What may not be copied (another user's FUSE, an unbindable mount) stays outside. */
	if (tree_fd < 0 && (errno == EINVAL || errno == EACCES || errno == ENOTCONN))
		return 0;
	if (tree_fd < 0)
		return err_sys(e, errno, "copy its mount");
	/* Private: what the host mounts there later would not be read-only. */
	r = mountfd_set(tree_fd, true, BOUND_ATTRS, 0, MS_PRIVATE, e);
	return r < 0 ? r : mountfd_attach(tree_fd, target_fd, e);
}

static int add_entry(int from_fd, int to_fd, const char *name, struct err *e)
{
	char path[NAME_MAX + 2];
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "/%s", name);
	if (fstatat(from_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == EACCES ? 0
							  : err_sys(e, errno, "look at '%s'", path);
	if (S_ISLNK(st.st_mode))
		r = copy_link(from_fd, to_fd, name, e);
	else if (rootfs_is_left_out(path))
		r = path_mkdir_at(to_fd, name, 0755, e);
	else if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
		r = bind_entry(from_fd, to_fd, name, S_ISDIR(st.st_mode), e);
	else
		r = 0; /* sockets, pipes and nodes do not belong there */
	return r < 0 ? err_wrap(e, "'%s'", path) : 0;
}

static int add_entries(int from_fd, int to_fd, struct err *e)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int fd, r = 0;

	fd = path_open_in_root(from_fd, ".", O_RDONLY | O_DIRECTORY, 0, e);
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		r = err_sys(e, errno, "list the root directory");
		fd_close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		if (!STREQ(entry->d_name, ".") && !STREQ(entry->d_name, ".."))
			r = add_entry(dirfd(dir), to_fd, entry->d_name, e);
	if (r == 0 && errno)
		r = err_sys(e, errno, "list the root directory");
	return r;
}

int rootfs_bound(int dir_fd, int *ret_fd, char ***ret_readonly, struct err *e)
{
	_cleanup_close_ int fs_fd = -1, root_fd = -1;
	_cleanup_strv_ char **readonly = NULL;
	int r;

	if (strv_push(&readonly, "/") < 0)
		return err_nomem(e);
	fs_fd = mountfd_fs_open("tmpfs", e);
	if (fs_fd < 0)
		return fs_fd;
	r = mountfd_fs_data(fs_fd, ROOT_OPTIONS, e);
	if (r < 0)
		return r;
	root_fd = mountfd_fs_mount(fs_fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, e);
	if (root_fd < 0)
		return root_fd;
	/* First, since kernels before 6.15 attach nothing inside a detached tree. The old entries are
	 * still reached by dir_fd, which was opened below it. */
	r = mountfd_attach(root_fd, dir_fd, e);
	if (r == 0)
		r = add_entries(dir_fd, root_fd, e);
	if (r < 0)
		return err_wrap(e, "read-only copy");
	*ret_fd = TAKE_FD(root_fd);
	if (ret_readonly)
		*ret_readonly = TAKE_PTR(readonly);
	return 0;
}
