/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is found on the host, whatever a mount namespace shows of it: layouts, other mount points,
 * hidden mounts, subtrees; the paths of groups; the description and the top group.
 */
#include "view.h"

static size_t count(char *const *v)
{
	size_t n = 0;

	while (v[n])
		n++;
	return n;
}

static void body_v1(struct ctx *c)
{
	CHECK(cg_host_layout(c->host) == CG_LAYOUT_V1);
	CHECK(strcmp(cg_layout_name(cg_host_layout(c->host)), "v1") == 0);
	CHECK(count(cg_host_controllers(c->host)) > 0);
}
IN_VIEW(layout_v1, VIEW_V1, body_v1)

static void body_v2(struct ctx *c)
{
	CHECK(cg_host_layout(c->host) == CG_LAYOUT_V2);
	CHECK(count(cg_host_controllers(c->host)) > 0);
	CHECK(!has_controller(c->host, "devices") && !has_controller(c->host, "freezer"));
}
IN_VIEW(layout_v2, VIEW_V2, body_v2)

static void body_none(struct ctx *c)
{
	struct cg_controller_info *rows = NULL;
	struct err e = ERR_INIT;
	size_t n = 1;

	CHECK(cg_host_layout(c->host) == CG_LAYOUT_NONE);
	CHECK_OK(cg_host_describe(c->host, &rows, &n, &e));
	CHECK(n == 0);
	CHECK(cg_prefix_prepare(c->host, c->top + 1, &e) < 0 && e.kind == ERR_UNSUPPORTED);
}
IN_VIEW(layout_none, VIEW_NONE, body_none)

/* ---- paths -------------------------------------------------------------------------------------------- */

static void body_paths(struct ctx *c)
{
	static const struct {
		const char *wanted, *result; /* NULL: refused */
	} table[] = {
		{NULL, "/insula/c1"},
		{"", "/insula/c1"},
		{"/a/b", "/a/b"},
		{"/a//b/", "/a/b"},
		{"a/b", "/a/b"},
		{"/", NULL},
		{"//", NULL},
		{"/a/../b", NULL},
		{"../b", NULL},
		{"/..", NULL},
		{"/a/./b", NULL},
		{"/a\nb", NULL},
		{"/a..b/..c", "/a..b/..c"},
		{"a/..", NULL},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *path = NULL;
		struct err e = ERR_INIT;
		int r = cg_path_resolve(c->host, table[i].wanted, "insula", "c1", &path, &e);

		if (table[i].result) {
			CHECK_OK(r);
			CHECK(strcmp(path, table[i].result) == 0);
		} else {
			CHECK(r == -EINVAL && e.kind == ERR_INVALID && path == NULL);
		}
		free(path);
	}
	{
		struct cgroup *g = NULL;
		struct err e = ERR_INIT;

		CHECK(cg_create(c->host, "relative", NULL, &g, &e) == -EINVAL);
		CHECK(cg_open(c->host, "/", &g, &e) == -EINVAL);
		CHECK(cg_open(c->host, "/x/../..", &g, &e) == -EINVAL);
	}
}
IN_ALL_VIEWS(paths, body_paths)

/* ---- mounts --------------------------------------------------------------------------------------------- */

/* The cgroup mount points of this namespace, without blanks in them. */
static size_t mount_points(char points[][128], size_t max)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	size_t n = 0;

	CHECK(f);
	while (n < max && fgets(line, sizeof(line), f))
		if (strstr(line, " - cgroup") &&
		    sscanf(line, "%*s %*s %*s %*s %127s", points[n]) == 1)
			n++;
	fclose(f);
	return n;
}

static bool in_group(pid_t pid, const char *suffix, size_t times)
{
	char name[64], line[4096];
	size_t n = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
	f = fopen(name, "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		n += str_has_suffix(line, suffix);
	}
	fclose(f);
	return n == times;
}

/* Only a subtree of each hierarchy is mounted, as in containers. A path by its full name and one
 * that starts at the mount are the same group. */
static void body_subtree(struct ctx *c)
{
	char points[32][128], below[sizeof(points) + 64], path[256];
	size_t n = mount_points(points, 32);
	struct cg_host *h = NULL;
	struct cgroup *g = NULL, *same = NULL;
	struct err e = ERR_INIT;
	pid_t pid;

	CHECK_OK(cg_create(c->host, c->path, NULL, &g, &e));
	cg_free(g);
	for (size_t i = 0; i < n; i++) {
		snprintf(below, sizeof(below), "%s%s", points[i], c->top);
		CHECK(mount(below, points[i], NULL, MS_BIND, NULL) == 0);
	}
	CHECK_OK(cg_host_open(&h, &e));
	CHECK(cg_host_layout(h) == cg_host_layout(c->host));
	snprintf(path, sizeof(path), "%s/sub/c2", c->top);
	CHECK_OK(cg_create(h, path, NULL, &g, &e));
	pid = sleeper(g);
	CHECK(in_group(pid, path, n));
	CHECK_OK(cg_open(h, "/sub/c2", &same, &e));
	{
		pid_t *pids = NULL;
		size_t n_pids = 0;

		CHECK_OK(cg_pids(same, &pids, &n_pids, &e));
		CHECK(n_pids == 1 && pids[0] == pid);
		free(pids);
	}
	cg_free(same);
	cg_free(g);
	CHECK_OK(cg_remove(h, "/sub/c2", true, &e));
	CHECK(cg_open(h, path, &g, &e) == -ENOENT);
	waitpid(pid, NULL, 0);
	cg_host_free(h);
}
IN_ALL_VIEWS(subtree, body_subtree)

/* The whole tree elsewhere, under a name that mountinfo escapes, and the usual place hidden. */
static void body_elsewhere(struct ctx *c)
{
	struct cg_host *h = NULL;
	struct cgroup *g = NULL;
	struct err e = ERR_INIT;

	CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("/mnt/a \\ b", 0700) == 0);
	CHECK(mount("/sys/fs/cgroup", "/mnt/a \\ b", NULL, MS_BIND | MS_REC, NULL) == 0);
	CHECK(mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, NULL) == 0);
	CHECK_OK(cg_host_open(&h, &e));
	CHECK(cg_host_layout(h) == cg_host_layout(c->host));
	CHECK(count(cg_host_controllers(h)) == count(cg_host_controllers(c->host)));
	CHECK_OK(cg_create(h, c->path, NULL, &g, &e));
	cg_free(g);
	CHECK_OK(cg_open(c->host, c->path, &g, &e)); /* the host seen before has it too */
	cg_free(g);
	CHECK_OK(cg_remove(h, c->path, false, &e));
	cg_host_free(h);
}
IN_ALL_VIEWS(elsewhere, body_elsewhere)

/* Read-only hierarchies, as in an unprivileged container: no limits, then no group; limits, then a
 * clear no. */
static void body_read_only(struct ctx *c)
{
	char points[32][128];
	size_t n = mount_points(points, 32);
	struct cg_limits l = no_limits();
	struct cg_host *h = NULL;
	struct cgroup *g = NULL;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < n; i++) {
		CHECK(mount(points[i], points[i], NULL, MS_BIND, NULL) == 0);
		CHECK(mount(NULL, points[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	}
	CHECK_OK(cg_host_open(&h, &e));
	CHECK_OK(cg_create(h, c->path, &l, &g, &e));
	CHECK(cg_is_null(g));
	cg_free(g);
	l.pids_max = 10;
	CHECK(cg_create(h, c->path, &l, &g, &e) < 0);
	CHECK(e.kind == ERR_UNSUPPORTED && strstr(e.text, "pids controller") && e.hint[0]);
	CHECK_OK(cg_remove(h, c->path, true, &e));
	cg_host_free(h);
}
IN_ALL_VIEWS(read_only, body_read_only)

/* ---- without root --------------------------------------------------------------------------------------- */

static int at(const char *top, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", top, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

/* As systemd does for a user: app.slice is his, and we are in a unit below it. */
static void become_user(struct ctx *c, bool delegated)
{
	static const char *const mine[] = {
		"",          "cgroup.procs",           "cgroup.subtree_control",
		"app.slice", "app.slice/cgroup.procs", "app.slice/cgroup.subtree_control"};
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s", c->top);
	CHECK(mkdir(path, 0755) == 0);
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/app.slice", c->top);
	CHECK(mkdir(path, 0755) == 0);
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/app.slice/me.scope", c->top);
	CHECK(mkdir(path, 0755) == 0);
	fd = at(c->top, "app.slice/me.scope/cgroup.procs");
	CHECK(write(fd, "0", 1) == 1);
	close(fd);
	for (size_t i = 0; delegated && i < sizeof(mine) / sizeof(mine[0]); i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", c->top, mine[i]);
		CHECK(chown(path, 65534, 65534) == 0);
	}
	CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
}

static void body_delegated(struct ctx *c)
{
	struct cg_device_rule deny = {false, 'a', -1, -1, true, true, true};
	struct cg_limits l = no_limits();
	struct cg_host *h = NULL;
	struct cgroup *g = NULL;
	struct err e = ERR_INIT;
	char want[256], *path = NULL;

	become_user(c, true);
	CHECK_OK(cg_host_open(&h, &e));
	/* Beside our own unit, which has processes and so could hand nothing down. */
	CHECK_OK(cg_path_resolve(h, NULL, "insula", "c1", &path, &e));
	snprintf(want, sizeof(want), "%s/app.slice/insula/c1", c->top);
	CHECK(strcmp(path, want) == 0);
	CHECK_OK(cg_create(h, path, &l, &g, &e));
	CHECK(!cg_is_null(g) && cg_clone_fd(g) >= 0);
	CHECK_OK(cg_attach(g, 0, &e));
	CHECK(in_group(getpid(), path, 1));
	l.devices = &deny;
	l.n_devices = 1;
	CHECK(cg_set_limits(g, &l, &e) < 0 && e.kind == ERR_UNSUPPORTED);
	CHECK(strstr(e.text, "device rules") && strstr(e.hint, "root"));
	cg_free(g);
	l.n_devices = 0;
	/* Nothing was handed down to app.slice. */
	l.cpu_quota_usec = 50000;
	snprintf(want, sizeof(want), "%s/app.slice/insula/c2", c->top);
	CHECK(cg_create(h, want, &l, &g, &e) < 0 && e.kind == ERR_UNSUPPORTED);
	CHECK(strstr(e.text, "the cpu controller is not delegated to cgroup"));
	CHECK(strstr(e.hint, "Delegate=cpu"));
	CHECK(cg_open(h, want, &g, &e) == -ENOENT);
	free(path);
	cg_host_free(h);
}
IN_VIEW(delegated, VIEW_V2, body_delegated)

static void body_not_delegated(struct ctx *c)
{
	struct cg_limits l = no_limits();
	struct cg_host *h = NULL;
	struct cgroup *g = NULL;
	struct err e = ERR_INIT;
	char *path = NULL;

	become_user(c, false);
	CHECK_OK(cg_host_open(&h, &e));
	CHECK_OK(cg_path_resolve(h, NULL, "insula", "c1", &path, &e));
	CHECK_OK(cg_create(h, path, &l, &g, &e));
	CHECK(cg_is_null(g));
	cg_free(g);
	l.memory_bytes = 64 << 20;
	CHECK(cg_create(h, path, &l, &g, &e) < 0 && e.kind == ERR_UNSUPPORTED);
	CHECK(strstr(e.text, "memory controller") && strstr(e.hint, "Delegate=memory"));
	free(path);
	cg_host_free(h);
}
IN_VIEW(not_delegated, VIEW_V2, body_not_delegated)

static void body_user_v1(struct ctx *c)
{
	struct cg_host *h = NULL;
	struct err e = ERR_INIT;

	(void)c;
	CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	CHECK_OK(cg_host_open(&h, &e));
	CHECK(cg_host_layout(h) == CG_LAYOUT_V1);
	CHECK(count(cg_host_controllers(h)) == 0);
	cg_host_free(h);
}
IN_VIEW(user_v1, VIEW_V1, body_user_v1)

/* ---- by libcgroup --------------------------------------------------------------------------------------- */

static void body_describe(struct ctx *c)
{
	struct cg_controller_info *rows = NULL;
	struct err e = ERR_INIT;
	size_t n = 0, mounted = 0;

	CHECK_OK(cg_host_describe(c->host, &rows, &n, &e));
	for (size_t i = 0; i < n; i++) {
		CHECK(rows[i].name && rows[i].name[0]);
		for (size_t k = 0; k < i; k++)
			CHECK(strcmp(rows[i].name, rows[k].name) != 0);
		CHECK((rows[i].mount_point != NULL) == (rows[i].version != 0));
		if (!rows[i].mount_point)
			continue;
		CHECK(str_has_prefix(rows[i].mount_point, "/sys/fs/cgroup"));
		if (cg_host_layout(c->host) != CG_LAYOUT_HYBRID)
			CHECK(rows[i].version == (cg_host_layout(c->host) == CG_LAYOUT_V2 ? 2 : 1));
		mounted++;
	}
	/* What we use is among what it tells. */
	for (char *const *name = cg_host_controllers(c->host); *name; name++) {
		bool found = false;

		for (size_t i = 0; i < n; i++)
			found = found || (rows[i].mount_point && strcmp(rows[i].name, *name) == 0);
		CHECK(found);
	}
	CHECK(mounted > 0);
	cg_host_describe_free(rows, n);
}
IN_ALL_VIEWS(describe, body_describe)

static void body_prefix(struct ctx *c)
{
	char points[32][128], path[sizeof(points) + 128], value[64];
	size_t n = mount_points(points, 32);
	struct err e = ERR_INIT;

	CHECK_OK(cg_prefix_prepare(c->host, c->top + 1, &e));
	for (size_t i = 0; i < n; i++) {
		struct stat st;
		int fd;

		snprintf(path, sizeof(path), "%s%s", points[i], c->top);
		CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
		snprintf(path, sizeof(path), "%s%s/cpuset.cpus", points[i], c->top);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		/* v1: a process could join a group below at once. */
		if (cg_host_layout(c->host) != CG_LAYOUT_V2)
			CHECK(read(fd, value, sizeof(value)) > 1);
		close(fd);
	}
	if (cg_host_layout(c->host) == CG_LAYOUT_V2 && has_controller(c->host, "pids")) {
		ssize_t len;
		int fd;

		snprintf(path, sizeof(path), "%s%s/cgroup.subtree_control", points[0], c->top);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		CHECK(fd >= 0);
		len = read(fd, value, sizeof(value) - 1);
		CHECK(len > 0);
		value[len] = '\0';
		CHECK(strstr(value, "pids") && strstr(value, "memory"));
		close(fd);
	}
	CHECK_OK(cg_prefix_prepare(c->host, c->top + 1, &e)); /* again: nothing to do */
	CHECK(cg_prefix_prepare(c->host, "../x", &e) == -EINVAL);
}
IN_ALL_VIEWS(prefix, body_prefix)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_v1),
		cmocka_unit_test(layout_v2),
		cmocka_unit_test(layout_none),
		ALL_VIEWS(paths),
		ALL_VIEWS(subtree),
		ALL_VIEWS(elsewhere),
		ALL_VIEWS(read_only),
		cmocka_unit_test(delegated),
		cmocka_unit_test(not_delegated),
		cmocka_unit_test(user_v1),
		ALL_VIEWS(describe),
		ALL_VIEWS(prefix),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP control groups need root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
