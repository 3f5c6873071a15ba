/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmarks of starts share: a world of their own (world.c), and contenders that are run as whole processes,
 * interleaved, with their wall time, processor time and peak memory (measure.c).
 */
#ifndef INSULA_BENCH_H
#define INSULA_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define WORK       "/run/bench"
#define ROUNDS_MAX 2000

void die(const char *what) __attribute__((noreturn));

/* Into an array; what does not fit ends us. */
#define FORMAT(buf, ...) \
	((size_t)snprintf(buf, sizeof(buf), __VA_ARGS__) < sizeof(buf) ? (void)0 : die(#buf))

void put(const char *path, const char *text); /* write a file anew */

extern char tools[512]; /* the build directory */
extern bool world_v2;   /* control groups of version 2 only */

/* Run `inside` in private mount, cgroup and PID namespaces, in a sub-group of each hierarchy, with only that subtree
 * mounted and a fresh /run. Returns its exit code. */
int world_run(int (*inside)(int rounds), int rounds);

/* The number of rounds: the argument, else BENCH_ROUNDS, else `usual`. */
int rounds_from(int argc, char **argv, int usual);

struct contender {
	const char *name;
	const char *const *argv; /* argv[0] is a path */
	const char *const *env;  /* NULL: ours */
	const char *cwd;         /* NULL: ours */
	uid_t uid;               /* 0: root */
	bool left_out;
	double *msec, *cpu; /* a value per round */
	long peak_kib;
};

/* Run all of them, round by round, each time beginning with another; print a table. The processor time is of all
 * processes of a run, also of those that outlive the one that was started: the next begins when they are gone. */
void measure(const char *title, struct contender *v, size_t n, int rounds);

/* After measure(): how the first stands to `name`, and what it should be; by the tenth percentiles. */
void compare(const struct contender *v, size_t n, const char *name, double aim, int rounds);

#endif
