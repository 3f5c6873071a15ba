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
	const char *const
		*argv; /* argv[0] is a path; "@" becomes the name of the client's container */
	/* In place of argv alone: several commands, one after the other, up to NULL; before the last of them everybody that
	 * the others left ends. */
	const char *const *const *steps;
	const char *const *env; /* NULL: ours */
	const char *cwd;        /* NULL: ours */
	uid_t uid;              /* 0: root */
	bool left_out;
	double *msec, *cpu, *peak_kib; /* a value per round; the peak is of the largest process */
};

/* How measure() runs them. */
struct setting {
	const char *title;
	int rounds;
	int clients;      /* so many at once, each with a container of its own; 0: one */
	bool with_others; /* containers of ours live meanwhile, and are not waited for */
};

/* Run all of them, round by round, each time beginning with another; print a table. The processor time is of all
 * processes of a run, also of those that outlive the one that was started: the next begins when they are gone. */
void measure(const struct setting *s, struct contender *v, size_t n);

/* After measure(): how the first stands to `name`, and what it should be; by the tenth percentiles. compare_peak():
 * the medians of the peaks of memory. */
void compare(const struct contender *v, size_t n, const char *name, double aim, int rounds);
void compare_peak(const struct contender *v, size_t n, const char *name, double aim, int rounds);

#endif
