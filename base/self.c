/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed copy of ourselves (base/self.h). State is found, not remembered: whether we run from a
 * sealed copy is asked of /proc/self/exe, and the path of the original travels in INSULA_SELF. That
 * stays in our environment, since there is no better place without a global; a workload never sees
 * it, as its environment comes from its configuration alone. The variable is believed only in a
 * sealed copy, so that nobody who merely sets it changes where helpers are looked for.
 */
#include "base/self.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "self_internal.h"

#define SELF_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#ifndef MFD_EXEC
#define MFD_EXEC 16u /* linux/memfd.h, since 6.3 */
#endif

int self_open_exe(struct err *e)
{
	int fd = open(SELF_EXE, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	err_sys(e, errno, "open '%s'", SELF_EXE);
	return err_hint(e, "a procfs must be mounted on /proc");
}

bool self_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	/* A program on tmpfs answers too, with F_SEAL_SEAL alone. */
	return seals >= 0 && (seals & SELF_SEALS) == SELF_SEALS;
}

static int read_self_link(char **ret, struct err *e)
{
	char path[PATH_MAX];
	ssize_t n = readlink(SELF_EXE, path, sizeof(path) - 1);

	if (n < 0) {
		err_sys(e, errno, "read link '%s'", SELF_EXE);
		return err_hint(e, "a procfs must be mounted on /proc");
	}
	path[n] = '\0';
	*ret = strdup(path);
	return *ret ? 0 : err_nomem(e);
}

int self_original_path(char **ret, struct err *e)
{
	_cleanup_close_ int fd = self_open_exe(e);
	const char *path;

	if (fd < 0)
		return fd;
	if (!self_is_sealed(fd))
		return read_self_link(ret, e);
	path = getenv(SELF_ENV);
	if (!path || path[0] != '/')
		return err_set(e, ERR_INTERNAL, ENOENT,
			       "%s is not set, though this is a sealed copy", SELF_ENV);
	*ret = strdup(path);
	return *ret ? 0 : err_nomem(e);
}

static int new_memfd(struct err *e)
{
	int fd = memfd_create("insula", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL) /* before 6.3 every memfd is executable */
		fd = memfd_create("insula", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0)
		return fd;
	err_sys(e, errno, "memfd_create");
	if (errno == EACCES)
		err_hint(e, "the sysctl vm.memfd_noexec must not be 2");
	return e ? -e->errnum : -errno;
}

/* Where the last byte that the kernel maps lies: symbols and debugging information behind it, often
 * more than half of the file, are nothing to a running program. */
static off_t loaded_size(off_t file_size)
{
	const ElfW(Phdr) *ph = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	size_t n = getauxval(AT_PHNUM);
	uint64_t end = 0;

	if (getauxval(AT_PHENT) != sizeof(*ph))
		return file_size;
	for (size_t i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset + ph[i].p_filesz > end)
			end = ph[i].p_offset + ph[i].p_filesz;
	return end > 0 && end < (uint64_t)file_size ? (off_t)end : file_size;
}

static int copy_loaded(int from, int to, struct err *e)
{
	struct stat st;
	off_t left;

	if (fstat(from, &st) < 0)
		return err_sys(e, errno, "stat '%s'", SELF_EXE);
	for (left = loaded_size(st.st_size); left > 0;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "copy '%s'", SELF_EXE);
		if (n == 0)
			return err_sys(e, EIO, "copy '%s'", SELF_EXE);
		left -= n;
	}
	return 0;
}

int self_empty_sealed(struct err *e)
{
	_cleanup_close_ int fd = new_memfd(e);

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_ADD_SEALS, SELF_SEALS) < 0)
		return err_sys(e, errno, "seal an empty file");
	return TAKE_FD(fd);
}

static int seal_copy(int from, struct err *e)
{
	_cleanup_close_ int fd = new_memfd(e);
	int r;

	if (fd < 0)
		return fd;
	r = copy_loaded(from, fd, e);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, SELF_SEALS) < 0)
		return err_sys(e, errno, "seal the copy");
	if (!self_is_sealed(fd)) /* or we would copy and execute for ever */
		return err_set(e, ERR_SYSTEM, EPERM, "seal the copy: the seals do not show");
	return TAKE_FD(fd);
}

/* execveat() leaves the descriptor's number as the name in ps; say who we are. */
static void restore_name(void)
{
	const char *path = getenv(SELF_ENV), *slash = path ? strrchr(path, '/') : NULL;

	if (slash)
		prctl(PR_SET_NAME, slash + 1, 0, 0, 0);
}

/* Whoever may not exchange the link does it in the sandbox's user namespace, or cannot enter one. */
static bool seal_in_place(int file)
{
	struct self_link link;
	int r;

	if (!self_can_exchange_link() || self_link_prepare(&link, NULL) < 0)
		return false;
	r = self_leave_file(file);
	if (r == 0)
		r = self_link_exchange(&link, NULL);
	fd_close(link.fd);
	return r == 0 || r == -EPERM;
}

int self_seal(char **argv, struct err *e)
{
	_cleanup_close_ int self = self_open_exe(e), copy = -EBADF;
	_cleanup_free_ char *path = NULL;
	int r;

	if (self < 0)
		return err_wrap(e, "run from a sealed copy");
	if (self_is_sealed(self)) {
		restore_name();
		return 0;
	}
	r = read_self_link(&path, e);
	if (r < 0)
		return err_wrap(e, "run from a sealed copy");
	/* First: by this the exchange of the link knows that it is ours to make. */
	if (setenv(SELF_ENV, path, 1) < 0)
		return err_nomem(e);
	if (seal_in_place(self))
		return 0;
	copy = seal_copy(self, e);
	if (copy < 0)
		return err_wrap(e, "run from a sealed copy");
	/* By number: libc's fexecve() would fall back to /proc, which tells no better error. */
	syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(e, errno, "run from a sealed copy: execveat");
}

void self_undumpable(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
