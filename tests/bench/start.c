/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of a container, end to end as whole processes: `run` of a static `true` by insula-oci, crun and
 * runc, and by the floor program that does the same kernel work without being a runtime. Interleaved in one run: on a
 * shared machine only ratios of neighbours mean anything.
 *
 *	start [ROUNDS]
 *
 * Everything happens in private mount, cgroup and PID namespaces, in a sub-group of each hierarchy, with only that
 * subtree mounted and a fresh /run: crun refuses hybrid hosts, so on one it sees the v1 part alone. Nothing of the host
 * changes, and everything ends with the namespace.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "runtime/oci.h"
#include "runtime/runtime.h"

#define CGROUP2_MAGIC 0x63677270
#define WORK          "/run/bench"
#define ROUNDS_MAX    2000
#define WARM_UP       3

static char group[64], tools[512];
static bool v2;

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, errno ? strerror(errno) : "failed");
	exit(1);
}

/* Into an array; what does not fit ends us. */
#define FORMAT(buf, ...) \
	((size_t)snprintf(buf, sizeof(buf), __VA_ARGS__) < sizeof(buf) ? (void)0 : die(#buf))

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static char *slurp(const char *path)
{
	static char buf[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

/* ---- a layout of our own ------------------------------------------------------------------ */

/* v1 hierarchies of the host by directory name. */
static char hierarchies[32][32];
static int n_hierarchies;

static void find_hierarchies(void)
{
	DIR *d = opendir("/sys/fs/cgroup");

	for (struct dirent *e; d && (e = readdir(d)) && n_hierarchies < 32;)
		if (e->d_type == DT_DIR && e->d_name[0] != '.' && strcmp(e->d_name, "unified") != 0)
			FORMAT(hierarchies[n_hierarchies], "%s", e->d_name), n_hierarchies++;
	if (d)
		closedir(d);
}

/* The host's cpuset values must be written before a process can join (v1). */
static void fill_cpuset(const char *name, const char *sub)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

	for (int i = 0; i < 2; i++) {
		char from[256], to[256];

		FORMAT(from, "/sys/fs/cgroup/%s/%s", name, files[i]);
		FORMAT(to, "%s/%s", sub, files[i]);
		put(to, slurp(from));
	}
}

static void join_groups(void)
{
	char path[256], file[300];

	for (int i = 0; i < (v2 ? 1 : n_hierarchies); i++) {
		FORMAT(path, v2 ? "/sys/fs/cgroup%s/%s" : "/sys/fs/cgroup/%s/%s",
		       v2 ? "" : hierarchies[i], group);
		if (mkdir(path, 0755) < 0)
			die(path);
		if (!v2 && !strcmp(hierarchies[i], "cpuset"))
			fill_cpuset(hierarchies[i], path);
		FORMAT(file, "%s/cgroup.procs", path);
		put(file, "0");
	}
}

static void mount_own_layout(void)
{
	if (mount("", "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		die("private mounts");
	/* In the lab host, whose root group allows controllers beside processes, the whole hierarchy is ours. */
	if (!v2) {
		if (mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=755") < 0)
			die("/sys/fs/cgroup");
		for (int i = 0; i < n_hierarchies; i++) {
			char path[256], data[64];

			FORMAT(path, "/sys/fs/cgroup/%s", hierarchies[i]);
			FORMAT(data, "%s%s", strcmp(hierarchies[i], "systemd") ? "" : "none,name=",
			       hierarchies[i]);
			if (mkdir(path, 0755) < 0 || mount("cgroup", path, "cgroup", 0, data) < 0)
				die(path);
		}
	}
	if (mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0)
		die("/run");
}

/* ---- what is run -------------------------------------------------------------------------- */

static void write_bundle(const char *name, bool seccomp)
{
	char path[128];
	struct err e = ERR_INIT;
	struct rt_ctx ctx;
	struct rt_run_request request = {.rootfs = WORK "/rootfs",
					 .args = (char *[]){(char *)"/bin/true", NULL},
					 .memory_bytes = 256 << 20,
					 .cpus_micro = 2000000,
					 .pids_limit = 64};
	struct json *doc = oci_spec_default(), *run = NULL, *linux_part, *process;
	char *text;

	if (rt_ctx_init(&ctx, WORK "/state", NULL, &e) < 0 ||
	    rt_run_document(&ctx, &request, "bench", &run, &e) < 0) {
		fprintf(stderr, "bench: %s\n", e.text);
		exit(1);
	}
	struct json_at top = json_top(run), at, resources;

	json_member(&top, "linux", &at);
	linux_part = json_object_member(doc, "linux", true);
	process = json_object_member(doc, "process", true);
	json_member(&at, "resources", &resources);
	json_set(linux_part, "resources", json_copy(resources.value));
	if (seccomp && json_member(&at, "seccomp", &resources))
		json_set(linux_part, "seccomp", json_copy(resources.value));
	json_set(process, "terminal", json_new_bool(false));
	json_set(process, "args", json_new_strv((char *const[]){(char *)"/bin/true", NULL}));
	json_set(json_object_member(doc, "root", true), "path", json_new_string(WORK "/rootfs"));
	/* What Debian 12's runtimes know. */
	json_set(doc, "ociVersion", json_new_string("1.0.2"));
	if (json_to_text(doc, true, &text, NULL) < 0)
		die("bundle");
	FORMAT(path, WORK "/%s", name);
	mkdir(path, 0755);
	FORMAT(path, WORK "/%s/config.json", name);
	put(path, text);
	free(text);
	json_free(doc);
	json_free(run);
	rt_ctx_done(&ctx);
}

/* In a child: our own memory must stay small, since a child's peak begins with its parent's size. */
static void write_bundles(void)
{
	char from[600];
	int status;

	mkdir(WORK, 0755);
	static const char *const dirs[] = {"", "/bin", "/proc", "/dev", "/sys", "/etc"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		FORMAT(from, WORK "/rootfs%s", dirs[i]);
		mkdir(from, 0755);
	}
	FORMAT(from, "cp %s/tests/helpers/nothing " WORK "/rootfs/bin/true", tools);
	if (system(from) != 0)
		die(from);
	pid_t pid = fork();

	if (pid == 0) {
		write_bundle("plain", false);
		write_bundle("seccomp", true);
		exit(0);
	}
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		die("bundles");
}

struct contender {
	const char *name;
	char path[600];
	double *msec;
	long peak_kib;
	bool present;
};

static struct contender contenders[] = {
	{.name = "insula-oci"},
	{.name = "crun", .path = "/usr/bin/crun"},
	{.name = "runc", .path = "/usr/sbin/runc"},
	{.name = "floor"},
};
#define N_CONTENDERS (sizeof(contenders) / sizeof(*contenders))

static pid_t launch(const struct contender *c, const char *bundle, int round)
{
	char dir[128], id[32], root[64];
	const char *argv[10];
	posix_spawn_file_actions_t actions;
	pid_t pid;

	FORMAT(dir, WORK "/%s", bundle);
	FORMAT(id, "b%d", round);
	FORMAT(root, WORK "/state-%s", c->name);
	if (!strcmp(c->name, "floor"))
		memcpy(argv, (const char *[]){c->path, WORK "/rootfs", "/bin/true", NULL},
		       4 * sizeof(*argv));
	else
		memcpy(argv,
		       (const char *[]){c->path, "--root", root, "run", "--bundle", dir, id, NULL},
		       8 * sizeof(*argv));
	setenv("FLOOR_SECCOMP", strcmp(bundle, "seccomp") ? "0" : "1", 1);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	errno = posix_spawn(&pid, c->path, &actions, NULL, (char *const *)argv, environ);
	if (errno)
		die(c->path);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static double msec_since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - from->tv_sec) * 1e3 +
	       (double)(now.tv_nsec - from->tv_nsec) / 1e6;
}

static void one(struct contender *c, const char *bundle, int round)
{
	struct timespec from;
	struct rusage usage;
	int status;

	clock_gettime(CLOCK_MONOTONIC, &from);
	pid_t pid = launch(c, bundle, round);

	if (wait4(pid, &status, 0, &usage) != pid || status != 0) {
		errno = 0;
		fprintf(stderr, "bench: %s ended with status %d\n", c->name, status);
		die(bundle);
	}
	double t = msec_since(&from);

	/* Grandchildren that were reparented to us (we are PID 1 here). */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (round >= WARM_UP)
		c->msec[round - WARM_UP] = t;
	if (usage.ru_maxrss > c->peak_kib)
		c->peak_kib = usage.ru_maxrss;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *bundle, int rounds)
{
	double mine = 0;

	printf("\nrun of a static true, %s, %d interleaved rounds\n", bundle, rounds);
	printf("  %-12s %10s %10s %10s %12s %10s\n", "", "median ms", "p10", "p90", "x insula-oci",
	       "peak KiB");
	for (size_t i = 0; i < N_CONTENDERS; i++) {
		struct contender *c = &contenders[i];

		if (!c->present)
			continue;
		qsort(c->msec, (size_t)rounds, sizeof(double), by_value);
		if (i == 0)
			mine = c->msec[rounds / 2];
		printf("  %-12s %10.2f %10.2f %10.2f %12.2f %10ld\n", c->name, c->msec[rounds / 2],
		       c->msec[rounds / 10], c->msec[rounds * 9 / 10], c->msec[rounds / 2] / mine,
		       c->peak_kib);
	}
	fflush(stdout);
}

static void measure(const char *bundle, int rounds)
{
	for (size_t i = 0; i < N_CONTENDERS; i++)
		contenders[i].peak_kib = 0;
	for (int r = 0; r < rounds + WARM_UP; r++)
		for (size_t i = 0; i < N_CONTENDERS; i++) {
			struct contender *c = &contenders[(i + (size_t)r) % N_CONTENDERS];

			if (c->present)
				one(c, bundle, r);
		}
	report(bundle, rounds);
}

static int inside(int rounds)
{
	mount_own_layout();
	write_bundles();
	for (size_t i = 0; i < N_CONTENDERS; i++) {
		struct contender *c = &contenders[i];

		if (!c->path[0])
			FORMAT(c->path, !strcmp(c->name, "floor") ? "%s/tests/bench/%s" : "%s/%s",
			       tools, c->name);
		c->present = access(c->path, X_OK) == 0;
		c->msec = calloc((size_t)rounds, sizeof(double));
		if (!c->present)
			printf("%s is not installed: left out\n", c->name);
	}
	printf("control groups: %s\n", v2 ? "v2" : "v1");
	measure("plain", rounds);
	measure("seccomp", rounds);
	return 0;
}

static int remove_group(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)ftw;
	return type == FTW_DP ? (rmdir(path), 0) : 0;
}

static void remove_groups(void)
{
	for (int i = 0; i < (v2 ? 1 : n_hierarchies); i++) {
		char path[256];

		FORMAT(path, v2 ? "/sys/fs/cgroup%s/%s" : "/sys/fs/cgroup/%s/%s",
		       v2 ? "" : hierarchies[i], group);
		nftw(path, remove_group, 8, FTW_DEPTH | FTW_PHYS);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 60, status;
	ssize_t n = readlink("/proc/self/exe", tools, sizeof(tools) - 1);
	struct statfs s;

	if (rounds < 1 || rounds > ROUNDS_MAX || n < 0)
		return 1;
	for (int i = 0; i < 3; i++)
		*strrchr(tools, '/') = '\0';
	v2 = statfs("/sys/fs/cgroup", &s) == 0 && s.f_type == CGROUP2_MAGIC;
	FORMAT(group, "insula-bench-%d", getpid());
	if (!v2)
		find_hierarchies();
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!v2)
			join_groups();
		if (unshare(CLONE_NEWNS | CLONE_NEWPID | (v2 ? 0 : CLONE_NEWCGROUP)) < 0)
			die("unshare");
		/* Whoever is first in the PID namespace ends everything when it ends. */
		pid_t first = fork();

		if (first == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			exit(inside(rounds));
		}
		waitpid(first, &status, 0);
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	waitpid(pid, &status, 0);
	if (!v2)
		remove_groups();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
