/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destinations of mounts. The image decides what lies on the way to them, so every step is one
 * of base/path.h's resolutions inside the root; nothing here ever builds a host path.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "target.h"

/* As many dangling links in a row as we go through; the kernel has the same idea with 40. */
#define DANGLING_MAX 8

static int target_make(int root_fd, const char *path, bool directory, struct err *e)
{
	if (directory)
		return path_mkdirs_in_root(root_fd, path, 0755, e);
	return path_mkfile_in_root(root_fd, path, 0755, 0644, e);
}

/* If the last component is a symlink: where it leads, as a path in the root. -EINVAL if it is
 * none. */
static int read_link_in_root(int root_fd, const char *path, char **ret)
{
	_cleanup_close_ int parent_fd = -1;
	char name[NAME_MAX + 1], link[PATH_MAX];
	const char *slash;
	ssize_t n;

	parent_fd = path_open_parent_in_root(root_fd, path, name, sizeof(name), NULL);
	if (parent_fd < 0)
		return parent_fd;
	n = readlinkat(parent_fd, name, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = '\0';
	if (link[0] == '/')
		return str_printf(ret, "%s", link);
	slash = strrchr(path, '/');
	return str_printf(ret, "%.*s/%s", slash ? (int)(slash - path) : 0, path, link);
}

int target_open(int root_fd, const char *path, bool directory, bool *ret_existed, struct err *e)
{
	_cleanup_free_ char *at = strdup(path);
	int fd;

	if (!at)
		return err_nomem(e);
	if (ret_existed)
		*ret_existed = true;
	for (int i = 0; i < DANGLING_MAX; i++) {
		char *next;
		size_t n = strlen(at);

		fd = path_open_in_root(root_fd, at, O_PATH, 0, e);
		if (fd != -ENOENT)
			return fd;
		while (n > 1 && at[n - 1] == '/')
			at[--n] = '\0';
		if (read_link_in_root(root_fd, at, &next) < 0) {
			if (ret_existed)
				*ret_existed = false;
			if (e)
				err_clear(e);
			return target_make(root_fd, at, directory, e);
		}
		free(at);
		at = next;
	}
	return err_set(e, ERR_SYSTEM, ELOOP, "'%s' is a chain of symlinks that lead nowhere", path);
}

/* One component, which must be a directory itself. Made if missing, and then opened again without
 * following: what was made may have been exchanged. */
static int strict_step(int dirfd, const char *name, struct err *e)
{
	const int flags = O_PATH | O_NOFOLLOW | O_DIRECTORY;
	int fd;

	fd = path_open_in_root(dirfd, name, flags, 0, NULL);
	if (fd == -ENOENT) {
		fd = path_mkdir_at(dirfd, name, 0755, NULL);
		if (fd < 0 && fd != -EEXIST)
			return err_sys(e, fd, "make directory '%s'", name);
		fd = path_open_in_root(dirfd, name, flags, 0, NULL);
	}
	if (fd == -ENOTDIR || fd == -ELOOP) {
		err_set(e, ERR_INVALID, -fd, "'%s' in the root file system is not a directory",
			name);
		return err_hint(e,
				"the image has a symlink or a file where the kernel's file system "
				"belongs; such an image is not run");
	}
	return fd < 0 ? err_sys(e, fd, "open '%s'", name) : fd;
}

int target_open_strict(int root_fd, const char *path, struct err *e)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *clean = NULL;
	char *save = NULL;

	if (path_normalize(path, &clean) < 0)
		return err_nomem(e);
	for (char *name = strtok_r(clean, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		int next = strict_step(fd < 0 ? root_fd : fd, name, e);

		if (next < 0)
			return next;
		fd_close(fd);
		fd = next;
	}
	if (fd < 0)
		return err_invalid(e, "the destination is the root itself");
	return TAKE_FD(fd);
}
