/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of a group in each layout: made, limited, joined, frozen, signalled, removed; what is refused;
 * and that nothing stays.
 */
#include "view.h"

#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MIB (INT64_C(1) << 20)

static struct cgroup *make(struct ctx *c, const struct cg_limits *l)
{
	struct err e = ERR_INIT;
	struct cgroup *g = NULL;

	CHECK_OK(cg_create(c->host, c->path, l, &g, &e));
	if (l)
		CHECK_OK(cg_set_limits(g, l, &e));
	return g;
}

static void set(struct cgroup *g, const struct cg_limits *l)
{
	struct err e = ERR_INIT;

	CHECK_OK(cg_set_limits(g, l, &e));
}

static bool holds(struct cgroup *g, const char *ctl, const char *v1, const char *v2,
		  const char *v1_value, const char *v2_value)
{
	char buf[256];
	bool ok;

	file_of(g, ctl, v1, v2, buf);
	ok = strcmp(buf, v1_value) == 0 || strcmp(buf, v2_value) == 0;
	if (!ok)
		fprintf(stderr, "%s or %s holds '%s'\n", v1, v2, buf);
	return ok;
}

/* ---- limits ----------------------------------------------------------------------------------------- */

static void body_memory(struct ctx *c)
{
	struct cg_limits l = no_limits();
	struct cg_stats s;
	struct cgroup *g;
	struct err e = ERR_INIT;

	need_controller(c, "memory");
	l.memory_bytes = 64 * MIB;
	l.memory_low_bytes = 32 * MIB;
	g = make(c, &l);
	CHECK(holds(g, "memory", "memory.limit_in_bytes", "memory.max", "67108864", "67108864"));
	CHECK(holds(g, "memory", "memory.soft_limit_in_bytes", "memory.low", "33554432",
		    "33554432"));
	/* Memory and swap together 64 MiB: no swap. Then raised, lowered, lifted: each order. */
	l.memory_swap_bytes = 64 * MIB;
	set(g, &l);
	CHECK(holds(g, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max", "67108864",
		    "0"));
	l.memory_bytes = 128 * MIB;
	l.memory_swap_bytes = 192 * MIB;
	set(g, &l);
	CHECK(holds(g, "memory", "memory.limit_in_bytes", "memory.max", "134217728", "134217728"));
	CHECK(holds(g, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max", "201326592",
		    "67108864"));
	l.memory_bytes = 32 * MIB;
	l.memory_swap_bytes = 48 * MIB;
	set(g, &l);
	CHECK(holds(g, "memory", "memory.limit_in_bytes", "memory.max", "33554432", "33554432"));
	CHECK_OK(cg_stats(g, &s, &e));
	CHECK(s.memory_limit_bytes == (uint64_t)(32 * MIB));
	l = no_limits();
	l.memory_bytes = CG_MAX;
	set(g, &l);
	CHECK_OK(cg_stats(g, &s, &e));
	CHECK(s.memory_limit_bytes == UINT64_MAX);
	cg_free(g);
}
IN_ALL_VIEWS(memory, body_memory)

static void body_cpu(struct ctx *c)
{
	struct cg_limits l = no_limits();
	struct cgroup *g;

	need_controller(c, "cpu");
	l.cpu_quota_usec = 50000;
	l.cpu_period_usec = 100000;
	l.cpu_shares = 512;
	g = make(c, &l);
	CHECK(holds(g, "cpu", "cpu.cfs_quota_us", "cpu.max", "50000", "50000 100000"));
	CHECK(holds(g, "cpu", "cpu.shares", "cpu.weight", "512", "20"));
	/* The period alone leaves the quota. */
	l = no_limits();
	l.cpu_period_usec = 200000;
	set(g, &l);
	CHECK(holds(g, "cpu", "cpu.cfs_quota_us", "cpu.max", "50000", "50000 200000"));
	l = no_limits();
	l.cpu_quota_usec = CG_MAX;
	l.cpu_shares = 512;
	l.cpu_weight = 100; /* wins, and is the default of both scales */
	set(g, &l);
	CHECK(holds(g, "cpu", "cpu.cfs_quota_us", "cpu.max", "-1", "max 200000"));
	CHECK(holds(g, "cpu", "cpu.shares", "cpu.weight", "1024", "100"));
	cg_free(g);
}
IN_ALL_VIEWS(cpu, body_cpu)

/* Burst and idle: newer files of the cpu controller, the same in both versions but for a name. */
static void body_cpu_burst_idle(struct ctx *c)
{
	struct cg_limits l = no_limits();
	struct err e = ERR_INIT;
	struct cgroup *g;

	need_controller(c, "cpu");
	l.cpu_quota_usec = 50000;
	l.cpu_period_usec = 100000;
	l.cpu_burst_usec = 20000;
	g = make(c, &l);
	CHECK(holds(g, "cpu", "cpu.cfs_burst_us", "cpu.max.burst", "20000", "20000"));
	/* Lowering both below the old burst, then raising both: the kernel keeps burst <= quota. */
	l.cpu_quota_usec = 10000;
	l.cpu_burst_usec = 5000;
	set(g, &l);
	CHECK(holds(g, "cpu", "cpu.cfs_burst_us", "cpu.max.burst", "5000", "5000"));
	l.cpu_quota_usec = 80000;
	l.cpu_burst_usec = 70000;
	set(g, &l);
	CHECK(holds(g, "cpu", "cpu.cfs_burst_us", "cpu.max.burst", "70000", "70000"));
	l = no_limits();
	l.cpu_burst_usec = 90000;
	CHECK(cg_set_limits(g, &l, &e) < 0);
	CHECK(strstr(e.text, "burst"));
	l = no_limits();
	l.cpu_idle = 1;
	set(g, &l);
	CHECK(holds(g, "cpu", "cpu.idle", "cpu.idle", "1", "1"));
	l.cpu_idle = 0;
	l.cpu_shares = 512;
	set(g, &l);
	CHECK(holds(g, "cpu", "cpu.idle", "cpu.idle", "0", "0"));
	CHECK(holds(g, "cpu", "cpu.shares", "cpu.weight", "512", "20"));
	cg_free(g);
}
IN_ALL_VIEWS(cpu_burst_idle, body_cpu_burst_idle)

/* Any block device of the machine: throttling needs a whole one. */
static bool some_disk(unsigned *ret_major, unsigned *ret_minor)
{
	FILE *f = popen("cat /sys/block/*/dev 2>/dev/null", "r");
	bool found = f && fscanf(f, "%u:%u", ret_major, ret_minor) == 2;

	if (f)
		pclose(f);
	return found;
}

static void body_io(struct ctx *c)
{
	bool v2 = cg_host_layout(c->host) == CG_LAYOUT_V2;
	struct cg_limits l = no_limits();
	struct cg_io_rule read = {.value = 1048576}, write = {.value = 77};
	struct err e = ERR_INIT;
	unsigned major, minor;
	char text[256], want[64];
	struct cgroup *g;

	need_controller(c, v2 ? "io" : "blkio");
	if (!some_disk(&major, &minor))
		SKIP("no block device");
	read.major = write.major = major;
	read.minor = write.minor = minor;
	l.io_max[CG_IO_READ_BPS] = &read;
	l.n_io_max[CG_IO_READ_BPS] = 1;
	l.io_max[CG_IO_WRITE_IOPS] = &write;
	l.n_io_max[CG_IO_WRITE_IOPS] = 1;
	g = make(c, &l);
	file_of(g, v2 ? "io" : "blkio", "blkio.throttle.read_bps_device", "io.max", text);
	snprintf(want, sizeof(want), v2 ? "%u:%u rbps=1048576" : "%u:%u 1048576", major, minor);
	CHECK(strstr(text, want));
	file_of(g, v2 ? "io" : "blkio", "blkio.throttle.write_iops_device", "io.max", text);
	CHECK(strstr(text, v2 ? "wiops=77" : " 77"));
	/* 0 takes it away. */
	read.value = 0;
	set(g, &l);
	file_of(g, v2 ? "io" : "blkio", "blkio.throttle.read_bps_device", "io.max", text);
	CHECK(!strstr(text, "1048576"));
	/* No such device: named, with a hint. */
	read = (struct cg_io_rule){.major = 4000, .minor = 1, .value = 1};
	CHECK(cg_set_limits(g, &l, &e) < 0);
	CHECK(strstr(e.text, "4000:1"));
	cg_free(g);
}
IN_ALL_VIEWS(io, body_io)

static void body_pids(struct ctx *c)
{
	struct cg_limits l = no_limits();
	struct cg_stats s;
	struct err e = ERR_INIT;
	struct cgroup *g;
	pid_t pid;

	need_controller(c, "pids");
	l.pids_max = 50;
	g = make(c, &l);
	CHECK(holds(g, "pids", "pids.max", "pids.max", "50", "50"));
	pid = sleeper(g);
	CHECK_OK(cg_stats(g, &s, &e));
	CHECK(s.pids == 1 && s.pids_limit == 50);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	l.pids_max = CG_MAX;
	set(g, &l);
	CHECK(holds(g, "pids", "pids.max", "pids.max", "max", "max"));
	cg_free(g);
}
IN_ALL_VIEWS(pids, body_pids)

static void body_cpuset(struct ctx *c)
{
	struct cg_limits l = no_limits();
	struct err e = ERR_INIT;
	struct cgroup *g;

	need_controller(c, "cpuset");
	l.cpuset_cpus = (char *)(uintptr_t) "0";
	l.cpuset_mems = (char *)(uintptr_t) "0";
	g = make(c, &l);
	CHECK(holds(g, "cpuset", "cpuset.cpus", "cpuset.cpus", "0", "0"));
	CHECK(holds(g, "cpuset", "cpuset.mems", "cpuset.mems", "0", "0"));
	/* A CPU no machine here has: the error names value and file. */
	l.cpuset_cpus = (char *)(uintptr_t) "0-8000";
	if (cg_set_limits(g, &l, &e) < 0) {
		CHECK(strstr(e.text, "'0-8000'") && strstr(e.text, "'cpuset.cpus'"));
		CHECK(strstr(e.text, c->path));
	}
	cg_free(g);
}
IN_ALL_VIEWS(cpuset, body_cpuset)

static void body_unified(struct ctx *c)
{
	struct cg_unified u = {(char *)(uintptr_t) "cgroup.max.depth", (char *)(uintptr_t) "7"};
	struct cg_limits l = no_limits();
	struct err e = ERR_INIT;
	struct cgroup *g = make(c, NULL);
	char buf[256];

	l.unified = &u;
	l.n_unified = 1;
	if (cg_host_layout(c->host) == CG_LAYOUT_V1) {
		CHECK(cg_set_limits(g, &l, &e) < 0 && e.kind == ERR_UNSUPPORTED);
		CHECK(strstr(e.text, "unified 'cgroup.max.depth'"));
		return;
	}
	CHECK_OK(cg_set_limits(g, &l, &e));
	CHECK(strcmp(file_of(g, "", "", "cgroup.max.depth", buf), "7") == 0);
	u.file = (char *)(uintptr_t) "nosuch.file";
	CHECK(cg_set_limits(g, &l, &e) < 0 && e.kind == ERR_UNSUPPORTED);
	CHECK(strstr(e.text, "unified 'nosuch.file'"));
	u.file = (char *)(uintptr_t) "memory.high";
	if (cg_host_layout(c->host) == CG_LAYOUT_HYBRID) {
		/* Memory is in v1 here: the file must not be taken for something else. */
		CHECK(cg_set_limits(g, &l, &e) < 0 && e.kind == ERR_UNSUPPORTED);
		CHECK(strstr(e.text, "v1"));
	}
	cg_free(g);
}
IN_ALL_VIEWS(unified, body_unified)

/* ---- missing controllers, no hierarchies ---------------------------------------------------------------- */

static void body_missing(struct ctx *c)
{
	struct cg_limits l = no_limits();
	struct err e = ERR_INIT;
	struct cgroup *g = NULL;

	if (has_controller(c->host, "pids"))
		SKIP("the pids controller is there");
	l.pids_max = 5;
	CHECK(cg_create(c->host, c->path, &l, &g, &e) < 0);
	CHECK(e.kind == ERR_UNSUPPORTED && strstr(e.text, "pids controller") && e.hint[0]);
	CHECK(strstr(e.text, c->path));
	CHECK(g == NULL && cg_open(c->host, c->top, &g, &e) == -ENOENT);
}
IN_VIEW(missing_v2, VIEW_V2, body_missing)

static void body_none(struct ctx *c)
{
	struct cg_limits l = no_limits();
	const struct cg_mount_view *views;
	struct err e = ERR_INIT;
	struct cgroup *g = NULL;
	pid_t *pids = NULL;
	size_t n = 1;

	CHECK(cg_host_layout(c->host) == CG_LAYOUT_NONE);
	CHECK(cg_host_controllers(c->host)[0] == NULL);
	CHECK_OK(cg_create(c->host, c->path, &l, &g, &e));
	CHECK(cg_is_null(g) && cg_clone_fd(g) == -1 && cg_mount_views(g, &views) == 0);
	CHECK_OK(cg_attach(g, getpid(), &e));
	CHECK_OK(cg_pids(g, &pids, &n, &e));
	CHECK(n == 0 && !cg_is_frozen(g) && cg_oom_kills(g) == 0);
	CHECK(cg_freeze(g, true, &e) < 0 && e.kind == ERR_UNSUPPORTED);
	CHECK_OK(cg_remove(c->host, c->path, true, &e));
	cg_free(g);
	l.memory_bytes = 64 * MIB;
	CHECK(cg_create(c->host, c->path, &l, &g, &e) < 0);
	CHECK(e.kind == ERR_UNSUPPORTED && strstr(e.text, "no cgroup hierarchy is mounted"));
}
IN_VIEW(none, VIEW_NONE, body_none)

/* ---- v2: states of parents ------------------------------------------------------------------------------- */

static void put(const char *group, const char *file, const char *value)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", group, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(write(fd, value, strlen(value)) == (ssize_t)strlen(value));
	close(fd);
}

/* The parent is threaded: no process could join a group made there. */
static void body_threaded(struct ctx *c)
{
	struct err e = ERR_INIT;
	struct cgroup *g = NULL;
	char path[256];

	/* By hand: where memory is handed down, no group can become threaded. */
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s", c->top);
	CHECK(mkdir(path, 0755) == 0);
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s", c->path);
	CHECK(mkdir(path, 0755) == 0);
	put(c->path, "cgroup.type", "threaded");
	snprintf(path, sizeof(path), "%s/below", c->path);
	CHECK(cg_create(c->host, path, NULL, &g, &e) < 0);
	CHECK(e.kind == ERR_STATE && strstr(e.text, path) && strstr(e.text, "domain invalid"));
	CHECK(strstr(e.hint, "threaded"));
	CHECK(cg_open(c->host, path, &g, &e) == -ENOENT);
}
IN_VIEW(threaded_v2, VIEW_V2, body_threaded)

/* The parent has processes: it cannot hand a controller down, and that is said with the way out. */
static void body_busy_parent(struct ctx *c)
{
	struct cg_limits l = no_limits();
	struct err e = ERR_INIT;
	struct cgroup *g = NULL;
	char path[256];
	pid_t pid;

	need_controller(c, "memory");
	CHECK_OK(cg_create(c->host, c->path, NULL, &g, &e));
	pid = sleeper(g);
	cg_free(g);
	snprintf(path, sizeof(path), "%s/below", c->path);
	l.memory_bytes = 64 * MIB;
	CHECK(cg_create(c->host, path, &l, &g, &e) == -EBUSY);
	CHECK(e.kind == ERR_STATE && strstr(e.text, "memory controller"));
	CHECK(strstr(e.text, c->path) && strstr(e.text, "processes"));
	CHECK(strstr(e.hint, "sub-group"));
	CHECK(cg_open(c->host, path, &g, &e) == -ENOENT);
	/* Without limits nothing must be handed down, and the parent stays what it was. */
	CHECK_OK(cg_create(c->host, path, NULL, &g, &e));
	CHECK_OK(cg_attach(g, pid, &e));
	cg_free(g);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
IN_VIEW(busy_parent_v2, VIEW_V2, body_busy_parent)

/* A child born in the group, as clone3 with the borrowed descriptor does it. */
static void body_born(struct ctx *c)
{
	struct err e = ERR_INIT;
	struct cgroup *g = make(c, NULL);
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	size_t n = 0;
	pid_t *pids = NULL, pid;

	args.cgroup = (uint64_t)cg_clone_fd(g);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		for (;;)
			pause();
	CHECK(pid > 0);
	CHECK_OK(cg_pids(g, &pids, &n, &e));
	CHECK(n == 1 && pids[0] == pid);
	free(pids);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cg_free(g);
}
IN_VIEW(born_v2, VIEW_V2, body_born)

/* ---- joining and being there -------------------------------------------------------------------------- */

static size_t lines_with(pid_t pid, const char *suffix, size_t *total)
{
	char name[64], line[4096];
	size_t n = 0;
	FILE *f;

	*total = 0;
	snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
	f = fopen(name, "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		(*total)++;
		n += str_has_suffix(line, suffix);
	}
	fclose(f);
	return n;
}

static void body_attach(struct ctx *c)
{
	const struct cg_mount_view *views;
	struct err e = ERR_INIT;
	struct cgroup *g = make(c, NULL);
	size_t n = 0, total, n_views = cg_mount_views(g, &views);
	pid_t *pids = NULL, pid = sleeper(g), self;
	int status;

	/* In every hierarchy that this view shows, the named one of systemd included. */
	CHECK(n_views > 0 && lines_with(pid, c->path, &total) == n_views);
	if (cg_host_layout(c->host) == CG_LAYOUT_HYBRID)
		CHECK(n_views == total);
	CHECK_OK(cg_pids(g, &pids, &n, &e));
	CHECK(n == 1 && pids[0] == pid);
	free(pids);
	self = fork();
	if (self == 0) {
		CHECK_OK(cg_attach(g, 0, &e));
		CHECK(lines_with(getpid(), c->path, &total) == n_views);
		_exit(0);
	}
	CHECK(waitpid(self, &status, 0) == self && status == 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(cg_attach(g, pid, &e) == -ESRCH);
	CHECK(strstr(e.text, c->path) && strstr(e.text, "cgroup.procs"));
	cg_free(g);
}
IN_ALL_VIEWS(attach, body_attach)

/* Born in what can be born into, and entering the rest by itself: the same place in the end. */
static void body_enter(struct ctx *c)
{
	struct err e = ERR_INIT;
	struct cgroup *g = make(c, NULL);
	struct clone_args args = {.exit_signal = SIGCHLD};
	const struct cg_mount_view *views;
	size_t n_views = cg_mount_views(g, &views), total;
	bool has_v2 = false;
	int birth = cg_birth_fd(g), status;
	pid_t pid;

	for (size_t i = 0; i < n_views; i++)
		has_v2 = has_v2 || strcmp(views[i].fstype, "cgroup2") == 0;
	CHECK(has_v2 == (birth >= 0));
	if (birth >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)birth;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		CHECK_OK(cg_enter(g, &e));
		CHECK(lines_with(getpid(), c->path, &total) == n_views);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	cg_free(g);
}
IN_ALL_VIEWS(enter, body_enter)

static void body_views(struct ctx *c)
{
	const struct cg_mount_view *views;
	struct cgroup *g = make(c, NULL);
	size_t n = cg_mount_views(g, &views);
	enum cg_layout layout = cg_host_layout(c->host);
	bool systemd = false, memory = false;

	for (size_t i = 0; i < n; i++) {
		struct stat st;

		CHECK(fstat(views[i].group_fd, &st) == 0 && S_ISDIR(st.st_mode));
		if (strcmp(views[i].name, "systemd") == 0) {
			systemd = true;
			CHECK(strcmp(views[i].options, "none,name=systemd") == 0);
		}
		if (strcmp(views[i].name, "memory") == 0) {
			memory = true;
			CHECK(strcmp(views[i].options, "memory") == 0);
		}
		if (strcmp(views[i].fstype, "cgroup2") == 0)
			CHECK(strcmp(views[i].name, layout == CG_LAYOUT_V2 ? "" : "unified") == 0);
	}
	if (layout == CG_LAYOUT_V2) {
		CHECK(n == 1 && cg_clone_fd(g) == views[0].group_fd);
	} else {
		CHECK(memory && cg_clone_fd(g) == -1);
		CHECK(systemd || access("/sys/fs/cgroup/systemd", F_OK) < 0);
	}
	cg_free(g);
}
IN_ALL_VIEWS(views, body_views)

static void body_existing(struct ctx *c)
{
	struct err e = ERR_INIT;
	struct cgroup *g = make(c, NULL), *other = NULL;
	pid_t pid = sleeper(g);

	CHECK(cg_create(c->host, c->path, NULL, &other, &e) == -EEXIST);
	CHECK(e.kind == ERR_EXISTS && strstr(e.text, c->path) && other == NULL);
	/* The refusal took nothing away from the owner. */
	CHECK(kill(pid, 0) == 0 && cg_open(c->host, c->path, &other, &e) == 0);
	cg_free(other);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cg_free(g);
	/* Empty now: a left-over, and its settings with it. */
	g = make(c, NULL);
	if (cg_host_layout(c->host) != CG_LAYOUT_V2 || has_controller(c->host, "pids")) {
		struct cg_limits l = no_limits();

		l.pids_max = 5;
		set(g, &l);
		cg_free(g);
		g = make(c, NULL);
		CHECK(holds(g, "pids", "pids.max", "pids.max", "max", "max"));
	}
	cg_free(g);
}
IN_ALL_VIEWS(existing, body_existing)

static void body_rollback(struct ctx *c)
{
	struct err e = ERR_INIT;
	struct cgroup *g = NULL;
	char path[256];

	/* A kernel file is in the way of the last component but one. */
	snprintf(path, sizeof(path), "%s/a/cgroup.procs/b", c->top);
	CHECK(cg_create(c->host, path, NULL, &g, &e) < 0 && g == NULL);
	CHECK(strstr(e.text, path));
	CHECK(cg_open(c->host, c->top, &g, &e) == -ENOENT && e.kind == ERR_NOT_FOUND);
}
IN_ALL_VIEWS(rollback, body_rollback)

/* ---- freezing and signals ------------------------------------------------------------------------------ */

static void on_term(int sig)
{
	(void)sig;
	_exit(7);
}

static void body_freeze(struct ctx *c)
{
	struct err e = ERR_INIT;
	struct cgroup *g = make(c, NULL);
	int status;
	pid_t pid;

	signal(SIGTERM, on_term);
	pid = sleeper(g);
	signal(SIGTERM, SIG_DFL);
	CHECK(!cg_is_frozen(g) && !cg_path_is_frozen(c->host, c->path));
	CHECK_OK(cg_freeze(g, true, &e));
	CHECK(cg_is_frozen(g) && cg_path_is_frozen(c->host, c->path));
	CHECK(!cg_path_is_frozen(c->host, "/no/such/group"));
	CHECK(holds(g, "freezer", "freezer.state", "cgroup.freeze", "FROZEN", "1"));
	CHECK_OK(cg_freeze(g, true, &e)); /* again: no harm */
	/* A signal that is handled waits until it is thawed. */
	CHECK_OK(cg_signal_all(g, SIGTERM, &e));
	CHECK(cg_is_frozen(g) && waitpid(pid, &status, WNOHANG) == 0);
	CHECK_OK(cg_freeze(g, false, &e));
	CHECK(!cg_is_frozen(g));
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	/* SIGKILL ends a frozen one. */
	pid = sleeper(g);
	CHECK_OK(cg_freeze(g, true, &e));
	CHECK_OK(cg_signal_all(g, SIGKILL, &e));
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
	cg_free(g);
}
IN_ALL_VIEWS(freeze, body_freeze)

/* ---- removing ---------------------------------------------------------------------------------------- */

static void nest(struct cgroup *g)
{
	const struct cg_mount_view *views;
	size_t n = cg_mount_views(g, &views);

	for (size_t i = 0; i < n; i++) {
		CHECK(mkdirat(views[i].group_fd, "inner", 0755) == 0);
		CHECK(mkdirat(views[i].group_fd, "inner/most", 0755) == 0);
	}
}

static bool is_gone(struct ctx *c)
{
	struct cgroup *g = NULL;

	return cg_open(c->host, c->path, &g, NULL) == -ENOENT;
}

static void body_remove(struct ctx *c)
{
	struct err e = ERR_INIT;
	struct cgroup *g = make(c, NULL);
	pid_t pid = sleeper(g), forker;
	int status;

	nest(g);
	CHECK(cg_remove(c->host, c->path, false, &e) == -EBUSY);
	CHECK(strstr(e.text, c->path) && strstr(e.text, "1 process is still in it"));
	CHECK(kill(pid, 0) == 0);
	/* One that multiplies: killing by a list alone would never end. */
	signal(SIGCHLD, SIG_IGN);
	forker = fork();
	if (forker == 0) {
		CHECK_OK(cg_attach(g, 0, &e));
		for (int i = 0; i < 16; i++)
			if (fork() == 0)
				for (;;)
					if (fork() > 0)
						_exit(0);
		pause();
	}
	for (size_t n = 0; n < 8;) {
		pid_t *pids = NULL;

		CHECK_OK(cg_pids(g, &pids, &n, &e));
		free(pids);
	}
	signal(SIGCHLD, SIG_DFL);
	cg_free(g);
	CHECK_OK(cg_remove(c->host, c->path, true, &e));
	CHECK(is_gone(c));
	CHECK(waitpid(pid, &status, 0) < 0 || WTERMSIG(status) == SIGKILL);
	CHECK_OK(cg_remove(c->host, c->path, true, &e));
	CHECK_OK(cg_remove(c->host, c->path, false, &e));
	CHECK(cg_remove(c->host, "/", true, &e) == -EINVAL);
	CHECK(cg_remove(c->host, "/../x", true, &e) == -EINVAL);
}
IN_ALL_VIEWS(removal, body_remove)

static void body_remove_frozen(struct ctx *c)
{
	struct err e = ERR_INIT;
	struct cgroup *g = make(c, NULL);
	pid_t pid = sleeper(g);
	int status;

	CHECK_OK(cg_freeze(g, true, &e));
	cg_free(g);
	CHECK_OK(cg_remove(c->host, c->path, true, &e));
	CHECK(is_gone(c));
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
}
IN_ALL_VIEWS(removal_frozen, body_remove_frozen)

/* A container that freezes a group of its own making cannot keep us from removing it. */
static void body_remove_frozen_inner(struct ctx *c)
{
	struct err e = ERR_INIT;
	struct cgroup *g = make(c, NULL), *inner = NULL;
	char path[256];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/inner/most", c->path);
	CHECK_OK(cg_create(c->host, path, NULL, &inner, &e));
	pid = sleeper(inner);
	CHECK_OK(cg_freeze(inner, true, &e));
	cg_free(inner);
	cg_free(g);
	CHECK_OK(cg_remove(c->host, c->path, true, &e));
	CHECK(is_gone(c));
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
}
IN_ALL_VIEWS(removal_frozen_inner, body_remove_frozen_inner)

/* ---- memory in use -------------------------------------------------------------------------------------- */

/* A child in the group that touches so much and then says so. False: it died before. */
static pid_t toucher(struct cgroup *g, size_t bytes, bool *ret_alive)
{
	int ready[2];
	pid_t pid;
	char byte;

	CHECK(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		struct err e = ERR_INIT;
		char *p;

		CHECK_OK(cg_attach(g, 0, &e));
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED);
		memset(p, 1, bytes);
		CHECK(write(ready[1], "", 1) == 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	*ret_alive = read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	return pid;
}

static void body_shrink(struct ctx *c)
{
	struct cg_limits l = no_limits();
	struct err e = ERR_INIT;
	struct cgroup *g;
	bool alive;
	pid_t pid;

	need_controller(c, "memory");
	l.memory_bytes = 128 * MIB;
	l.memory_swap_bytes = 128 * MIB;
	g = make(c, &l);
	pid = toucher(g, 40 * MIB, &alive);
	CHECK(alive);
	l.memory_bytes = 8 * MIB;
	l.memory_swap_bytes = 8 * MIB;
	CHECK(cg_set_limits(g, &l, &e) == -EBUSY);
	CHECK(e.kind == ERR_LIMIT && strstr(e.text, "limit of 8") && strstr(e.text, "uses 4"));
	CHECK(kill(pid, 0) == 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cg_free(g);
}
IN_VIEW(shrink_v1, VIEW_V1, body_shrink)

static void body_oom(struct ctx *c)
{
	struct cg_limits l = no_limits();
	struct cg_stats s;
	struct err e = ERR_INIT;
	struct cgroup *g;
	bool alive;
	int status;
	pid_t pid;

	need_controller(c, "memory");
	l.memory_bytes = 16 * MIB;
	l.memory_swap_bytes = 16 * MIB;
	g = make(c, &l);
	CHECK(cg_oom_kills(g) == 0);
	pid = toucher(g, 64 * MIB, &alive);
	CHECK(!alive);
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
	CHECK(cg_oom_kills(g) == 1);
	CHECK_OK(cg_stats(g, &s, &e));
	CHECK(s.oom_kills == 1 && s.memory_peak_bytes > (uint64_t)(8 * MIB));
	cg_free(g);
}
IN_ALL_VIEWS(oom, body_oom)

static void body_stats_cpu(struct ctx *c)
{
	struct cg_stats s = {0};
	struct err e = ERR_INIT;
	struct cgroup *g = make(c, NULL);
	pid_t pid = fork();

	if (pid == 0) {
		CHECK_OK(cg_attach(g, 0, &e));
		for (volatile unsigned i = 0;; i++)
			;
	}
	do
		CHECK_OK(cg_stats(g, &s, &e));
	while (s.cpu_usec < 20000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(s.memory_limit_bytes == UINT64_MAX);
	CHECK_OK(cg_remove(c->host, c->path, false, &e));
	CHECK(cg_stats(g, &s, &e) == -ENOENT && e.kind == ERR_NOT_FOUND);
	cg_free(g);
}
IN_ALL_VIEWS(stats_cpu, body_stats_cpu)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL_VIEWS(memory),
		ALL_VIEWS(cpu),
		ALL_VIEWS(cpu_burst_idle),
		ALL_VIEWS(io),
		ALL_VIEWS(pids),
		ALL_VIEWS(cpuset),
		ALL_VIEWS(unified),
		cmocka_unit_test(missing_v2),
		cmocka_unit_test(none),
		ALL_VIEWS(attach),
		ALL_VIEWS(enter),
		ALL_VIEWS(views),
		ALL_VIEWS(existing),
		ALL_VIEWS(rollback),
		ALL_VIEWS(freeze),
		ALL_VIEWS(removal),
		ALL_VIEWS(removal_frozen),
		ALL_VIEWS(removal_frozen_inner),
		cmocka_unit_test(shrink_v1),
		cmocka_unit_test(threaded_v2),
		cmocka_unit_test(busy_parent_v2),
		cmocka_unit_test(born_v2),
		ALL_VIEWS(oom),
		ALL_VIEWS(stats_cpu),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP control groups need root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
