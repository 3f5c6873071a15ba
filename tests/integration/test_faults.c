/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every step of a sandbox's life made to fail, and the program killed behind every step.
 *
 * Which steps there are is learnt from the programs with fault points themselves (INSULA_FAULT=trace), and compared
 * with the table below: a new point without a row fails here. After a failure the error names step, object and
 * cause, and everything is as before; after a kill `list` works and `delete --force` cleans up.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct world *world;
static bool is_vm;

enum verb { CREATE, START, EXEC, DELETE };

static const struct point {
	const char *name;
	enum verb verb;     /* which passes it */
	bool in_child;      /* in the container's init, which a kill of its own cannot reach */
	const char *killed; /* status that a kill of the command there may leave, besides stopped */
	bool vm;            /* worth the boot of a microVM */
} points[] = {
	{"load", CREATE},
	{"plan", CREATE},
	{"state", CREATE},
	{"rootfs", CREATE},
	{"cgroup", CREATE},
	{"init-namespaces", CREATE, .in_child = true},
	{"host", CREATE, .vm = true},
	{"hooks", CREATE},
	{"init-cgroupns", CREATE, .in_child = true},
	{"init-names", CREATE, .in_child = true},
	{"init-procfs", CREATE, .in_child = true},
	{"init-root", CREATE, .in_child = true},
	{"init-mounts", CREATE, .in_child = true},
	{"init-devices", CREATE, .in_child = true},
	{"init-cwd", CREATE, .in_child = true},
	{"init-hooks", CREATE, .in_child = true},
	{"init-masks", CREATE, .in_child = true},
	{"init-sysctls", CREATE, .in_child = true},
	{"init-terminal", CREATE, .in_child = true},
	{"init-pivot", CREATE, .in_child = true},
	{"init-streams", CREATE, .in_child = true},
	{"init-command", CREATE, .in_child = true},
	{"inner", CREATE, .vm = true},
	{"created", CREATE},
	{"pid-file", CREATE},
	{"commit", CREATE, .killed = "created"},
	{"start", START, .killed = "created"},
	{"init-start", START, .in_child = true},
	{"started", START, .killed = "running", .vm = true},
	{"init-exec", EXEC, .in_child = true},
	{"exec", EXEC, .killed = "running"},
	{"delete-killed", DELETE},
	{"delete-cgroup", DELETE},
	{"delete-hooks", DELETE},
};

#define N_POINTS (sizeof(points) / sizeof(*points))

static char pid_file[160];

/* insula-oci with fault points. INSULA_FAULT is only set for this one. */
static struct run_result faulty(const char *fault, const char *const *words)
{
	const char *line[32] = {world->faults_oci, "--root", world->state};
	size_t n = 3;

	if (is_vm) {
		line[n++] = "--isolation";
		line[n++] = "vm";
	}
	while (*words)
		line[n++] = *words++;
	assert_int_equal(setenv("INSULA_FAULT", fault, 1), 0);
	struct run_result r = run(&(struct run_spec){.argv = line, .detaching = true});

	unsetenv("INSULA_FAULT");
	return r;
}

/* A poststop hook, so that every step has something to do. */
static const char *a_bundle(void)
{
	return bundle(world, "life", "sleep 1000",
		      CHANGES("hooks.poststop[].path", "\"/bin/true\""));
}

static struct run_result create_faulty(const char *fault)
{
	return faulty(fault,
		      ARGV("create", "--pid-file", pid_file, "--bundle", a_bundle(), world->id));
}

static void force_delete(void)
{
	expect_result(faulty("none", ARGV("delete", "--force", world->id)), 0, "", NULL);
	unlink(pid_file);
}

/* Up to where the verb of the point comes. `env`: what create gets, for a point in the child. */
static void bring_to(enum verb verb, const char *env)
{
	if (verb == CREATE)
		return;
	expect_result(create_faulty(env), 0, "", NULL);
	if (verb != START)
		expect_result(faulty("none", ARGV("start", world->id)), 0, "", NULL);
}

static struct run_result do_verb(enum verb verb, const char *fault)
{
	switch (verb) {
	case CREATE:
		return create_faulty(fault);
	case START:
		return faulty(fault, ARGV("start", world->id));
	case EXEC:
		return faulty(fault, ARGV("exec", world->id, "sleep", "0"));
	case DELETE:
		break;
	}
	return faulty(fault, ARGV("delete", "--force", world->id));
}

/* ---- which points there are ---------------------------------------------------------------- */

static void collect_points(char *seen, size_t size, const char *text)
{
	static const char mark[] = "fault point: ";

	for (const char *at = text; (at = strstr(at, mark));) {
		at += strlen(mark);
		size_t len = strlen(seen), n = strcspn(at, "\n");

		assert_true(len + n + 2 < size);
		snprintf(seen + len, size - len, "%.*s\n", (int)n, at);
	}
}

static bool has_point(const char *seen, const char *name)
{
	char line[64];

	snprintf(line, sizeof(line), "\n%s\n", name);
	return strstr(seen, line) != NULL;
}

static void every_point_has_a_row(void **state)
{
	char seen[8192] = "\n", *copy, *save = NULL;
	const char *const lives[][8] = {
		{"run", "--pid-file", pid_file, "--bundle", "", world->id},
		{"run", "--detach", "--bundle", "", world->id},
		{"exec", world->id, "sleep", "0"},
		{"delete", "--force", world->id},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lives) / sizeof(*lives); i++) {
		const char *words[8];

		for (size_t k = 0; k < 8; k++) {
			words[k] = lives[i][k];
			if (words[k] && !*words[k])
				words[k] = i == 0 ? bundle(world, "short", "exit 0", NULL)
						  : a_bundle();
		}
		struct run_result r = faulty("trace", words);

		assert_int_equal(r.code, 0);
		collect_points(seen, sizeof(seen), r.err);
		run_result_done(&r);
	}
	unlink(pid_file);
	for (size_t i = 0; i < N_POINTS; i++)
		if (!has_point(seen, points[i].name))
			fail_msg("the programs do not pass a fault point '%s'", points[i].name);
	copy = strdup(seen);
	assert_non_null(copy);
	for (char *name = strtok_r(copy, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
		bool known = false;

		for (size_t i = 0; i < N_POINTS; i++)
			known |= strcmp(points[i].name, name) == 0;
		if (!known)
			fail_msg("fault point '%s' has no row in this test", name);
	}
	free(copy);
}

/* ---- each step fails ------------------------------------------------------------------------ */

static void step_fails(void **state)
{
	const struct point *p = *state;
	struct snapshot before = snapshot_take(world), after;
	char words[256];

	snprintf(words, sizeof(words), "'%s'|'%s'|Input/output error", world->id, p->name);
	bring_to(p->verb, p->in_child ? p->name : "none");
	expect_error(do_verb(p->verb, p->in_child && p->verb == START ? "none" : p->name), 1,
		     words);
	if (p->verb == CREATE) {
		expect_ids(world, NO_WORDS);
		assert_int_equal(access(pid_file, F_OK), -1);
	} else {
		expect_ids(world, ARGV(world->id));
		force_delete();
	}
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* ---- killed behind each step ----------------------------------------------------------------- */

struct status_after_kill {
	const struct point *point;
	char seen[32];
};

/* The host process of a creation that died ends by itself, a moment later. */
static bool is_settled(void *arg)
{
	struct status_after_kill *s = arg;
	struct run_result r = run_oci(world, ARGV("list", "-q"));
	bool listed = strncmp(r.out, world->id, strlen(world->id)) == 0;
	char *status = listed ? oci_state(world, world->id, "status") : strdup("nothing");

	assert_int_equal(r.code, 0);
	run_result_done(&r);
	snprintf(s->seen, sizeof(s->seen), "%s", status);
	free(status);
	return strcmp(s->seen, "stopped") == 0 || strcmp(s->seen, "nothing") == 0 ||
	       (s->point->killed && strcmp(s->seen, s->point->killed) == 0);
}

static void step_is_killed(void **state)
{
	const struct point *p = *state;
	struct snapshot before = snapshot_take(world), after;
	struct status_after_kill s = {.point = p};
	char fault[64];

	snprintf(fault, sizeof(fault), "%s:kill", p->name);
	bring_to(p->verb, "none");
	expect_result(do_verb(p->verb, fault), 128 + SIGKILL, "", NULL);
	if (!eventually(is_settled, &s, 20))
		fail_msg("killed at '%s': list shows '%s'", p->name, s.seen);
	/* With the ordinary build: what was left is read by others. */
	expect_result(run_oci(world, ARGV("list")), 0, NULL, NULL);
	expect_result(run_oci(world, ARGV("list", "--format", "json")), 0, NULL, NULL);
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
	expect_ids(world, NO_WORDS);
	unlink(pid_file);
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* Of `run`, the creator is also the one that starts: it dies with the lock in its hand, and its host process, which waits at the gate
 * for ever, must not have a copy of that. */
static void run_is_killed_at_its_start(void **state)
{
	struct snapshot before = snapshot_take(world), after;

	(void)state;
	expect_result(faulty("start:kill", ARGV("run", "--bundle", a_bundle(), world->id)),
		      128 + SIGKILL, "", NULL);
	expect_status(world, world->id, "created");
	expect_result(run_oci(world, ARGV("start", world->id)), 0, "", NULL);
	force_delete();
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* ---- all of them ------------------------------------------------------------------------------ */

static void skipped(void **state)
{
	print_message("# skip: %s\n", (const char *)*state);
	skip();
}

static int run_points(const char *missing)
{
	struct CMUnitTest tests[2 + 2 * N_POINTS];
	static char names[2 + 2 * N_POINTS][96];
	size_t n = 0;

	if (!is_vm) {
		tests[n++] = (struct CMUnitTest){"every fault point has a row",
						 missing ? skipped : every_point_has_a_row, NULL,
						 NULL, (void *)missing};
		tests[n++] = (struct CMUnitTest){"run is killed at its start",
						 missing ? skipped : run_is_killed_at_its_start,
						 NULL, NULL, (void *)missing};
	}
	for (size_t i = 0; i < 2 * N_POINTS; i++) {
		const struct point *p = &points[i / 2];
		bool kills = i % 2;

		if ((is_vm && !p->vm) || (kills && p->in_child))
			continue;
		snprintf(names[n], sizeof(names[n]), "%s: %s at %s", is_vm ? "vm" : "container",
			 kills ? "killed" : "failure", p->name);
		tests[n] = (struct CMUnitTest){
			.name = names[n],
			.test_func = missing ? skipped
				     : kills ? step_is_killed
					     : step_fails,
			.initial_state = missing ? (void *)missing : (void *)p,
		};
		n++;
	}
	return _cmocka_run_group_tests(is_vm ? "faults, vm" : "faults, container", tests, n, NULL,
				       NULL);
}

int main(void)
{
	const char *wanted = getenv("TEST_KIND"), *missing;
	int failed = 0;
	void *state;
	char guest[512];

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	snprintf(pid_file, sizeof(pid_file), "%s/pid", world->dir);
	build_path("guest", guest, sizeof(guest));
	setenv("INSULA_GUEST_DIR", guest, 1);
	missing = *world->faults_oci ? NULL : "no programs with fault points; run 'make faults'";
	if (!wanted || strcmp(wanted, "container") == 0)
		failed += run_points(missing);
	is_vm = true;
	if (!missing)
		missing = vm_missing();
	if (!wanted || strcmp(wanted, "vm") == 0)
		failed += run_points(missing);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
