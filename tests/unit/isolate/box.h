/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small container for the tests of init and exec: a busybox tree on a tmpfs in a private mount
 * namespace (so nothing is left whatever happens), the usual mounts, and a pipe for its output.
 */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "isolate/sandbox.h"

#define BOX_ROOT  "/mnt/rootfs"
#define BOX_OUT   8192
#define BOX_GROUP "/mnt/cgroup/insula-isolate-" /* + pid */

struct box {
	struct iso_config c;
	struct iso_process p;
	struct iso_init_params params;
	struct iso_init init;
	struct err e;
	int out_fd; /* reading end */
	int status; /* of waitpid */
	char out[BOX_OUT];
};

static inline void box_must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "# test set-up: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static inline void box_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	box_must(fd >= 0, path);
	box_must(write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	fchmod(fd, mode);
	close(fd);
}

/* Once per program, as root. */
static inline void box_prepare_tree(void)
{
	static const char *const dirs[] = {"",     "/bin", "/proc", "/dev",
					   "/sys", "/tmp", "/etc",  "/private"};
	char path[256];

	box_must(unshare(CLONE_NEWNS) == 0, "private mount namespace");
	box_must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
	box_must(mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755") == 0, "tmpfs");
	box_must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "subreaper");
	umask(022);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), BOX_ROOT "%s", dirs[i]);
		box_must(mkdir(path, 0755) == 0, path);
	}
	box_must(system("cp /bin/busybox " BOX_ROOT "/bin/busybox && " BOX_ROOT
			"/bin/busybox --install -s " BOX_ROOT "/bin && for l in " BOX_ROOT
			"/bin/*; do [ -L $l ] && ln -sf busybox $l; done") == 0,
		 "busybox (package busybox-static)");
	chmod(BOX_ROOT "/private", 0700);
	box_file(BOX_ROOT "/bin/noexec", "#!/bin/sh\n", 0644);
	box_file(BOX_ROOT "/bin/badinterp", "#!/bin/no-such-shell -x\n", 0755);
	box_file(BOX_ROOT "/bin/garbage", "\1\2\3\4\5\6\7", 0755);
	box_file(BOX_ROOT "/bin/rootonly", "#!/bin/sh\necho root\n", 0700);
	box_file(BOX_ROOT "/etc/passwd", "root:x:0:0::/:/bin/sh\n", 0644);
}

static inline void box_mount(struct box *b, const char *type, const char *dst, const char *data)
{
	struct iso_mount *m;

	b->c.mounts = realloc(b->c.mounts, (b->c.n_mounts + 1) * sizeof(*m));
	m = &b->c.mounts[b->c.n_mounts++];
	*m = (struct iso_mount){.source_fd = -1};
	m->type = strdup(type);
	m->source = strdup(type);
	m->destination = strdup(dst);
	m->data = data ? strdup(data) : NULL;
}

static inline void box_args(struct iso_process *p, const char *first, ...)
{
	va_list ap;

	strv_free(p->args);
	p->args = NULL;
	va_start(ap, first);
	for (const char *a = first; a; a = va_arg(ap, const char *))
		strv_push(&p->args, a);
	va_end(ap);
}

static inline void box_process(struct iso_process *p)
{
	*p = (struct iso_process){.cwd = strdup("/")};
	strv_push(&p->env, "PATH=/bin");
	p->caps.present = true;
}

static inline void box_init(struct box *b)
{
	static const enum iso_ns own[] = {ISO_NS_MOUNT, ISO_NS_PID, ISO_NS_NETWORK,
					  ISO_NS_IPC,   ISO_NS_UTS, ISO_NS_CGROUP};

	memset(b, 0, sizeof(*b));
	b->out_fd = -1;
	b->init = (struct iso_init){.pid = -1, .pidfd = -1, .sync_fd = -1, .console_fd = -1};
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		b->c.ns[own[i]].mode = ISO_NS_NEW;
	b->c.rootfs = (struct iso_rootfs){.path = strdup(BOX_ROOT), .fd = -1};
	box_mount(b, "proc", "/proc", NULL);
	box_mount(b, "tmpfs", "/dev", "mode=755");
	box_mount(b, "devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620");
	box_process(&b->p);
	b->params = (struct iso_init_params){
		.config = &b->c,
		.process = &b->p,
		.stdio.fds = {-1, -1, -1},
		.cgroup_fd = -1,
		.gate_fd = -1,
		.keep_keyring = true,
	};
}

static inline void box_done(struct box *b)
{
	iso_init_done(&b->init, true);
	if (b->out_fd >= 0)
		close(b->out_fd);
	iso_config_done(&b->c);
	iso_process_done(&b->p);
}
#define _cleanup_box_ __attribute__((cleanup(box_done)))

static inline void box_map_ids(struct box *b, uint32_t outside)
{
	struct iso_id_maps *maps[] = {&b->c.uid_maps, &b->c.gid_maps};

	b->c.ns[ISO_NS_USER].mode = ISO_NS_NEW;
	for (int i = 0; i < 2; i++) {
		maps[i]->v = calloc(1, sizeof(struct iso_id_map));
		maps[i]->v[0] = (struct iso_id_map){0, outside, 65536};
		maps[i]->n = 1;
	}
}

/* Create, up to the commit. Its output goes to out_fd. */
static inline int box_create(struct box *b)
{
	int pipe_fds[2], r;

	box_must(pipe2(pipe_fds, O_CLOEXEC) == 0, "pipe");
	b->out_fd = pipe_fds[0];
	if (b->params.stdio.fds[1] < 0) {
		b->params.stdio.fds[1] = pipe_fds[1];
		b->params.stdio.fds[2] = pipe_fds[1];
	}
	r = iso_init_spawn(&b->params, &b->init, &b->e);
	close(pipe_fds[1]);
	if (r == 0)
		r = iso_init_prepare(&b->init, &b->e);
	if (r == 0)
		r = iso_init_commit(&b->init, &b->e);
	return r;
}

static inline void drain(int fd, char *buf, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n + 1 < size && (got = read(fd, buf + n, size - 1 - n)) > 0)
		n += (size_t)got;
	buf[n] = '\0';
}

static inline int box_run(struct box *b)
{
	int r = box_create(b);

	if (r == 0)
		r = iso_init_start(&b->init, &b->e);
	if (r < 0)
		return r;
	drain(b->out_fd, b->out, sizeof(b->out));
	assert_int_equal(waitpid(b->init.pid, &b->status, 0), b->init.pid);
	b->init.pid = -1;
	return 0;
}

/* For a container that must work: a failure shows its error. */
#define box_run_ok(b)                                                                         \
	do {                                                                                  \
		if (box_run(b) < 0)                                                           \
			fail_msg("%s (hint: %s)", (b)->e.text, (b)->e.hint);                  \
		if (!WIFEXITED((b)->status) || WEXITSTATUS((b)->status) != 0)                 \
			fail_msg("status %#x, output '%s'", (unsigned)(b)->status, (b)->out); \
	} while (0)

#define assert_contains(text, part)                                      \
	do {                                                             \
		if (!strstr((text), (part)))                             \
			fail_msg("'%s' is not in '%s'", (part), (text)); \
	} while (0)

/* The value of a line "Name:\tvalue" of /proc/PID/status, as a hexadecimal number. */
static inline uint64_t status_hex(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	if (!p)
		fail_msg("no %s in '%s'", name, text);
	return strtoull(p + strlen(name) + 1, NULL, 16);
}

/* The group of a test that failed half-way. */
static inline int group_gone(void)
{
	char path[64];

	snprintf(path, sizeof(path), BOX_GROUP "%d", (int)getpid());
	if (rmdir(path) < 0)
		return 0;
	fprintf(stderr, "# a group was left\n");
	return -1;
}

/* Nothing that a test started is left. What is (a failed test skips its clean-up) is ended, so that
 * it spoils no other test and outlives none. */
static inline int no_children_left(void **state)
{
	char path[64];
	int pid, n = 0;
	FILE *f;

	(void)state;
	if (waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD)
		return group_gone();
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &pid) == 1)
		n += kill(pid, SIGKILL) == 0;
	if (f)
		fclose(f);
	while (waitpid(-1, NULL, 0) > 0)
		;
	fprintf(stderr, "# %d processes were left\n", n);
	(void)group_gone();
	return -1;
}

static inline bool ends_soon(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 10000) == 1;
}

/* A v2 group of the test's own, by a mount of the hierarchy in our namespace; -1 where there is no
 * cgroup2 or it cannot be written. Remove with group_remove(). */
static inline int group_make(char path[64])
{
	snprintf(path, 64, BOX_GROUP "%d", (int)getpid());
	mkdir("/mnt/cgroup", 0755);
	if (mount("cgroup2", "/mnt/cgroup", "cgroup2", 0, NULL) < 0 || mkdir(path, 0755) < 0)
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline void group_remove(int fd, const char *path)
{
	char leftover[32];
	int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);

	drain(procs, leftover, sizeof(leftover));
	close(procs);
	close(fd);
	rmdir(path);
	umount("/mnt/cgroup");
	assert_string_equal(leftover, "");
}
