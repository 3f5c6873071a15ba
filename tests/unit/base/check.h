/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of base share: cmocka with its includes in the order it wants, a scratch directory
 * that goes away again, and a system call filter that takes calls away.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

#define assert_has(text, part)                                           \
	do {                                                             \
		if (!strstr((text), (part)))                             \
			fail_msg("'%s' is not in '%s'", (part), (text)); \
	} while (0)

#define assert_ok(expr, e)                                             \
	do {                                                           \
		long _r = (long)(expr);                                \
		if (_r < 0)                                            \
			fail_msg("%s: %ld: %s", #expr, _r, (e)->text); \
	} while (0)

/* A directory of the test's own, by path and descriptor. */
struct scratch {
	char path[64];
	int fd;
};

static inline void scratch_make(struct scratch *s)
{
	strcpy(s->path, "/tmp/insula-test-XXXXXX");
	assert_non_null(mkdtemp(s->path));
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->fd >= 0);
}

static inline void scratch_drop(struct scratch *s)
{
	char command[128];

	close(s->fd);
	snprintf(command, sizeof(command), "rm -rf -- '%s'", s->path);
	assert_int_equal(system(command), 0);
}

/* From here on, in this process, system call `nr` fails with errnum. For a forked child. */
static inline int forbid_syscall(int nr, int errnum)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((unsigned)errnum & 0xffff)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = 4, .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0 ? -errno : 0;
}

/* Run fn in a child; it returns 0 when all is as expected, else a number to find the place. */
static inline int in_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
