/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contenders, interleaved. On a shared machine only ratios of neighbours mean anything; of those the tenth percentile
 * more than the median, and processor time more than wall time.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define WARM_UP 3

static double msec_since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - from->tv_sec) * 1e3 +
	       (double)(now.tv_nsec - from->tv_nsec) / 1e6;
}

/* In a child that shares our memory until it executes: nothing of ours is written. */
static void become(const struct contender *c)
{
	int null = open("/dev/null", O_RDONLY);

	if (null < 0 || dup2(null, 0) < 0)
		_exit(126);
	if (c->uid && (setgroups(0, NULL) < 0 || setresgid(c->uid, c->uid, c->uid) < 0 ||
		       setresuid(c->uid, c->uid, c->uid) < 0))
		_exit(126);
	if (c->cwd && chdir(c->cwd) < 0)
		_exit(126);
	execve(c->argv[0], (char *const *)c->argv, c->env ? (char *const *)c->env : environ);
	_exit(127);
}

static double cpu_msec(void)
{
	struct rusage u;

	getrusage(RUSAGE_CHILDREN, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static void one(struct contender *c, int round, const char *title)
{
	double cpu = cpu_msec();
	struct timespec from;
	struct rusage usage;
	int status;
	pid_t pid;

	clock_gettime(CLOCK_MONOTONIC, &from);
	pid = fork();
	if (pid == 0)
		become(c);
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0) {
		fprintf(stderr, "bench: %s, %s: ended with status %#x\n", title, c->name, status);
		errno = 0;
		die(c->argv[0]);
	}
	double t = msec_since(&from);

	/* We are PID 1: whoever of it is left becomes our child. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	if (round < WARM_UP)
		return;
	c->msec[round - WARM_UP] = t;
	c->cpu[round - WARM_UP] = cpu_msec() - cpu;
	if (usage.ru_maxrss > c->peak_kib)
		c->peak_kib = usage.ru_maxrss;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *title, const struct contender *v, size_t n, int rounds)
{
	printf("\n%s, %d interleaved rounds\n", title, rounds);
	printf("  %-16s %9s %9s %9s %9s %9s %9s %9s\n", "msec", "median", "p10", "cpu", "cpu p10",
	       "x first", "x cpu", "peak KiB");
	for (size_t i = 0; i < n; i++) {
		const struct contender *c = &v[i];

		if (c->left_out)
			continue;
		qsort(c->msec, (size_t)rounds, sizeof(double), by_value);
		qsort(c->cpu, (size_t)rounds, sizeof(double), by_value);
		printf("  %-16s %9.2f %9.2f %9.2f %9.2f %9.2f %9.2f %9ld\n", c->name,
		       c->msec[rounds / 2], c->msec[rounds / 10], c->cpu[rounds / 2],
		       c->cpu[rounds / 10], c->msec[rounds / 10] / v[0].msec[rounds / 10],
		       c->cpu[rounds / 10] / v[0].cpu[rounds / 10], c->peak_kib);
	}
	fflush(stdout);
}

void measure(const char *title, struct contender *v, size_t n, int rounds)
{
	for (size_t i = 0; i < n; i++) {
		v[i].peak_kib = 0;
		if (access(v[i].argv[0], X_OK) < 0 && !v[i].left_out) {
			printf("%s is not installed: left out\n", v[i].name);
			v[i].left_out = true;
		}
		v[i].msec = calloc((size_t)rounds, sizeof(double));
		v[i].cpu = calloc((size_t)rounds, sizeof(double));
		if (!v[i].msec || !v[i].cpu)
			die("memory");
	}
	fflush(stdout); /* or children would have it, too */
	for (int r = 0; r < rounds + WARM_UP; r++)
		for (size_t i = 0; i < n; i++) {
			struct contender *c = &v[(i + (size_t)r) % n];

			if (!c->left_out)
				one(c, r, title);
		}
	report(title, v, n, rounds);
}

void compare(const struct contender *v, size_t n, const char *name, double aim, int rounds)
{
	const struct contender *other = NULL;

	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i].name, name) && !v[i].left_out)
			other = &v[i];
	if (!other)
		return;
	printf("  %s / %s: %.2f wall, %.2f cpu (aim: at most %.2f)\n", v[0].name, name,
	       v[0].msec[rounds / 10] / other->msec[rounds / 10],
	       v[0].cpu[rounds / 10] / other->cpu[rounds / 10], aim);
	fflush(stdout);
}
