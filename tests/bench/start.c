/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of a container, end to end as whole processes: `run` of a static `true` by insula-oci, crun and
 * runc, and by the floor program that does the same kernel work without being a runtime.
 *
 *	start [ROUNDS]		or BENCH_ROUNDS; root
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

static void measure_bundle(const char *name, int rounds)
{
	static char ours[600], floor[600], bundle[64];
	const char *const ours_argv[] = {
		ours, "--root", WORK "/state-insula", "run", "--bundle", bundle, "b", NULL};
	const char *const crun_argv[] = {"/usr/bin/crun",
					 "--root",
					 WORK "/state-crun",
					 "run",
					 "--bundle",
					 bundle,
					 "b",
					 NULL};
	const char *const runc_argv[] = {"/usr/sbin/runc",
					 "--root",
					 WORK "/state-runc",
					 "run",
					 "--bundle",
					 bundle,
					 "b",
					 NULL};
	const char *const floor_argv[] = {floor, WORK "/rootfs", "/bin/true", NULL};
	struct contender v[] = {
		{.name = "insula-oci", .argv = ours_argv},
		{.name = "crun", .argv = crun_argv},
		{.name = "runc", .argv = runc_argv},
		{.name = "floor", .argv = floor_argv},
	};
	char title[64];

	FORMAT(ours, "%s/insula-oci", tools);
	FORMAT(floor, "%s/tests/bench/floor", tools);
	FORMAT(bundle, WORK "/%s", name);
	FORMAT(title, "run of a static true, %s", name);
	setenv("FLOOR_SECCOMP", strcmp(name, "seccomp") ? "0" : "1", 1);
	measure(title, v, sizeof(v) / sizeof(*v), rounds);
}

static int inside(int rounds)
{
	write_bundles();
	measure_bundle("plain", rounds);
	measure_bundle("seccomp", rounds);
	return 0;
}

int main(int argc, char **argv)
{
	return world_run(inside, rounds_from(argc, argv, 60));
}
