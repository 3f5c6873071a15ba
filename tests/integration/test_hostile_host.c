/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile program in `insula run --rootfs /`: it tries each row of tests/helpers/hostile-host.c against a made-up host
 * (tests/harness/fake_host.h) and must learn and change nothing outside, whoever starts it. Further tests take a fence away
 * and see that the next one holds.
 *
 *	test_hostile_host --table NAME [USER] WORD…	no test: run WORD… as a sandbox and print the outcome, a
 *							line "NAME<tab>row<tab>verdict<tab>detail" each (tests/hostile/compare)
 */
#include "fake_host.h"
#include "hostile.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "isolate/landlock.h"

#define SUBIDS "300000:65536"

static struct world *world;
static const struct user *with_ids, *without_ids, *grace;

/* ---- the list ------------------------------------------------------------------------------------------- */

/* What a sandbox lets through on purpose, each with the reason, which docs/security.md repeats. */
static const struct {
	const char *row, *why;
} allowed[] = {
	{"", ""},
};

static bool is_allowed(const char *row)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
		if (strcmp(allowed[i].row, row) == 0)
			return true;
	return false;
}

static void expect_all_refused(const struct fake_host *h)
{
	int bad = 0;

	assert_true(h->n_rows >= 80);
	for (size_t i = 0; i < h->n_rows; i++) {
		const struct fake_row *row = &h->rows[i];

		if (strcmp(row->verdict, "refused") == 0 || is_allowed(row->name))
			continue;
		print_message("%s: %s (%s)\n", row->name, row->verdict, row->detail);
		/* Absent would be a hole in the fake host. */
		bad++;
	}
	if (bad)
		fail_msg("%d of %zu rows", bad, h->n_rows);
}

/* A host may refuse user namespaces to ordinary users. */
static bool user_can_run(const struct world *as)
{
	struct run_result r = run_insula(as, ARGV("run", "--rm", "--rootfs", "/", "true"));
	bool can = r.code == 0;

	if (!can)
		print_message("# skip: users cannot run sandboxes here: %s", r.err);
	run_result_done(&r);
	return can;
}

/* Runs before anything is asserted: what is planted goes in every case. */
static void attack(const struct user *user, const char *const *words, struct fake_host *h)
{
	struct world as = world_as(world, user);
	char *why = NULL;
	bool ran;

	if (user && !user_can_run(&as))
		skip();

	fake_host_open(h, world, user, user ? grace : NULL);
	ran = fake_host_attack(h, insula_argv(&as, words), &why);
	fake_host_close(h);
	if (!ran)
		fail_msg("the sandbox did not run: %s", why ? why : "");
}

/* Without any sandbox an ordinary user's program finds nearly all of it: so the rows can tell, and the fake host is there.
 * What is not listed takes root. */
static void without_a_sandbox_all_is_found(void **state)
{
	static const char *const found[] = {
		"other-home",   "own-keys",    "shadow",       "root-home",    "host-keys",
		"run-files",    "spool",       "posix-shm",    "xauthority",   "environment",
		"descriptors",  "cwd-escape",  "inotify",      "persist-home", "shared-places",
		"destroy",      "ssh-agent",   "gpg-agent",    "system-bus",   "session-bus",
		"abstract-bus", "x11",         "abstract-x11", "wayland",      "pipewire",
		"docker",       "podman",      "systemd",      "journal",      "local-port",
		"process-list", "ptrace",      "read-memory",  "write-memory", "environments",
		"signals",      "pidfd-getfd", "limits",       "keyring-read", "keyring-add",
		"sysv-shm",     "mqueue",      "tty-settings", "seccomp-flag", "no-new-privs",
		"no-aslr",      "setuid"};
	static struct fake_host h;
	char *why = NULL;
	bool ran;

	(void)state;
	fake_host_open(&h, world, with_ids, grace);
	ran = fake_host_attack(&h, ARGV("/usr/bin/env"), &why);
	fake_host_close(&h);
	if (!ran)
		fail_msg("%s", why);
	for (size_t i = 0; i < sizeof(found) / sizeof(*found); i++) {
		const struct fake_row *row = fake_host_row(&h, found[i]);

		if (!row || strcmp(row->verdict, "BREACH") != 0)
			fail_msg("%s: %s", found[i], row ? row->detail : "no such row");
	}
}

static void root_learns_and_changes_nothing(void **state)
{
	static struct fake_host h;

	(void)state;
	attack(NULL, ARGV("run", "--rm", "--rootfs", "/"), &h);
	expect_all_refused(&h);
}

static void user_with_ids_learns_and_changes_nothing(void **state)
{
	static struct fake_host h;

	(void)state;
	attack(with_ids, ARGV("run", "--rm", "--rootfs", "/"), &h);
	expect_all_refused(&h);
}

static void user_without_ids_learns_and_changes_nothing(void **state)
{
	static struct fake_host h;

	(void)state;
	attack(without_ids, ARGV("run", "--rm", "--rootfs", "/"), &h);
	expect_all_refused(&h);
}

/* ---- printing for others ------------------------------------------------------------------------------------ */

static int print_table(int argc, char **argv)
{
	static struct fake_host h;
	const struct user *user = NULL;
	int first = 3;
	char *why = NULL;

	if (argc > 4 && strcmp(argv[3], "--user") == 0) {
		user = with_ids;
		first = 4;
	}
	fake_host_open(&h, world, user, user ? grace : NULL);
	bool ran = fake_host_attack(&h, (const char *const *)argv + first, &why);

	fake_host_close(&h);
	if (!ran)
		fprintf(stderr, "%s: %s\n", argv[2], why ? why : "did not run");
	for (size_t i = 0; ran && i < h.n_rows; i++)
		printf("%s\t%s\t%s\t%s\n", argv[2], h.rows[i].name, h.rows[i].verdict,
		       h.rows[i].detail);
	free(why);
	return ran ? 0 : 1;
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

static struct snapshot at_first;

static void nothing_is_left(void **state)
{
	struct snapshot after = snapshot_take(world);

	(void)state;
	snapshot_compare(&at_first, &after);
}

static const struct hostile_test tests[] = {
	{"without a sandbox all is found", without_a_sandbox_all_is_found},
	{"root learns and changes nothing", root_learns_and_changes_nothing},
	{"a user with subordinate ids learns and changes nothing",
	 user_with_ids_learns_and_changes_nothing},
	{"a user without learns and changes nothing", user_without_ids_learns_and_changes_nothing},
	{"nothing is left", nothing_is_left},
};

static int open_world(void)
{
	void *state;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		perror("a mount namespace for the test");
		return -1;
	}
	if (world_setup(&state) < 0)
		return -1;
	world = state;
	fake_places(world);
	with_ids = world_add_user(world, "ada", 41815, SUBIDS);
	without_ids = world_add_user(world, "emil", 41816, NULL);
	grace = world_add_user(world, "grace", 41817, NULL);
	at_first = snapshot_take(world);
	return 0;
}

int main(int argc, char **argv)
{
	void *state;
	int failed;

	if (open_world() < 0)
		return 1;
	state = world;
	if (argc > 3 && strcmp(argv[1], "--table") == 0)
		failed = print_table(argc, argv);
	else
		failed = hostile_group(world, "hostile host", tests, sizeof(tests) / sizeof(*tests),
				       NULL, NULL, NULL);
	fake_places_undo();
	return failed + (world_teardown(&state) < 0) != 0;
}
