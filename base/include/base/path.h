/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths. The only place that opens a path which a container, an image or a guest controls
 * (`*_in_root`), and the only place that makes, links and removes files by name.
 *
 * `rootfd` is a directory descriptor (O_PATH will do). A path "in root" is resolved as if
 * rootfd were the root directory: absolute symlinks and ".." stay inside, magic links are
 * refused (openat2(2), RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS). EAGAIN from a race is retried a
 * bounded number of times. Where an outer seccomp filter forbids openat2 (ENOSYS, EPERM), a walk of
 * one O_PATH|O_NOFOLLOW step per component gives the same guarantees.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

/* Open `path` inside rootfd with open(2) `flags` (O_CLOEXEC is added; O_CREAT needs mode, and
 * creates only the last component). O_NOFOLLOW concerns the last component only. Returns an fd or
 * -errno. */
int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct err *e);

/* Make every missing directory of `path` inside rootfd (mode, umask ignored) and return an
 * O_PATH|O_DIRECTORY descriptor of the last, or -errno. Existing components may be symlinks
 * that stay inside; a dangling symlink is -ENOENT, never followed to be created. */
int path_mkdirs_in_root(int rootfd, const char *path, mode_t mode, struct err *e);

/* Like path_mkdirs_in_root() for the parents, and an empty regular file at the end if nothing
 * is there (a mount target for a file bind). Returns an O_PATH descriptor or -errno. An existing
 * last component of any type but directory is accepted. */
int path_mkfile_in_root(int rootfd, const char *path, mode_t dir_mode, mode_t file_mode,
			struct err *e);

/* Open the parent directory of `path` in root (it must exist) as O_PATH and copy the last
 * component to name (size bytes). "." , ".." and "/" as last component are -EINVAL. For mknodat,
 * symlinkat and unlinkat, which follow nothing when given one plain component.
 * Returns the fd or -errno. */
int path_open_parent_in_root(int rootfd, const char *path, char *name, size_t size, struct err *e);

/* Create a device, FIFO or socket node / a symlink as plain component `name` of dirfd, mode exact
 * (no umask). -EEXIST if anything is there. */
int path_mknod_at(int dirfd, const char *name, mode_t mode, dev_t dev, struct err *e);
int path_symlink_at(int dirfd, const char *target, const char *name, struct err *e);

/* Host paths that we choose ourselves (state, run directories). */
int path_mkdir_p(const char *path, mode_t mode, struct err *e);
int path_mkdir_at(int dirfd, const char *name, mode_t mode, struct err *e); /* -EEXIST told apart */
int path_open_dir(const char *path, struct err *e); /* O_RDONLY|O_DIRECTORY */
int path_open_dir_at(int dirfd, const char *name, struct err *e);

/* Remove the tree below plain component `name` of dirfd, never crossing a mount point or
 * following a symlink. A missing one is success. */
int path_remove_tree_at(int dirfd, const char *name, struct err *e);
int path_unlink_at(int dirfd, const char *name, struct err *e); /* missing is success */

/* Read a small file of ours or of the kernel's, at most max_bytes (else -EFBIG). Caller frees. */
int path_read_file_at(int dirfd, const char *path, size_t max_bytes, char **ret, size_t *ret_len,
		      struct err *e);

/* Write a kernel file (procfs, cgroupfs): one open, one write. */
int path_write_file_at(int dirfd, const char *path, const char *value, struct err *e);

/* Replace a file: temporary in the same directory, write, rename; `durable` adds the fsyncs of
 * file and directory. A reader sees the old or the new content, never a part. */
int path_replace_file_at(int dirfd, const char *name, const void *buf, size_t len, mode_t mode,
			 bool durable, struct err *e);

/* Make a new file (O_EXCL, so -EEXIST if anything is there), mode less the umask. */
int path_create_file_at(int dirfd, const char *name, const void *buf, size_t len, mode_t mode,
			struct err *e);
/* Open an operator's log file for appending, made 0644 when missing. Returns the fd. */
int path_open_log(const char *path, struct err *e);

/* The host's /dev/null, read-write. Returns the fd. */
int path_open_null(struct err *e);

/* Check with fstatfs(2) that fd is on a file system of the given magic (PROC_SUPER_MAGIC, ...). */
int path_check_fstype(int fd, long magic, const char *what, struct err *e);

/* Lexical only, no file system: collapse "//", "/./", "x/.."; keeps a leading "/".
 * Returns 0 and a fresh string, or -ENOMEM. */
int path_normalize(const char *path, char **ret);

/* The n-th way to name an open descriptor: "/proc/self/fd/N". buf of PATH_FD_MAX bytes. */
#define PATH_FD_MAX 32
const char *path_of_fd(int fd, char buf[PATH_FD_MAX]);

/* The directory this program was installed in, for finding its helper programs and guest files:
 * that of the original binary even in a sealed copy (see base/self.h). Caller frees. */
int path_program_dir(char **ret, struct err *e);
