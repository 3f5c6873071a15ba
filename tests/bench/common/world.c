/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world for a benchmark: crun refuses hybrid hosts, so on one it sees the v1 part alone. Nothing of the host
 * changes, and everything ends with the PID namespace.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define CGROUP2_MAGIC 0x63677270

char tools[512];
bool world_v2;
static char group[64];

void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, errno ? strerror(errno) : "failed");
	exit(1);
}

void put(const char *path, const char *text)
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

	for (int i = 0; i < n_hierarchies; i++) {
		FORMAT(path, "/sys/fs/cgroup/%s/%s", hierarchies[i], group);
		if (mkdir(path, 0755) < 0)
			die(path);
		if (!strcmp(hierarchies[i], "cpuset"))
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
	if (!world_v2) {
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
	    mount("proc", "/proc", "proc", 0, NULL) < 0 || mkdir(WORK, 0755) < 0)
		die("/run");
}

static int remove_group(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)ftw;
	return type == FTW_DP ? (rmdir(path), 0) : 0;
}

static void remove_groups(void)
{
	for (int i = 0; i < n_hierarchies; i++) {
		char path[256];

		FORMAT(path, "/sys/fs/cgroup/%s/%s", hierarchies[i], group);
		nftw(path, remove_group, 8, FTW_DEPTH | FTW_PHYS);
	}
}

static void find_tools(void)
{
	ssize_t n = readlink("/proc/self/exe", tools, sizeof(tools) - 1);

	if (n < 0)
		die("/proc/self/exe");
	for (int i = 0; i < 3; i++)
		*strrchr(tools, '/') = '\0';
}

int world_run(int (*inside)(int rounds), int rounds)
{
	struct statfs s;
	int status;

	find_tools();
	world_v2 = statfs("/sys/fs/cgroup", &s) == 0 && s.f_type == CGROUP2_MAGIC;
	FORMAT(group, "insula-bench-%d", getpid());
	if (!world_v2)
		find_hierarchies();
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		join_groups();
		if (unshare(CLONE_NEWNS | CLONE_NEWPID | (world_v2 ? 0 : CLONE_NEWCGROUP)) < 0)
			die("unshare");
		/* Whoever is first in the PID namespace ends everything when it ends. */
		pid_t first = fork();

		if (first == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			mount_own_layout();
			printf("control groups: %s\n", world_v2 ? "v2" : "v1");
			exit(inside(rounds));
		}
		waitpid(first, &status, 0);
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	waitpid(pid, &status, 0);
	remove_groups();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int rounds_from(int argc, char **argv, int usual)
{
	const char *text = argc > 1 ? argv[1] : getenv("BENCH_ROUNDS");
	int rounds = text ? atoi(text) : usual;

	if (rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "bench: 1 to %d rounds\n", ROUNDS_MAX);
		exit(1);
	}
	return rounds;
}
