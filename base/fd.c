/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors (base/fd.h). The closing walk reads /proc/self/fd with getdents64 and a buffer on
 * the stack, not with opendir(): it also runs in children that must not allocate.
 */
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4u /* linux/close_range.h */
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u /* linux/memfd.h, since 6.3 */
#endif

int fd_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -EBADF;
}

int fd_write_all(int fd, const void *buf, size_t len, const char *what, struct err *e)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "write %s", what);
		if (n == 0) /* a device that takes nothing would keep us here for ever */
			return err_sys(e, EIO, "write %s", what);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_read_exact(int fd, void *buf, size_t len, const char *what, struct err *e)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read %s", what);
		if (n == 0)
			return err_set(e, ERR_SYSTEM, done ? EPIPE : ENODATA,
				       "read %s: it ended after %zu of %zu bytes", what, done, len);
		done += (size_t)n;
	}
	return 0;
}

/* Room for a file of the size that fstat() tells, and one byte more to see its end. */
static size_t first_room(int fd, size_t max_bytes)
{
	struct stat st;
	size_t room = 4096;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		room = (uint64_t)st.st_size < max_bytes ? (size_t)st.st_size : max_bytes;
	return (room < max_bytes ? room : max_bytes) + 1;
}

int fd_read_all(int fd, size_t max_bytes, char **ret_buf, size_t *ret_len, const char *what,
		struct err *e)
{
	_cleanup_free_ char *buf = NULL;
	size_t len = 0, cap;

	if (max_bytes > SIZE_MAX / 4)
		max_bytes = SIZE_MAX / 4;
	cap = first_room(fd, max_bytes);
	buf = malloc(cap + 1);
	if (!buf)
		return err_nomem(e);
	for (;;) {
		ssize_t n;

		if (len == cap) {
			size_t more = cap * 2 < max_bytes + 1 ? cap * 2 : max_bytes + 1;
			char *p = realloc(buf, more + 1);

			if (!p)
				return err_nomem(e);
			buf = p;
			cap = more;
		}
		n = read(fd, buf + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read %s", what);
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max_bytes)
			return err_set(e, ERR_INVALID, EFBIG, "read %s: larger than %zu bytes",
				       what, max_bytes);
	}
	buf[len] = '\0';
	*ret_buf = TAKE_PTR(buf);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int fd_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int fd_set_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int fd_dup_above_stdio(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

/* One buffer full of directory entries: mark what is a number ≥ first. */
static void cloexec_entries(const char *buf, size_t len, unsigned first)
{
	for (size_t at = 0; at < len;) {
		const struct dirent64 *d = (const struct dirent64 *)(buf + at);
		uint32_t number;

		if (parse_u32(d->d_name, &number) == 0 && number >= first && number <= INT32_MAX)
			fd_set_cloexec((int)number, true);
		at += d->d_reclen;
	}
}

static int cloexec_by_walk(unsigned first, struct err *e)
{
	_Alignas(struct dirent64) char buf[4096];
	_cleanup_close_ int dir = -EBADF;

	dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, errno, "open '/proc/self/fd'");
	for (;;) {
		long n = syscall(SYS_getdents64, dir, buf, sizeof(buf));

		if (n < 0)
			return err_sys(e, errno, "read '/proc/self/fd'");
		if (n == 0)
			return 0;
		cloexec_entries(buf, (size_t)n, first);
	}
}

int fd_cloexec_from(unsigned first, struct err *e)
{
	if (syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	/* ENOSYS before 5.9, EINVAL before 5.11, EPERM from an outer seccomp filter. */
	return cloexec_by_walk(first, e);
}

int fd_sanitize_stdio(struct err *e)
{
	for (int fd = 0; fd <= 2; fd++) {
		int got;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest free number is `fd`, as all below it are open. Not close-on-exec: it
		 * stands in for a standard stream. */
		got = open("/dev/null", O_RDWR);
		if (got < 0)
			return err_sys(e, errno, "open '/dev/null'");
		if (got != fd) {
			close(got);
			return err_set(e, ERR_INTERNAL, EBUSY, "open '/dev/null' as %d: got %d", fd,
				       got);
		}
	}
	return 0;
}

int fd_sealed_memfd(const char *name, const void *buf, size_t len, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	int r;

	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, errno, "memfd_create '%s'", name);
	r = fd_write_all(fd, buf, len, name, e);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "seek in memfd '%s'", name);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return err_sys(e, errno, "seal memfd '%s'", name);
	return TAKE_FD(fd);
}
