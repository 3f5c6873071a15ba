/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "tmpcopyup": what the image has at a tmpfs's destination is copied into the tmpfs before it
 * covers it. The source is the image's, so every entry is opened by one plain name below an open
 * directory, without following, and regular files without waiting (a FIFO could hang us). The copy
 * stays on the directory's own file system: what is mounted inside is not the image's. The size is
 * bounded by the tmpfs itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "mounts.h"

/* Directories within directories; each costs a few descriptors. */
#define COPYUP_DEPTH_MAX     64
#define XATTR_LIST_MAX_BYTES 65536

/* All attributes of an open file or directory that the tmpfs takes. It knows no user.* before 6.6
 * and none of a foreign security module: those do not concern a copy in memory. */
static int copy_xattrs(int from, int to, struct err *e)
{
	_cleanup_free_ char *names = NULL, *value = NULL;
	ssize_t n = flistxattr(from, NULL, 0);

	if (n == 0 || (n < 0 && errno == ENOTSUP))
		return 0;
	names = malloc(XATTR_LIST_MAX_BYTES);
	value = malloc(XATTR_SIZE_MAX);
	if (!names || !value)
		return err_nomem(e);
	n = flistxattr(from, names, XATTR_LIST_MAX_BYTES);
	if (n < 0)
		return err_sys(e, errno, "list extended attributes");
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		ssize_t len = fgetxattr(from, name, value, XATTR_SIZE_MAX);

		if (len < 0 && errno == ENODATA)
			continue;
		if (len < 0)
			return err_sys(e, errno, "read extended attribute '%s'", name);
		if (fsetxattr(to, name, value, (size_t)len, 0) < 0 && errno != ENOTSUP &&
		    !(errno == EPERM && !str_has_prefix(name, "system.posix_acl")))
			return err_sys(e, errno, "set extended attribute '%s'", name);
	}
	return 0;
}

/* Owner first: changing it takes set-id bits and capabilities away. */
static int copy_metadata(int from, int to, const struct stat *st, struct err *e)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	int r;

	if (fchown(to, st->st_uid, st->st_gid) < 0)
		return err_sys(e, errno, "set owner %u:%u", st->st_uid, st->st_gid);
	if (fchmod(to, st->st_mode & 07777) < 0)
		return err_sys(e, errno, "set mode %o", st->st_mode & 07777);
	r = copy_xattrs(from, to, e);
	if (r < 0)
		return r;
	if (futimens(to, times) < 0)
		return err_sys(e, errno, "set times");
	return 0;
}

static int copy_file(int from_dir, int to_dir, const char *name, struct err *e)
{
	_cleanup_close_ int from = -1, to = -1;
	struct stat st;

	from = path_open_in_root(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, e);
	if (from < 0)
		return from;
	if (fstat(from, &st) < 0)
		return err_sys(e, errno, "look at it");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_SYSTEM, ESTALE, "it changed while it was copied");
	to = path_open_in_root(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, e);
	if (to < 0)
		return to;
	for (;;) {
		ssize_t n = sendfile(to, from, NULL, 1 << 30);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "copy its content");
		if (n == 0)
			return copy_metadata(from, to, &st, e);
	}
}

static int copy_symlink(int from_dir, int to_dir, const char *name, const struct stat *st,
			struct err *e)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	char text[PATH_MAX];
	ssize_t n;
	int r;

	n = readlinkat(from_dir, name, text, sizeof(text) - 1);
	if (n < 0)
		return err_sys(e, errno, "read link");
	text[n] = '\0';
	r = path_symlink_at(to_dir, text, name, e);
	if (r < 0)
		return r;
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "set owner and times");
	return 0;
}

static int copy_node(int to_dir, const char *name, const struct stat *st, struct err *e)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	int r = path_mknod_at(to_dir, name, st->st_mode, st->st_rdev, e);

	if (r < 0)
		return r;
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0 ||
	    utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "set owner, mode and times");
	return 0;
}

/* The tmpfs's own root: its mode is an option of the mount; so is its owner, unless none was given. */
static int copy_top(int from, int to, const struct stat *st, struct err *e)
{
	struct stat have;

	if (fstat(to, &have) < 0)
		return err_sys(e, errno, "look at the tmpfs");
	if (have.st_uid == geteuid() && have.st_gid == getegid() &&
	    fchown(to, st->st_uid, st->st_gid) < 0)
		return err_sys(e, errno, "set owner %u:%u", st->st_uid, st->st_gid);
	return copy_xattrs(from, to, e);
}

static int copy_directory(int from, int to, dev_t dev, unsigned depth, struct err *e);

static int copy_subdirectory(int from_dir, int to_dir, const char *name, dev_t dev, unsigned depth,
			     struct err *e)
{
	_cleanup_close_ int from = -1, to = -1;
	int r;

	if (depth >= COPYUP_DEPTH_MAX)
		return err_set(e, ERR_INVALID, ELOOP, "deeper than %d directories",
			       COPYUP_DEPTH_MAX);
	r = path_mkdir_at(to_dir, name, 0700, e);
	if (r < 0)
		return r;
	from = path_open_in_root(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, e);
	if (from < 0)
		return from;
	to = path_open_in_root(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, e);
	if (to < 0)
		return to;
	return copy_directory(from, to, dev, depth + 1, e);
}

static int copy_entry(int from, int to, const char *name, dev_t dev, unsigned depth, struct err *e)
{
	struct stat st;
	int r;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "look at '%s'", name);
	if (S_ISDIR(st.st_mode))
		r = copy_subdirectory(from, to, name, dev, depth, e);
	else if (S_ISREG(st.st_mode))
		r = copy_file(from, to, name, e);
	else if (S_ISLNK(st.st_mode))
		r = copy_symlink(from, to, name, &st, e);
	else
		r = copy_node(to, name, &st, e);
	return r < 0 ? err_wrap(e, "'%s'", name) : 0;
}

/* `from` is readable and taken over by nobody: fdopendir() gets a descriptor of its own. */
static int copy_directory(int from, int to, dev_t dev, unsigned depth, struct err *e)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *d;
	struct stat st;
	int fd, r;

	if (fstat(from, &st) < 0)
		return err_sys(e, errno, "look at the directory");
	if (st.st_dev == dev) {
		fd = path_open_dir_at(from, ".", e);
		if (fd < 0)
			return fd;
		dir = fdopendir(fd);
		if (!dir) {
			r = errno;
			close(fd);
			return err_sys(e, r, "read the directory");
		}
		while (errno = 0, (d = readdir(dir))) {
			if (STREQ(d->d_name, ".") || STREQ(d->d_name, ".."))
				continue;
			r = copy_entry(from, to, d->d_name, dev, depth, e);
			if (r < 0)
				return r;
		}
		if (errno)
			return err_sys(e, errno, "read the directory");
	}
	return depth == 0 ? copy_top(from, to, &st, e) : copy_metadata(from, to, &st, e);
}

int copyup_tree(int from_fd, int to_fd, struct err *e)
{
	_cleanup_close_ int from = -1, to = -1;
	struct stat st;
	int r;

	from = path_open_dir_at(from_fd, ".", e);
	if (from < 0)
		return err_wrap(e, "copy up");
	to = path_open_dir_at(to_fd, ".", e);
	if (to < 0)
		return err_wrap(e, "copy up");
	if (fstat(from, &st) < 0)
		return err_sys(e, errno, "copy up: look at the directory");
	r = copy_directory(from, to, st.st_dev, 0, e);
	return r < 0 ? err_wrap(e, "copy up") : 0;
}

/* 1 if nothing is in it, 0 if something is. */
static int is_empty(int fd, struct err *e)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *d;
	int own = path_open_dir_at(fd, ".", e), r;

	if (own < 0)
		return own;
	dir = fdopendir(own);
	if (!dir) {
		r = err_sys(e, errno, "read the directory");
		close(own);
		return r;
	}
	while (errno = 0, (d = readdir(dir)))
		if (!STREQ(d->d_name, ".") && !STREQ(d->d_name, ".."))
			return 0;
	return errno ? err_sys(e, errno, "read the directory") : 1;
}

int copyup_fill(int from_fd, int to_fd, struct err *e)
{
	_cleanup_close_ int to = -1;
	struct stat st;
	int r = is_empty(to_fd, e);

	if (r == 1)
		r = copyup_tree(from_fd, to_fd, e);
	if (r < 0)
		return err_wrap(e, "fill the volume");
	to = path_open_dir_at(to_fd, ".", e);
	if (to < 0)
		return to;
	if (fstat(from_fd, &st) < 0 || fchmod(to, st.st_mode & 07777) < 0)
		return err_sys(e, errno, "fill the volume: set its mode");
	return 0;
}
