/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container's group costs: create, limits of memory, cpu and pids, one process in, remove;
 * by libcgroup (cgroup_init() included, as each of our processes makes one group) and by our
 * descriptors. Interleaved in one run, medians and their ratio: on a shared machine only ratios
 * mean something. The figure in cgroups/libcgroup.c is from here.
 *
 * usage: cgroup_cost [ROUNDS]	(root; makes groups insula-bench-PID and removes them)
 */
#include <libcgroup.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroup.h"

#define ROUNDS_DEFAULT 200
#define ROUNDS_MAX     10000
#define MEMORY         (INT64_C(256) << 20)

enum { BY_LIBRARY, BY_US, BY_US_SELF, WAYS };

static char name[64];
static double samples[WAYS][ROUNDS_MAX];

static double now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "cgroup_cost: %s: %s\n", what, why);
	exit(1);
}

/* A process that waits to be killed, for joining the group; `go` tells it to join by itself. */
static pid_t child_start(struct cgroup *self_attach)
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe(ready) < 0)
		die("pipe", "failed");
	pid = fork();
	if (pid == 0) {
		struct err e = ERR_INIT;

		close(ready[0]);
		if (self_attach && cg_attach(self_attach, 0, &e) < 0)
			_exit(1);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	(void)!read(ready[0], &c, 1); /* end of file: it is up (and in) */
	close(ready[0]);
	return pid;
}

static void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static double library_round(void)
{
	static const char *const v1[] = {"memory",  "cpu",    "pids",    "devices",
					 "freezer", "cpuset", "cpuacct", "blkio"};
	pid_t pid = child_start(NULL);
	double start = now_usec(), t;
	struct cgroup *g;
	int r = cgroup_init();

	if (r)
		die("cgroup_init", cgroup_strerror(r));
	g = cgroup_new_cgroup(name);
	/* The hierarchies that ours joins too, as far as libcgroup knows them. */
	for (size_t i = 0; i < sizeof(v1) / sizeof(v1[0]); i++) {
		struct cgroup_controller *c = cgroup_add_controller(g, v1[i]);

		if (strcmp(v1[i], "memory") == 0)
			cgroup_add_value_int64(c, "memory.limit_in_bytes", MEMORY);
		if (strcmp(v1[i], "cpu") == 0)
			cgroup_add_value_int64(c, "cpu.cfs_quota_us", 50000);
		if (strcmp(v1[i], "pids") == 0)
			cgroup_add_value_int64(c, "pids.max", 100);
		if (strcmp(v1[i], "cpuset") == 0) {
			cgroup_add_value_string(c, "cpuset.cpus", "0");
			cgroup_add_value_string(c, "cpuset.mems", "0");
		}
	}
	r = cgroup_create_cgroup(g, 1);
	if (r)
		die("cgroup_create_cgroup", cgroup_strerror(r));
	r = cgroup_attach_task_pid(g, pid);
	if (r)
		die("cgroup_attach_task_pid", cgroup_strerror(r));
	t = now_usec() - start;
	child_end(pid);
	start = now_usec();
	r = cgroup_delete_cgroup_ext(g, CGFLAG_DELETE_EMPTY_ONLY | CGFLAG_DELETE_IGNORE_MIGRATION);
	if (r)
		die("cgroup_delete_cgroup", cgroup_strerror(r));
	cgroup_free(&g);
	return t + now_usec() - start;
}

static double our_round(bool self)
{
	pid_t pid = self ? 0 : child_start(NULL);
	double start = now_usec(), t;
	struct cg_host *h = NULL;
	struct cgroup *g = NULL;
	struct cg_limits l;
	struct err e = ERR_INIT;
	char path[80];

	snprintf(path, sizeof(path), "/%s", name);
	cg_limits_init(&l);
	l.memory_bytes = MEMORY;
	l.cpu_quota_usec = 50000;
	l.pids_max = 100;
	if (cg_host_open(&h, &e) < 0 || cg_create(h, path, &l, &g, &e) < 0 ||
	    cg_set_limits(g, &l, &e) < 0)
		die("ours", e.text);
	if (self) {
		/* The fork is in the other ways' child_start(), which is not timed. */
		t = now_usec() - start;
		start = now_usec();
		pid = child_start(NULL);
		child_end(pid);
		t -= now_usec() - start;
		start = now_usec();
		pid = child_start(g);
		t += now_usec() - start;
	} else {
		if (cg_attach(g, pid, &e) < 0)
			die("ours", e.text);
		t = now_usec() - start;
	}
	child_end(pid);
	start = now_usec();
	cg_free(g);
	if (cg_remove(h, path, false, &e) < 0)
		die("ours", e.text);
	cg_host_free(h);
	return t + now_usec() - start;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return v[n / 2];
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS_DEFAULT;
	double m[WAYS];

	if (rounds < 1 || rounds > ROUNDS_MAX)
		die("ROUNDS", "1 to 10000");
	snprintf(name, sizeof(name), "insula-bench-%d", (int)getpid());
	for (int i = 0; i < rounds; i++) {
		samples[BY_LIBRARY][i] = library_round();
		samples[BY_US][i] = our_round(false);
		samples[BY_US_SELF][i] = our_round(true);
	}
	for (int w = 0; w < WAYS; w++)
		m[w] = median(samples[w], rounds);
	printf("group of a container, %d interleaved rounds, medians\n", rounds);
	printf("  libcgroup                     %8.0f us\n", m[BY_LIBRARY]);
	printf("  ours, attached by the parent  %8.0f us  (%.2f of libcgroup)\n", m[BY_US],
	       m[BY_US] / m[BY_LIBRARY]);
	printf("  ours, child attaches itself   %8.0f us  (%.2f of libcgroup)\n", m[BY_US_SELF],
	       m[BY_US_SELF] / m[BY_LIBRARY]);
	return 0;
}
