/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules as a process in the group meets them: the same lists for the v1 controller and for
 * the v2 program. Spec: OCI runtime-spec config-linux.md "Allowed Device list": in order, the last
 * match wins.
 */
#include "view.h"

#include <sys/sysmacros.h>

#define R(allow, type, major, minor, r, w, m)      \
	{                                          \
		allow, type, major, minor, r, w, m \
	}
#define DENY_ALL  R(false, 'a', -1, -1, true, true, true)
#define ALLOW_ALL R(true, 'a', -1, -1, true, true, true)

struct list {
	const char *name;
	struct cg_device_rule rules[8];
	size_t n;
	/* What opening /dev/null (1:3) read, write, both, /dev/zero (1:5) read, and mknod of 1:3
	 * give: 'y' or 'n'. */
	const char *expect;
	bool v1_refuses; /* has no v1 form */
};

static const struct list lists[] = {
	{"deny all", {DENY_ALL}, 1, "nnnnn", false},
	{"allow all", {ALLOW_ALL}, 1, "yyyyy", false},
	{"one device", {DENY_ALL, R(true, 'c', 1, 3, true, true, true)}, 2, "yyyny", false},
	{"read only", {DENY_ALL, R(true, 'c', 1, 3, true, false, false)}, 2, "ynnnn", false},
	{"a block rule is not for characters",
	 {DENY_ALL, R(true, 'b', 1, 3, true, true, true)},
	 2,
	 "nnnnn",
	 false},
	{"all minors", {DENY_ALL, R(true, 'c', 1, -1, true, true, false)}, 2, "yyyyn", false},
	{"all majors", {DENY_ALL, R(true, 'c', -1, 3, true, false, false)}, 2, "ynnnn", false},
	{"mknod of any, as engines write",
	 {DENY_ALL, R(true, 'c', -1, -1, false, false, true), R(true, 'c', 1, 5, true, true, true)},
	 3,
	 "nnnyy",
	 false},
	{"read and write by two rules",
	 {DENY_ALL, R(true, 'c', 1, 3, true, false, false), R(true, 'c', 1, 3, false, true, false)},
	 3,
	 "yyynn",
	 false},
	{"read by a wide, write by a narrow rule",
	 {DENY_ALL, R(true, 'c', 1, -1, true, false, false),
	  R(true, 'c', 1, 3, false, true, false)},
	 3,
	 "yyyyn",
	 false},
	{"two that cross",
	 {DENY_ALL, R(true, 'c', 1, -1, true, false, false),
	  R(true, 'c', -1, 3, false, true, false)},
	 3,
	 "yyyyn",
	 false},
	{"allowed, then denied again",
	 {DENY_ALL, R(true, 'c', 1, 3, true, true, true), R(false, 'c', 1, 3, false, true, false)},
	 3,
	 "ynnny",
	 false},
	{"denied by a wider rule",
	 {DENY_ALL, R(true, 'c', 1, 3, true, true, true), R(true, 'c', 1, 5, true, true, true),
	  R(false, 'c', 1, -1, true, false, false)},
	 4,
	 "nynny",
	 false},
	{"a hole in a wide rule",
	 {DENY_ALL, R(true, 'c', 1, -1, true, true, true), R(false, 'c', 1, 3, true, true, true)},
	 3,
	 "nnnyn",
	 true},
	{"no default given", {R(false, 'c', 1, 3, false, true, false)}, 1, "ynnyy", false},
	{"denied, then all allowed", {DENY_ALL, ALLOW_ALL}, 2, "yyyyy", false},
	{"what stands before 'deny all' counts no more",
	 {R(true, 'c', 1, 3, true, true, true), DENY_ALL, R(true, 'c', 1, 5, true, false, false)},
	 3,
	 "nnnyn",
	 false},
	{"read of everything",
	 {DENY_ALL, R(true, 'a', -1, -1, true, false, false)},
	 2,
	 "ynnyn",
	 false},
};

static char try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	else
		CHECK(errno == EPERM);
	return fd >= 0 ? 'y' : 'n';
}

static char try_mknod(void)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/tmp/insula-test-node-%d", (int)getpid());
	r = mknod(path, S_IFCHR | 0600, makedev(1, 3));
	CHECK(r == 0 || errno == EPERM);
	unlink(path);
	return r == 0 ? 'y' : 'n';
}

/* In the group: what is possible there, as text. */
static void meet(struct cgroup *g, char answers[6])
{
	int status, out[2];
	pid_t pid;

	CHECK(pipe(out) == 0);
	pid = fork();
	if (pid == 0) {
		struct err e = ERR_INIT;
		char a[5];

		CHECK_OK(cg_attach(g, 0, &e));
		a[0] = try_open("/dev/null", O_RDONLY);
		a[1] = try_open("/dev/null", O_WRONLY);
		a[2] = try_open("/dev/null", O_RDWR);
		a[3] = try_open("/dev/zero", O_RDONLY);
		a[4] = try_mknod();
		CHECK(write(out[1], a, sizeof(a)) == sizeof(a));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(read(out[0], answers, 5) == 5);
	answers[5] = '\0';
	close(out[0]);
	close(out[1]);
}

static bool v1_devices(const struct ctx *c)
{
	return has_controller(c->host, "devices");
}

static void try_list(struct ctx *c, struct cgroup *g, const struct list *t)
{
	struct cg_limits l = no_limits();
	struct err e = ERR_INIT;
	char answers[6];
	int r;

	l.devices = (struct cg_device_rule *)(uintptr_t)t->rules;
	l.n_devices = t->n;
	r = cg_set_limits(g, &l, &e);
	if (t->v1_refuses && v1_devices(c)) {
		CHECK(r < 0 && e.kind == ERR_UNSUPPORTED);
		CHECK(strstr(e.text, "takes a part out of") && strstr(e.text, "device rule 3"));
		return;
	}
	CHECK_OK(r);
	meet(g, answers);
	if (strcmp(answers, t->expect) != 0) {
		fprintf(stderr, "%s: expected %s, met %s\n", t->name, t->expect, answers);
		_exit(1);
	}
}

/* A new group for each list. */
static void body_lists(struct ctx *c)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct err e = ERR_INIT;
		struct cgroup *g = NULL;

		CHECK_OK(cg_create(c->host, c->path, NULL, &g, &e));
		try_list(c, g, &lists[i]);
		cg_free(g);
		CHECK_OK(cg_remove(c->host, c->path, false, &e));
	}
}
IN_ALL_VIEWS(lists, body_lists)

/* One group, updated from each list to each other one: nothing of the former may stay. */
static void body_updates(struct ctx *c)
{
	struct err e = ERR_INIT;
	struct cgroup *g = NULL;

	CHECK_OK(cg_create(c->host, c->path, NULL, &g, &e));
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k += 3) {
			try_list(c, g, &lists[i]);
			try_list(c, g, &lists[k]);
		}
	}
	cg_free(g);
}
IN_ALL_VIEWS(updates, body_updates)

/* An update works while the container has groups of its own below. */
static void body_nested(struct ctx *c)
{
	const struct cg_mount_view *views;
	struct err e = ERR_INIT;
	struct cgroup *g = NULL;
	size_t n;

	CHECK_OK(cg_create(c->host, c->path, NULL, &g, &e));
	try_list(c, g, &lists[2]);
	n = cg_mount_views(g, &views);
	for (size_t i = 0; i < n; i++)
		CHECK(mkdirat(views[i].group_fd, "inner", 0755) == 0);
	try_list(c, g, &lists[3]);
	try_list(c, g, &lists[2]);
	cg_free(g);
}
IN_ALL_VIEWS(nested, body_nested)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL_VIEWS(lists),
		ALL_VIEWS(updates),
		ALL_VIEWS(nested),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP control groups need root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
