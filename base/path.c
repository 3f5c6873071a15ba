/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths in a root (base/path.h): what a container, an image or a guest controls is opened, and made,
 * only through here. Making is done component by component on descriptors: nothing that was resolved
 * is ever named by a path again, so there is nothing to exchange between the look and the deed.
 */
#include "path_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* one number on all architectures but alpha; since 6.6 */
#endif

/* EAGAIN: something, anywhere on the host, was renamed or mounted while we looked at a "..". */
#define RETRIES_MAX 32

int path_resolve_by_kernel(int rootfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode & 07777 : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	for (unsigned i = 0; i < RETRIES_MAX; i++) {
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int path_resolve(int rootfd, const char *path, int flags, mode_t mode)
{
	int r = path_resolve_by_kernel(rootfd, path, flags, mode);

	/* ENOSYS, EPERM: an outer seccomp filter; a real EPERM of open() comes back from the walk.
	 * EAGAIN: a host so busy with renames that the kernel gave up; the walk needs no luck. */
	if (r == -ENOSYS || r == -EPERM || r == -EAGAIN)
		return path_resolve_by_walk(rootfd, path, flags, mode);
	return r;
}

int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct err *e)
{
	int fd = path_resolve(rootfd, path, flags, mode);

	return fd < 0 ? err_sys(e, fd, "open '%s' in the root", path) : fd;
}

int path_set_mode_at(int dirfd, const char *name, mode_t mode)
{
	struct stat st;

	mode &= 07777;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if ((st.st_mode & 07777) == mode)
		return 0;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (syscall(SYS_fchmodat2, dirfd, name, mode, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
	/* libc does it through an O_PATH descriptor and /proc, and follows nothing either. */
	return fchmodat(dirfd, name, mode, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Make directory `name` in `parent` and open it. -EEXIST if anything is there. */
static int make_dir(int parent, const char *name, mode_t mode)
{
	int r, fd;

	if (mkdirat(parent, name, mode & 07777) < 0)
		return -errno;
	r = path_set_mode_at(parent, name, mode);
	if (r < 0)
		return r;
	fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The directory `prefix`, whose parent (all but the last component) is open as `parent`. */
static int open_or_make_dir(int rootfd, int parent, const char *prefix, const char *name,
			    mode_t mode)
{
	int fd = path_resolve(rootfd, prefix, O_PATH | O_DIRECTORY, 0);

	if (fd != -ENOENT || !path_is_plain(name))
		return fd;
	fd = make_dir(parent, name, mode);
	if (fd != -EEXIST)
		return fd;
	/* Somebody was faster, or it is a dangling symlink: then this is -ENOENT again. */
	return path_resolve(rootfd, prefix, O_PATH | O_DIRECTORY, 0);
}

int path_mkdirs_in_root(int rootfd, const char *path, mode_t mode, struct err *e)
{
	_cleanup_close_ int cur = -EBADF;
	char prefix[PATH_MAX], name[NAME_MAX + 1];
	const char *at = path, *start;
	size_t n;
	int fd;

	fd = path_resolve(rootfd, path, O_PATH | O_DIRECTORY, 0);
	if (fd != -ENOENT)
		return fd < 0 ? err_sys(e, fd, "open directory '%s' in the root", path) : fd;
	if (strlen(path) >= sizeof(prefix))
		return err_sys(e, ENAMETOOLONG, "make directory '%s' in the root", path);
	cur = openat(rootfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cur < 0)
		return err_sys(e, errno, "open the root");
	while (path_next_component(&at, &start, &n)) {
		if (n > NAME_MAX)
			return err_sys(e, ENAMETOOLONG, "make directory '%s' in the root", path);
		memcpy(name, start, n);
		name[n] = '\0';
		memcpy(prefix, path, (size_t)(at - path));
		prefix[at - path] = '\0';
		fd = open_or_make_dir(rootfd, cur, prefix, name, mode);
		if (fd < 0)
			return err_sys(e, fd, "make directory '%s' in the root", prefix);
		fd_close(cur);
		cur = fd;
	}
	return TAKE_FD(cur);
}

/* Split at the last component, trailing slashes dropped: *ret_parent_len bytes of path, then name.
 * -EINVAL if there is no component that names an entry. */
static int split_last(const char *path, size_t *ret_parent_len, char *name, size_t size)
{
	size_t end = strlen(path), start;

	while (end > 0 && path[end - 1] == '/')
		end--;
	start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	if (end == start)
		return -EINVAL;
	if (end - start >= size || start >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(name, path + start, end - start);
	name[end - start] = '\0';
	if (!path_is_plain(name))
		return -EINVAL;
	*ret_parent_len = start;
	return 0;
}

/* The text of the parent; the root itself is "/". */
static void parent_text(char buf[PATH_MAX], const char *path, size_t len)
{
	if (len == 0) {
		memcpy(buf, "/", 2);
		return;
	}
	memcpy(buf, path, len);
	buf[len] = '\0';
}

int path_open_parent_in_root(int rootfd, const char *path, char *name, size_t size, struct err *e)
{
	char parent[PATH_MAX];
	size_t len;
	int r;

	r = split_last(path, &len, name, size);
	if (r < 0)
		return err_sys(e, r, "find the name at the end of '%s'", path);
	parent_text(parent, path, len);
	r = path_resolve(rootfd, parent, O_PATH | O_DIRECTORY, 0);
	return r < 0 ? err_sys(e, r, "open '%s', the parent of '%s', in the root", parent, path)
		     : r;
}

/* Make the empty file `name` and return an O_PATH descriptor of what was made. */
static int make_file(int parent, const char *name, mode_t mode)
{
	_cleanup_close_ int fd = -EBADF, path_fd = -EBADF;
	struct stat made, found;

	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    mode & 07777);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, mode & 07777) < 0)
		return -errno;
	path_fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (path_fd < 0 || fstat(fd, &made) < 0 || fstat(path_fd, &found) < 0)
		return -errno;
	if (made.st_dev != found.st_dev || made.st_ino != found.st_ino)
		return -EAGAIN; /* exchanged already */
	return TAKE_FD(path_fd);
}

static int check_no_directory(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? -EISDIR : 0;
}

int path_mkfile_in_root(int rootfd, const char *path, mode_t dir_mode, mode_t file_mode,
			struct err *e)
{
	_cleanup_close_ int fd = -EBADF, dir = -EBADF;
	char parent[PATH_MAX], name[NAME_MAX + 1];
	size_t len;
	int r;

	r = split_last(path, &len, name, sizeof(name));
	if (r < 0 || path[strlen(path) - 1] == '/')
		return err_sys(e, r < 0 ? r : EISDIR, "make file '%s' in the root", path);
	fd = path_resolve(rootfd, path, O_PATH, 0);
	if (fd == -ENOENT) {
		parent_text(parent, path, len);
		dir = path_mkdirs_in_root(rootfd, parent, dir_mode, e);
		if (dir < 0)
			return err_wrap(e, "make file '%s' in the root", path);
		fd = make_file(dir, name, file_mode);
		if (fd == -EEXIST) /* a race, or a dangling symlink: -ENOENT again */
			fd = path_resolve(rootfd, path, O_PATH, 0);
	}
	r = fd < 0 ? fd : check_no_directory(fd);
	if (r < 0)
		return err_sys(e, r, "make file '%s' in the root", path);
	return TAKE_FD(fd);
}

int path_mknod_at(int dirfd, const char *name, mode_t mode, dev_t dev, struct err *e)
{
	int r;

	if (!path_is_plain(name))
		return err_invalid(e, "make node '%s': not a plain name", name);
	if (mknodat(dirfd, name, mode, dev) < 0)
		return err_sys(e, errno, "make node '%s'", name);
	r = path_set_mode_at(dirfd, name, mode);
	if (r < 0) {
		unlinkat(dirfd, name, 0);
		return err_sys(e, r, "set the mode of node '%s'", name);
	}
	return 0;
}

int path_symlink_at(int dirfd, const char *target, const char *name, struct err *e)
{
	if (!path_is_plain(name))
		return err_invalid(e, "make symlink '%s': not a plain name", name);
	if (symlinkat(target, dirfd, name) < 0)
		return err_sys(e, errno, "make symlink '%s' to '%s'", name, target);
	return 0;
}
