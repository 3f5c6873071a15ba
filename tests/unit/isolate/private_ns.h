/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test of mounts runs in a forked child with a mount namespace of its own (and more), on a scratch
 * directory with a tmpfs of its own: when the child is gone, so is all it did. It reports by CHECK(),
 * as cmocka's assertions would jump through its runner in the wrong process.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../isolate/inside.h"
#include "base/cleanup.h"

#define CHECK(cond)                                                                               \
	do {                                                                                      \
		if (!(cond)) {                                                                    \
			fprintf(stderr, "%s:%d: not so: %s (errno %d: %s)\n", __FILE__, __LINE__, \
				#cond, errno, strerror(errno));                                   \
			_exit(1);                                                                 \
		}                                                                                 \
	} while (0)

/* A call that must succeed; shows the error's text if it does not. */
#define CHECK_OK(call)                                                                           \
	do {                                                                                     \
		if ((call) < 0) {                                                                \
			fprintf(stderr, "%s:%d: %s: %s (hint: %s)\n", __FILE__, __LINE__, #call, \
				err_.text, err_.hint);                                           \
			_exit(1);                                                                \
		}                                                                                \
	} while (0)

#define CHECK_TEXT(text, part)                                                              \
	do {                                                                                \
		if (!strstr((text), (part))) {                                              \
			fprintf(stderr, "%s:%d: '%s' is not in '%s'\n", __FILE__, __LINE__, \
				(part), (text));                                            \
			_exit(1);                                                           \
		}                                                                           \
	} while (0)

#define CHILD_SKIP 77

static char scratch[64]; /* in the child: an own tmpfs */

static _unused_ void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static _unused_ bool file_is(int dirfd, const char *path, const char *text)
{
	char buf[4096];
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = '\0';
	return strcmp(buf, text) == 0;
}

static _unused_ char *read_mountinfo(void)
{
	size_t cap = 1 << 20, n = 0;
	char *buf = malloc(cap);
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	ssize_t r;

	CHECK(buf && fd >= 0);
	while ((r = read(fd, buf + n, cap - n - 1)) > 0)
		n += (size_t)r;
	close(fd);
	buf[n] = '\0';
	return buf;
}

/* A further process of the child, which waits for it: its namespaces stay as they are. */
static _unused_ void in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
}

/* Run fn in a child with new namespaces; the mount namespace is made private of the machine's first, so
 * that nothing it does can get out. */
static _unused_ int run_child(void (*fn)(void), int flags)
{
	char dir[] = "/tmp/isolate-test-XXXXXX";
	uid_t uid = getuid();
	int status;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		umask(022);
		CHECK(unshare(CLONE_NEWNS) == 0);
		CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
		CHECK(mount("scratch", dir, "tmpfs", 0, "mode=755") == 0);
		snprintf(scratch, sizeof(scratch), "%s", dir);
		CHECK(chdir(dir) == 0);
		if (flags)
			CHECK(unshare(flags) == 0);
		if (flags & CLONE_NEWUSER) {
			char map[32];

			snprintf(map, sizeof(map), "0 %u 1\n", uid);
			write_file("/proc/self/setgroups", "deny");
			write_file("/proc/self/uid_map", map);
			write_file("/proc/self/gid_map", "0 0 1\n");
		}
		if (flags & CLONE_NEWPID) /* only children are in it */
			in_child(fn);
		else
			fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rmdir(dir);
	return status;
}

static _unused_ void run_private(void (*fn)(void), int flags)
{
	int status = run_child(fn, flags);

	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIP)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A container to be: a configuration to be filled, and what its steps share. */
struct fixture {
	struct iso_mount mounts[24];
	struct iso_config config;
	struct iso_init_params params;
	struct inside in;
	struct err err;
};

static _unused_ void fixture_init(struct fixture *f, const char *rootfs)
{
	memset(f, 0, sizeof(*f));
	f->config.mounts = f->mounts;
	f->config.rootfs.path = strdup(rootfs);
	f->config.rootfs.fd = -1;
	f->params.config = &f->config;
	f->in.params = &f->params;
	f->in.config = &f->config;
	f->in.console_fd = -1;
	f->in.root_fd = -1;
	f->in.proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(f->in.proc_fd >= 0);
}

/* options: words separated by blanks. */
static _unused_ struct iso_mount *add_mount(struct fixture *f, const char *destination,
					    const char *type, const char *source,
					    const char *options)
{
	struct iso_mount *m = &f->mounts[f->config.n_mounts++];
	char *copy = strdup(options), *save = NULL;

	CHECK(f->config.n_mounts <= ARRAY_SIZE(f->mounts));
	*m = (struct iso_mount){.source_fd = -1};
	m->destination = strdup(destination);
	m->type = type ? strdup(type) : NULL;
	m->source = source ? strdup(source) : NULL;
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		CHECK(iso_mount_option(m, w, NULL) == 0);
	free(copy);
	return m;
}

/* scratch/root as the container's root, entered by inside_mounts() and the like. */
static _unused_ void fixture_root(struct fixture *f)
{
	char path[96];
	struct err err_ = ERR_INIT;

	snprintf(path, sizeof(path), "%s/root", scratch);
	CHECK(mkdir(path, 0755) == 0 || errno == EEXIST);
	fixture_init(f, path);
	CHECK_OK(iso_rootfs_mount(&f->config.rootfs, &f->in.root_fd, NULL, &err_));
}

/* The mount flags (ST_*) at a path below a directory, seen by opening it. */
static _unused_ unsigned long flags_at(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_PATH | O_CLOEXEC);
	struct statvfs st;

	CHECK(fd >= 0);
	CHECK(fstatvfs(fd, &st) == 0);
	close(fd);
	return st.f_flag;
}
