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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define WARM_UP     3
#define ARGS_MAX    31
#define CLIENTS_MAX 64

static double msec_since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - from->tv_sec) * 1e3 +
	       (double)(now.tv_nsec - from->tv_nsec) / 1e6;
}

static void become(const struct contender *c, const char *const *argv, const char *id)
{
	const char *own[ARGS_MAX + 1] = {NULL};
	int null = open("/dev/null", O_RDONLY);

	for (size_t i = 0; argv[i] && i < ARGS_MAX; i++)
		own[i] = strcmp(argv[i], "@") ? argv[i] : id;
	if (null < 0 || dup2(null, 0) < 0)
		_exit(126);
	if (c->uid && (setgroups(0, NULL) < 0 || setresgid(c->uid, c->uid, c->uid) < 0 ||
		       setresuid(c->uid, c->uid, c->uid) < 0))
		_exit(126);
	if (c->cwd && chdir(c->cwd) < 0)
		_exit(126);
	execve(own[0], (char *const *)own, c->env ? (char *const *)c->env : environ);
	_exit(127);
}

/* A process of its own, to which the containers of its commands are left. */
static void run_steps(const struct contender *c, const char *id)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (size_t i = 0; c->steps[i]; i++) {
		int status;
		pid_t pid;

		/* A container that runs cannot be deleted. */
		while (!c->steps[i + 1] && waitpid(-1, NULL, 0) > 0)
			;
		pid = fork();
		if (pid == 0)
			become(c, c->steps[i], id);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			_exit(1);
	}
	_exit(0);
}

static pid_t start_client(const struct contender *c, int number)
{
	char id[16];
	pid_t pid;

	FORMAT(id, "b%d", number);
	pid = fork();
	if (pid == 0 && c->steps)
		run_steps(c, id);
	if (pid == 0)
		become(c, c->argv, id);
	if (pid < 0)
		die("fork");
	return pid;
}

static double cpu_msec(void)
{
	struct rusage u;

	getrusage(RUSAGE_CHILDREN, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static void one(struct contender *c, int round, const struct setting *s)
{
	const int clients = s->clients > 0 ? s->clients : 1;
	double cpu = cpu_msec(), peak = 0;
	pid_t pids[CLIENTS_MAX];
	struct timespec from;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < clients; i++)
		pids[i] = start_client(c, i);
	for (int i = 0; i < clients; i++) {
		struct rusage usage;
		int status;

		if (wait4(pids[i], &status, 0, &usage) != pids[i] || status != 0) {
			fprintf(stderr, "bench: %s, %s: ended with status %#x\n", s->title, c->name,
				status);
			errno = 0;
			die(c->argv[0]);
		}
		if ((double)usage.ru_maxrss > peak)
			peak = (double)usage.ru_maxrss;
	}
	double t = msec_since(&from);

	/* We are PID 1: whoever of it is left becomes our child. */
	while (!s->with_others && waitpid(-1, NULL, 0) > 0)
		;
	if (round < WARM_UP)
		return;
	c->msec[round - WARM_UP] = t / clients;
	c->cpu[round - WARM_UP] = (cpu_msec() - cpu) / clients;
	c->peak_kib[round - WARM_UP] = peak;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const struct setting *s, const struct contender *v, size_t n)
{
	const int rounds = s->rounds;

	printf("\n%s, %d interleaved rounds\n", s->title, rounds);
	printf("  %-16s %9s %9s %9s %9s %9s %9s %9s\n", "msec", "median", "p10", "cpu", "cpu p10",
	       "x first", "x cpu", "peak KiB");
	for (size_t i = 0; i < n; i++) {
		const struct contender *c = &v[i];

		if (c->left_out)
			continue;
		qsort(c->msec, (size_t)rounds, sizeof(double), by_value);
		qsort(c->cpu, (size_t)rounds, sizeof(double), by_value);
		qsort(c->peak_kib, (size_t)rounds, sizeof(double), by_value);
		printf("  %-16s %9.2f %9.2f %9.2f %9.2f %9.2f %9.2f %9.0f\n", c->name,
		       c->msec[rounds / 2], c->msec[rounds / 10], c->cpu[rounds / 2],
		       c->cpu[rounds / 10], c->msec[rounds / 10] / v[0].msec[rounds / 10],
		       c->cpu[rounds / 10] / v[0].cpu[rounds / 10], c->peak_kib[rounds / 2]);
	}
	fflush(stdout);
}

static void make_room(struct contender *c, size_t rounds)
{
	free(c->msec);
	free(c->cpu);
	free(c->peak_kib);
	c->msec = calloc(rounds, sizeof(double));
	c->cpu = calloc(rounds, sizeof(double));
	c->peak_kib = calloc(rounds, sizeof(double));
	if (!c->msec || !c->cpu || !c->peak_kib)
		die("memory");
}

void measure(const struct setting *s, struct contender *v, size_t n)
{
	if (s->clients > CLIENTS_MAX)
		die("clients");
	for (size_t i = 0; i < n; i++) {
		if (v[i].steps)
			v[i].argv = v[i].steps[0];
		if (access(v[i].argv[0], X_OK) < 0 && !v[i].left_out) {
			printf("%s is not installed: left out\n", v[i].name);
			v[i].left_out = true;
		}
		make_room(&v[i], (size_t)s->rounds);
	}
	fflush(stdout); /* or children would have it, too */
	for (int r = 0; r < s->rounds + WARM_UP; r++)
		for (size_t i = 0; i < n; i++) {
			struct contender *c = &v[(i + (size_t)r) % n];

			if (!c->left_out)
				one(c, r, s);
		}
	report(s, v, n);
}

static const struct contender *find(const struct contender *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i].name, name) && !v[i].left_out)
			return &v[i];
	return NULL;
}

void compare(const struct contender *v, size_t n, const char *name, double aim, int rounds)
{
	const struct contender *other = find(v, n, name);

	if (!other)
		return;
	printf("  %s / %s: %.2f wall, %.2f cpu (aim: at most %.2f)\n", v[0].name, name,
	       v[0].msec[rounds / 10] / other->msec[rounds / 10],
	       v[0].cpu[rounds / 10] / other->cpu[rounds / 10], aim);
	fflush(stdout);
}

void compare_peak(const struct contender *v, size_t n, const char *name, double aim, int rounds)
{
	const struct contender *other = find(v, n, name);

	if (!other)
		return;
	printf("  %s / %s: %.2f peak memory (aim: at most %.2f)\n", v[0].name, name,
	       v[0].peak_kib[rounds / 2] / other->peak_kib[rounds / 2], aim);
	fflush(stdout);
}
