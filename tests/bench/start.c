/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers, end to end as whole processes, by insula-oci, crun and runc, and (but exec) by the floor program that does
 * the same kernel work without being a runtime: `run` of a static `true`; `create`, `start` and `delete`; `exec`; with and
 * without a seccomp profile and a network namespace; 2, 8 and 32 clients at once.
 *
 *	start [ROUNDS]		or BENCH_ROUNDS; root. Several clients make fewer rounds. BENCH_ONLY: what has this text in its title
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "common/bench.h"
#include "runtime/oci.h"
#include "runtime/runtime.h"

/* The network namespace is one of a list of objects. */
static void drop_network(struct json *linux_part)
{
	static const char *const kept[] = {"pid", "ipc", "uts", "mount", "cgroup"};
	struct json *list = json_new_array();

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		struct json *ns = json_new_object();

		json_set(ns, "type", json_new_string(kept[i]));
		json_push(list, ns);
	}
	json_set(linux_part, "namespaces", list);
}

struct bundle {
	const char *name;
	bool seccomp, host_network, sleeps;
};

static void write_bundle(const struct bundle *b)
{
	const char *name = b->name;
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
	if (b->host_network)
		drop_network(linux_part);
	if (b->seccomp && json_member(&at, "seccomp", &resources))
		json_set(linux_part, "seccomp", json_copy(resources.value));
	json_set(process, "terminal", json_new_bool(false));
	json_set(process, "args",
		 json_new_strv(b->sleeps
				       ? (char *const[]){(char *)"/bin/sleep", (char *)"1000", NULL}
				       : (char *const[]){(char *)"/bin/true", NULL}));
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

	static const struct bundle bundles[] = {
		{.name = "plain"},
		{.name = "seccomp", .seccomp = true},
		{.name = "host-network", .host_network = true},
		{.name = "plain-sleep", .sleeps = true},
		{.name = "seccomp-sleep", .seccomp = true, .sleeps = true},
	};
	static const char *const dirs[] = {"", "/bin", "/proc", "/dev", "/sys", "/etc"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		FORMAT(from, WORK "/rootfs%s", dirs[i]);
		mkdir(from, 0755);
	}
	FORMAT(from,
	       "cp %s/tests/helpers/nothing " WORK "/rootfs/bin/true && cp /bin/busybox " WORK
	       "/rootfs/bin/sleep",
	       tools);
	if (system(from) != 0)
		die(from);
	pid_t pid = fork();

	if (pid == 0) {
		for (size_t i = 0; i < sizeof(bundles) / sizeof(*bundles); i++)
			write_bundle(&bundles[i]);
		exit(0);
	}
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		die("bundles");
}

/* ---- who is measured ---------------------------------------------------------------------------- */

/* The same command line for all three: crun and insula-oci took runc's. */
enum runtime { INSULA, CRUN, RUNC, RUNTIMES };

#define N_CONTENDERS (RUNTIMES + 1) /* and the floor */
#define WORDS_MAX    12
#define STEPS_MAX    4

static char insula[600], floor_program[600];

static const struct {
	const char *name, *program, *state;
} runtimes[RUNTIMES] = {
	{"insula-oci", insula, WORK "/state-insula"},
	{"crun", "/usr/bin/crun", WORK "/state-crun"},
	{"runc", "/usr/sbin/runc", WORK "/state-runc"},
};

/* The commands of one runtime, of which the contenders hold pointers. */
struct commands {
	const char *words[STEPS_MAX][WORDS_MAX];
	const char *const *steps[STEPS_MAX + 1];
};

static void add_command(struct commands *c, enum runtime r, const char *const *words)
{
	size_t step = 0, n = 3;

	while (c->steps[step])
		step++;
	if (step == STEPS_MAX)
		die("steps");
	c->words[step][0] = runtimes[r].program;
	c->words[step][1] = "--root";
	c->words[step][2] = runtimes[r].state;
	for (; *words && n < WORDS_MAX - 1; words++)
		c->words[step][n++] = *words;
	c->steps[step] = c->words[step];
}

#define COMMAND(c, r, ...) add_command(c, r, (const char *const[]){__VA_ARGS__, NULL})

static void add_floor(struct contender *c)
{
	static const char *argv[] = {floor_program, WORK "/rootfs", "/bin/true", NULL};

	*c = (struct contender){.name = "floor", .argv = argv};
}

/* ---- what is measured --------------------------------------------------------------------------- */

#define AIM_CRUN  0.8
#define AIM_PEAK  0.7
#define AIM_FLOOR 1.5

static void judge(const struct contender *v, size_t n, int rounds)
{
	compare(v, n, "crun", AIM_CRUN, rounds);
	compare(v, n, "floor", AIM_FLOOR, rounds);
	compare_peak(v, n, "crun", AIM_PEAK, rounds);
}

static bool asked_for(const char *title)
{
	const char *only = getenv("BENCH_ONLY");

	return !only || strstr(title, only);
}

static const char *bundle_path(const char *name)
{
	static char path[64];

	FORMAT(path, WORK "/%s", name);
	setenv("FLOOR_SECCOMP", strcmp(name, "seccomp") ? "0" : "1", 1);
	setenv("FLOOR_NETNS", strcmp(name, "host-network") ? "1" : "0", 1);
	return path;
}

static void run(const char *name, int clients, int rounds)
{
	struct commands c[RUNTIMES] = {0};
	struct contender v[N_CONTENDERS] = {0};
	const char *bundle = bundle_path(name);
	char title[96];

	for (enum runtime r = INSULA; r < RUNTIMES; r++) {
		COMMAND(&c[r], r, "run", "--bundle", bundle, "@");
		v[r] = (struct contender){.name = runtimes[r].name, .argv = c[r].steps[0]};
	}
	add_floor(&v[RUNTIMES]);
	if (clients > 1)
		FORMAT(title, "run of a static true, %s, %d at once, for each", name, clients);
	else
		FORMAT(title, "run of a static true, %s", name);
	if (!asked_for(title))
		return;
	measure(&(struct setting){.title = title, .rounds = rounds, .clients = clients}, v,
		N_CONTENDERS);
	judge(v, N_CONTENDERS, rounds);
}

static void create_start_delete(const char *name, int rounds)
{
	struct commands c[RUNTIMES] = {0};
	struct contender v[N_CONTENDERS] = {0};
	const char *bundle = bundle_path(name);
	char title[96];

	for (enum runtime r = INSULA; r < RUNTIMES; r++) {
		COMMAND(&c[r], r, "create", "--bundle", bundle, "@");
		COMMAND(&c[r], r, "start", "@");
		COMMAND(&c[r], r, "delete", "@");
		v[r] = (struct contender){.name = runtimes[r].name, .steps = c[r].steps};
	}
	add_floor(&v[RUNTIMES]);
	FORMAT(title, "create, start and delete, %s", name);
	if (!asked_for(title))
		return;
	measure(&(struct setting){.title = title, .rounds = rounds}, v, N_CONTENDERS);
	judge(v, N_CONTENDERS, rounds);
}

static void shell(const char *command)
{
	if (system(command) != 0) {
		errno = 0;
		die(command);
	}
}

/* In a container that sleeps. */
static void exec(const char *name, int rounds)
{
	struct commands c[RUNTIMES] = {0};
	struct contender v[RUNTIMES] = {0};
	char title[96], line[900];

	FORMAT(title, "exec of a static true, %s", name);
	if (!asked_for(title))
		return;
	for (enum runtime r = INSULA; r < RUNTIMES; r++) {
		COMMAND(&c[r], r, "exec", "sleeper", "/bin/true");
		v[r] = (struct contender){.name = runtimes[r].name, .argv = c[r].steps[0]};
		v[r].left_out = access(runtimes[r].program, X_OK) < 0;
		FORMAT(line,
		       "%s --root %s run --detach --bundle " WORK "/%s-sleep sleeper </dev/null "
		       ">/dev/null 2>&1",
		       runtimes[r].program, runtimes[r].state, name);
		if (!v[r].left_out)
			shell(line);
	}
	measure(&(struct setting){.title = title, .rounds = rounds, .with_others = true}, v,
		RUNTIMES);
	judge(v, RUNTIMES, rounds);
	for (enum runtime r = INSULA; r < RUNTIMES; r++) {
		FORMAT(line, "%s --root %s delete --force sleeper", runtimes[r].program,
		       runtimes[r].state);
		if (!v[r].left_out)
			shell(line);
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static int at_least(int rounds, int few)
{
	return rounds > few ? rounds : few;
}

static int inside(int rounds)
{
	FORMAT(insula, "%s/insula-oci", tools);
	FORMAT(floor_program, "%s/tests/bench/floor", tools);
	write_bundles();
	run("plain", 1, rounds);
	run("seccomp", 1, rounds);
	run("host-network", 1, rounds);
	create_start_delete("plain", rounds);
	create_start_delete("seccomp", rounds);
	exec("plain", rounds);
	exec("seccomp", rounds);
	run("seccomp", 2, at_least(rounds / 2, 3));
	run("seccomp", 8, at_least(rounds / 6, 3));
	run("seccomp", 32, at_least(rounds / 15, 3));
	return 0;
}

int main(int argc, char **argv)
{
	return world_run(inside, rounds_from(argc, argv, 12));
}
