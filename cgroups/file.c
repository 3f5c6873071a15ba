/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel files of a group, reached through the descriptor of its directory: one open, one read or
 * write. cgroupfs holds no symlinks, and the names are ours or checked to be one component.
 */
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define CG_PROCS_MAX (8u << 20) /* pid_max is 2^22; a list of them stays below this in practice */

int cg_file_open_write(int dirfd, const char *file, const char *value, struct err *e)
{
	int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_sys(e, errno, "open '%s' to write '%s'", file, value) : fd;
}

int cg_file_put(int fd, const char *file, const char *value, struct err *e)
{
	size_t len = strlen(value);
	ssize_t n;

	/* Interruption before anything was done; a kernel file takes a value whole or not at all. */
	do
		n = write(fd, value, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "write '%s' to '%s'", value, file);
	if ((size_t)n != len)
		return err_sys(e, EIO, "write '%s' to '%s': only %zd bytes taken", value, file, n);
	return 0;
}

int cg_file_write(int dirfd, const char *file, const char *value, struct err *e)
{
	_cleanup_close_ int fd = cg_file_open_write(dirfd, file, value, e);

	return fd < 0 ? fd : cg_file_put(fd, file, value, e);
}

int cg_file_write_i64(int dirfd, const char *file, int64_t value, struct err *e)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	return cg_file_write(dirfd, file, text, e);
}

int cg_file_read(int dirfd, const char *file, char *buf, size_t size, struct err *e)
{
	_cleanup_close_ int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t len = 0;

	if (fd < 0)
		return err_sys(e, errno, "open '%s'", file);
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read '%s'", file);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len == size - 1)
		return err_sys(e, EFBIG, "read '%s'", file);
	while (len > 0 && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return 0;
}

int cg_file_read_u64(int dirfd, const char *file, uint64_t *ret, struct err *e)
{
	char buf[64];
	uint64_t v;
	int r = cg_file_read(dirfd, file, buf, sizeof(buf), e);

	if (r < 0)
		return r;
	if (STREQ(buf, "max"))
		v = UINT64_MAX;
	else if (parse_u64(buf, &v) < 0)
		return err_sys(e, EPROTO, "'%s' holds '%s', not a number", file, buf);
	*ret = v;
	return 0;
}

bool cg_text_key(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (strncmp(line, key, len) == 0 && line[len] == ' ') {
			uint64_t v = 0;

			for (const char *p = line + len + 1; *p >= '0' && *p <= '9'; p++)
				v = v * 10 + (uint64_t)(*p - '0');
			*ret = v;
			return true;
		}
	}
	return false;
}

bool cg_file_exists(int dirfd, const char *file)
{
	return faccessat(dirfd, file, F_OK, 0) == 0;
}

int cg_file_slurp(int dirfd, const char *file, char **ret, struct err *e)
{
	_cleanup_close_ int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sys(e, errno, "open '%s'", file);
	return fd_read_all(fd, CG_PROCS_MAX, ret, NULL, file, e);
}

int cg_dir_open_at(int dirfd, const char *path, struct err *e)
{
	int fd = openat(dirfd, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sys(e, errno, "open directory '%s'", path);
	return fd;
}
