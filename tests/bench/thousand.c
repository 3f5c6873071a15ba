/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thousand containers held at once: what each costs in memory beyond its own process, and whether the last one starts, and is
 * listed, as the first was. Then a hundred detached ones of `insula run -d`, which have a monitor each.
 *
 *	thousand [CONTAINERS]		or BENCH_ROUNDS; root
 *
 * Kernel memory is what /proc/meminfo counts for the whole machine, so others' work is noise in it; memory of processes is the
 * proportional share (PSS). Times of one run are to be compared among each other only.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "common/bench.h"
#include "runtime/oci.h"

#define GROUP   20 /* so many starts are averaged */
#define REPEATS 5  /* of what is only looked at; the fastest counts */

/* ---- running ------------------------------------------------------------------------------------- */

struct took {
	double wall_msec, cpu_msec;
};

static double msec_of(const struct timeval *t)
{
	return (double)t->tv_sec * 1e3 + (double)t->tv_usec / 1e3;
}

static struct took run(const char *const *argv)
{
	struct timespec a, b;
	struct rusage used;
	char program[600];
	int status;
	pid_t pid;

	FORMAT(program, "%s/%s", tools, argv[0]);
	clock_gettime(CLOCK_MONOTONIC, &a);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
			_exit(126);
		execv(program, (char *const *)argv);
		_exit(126);
	}
	if (pid < 0 || wait4(pid, &status, 0, &used) != pid)
		die(argv[0]);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "bench: %s %s: status %d\n", argv[0], argv[1], status);
		exit(1);
	}
	return (struct took){.wall_msec = (double)(b.tv_sec - a.tv_sec) * 1e3 +
					  (double)(b.tv_nsec - a.tv_nsec) / 1e6,
			     .cpu_msec = msec_of(&used.ru_utime) + msec_of(&used.ru_stime)};
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

/* The fastest of a few: what only looks changes nothing. */
static struct took look(const char *const *argv)
{
	struct took best = run(argv);

	for (int i = 1; i < REPEATS; i++) {
		struct took t = run(argv);

		if (t.wall_msec < best.wall_msec)
			best = t;
	}
	return best;
}

#define LOOK(...) look((const char *const[]){__VA_ARGS__, NULL})

/* ---- memory -------------------------------------------------------------------------------------- */

/* Sum of the lines of a "Name:  N kB" file whose names are given. */
static long sum_kib(const char *path, const char *const *names)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long sum = 0;

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; names[i]; i++) {
			size_t n = strlen(names[i]);

			if (strncmp(line, names[i], n) == 0 && line[n] == ':')
				sum += atol(line + n + 1);
		}
	if (f)
		fclose(f);
	return sum;
}

static long kernel_kib(void)
{
	return sum_kib("/proc/meminfo", (const char *const[]){"Slab", "KernelStack", "PageTables",
							      "SecPageTables", "Percpu", NULL});
}

struct processes {
	unsigned ours, theirs;
	long ours_kib, theirs_kib;
};

/* All of this pid namespace but the bench itself. */
static struct processes look_at_processes(void)
{
	static const char *const pss[] = {"Pss", NULL};
	struct processes p = {0};
	DIR *d = opendir("/proc");

	for (struct dirent *entry; d && (entry = readdir(d));) {
		char path[300], name[64] = "";
		FILE *f;

		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		f = fopen(path, "re");
		if (!f || !fgets(name, sizeof(name), f))
			name[0] = '\0';
		if (f)
			fclose(f);
		snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", entry->d_name);
		if (strncmp(name, "insula", 6) == 0) {
			p.ours++;
			p.ours_kib += sum_kib(path, pss);
		} else {
			p.theirs++;
			p.theirs_kib += sum_kib(path, pss);
		}
	}
	if (d)
		closedir(d);
	return p;
}

/* ---- the bundle ------------------------------------------------------------------------------------ */

static void write_bundle(void)
{
	static const char *const dirs[] = {"", "/bin", "/proc", "/dev", "/sys", "/etc", "/tmp"};
	struct json *doc = oci_spec_default();
	char path[128], *text;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		FORMAT(path, WORK "/rootfs%s", dirs[i]);
		mkdir(path, 0755);
	}
	if (system("cp /bin/busybox " WORK "/rootfs/bin/sleep") != 0)
		die("busybox");
	json_set(json_object_member(doc, "process", true), "terminal", json_new_bool(false));
	json_set(json_object_member(doc, "process", true), "args",
		 json_new_strv((char *const[]){(char *)"/bin/sleep", (char *)"100000", NULL}));
	json_set(json_object_member(doc, "root", true), "path", json_new_string(WORK "/rootfs"));
	if (json_to_text(doc, true, &text, NULL) < 0)
		die("bundle");
	mkdir(WORK "/bundle", 0755);
	put(WORK "/bundle/config.json", text);
	free(text);
	json_free(doc);
}

/* ---- the measurement --------------------------------------------------------------------------------- */

#define OCI "insula-oci", "--root", WORK "/state"

static void tell_looks(unsigned n, const char *id)
{
	struct took list = LOOK(OCI, "list"), json = LOOK(OCI, "list", "--format", "json"),
		    state = LOOK(OCI, "state", id), ps = LOOK(OCI, "ps", "--format", "json", id),
		    exec = LOOK(OCI, "exec", id, "/bin/sleep", "0"),
		    people = LOOK("insula", "--root", WORK "/state", "ps", "-a");

	printf("with %5u: list %7.1f ms (json %7.1f), state %5.1f, ps %5.1f, exec %5.1f, insula ps "
	       "-a %7.1f\n",
	       n, list.wall_msec, json.wall_msec, state.wall_msec, ps.wall_msec, exec.wall_msec,
	       people.wall_msec);
	fflush(stdout);
}

static struct took mean(const struct took *v, unsigned n)
{
	struct took sum = {0};

	for (unsigned i = 0; i < n; i++) {
		sum.wall_msec += v[i].wall_msec / n;
		sum.cpu_msec += v[i].cpu_msec / n;
	}
	return sum;
}

static void tell_ends(const char *what, const struct took *v, unsigned n)
{
	unsigned group = n < 2 * GROUP ? n / 2 : GROUP;
	struct took first = mean(v, group), last = mean(v + n - group, group);

	printf("%-8s the first %u: %6.1f ms wall, %6.1f ms processor; the last %u: %6.1f, %6.1f "
	       "(%.2f of it)\n",
	       what, group, first.wall_msec, first.cpu_msec, group, last.wall_msec, last.cpu_msec,
	       last.cpu_msec / first.cpu_msec);
}

static void hold(unsigned n)
{
	struct took *starts = calloc(n, sizeof(*starts)), *deletes = calloc(n, sizeof(*deletes));
	long before, held, after;
	struct processes p;
	char id[32];

	if (!starts || !deletes)
		die("memory");
	RUN(OCI, "run", "--detach", "--bundle", WORK "/bundle", "warm");
	RUN(OCI, "delete", "--force", "warm");
	before = kernel_kib();
	for (unsigned i = 0; i < n; i++) {
		FORMAT(id, "c%u", i);
		starts[i] = RUN(OCI, "run", "--detach", "--bundle", WORK "/bundle", id);
		if (i == 0 || i + 1 == n / 10 || i + 1 == n)
			tell_looks(i + 1, id);
	}
	held = kernel_kib();
	p = look_at_processes();
	tell_ends("start:", starts, n);
	printf("memory: %.1f KiB of kernel memory each; %u processes of ours with %ld KiB; their "
	       "own %u with %.1f KiB each\n",
	       (double)(held - before) / n, p.ours, p.ours_kib, p.theirs,
	       (double)p.theirs_kib / (p.theirs ? p.theirs : 1));
	for (unsigned i = 0; i < n; i++) {
		FORMAT(id, "c%u", i);
		deletes[i] = RUN(OCI, "delete", "--force", id);
	}
	tell_ends("delete:", deletes, n);
	after = kernel_kib();
	printf("after:  %+.1f KiB of kernel memory each\n", (double)(after - before) / n);
	free(starts);
	free(deletes);
}

static void hold_detached(unsigned n)
{
	long before = kernel_kib();
	struct processes p;
	char id[32];

	for (unsigned i = 0; i < n; i++) {
		FORMAT(id, "d%u", i);
		RUN("insula", "--root", WORK "/state", "--store", WORK "/store", "run", "-d",
		    "--name", id, "--rootfs", WORK "/rootfs", "/bin/sleep", "100000");
	}
	p = look_at_processes();
	printf("insula run -d, %u of them: %u monitors with %.1f KiB each; %.1f KiB of kernel "
	       "memory each, their workload's process included\n",
	       n, p.ours, (double)p.ours_kib / (p.ours ? p.ours : 1),
	       (double)(kernel_kib() - before) / n);
	for (unsigned i = 0; i < n; i++) {
		FORMAT(id, "d%u", i);
		RUN(OCI, "delete", "--force", id);
	}
}

static int inside(int n)
{
	pid_t pid;
	int status;

	/* In a child: orphans come to us, the first process here, and must be reaped. */
	write_bundle();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		hold((unsigned)n);
		hold_detached((unsigned)n / 10);
		fflush(stdout);
		_exit(0);
	}
	for (;;) {
		pid_t ended = wait(&status);

		if (ended < 0)
			return 1;
		if (ended == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
}

int main(int argc, char **argv)
{
	int n = rounds_from(argc, argv, 1000);

	if (n < 10) {
		fprintf(stderr, "bench: at least 10 containers\n");
		return 1;
	}
	return world_run(inside, n);
}
