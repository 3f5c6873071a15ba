/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of the host's that we choose ourselves: state and run directories, kernel files, logs. They
 * may contain symlinks of the host's making (/var/run), but below a directory that we hold nothing is
 * followed in the last component.
 */
#include "path_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/self.h"
#include "base/str.h"
#include "self_internal.h"

int path_mkdir_at(int dirfd, const char *name, mode_t mode, struct err *e)
{
	int r;

	if (mkdirat(dirfd, name, mode & 07777) < 0)
		return err_sys(e, errno, "make directory '%s'", name);
	r = path_set_mode_at(dirfd, name, mode);
	return r < 0 ? err_sys(e, r, "set the mode of directory '%s'", name) : 0;
}

int path_mkdir_p(const char *path, mode_t mode, struct err *e)
{
	char prefix[PATH_MAX];
	const char *at = path, *start;
	struct stat st;
	size_t n;

	if (strlen(path) >= sizeof(prefix))
		return err_sys(e, ENAMETOOLONG, "make directory '%s'", path);
	while (path_next_component(&at, &start, &n)) {
		memcpy(prefix, path, (size_t)(at - path));
		prefix[at - path] = '\0';
		if (mkdirat(AT_FDCWD, prefix, mode & 07777) == 0 || errno == EEXIST)
			continue;
		/* EROFS, EACCES: a read-only parent does not matter if the directory is there. */
		n = (size_t)errno;
		if (fstatat(AT_FDCWD, prefix, &st, 0) < 0)
			return err_sys(e, (int)n, "make directory '%s'", prefix);
	}
	if (fstatat(AT_FDCWD, path, &st, 0) < 0)
		return err_sys(e, errno, "make directory '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return err_sys(e, ENOTDIR, "make directory '%s'", path);
	return 0;
}

int path_open_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, errno, "open directory '%s'", path) : fd;
}

int path_open_dir_at(int dirfd, const char *name, struct err *e)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, errno, "open directory '%s'", name) : fd;
}

int path_unlink_at(int dirfd, const char *name, struct err *e)
{
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove '%s'", name);
	return 0;
}

int path_read_file_at(int dirfd, const char *path, size_t max_bytes, char **ret, size_t *ret_len,
		      struct err *e)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	char what[PATH_MAX + 3];

	if (fd < 0)
		return err_sys(e, errno, "open '%s'", path);
	snprintf(what, sizeof(what), "'%s'", path);
	return fd_read_all(fd, max_bytes, ret, ret_len, what, e);
}

int path_write_file_at(int dirfd, const char *path, const char *value, struct err *e)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	size_t len = strlen(value);
	ssize_t n;

	if (fd < 0)
		return err_sys(e, errno, "open '%s'", path);
	/* The kernel takes a value from one write(); a second one would be a second value. */
	do
		n = write(fd, value, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "write '%s' to '%s'", value, path);
	if ((size_t)n != len)
		return err_sys(e, EIO, "write '%s' to '%s'", value, path);
	return 0;
}

/* ---- whole files ---- */

#define TEMPORARY_TRIES 8

/* A new file of a name that nobody has, in dirfd. Returns the fd. */
static int open_temporary(int dirfd, char name[NAME_MAX + 1])
{
	for (unsigned i = 0; i < TEMPORARY_TRIES; i++) {
		uint64_t number;
		int fd;

		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
			return -EIO;
		snprintf(name, NAME_MAX + 1, ".tmp-%016llx", (unsigned long long)number);
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600);
		if (fd >= 0 || errno != EEXIST)
			return fd < 0 ? -errno : fd;
	}
	return -EEXIST;
}

static int fill_temporary(int fd, const void *buf, size_t len, mode_t mode, bool durable,
			  const char *what, struct err *e)
{
	int r = fd_write_all(fd, buf, len, what, e);

	if (r < 0)
		return r;
	if (fchmod(fd, mode & 07777) < 0)
		return err_sys(e, errno, "set the mode of %s", what);
	if (durable && fsync(fd) < 0)
		return err_sys(e, errno, "fsync %s", what);
	return 0;
}

/* The directory may be an O_PATH descriptor, which cannot be synced itself. */
static int sync_dir(int dirfd, const char *what, struct err *e)
{
	_cleanup_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, errno, "fsync the directory of %s", what);
	return 0;
}

static int replace_plain(int dirfd, const char *name, const void *buf, size_t len, mode_t mode,
			 bool durable, struct err *e)
{
	char temporary[NAME_MAX + 1], what[NAME_MAX + 3];
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (!path_is_plain(name) || strlen(name) > NAME_MAX)
		return err_invalid(e, "replace '%s': not the name of a file", name);
	snprintf(what, sizeof(what), "'%s'", name);
	fd = open_temporary(dirfd, temporary);
	if (fd < 0)
		return err_sys(e, fd, "make a temporary file for %s", what);
	r = fill_temporary(fd, buf, len, mode, durable, what, e);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		r = err_sys(e, errno, "rename a temporary file to %s", what);
	if (r < 0) {
		unlinkat(dirfd, temporary, 0);
		return r;
	}
	return durable ? sync_dir(dirfd, what, e) : 0;
}

int path_replace_file_at(int dirfd, const char *name, const void *buf, size_t len, mode_t mode,
			 bool durable, struct err *e)
{
	_cleanup_close_ int parent = -EBADF;
	const char *slash = strrchr(name, '/');
	char dir[PATH_MAX];
	size_t n;

	if (!slash)
		return replace_plain(dirfd, name, buf, len, mode, durable, e);
	n = (size_t)(slash - name) + 1; /* with its slash, so that "/" stays "/" */
	if (n >= sizeof(dir))
		return err_sys(e, ENAMETOOLONG, "replace '%s'", name);
	memcpy(dir, name, n);
	dir[n] = '\0';
	parent = openat(dirfd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return err_sys(e, errno, "open directory '%s'", dir);
	return replace_plain(parent, slash + 1, buf, len, mode, durable, e);
}

int path_create_file_at(int dirfd, const char *name, const void *buf, size_t len, mode_t mode,
			struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	char what[PATH_MAX + 3];
	int r;

	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC,
		    mode & 07777);
	if (fd < 0)
		return err_sys(e, errno, "create '%s'", name);
	snprintf(what, sizeof(what), "'%s'", name);
	r = fd_write_all(fd, buf, len, what, e);
	if (r < 0)
		unlinkat(dirfd, name, 0); /* a part is worse than nothing */
	return r;
}

int path_open_log(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0644);

	return fd < 0 ? err_sys(e, errno, "open log '%s'", path) : fd;
}

int path_open_null(struct err *e)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "open '/dev/null'");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ERR_SYSTEM, ENODEV, "open '/dev/null': it is no null device");
	return TAKE_FD(fd);
}

/* ---- what is where ---- */

int path_check_fstype(int fd, long magic, const char *what, struct err *e)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return err_sys(e, errno, "statfs %s", what);
	/* f_type is signed or not, wide or not, depending on the architecture. */
	if ((uint32_t)fs.f_type != (uint32_t)magic)
		return err_set(e, ERR_INVALID, EINVAL,
			       "%s: on a file system of type 0x%x, not of 0x%x", what,
			       (unsigned)(uint32_t)fs.f_type, (unsigned)(uint32_t)magic);
	return 0;
}

int path_program_dir(char **ret, struct err *e)
{
	_cleanup_free_ char *program = NULL;
	char *slash;
	int r;

	r = self_original_path(&program, e);
	if (r < 0)
		return err_wrap(e, "find the program's directory");
	slash = strrchr(program, '/');
	if (!slash)
		return err_set(e, ERR_INTERNAL, EINVAL,
			       "find the program's directory: '%s' is not absolute", program);
	slash[slash == program] = '\0'; /* "/insula" is in "/" */
	*ret = TAKE_PTR(program);
	return 0;
}
