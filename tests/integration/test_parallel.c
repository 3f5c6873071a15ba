/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several clients at once: a hundred lives by four of them, and two of them with the same id; and many sandboxes at once. Clients are processes of
 * this test that run the commands one by one, as engines do; they report by their exit code and on standard error.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 4
#define LIVES   25 /* each */
#define RACES   15

static struct world *world;

/* ---- a hundred lives ------------------------------------------------------------------------- */

/* In a client: no cmocka there. */
static bool step(const char *id, const char *const *words, int code, const char *out)
{
	struct run_result r = run_oci(world, words);
	bool ok = r.code == code && (!out || strstr(r.out, out));

	if (!ok)
		fprintf(stderr, "%s: %s: exit code %d, expected %d\n stdout: %s\n stderr: %s\n", id,
			words[0], r.code, code, r.out, r.err);
	run_result_done(&r);
	return ok;
}

static bool is_stopped(void *arg)
{
	struct run_result r = run_oci(world, ARGV("state", arg));
	bool stopped = strstr(r.out, "\"stopped\"") != NULL;

	run_result_done(&r);
	return stopped;
}

static bool live(const char *id, const char *dir)
{
	return step(id, ARGV("create", "--bundle", dir, id), 0, NULL) &&
	       step(id, ARGV("state", id), 0, "\"created\"") &&
	       step(id, ARGV("start", id), 0, NULL) &&
	       step(id, ARGV("state", id), 0, "\"running\"") &&
	       step(id, ARGV("exec", id, "sh", "-c", "echo $((6 * 7))"), 0, "42\n") &&
	       step(id, ARGV("kill", id, "KILL"), 0, NULL) &&
	       eventually(is_stopped, (void *)id, 60) && step(id, ARGV("delete", id), 0, NULL);
}

static int client(int number, const char *dir)
{
	for (int i = 0; i < LIVES; i++) {
		char id[64];

		snprintf(id, sizeof(id), "%s-%d-%d", world->id, number, i);
		if (!live(id, dir))
			return 1;
	}
	return 0;
}

static void hundred_lives(void **state)
{
	struct snapshot before = snapshot_take(world), after;
	const char *dir = bundle(world, "life", "sleep 1000", NULL);
	pid_t pids[CLIENTS];
	int failed = 0;

	(void)state;
	for (int i = 0; i < CLIENTS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(client(i, dir));
	}
	for (int i = 0; i < CLIENTS; i++)
		failed += finish(pids[i], 300) != 0;
	assert_int_equal(failed, 0);
	expect_ids(world, NO_WORDS);
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* ---- many at once ------------------------------------------------------------------------------- */

#define MANY        40
#define DESCRIPTORS "32" /* fewer than there are sandboxes */

/* Whatever lists them holds no descriptor for each. */
static void list_with_few_descriptors(const char *program, const char *words)
{
	char line[1400];
	size_t shown = 0;

	snprintf(line, sizeof(line), "ulimit -n %s; exec %s --root %s %s", DESCRIPTORS, program,
		 world->state, words);
	struct run_result r = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", line)});

	if (r.code != 0 || r.err[0])
		fail_msg("%s: exit code %d: %s", words, r.code, r.err);
	for (const char *at = r.out; (at = strstr(at, "running")); at++)
		shown++;
	if (shown != MANY)
		fail_msg("%s shows %zu of %d as running: %s", words, shown, MANY, r.out);
	run_result_done(&r);
}

static void more_sandboxes_than_descriptors(void **state)
{
	struct snapshot before = snapshot_take(world), after;
	const char *dir = bundle(world, "many", "sleep 1000", NULL);
	char id[64];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof(id), "%s-%d", world->id, i);
		expect_result(run_oci(world, ARGV("run", "--detach", "--bundle", dir, id)), 0, "",
			      NULL);
	}
	list_with_few_descriptors(world->oci, "list");
	list_with_few_descriptors(world->oci, "list --format json");
	list_with_few_descriptors(world->insula, "ps -a --format '{{.Names}} {{.State}}'");
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof(id), "%s-%d", world->id, i);
		expect_result(run_oci(world, ARGV("delete", "--force", id)), 0, "", NULL);
	}
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* ---- races for one id ------------------------------------------------------------------------- */

/* Two processes with the same command at the same time. */
static void race(const char *const *words, struct run_result ret[2])
{
	pid_t pids[2];
	int fds[2];

	for (int i = 0; i < 2; i++)
		pids[i] = start(oci_argv(world, words), false, &fds[i]);
	for (int i = 0; i < 2; i++) {
		char text[4096] = "";

		ret[i] = (struct run_result){.code = finish(pids[i], 60)};
		/* The winner's sandbox may hold the stream open. */
		if (ret[i].code != 0)
			(void)read_until(fds[i], "never said", text, sizeof(text), 5);
		close(fds[i]);
		ret[i].err = strdup(text);
		ret[i].out = strdup("");
	}
}

static void one_creation_wins(void **state)
{
	struct snapshot before = snapshot_take(world), after;
	const char *dir = bundle(world, "race", "sleep 1000", NULL);

	(void)state;
	for (int i = 0; i < RACES; i++) {
		struct run_result r[2];

		race(ARGV("create", "--bundle", dir, world->id), r);
		int loser = r[0].code != 0 ? 0 : 1;

		assert_int_equal(r[!loser].code, 0);
		expect_error(r[loser], 1, "exists already");
		run_result_done(&r[!loser]);
		expect_status(world, world->id, "created");
		expect_result(run_oci(world, ARGV("start", world->id)), 0, "", NULL);
		expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
	}
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* The first deletes; the other either was in it too, or says that there is nothing. */
static void deletes_agree(void **state)
{
	struct snapshot before = snapshot_take(world), after;
	const char *dir = bundle(world, "race", "sleep 1000", NULL);

	(void)state;
	for (int i = 0; i < RACES; i++) {
		struct run_result r[2];

		expect_result(run_oci(world, ARGV("create", "--bundle", dir, world->id)), 0, "",
			      NULL);
		race(i % 2 ? ARGV("delete", world->id) : ARGV("delete", "--force", world->id), r);
		assert_true(r[0].code == 0 || r[1].code == 0);
		for (int k = 0; k < 2; k++) {
			if (r[k].code != 0)
				expect_error(r[k], 1, "does not exist");
			else
				run_result_done(&r[k]);
		}
		expect_ids(world, NO_WORDS);
	}
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* Whoever starts second is told so; the command runs once. */
static void one_start_wins(void **state)
{
	struct snapshot before = snapshot_take(world), after;
	const char *dir = bundle(world, "race", "sleep 1000", NULL);

	(void)state;
	for (int i = 0; i < RACES; i++) {
		struct run_result r[2];

		expect_result(run_oci(world, ARGV("create", "--bundle", dir, world->id)), 0, "",
			      NULL);
		race(ARGV("start", world->id), r);
		int loser = r[0].code != 0 ? 0 : 1;

		assert_int_equal(r[!loser].code, 0);
		expect_error(r[loser], 1, "start");
		run_result_done(&r[!loser]);
		expect_status(world, world->id, "running");
		expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
	}
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hundred_lives),
		cmocka_unit_test(more_sandboxes_than_descriptors),
		cmocka_unit_test(one_creation_wins),
		cmocka_unit_test(deletes_agree),
		cmocka_unit_test(one_start_wins),
	};
	int failed;
	void *state;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	failed = cmocka_run_group_tests_name("parallel", tests, NULL, NULL);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
