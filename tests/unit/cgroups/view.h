/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of groups: a body runs in a child, in a private mount namespace that shows one layout of
 * this host's hierarchies; the machine's own mounts stay. Groups are made below
 * "/insula-test-<pid>" only, and the parent removes that with all in it, whatever the child did.
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "cgroups/cgroup.h"

enum view { VIEW_HOST, VIEW_V1, VIEW_V2, VIEW_NONE };

#define EXIT_SKIP    77
#define BODY_SECONDS 60

/* In the child: cmocka's asserts belong to the parent. */
#define CHECK(cond)                                                                \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                                  \
		}                                                                  \
	} while (0)
#define CHECK_OK(call)                                                                         \
	do {                                                                                   \
		if ((call) < 0) {                                                              \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, e.text); \
			_exit(1);                                                              \
		}                                                                              \
	} while (0)
#define SKIP(...)                             \
	do {                                  \
		fprintf(stderr, "# skip: ");  \
		fprintf(stderr, __VA_ARGS__); \
		fprintf(stderr, "\n");        \
		_exit(EXIT_SKIP);             \
	} while (0)

struct ctx {
	struct cg_host *host;
	char top[64];  /* "/insula-test-<pid>" */
	char path[96]; /* a group below it */
};

static inline bool has_controller(const struct cg_host *h, const char *name)
{
	for (char *const *c = cg_host_controllers(h); *c; c++)
		if (strcmp(*c, name) == 0)
			return true;
	return false;
}

static inline void need_controller(const struct ctx *c, const char *name)
{
	if (!has_controller(c->host, name))
		SKIP("no %s controller in the %s view of this host", name,
		     cg_layout_name(cg_host_layout(c->host)));
}

static inline void show_v2_alone(void)
{
	/* The cgroup2 of a hybrid host moves to where v2 is found on others. */
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
		return;
	if (access("/sys/fs/cgroup/unified/cgroup.controllers", F_OK) != 0)
		SKIP("no cgroup2 is mounted on this host");
	CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("/mnt/u", 0700) == 0);
	CHECK(mount("/sys/fs/cgroup/unified", "/mnt/u", NULL, MS_BIND, NULL) == 0);
	CHECK(umount2("/sys/fs/cgroup", MNT_DETACH) == 0);
	CHECK(mount("/mnt/u", "/sys/fs/cgroup", NULL, MS_MOVE, NULL) == 0);
	CHECK(umount2("/mnt", MNT_DETACH) == 0);
}

static inline void show(enum view v)
{
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	switch (v) {
	case VIEW_HOST:
		return;
	case VIEW_V1:
		if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
			SKIP("no v1 hierarchy is mounted on this host");
		if (access("/sys/fs/cgroup/unified", F_OK) == 0)
			umount2("/sys/fs/cgroup/unified", MNT_DETACH);
		return;
	case VIEW_V2:
		show_v2_alone();
		return;
	case VIEW_NONE:
		CHECK(umount2("/sys/fs/cgroup", MNT_DETACH) == 0);
		return;
	}
}

static inline void remove_top(const char *top)
{
	struct cg_host *h = NULL;

	if (cg_host_open(&h, NULL) == 0)
		cg_remove(h, top, true, NULL);
	cg_host_free(h);
}

/* 0, or the exit code of the child; EXIT_SKIP as such. */
static inline int run_view(enum view v, void (*body)(struct ctx *c))
{
	struct ctx c = {0};
	int status = 0;
	pid_t pid;

	snprintf(c.top, sizeof(c.top), "/insula-test-%d", (int)getpid());
	snprintf(c.path, sizeof(c.path), "%s/c1", c.top);
	pid = fork();
	if (pid == 0) {
		struct err e = ERR_INIT;

		/* A body that hangs is a failure, and must not outlive the program. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(BODY_SECONDS);
		show(v);
		CHECK_OK(cg_host_open(&c.host, &e));
		body(&c);
		cg_host_free(c.host);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	remove_top(c.top);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define IN_VIEW(name, view, body)             \
	static void name(void **state)        \
	{                                     \
		int r = run_view(view, body); \
		(void)state;                  \
		if (r == EXIT_SKIP)           \
			skip();               \
		assert_int_equal(r, 0);       \
	}
/* The same body in each layout. */
#define IN_ALL_VIEWS(name, body)              \
	IN_VIEW(name##_host, VIEW_HOST, body) \
	IN_VIEW(name##_v1, VIEW_V1, body)     \
	IN_VIEW(name##_v2, VIEW_V2, body)
#define ALL_VIEWS(name) \
	cmocka_unit_test(name##_host), cmocka_unit_test(name##_v1), cmocka_unit_test(name##_v2)

static inline bool word_in(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
			return true;
	return false;
}

/* A file of the group, as a user would find it: the v1 file in the controller's hierarchy, or the
 * v2 one. */
static inline const char *file_of(struct cgroup *g, const char *controller, const char *v1,
				  const char *v2, char buf[256])
{
	const struct cg_mount_view *views;
	size_t n = cg_mount_views(g, &views);

	for (int pass = 1; pass <= 2; pass++) {
		for (size_t i = 0; i < n; i++) {
			bool is_v2 = strcmp(views[i].fstype, "cgroup2") == 0;
			ssize_t len;
			int fd;

			if (is_v2 != (pass == 2) || (!is_v2 && !word_in(views[i].name, controller)))
				continue;
			fd = openat(views[i].group_fd, is_v2 ? v2 : v1, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			len = read(fd, buf, 255);
			close(fd);
			CHECK(len >= 0);
			while (len > 0 && buf[len - 1] == '\n')
				len--;
			buf[len] = '\0';
			return buf;
		}
	}
	snprintf(buf, 256, "(no file)");
	return buf;
}

/* A child that sleeps; it is in the group when this returns. */
static inline pid_t sleeper(struct cgroup *g)
{
	struct err e = ERR_INIT;
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	CHECK(pid > 0);
	CHECK_OK(cg_attach(g, pid, &e));
	return pid;
}

static inline struct cg_limits no_limits(void)
{
	struct cg_limits l;

	cg_limits_init(&l);
	return l;
}
