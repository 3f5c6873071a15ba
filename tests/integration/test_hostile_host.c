/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile program in `insula run --rootfs /`: it tries each row of tests/helpers/hostile-host.c against a made-up host
 * (tests/harness/fake_host.h) and must learn and change nothing outside, whoever starts it. Further tests take a fence away
 * and see that the next one holds.
 *
 *	test_hostile_host --table NAME [--user] WORD…	no test: run WORD… as a sandbox and print the outcome, a
 *							line "NAME<tab>row<tab>verdict<tab>detail" each (tests/hostile/compare)
 */
#include "fake_host.h"
#include "hostile.h"
#include "oci_document.h"

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

/* ---- a defence taken away by name --------------------------------------------------------------------------- */

/* Each flag gives up one defence: then those rows get through which it was for (`must`), some more where the kernel lets
 * them (`may`), and no other. */
static const struct {
	const char *flag, *value, *must, *may;
} given_up[] = {
	{"--pid", "host", "process-list", "environments limits signals ptrace"},
	{"--ipc", "host", "posix-shm sysv-shm", "shared-places mqueue"},
	{"--network", "host", "local-port", "raw-sockets netlink abstract-bus abstract-x11"},
	{"--uts", "host", "", ""},
	{"--security-opt", "seccomp=unconfined", "seccomp-flag no-aslr",
	 "keyring-add keyring-read userns-surface clone-userns perf userfaultfd io-uring "
	 "other-abis odd-families fanotify"},
	{"--security-opt", "no-new-privileges=false", "no-new-privs", ""},
	{"--security-opt", "unmask=ALL", "kernel-files", "proc-sys sysrq sys"},
};

static bool is_listed(const char *list, const char *name)
{
	_cleanup_strv_ char **words = NULL;

	assert_int_equal(strv_split(list, ' ', &words), 0);
	for (char **w = words; *w; w++)
		if (strcmp(*w, name) == 0)
			return true;
	return false;
}

static int rows_against(const struct fake_host *h, const char *what, const char *must,
			const char *may)
{
	int bad = 0;

	for (size_t i = 0; i < h->n_rows; i++) {
		bool breached = strcmp(h->rows[i].verdict, "refused") != 0;
		const char *name = h->rows[i].name;

		if (breached ? is_listed(must, name) || is_listed(may, name)
			     : !is_listed(must, name))
			continue;
		print_message("%s: %s: %s (%s)\n", what, name, h->rows[i].verdict,
			      h->rows[i].detail);
		bad++;
	}
	return bad;
}

static void give_up(const struct user *user)
{
	static struct fake_host h;
	int bad = 0;

	for (size_t i = 0; i < sizeof(given_up) / sizeof(*given_up); i++) {
		attack(user,
		       ARGV("run", "--rm", given_up[i].flag, given_up[i].value, "--rootfs", "/"),
		       &h);
		bad += rows_against(&h, given_up[i].value, given_up[i].must, given_up[i].may);
	}
	assert_int_equal(bad, 0);
}

static void root_gives_up_one_defence(void **state)
{
	(void)state;
	give_up(NULL);
}

static void user_gives_up_one_defence(void **state)
{
	(void)state;
	give_up(with_ids);
}

/* ---- one fence without the others ------------------------------------------------------------------------ */

static const char strong[] = "[\"CAP_SYS_ADMIN\", \"CAP_DAC_OVERRIDE\", \"CAP_MKNOD\"]";

/* What run makes itself for a sandbox is not there for a bundle: /etc/hostname and the like. */
static void drop_own_files(struct json *document)
{
	struct json_at top = json_top(document), mounts;
	struct json *kept = json_new_array();

	assert_true(json_member(&top, "mounts", &mounts));
	for (size_t i = 0; i < json_array_len(&mounts); i++) {
		struct json_at mount = json_array_at(&mounts, i), source;
		const char *from =
			json_member(&mount, "source", &source) ? json_peek_string(&source) : "";

		if (strncmp(from, world->state, strlen(world->state)) != 0)
			assert_int_equal(json_push(kept, json_copy(mount.value)), 0);
	}
	assert_int_equal(json_set(document, "mounts", kept), 0);
}

/* The document that `insula run --rootfs /` makes, with changes (pairs of a path and a JSON text), as a bundle; the command
 * tries these rows. */
static const char *host_bundle(const char *rows, const char *const *changes)
{
	struct run_result r = run_insula(
		world, ARGV("run", "--explain", "--rootfs", "/", FAKE_PROGRAM, "try", rows));
	char *end = strstr(r.out, "\n\n"), *whole = NULL;
	const char *dir = text("%s/host-bundle", world->dir);
	struct json *document;

	assert_int_equal(r.code, 0);
	assert_non_null(end);
	*end = '\0';
	document = document_parse(r.out);
	drop_own_files(document);
	for (; *changes; changes += 2)
		document_put(document, changes[0], document_parse(changes[1]));
	assert_int_equal(json_to_text(document, true, &whole, NULL), 0);
	make_tree(dir);
	write_file(text("%s/config.json", dir), whole, 0644);
	free(whole);
	json_free(document);
	run_result_done(&r);
	return dir;
}

static void expect_rows(const char *dir, const char *verdict, bool all)
{
	struct run_result r = run_oci(world, ARGV("run", "--bundle", dir, world->id));
	int n = 0, other = 0;

	for (char *save, *line = strtok_r(r.out, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *tab = strchr(line, '\t');

		if (!tab || strncmp(line, "end\t", 4) == 0)
			continue;
		n++;
		if (strncmp(tab + 1, verdict, strlen(verdict)) == 0)
			continue;
		if (all)
			print_message("%s\n", line);
		other++;
	}
	if (n == 0 || (all ? other > 0 : other == n))
		fail_msg("exit code %d, %d of %d rows: %s", r.code, other, n, r.err);
	run_result_done(&r);
}

static void need_landlock(void)
{
	if (iso_landlock_abi() >= 2)
		return;
	print_message("# skip: Landlock has ABI %d here\n", iso_landlock_abi());
	skip();
}

#define NO_LANDLOCK "annotations", "{\"org.insula.rootfs\": \"throwaway\"}"

/* The mounts that protect the kernel's switches are gone, and the filter: Landlock alone refuses. */
static void landlock_alone_protects_the_kernels_files(void **state)
{
	static const char rows[] = "proc-sys,sysrq,mknod";

	(void)state;
	need_landlock();
	expect_rows(host_bundle(rows, CHANGES("linux.readonlyPaths", "null", "linux.maskedPaths",
					      "null", "linux.seccomp", "null")),
		    "refused", true);
	/* and it is Landlock that does */
	expect_rows(host_bundle(rows, CHANGES("linux.readonlyPaths", "null", "linux.maskedPaths",
					      "null", "linux.seccomp", "null", NO_LANDLOCK)),
		    "BREACH", false);
}

/* Even CAP_SYS_ADMIN changes no mounts behind it. */
static void landlock_alone_keeps_the_mounts(void **state)
{
	static const char rows[] = "mount,umount,remount,new-mount-calls,pivot-root,userns-gain";

	(void)state;
	need_landlock();
	expect_rows(
		host_bundle(rows, CHANGES("linux.seccomp", "null", "process.capabilities.bounding",
					  strong, "process.capabilities.effective", strong,
					  "process.capabilities.permitted", strong)),
		"refused", true);
	expect_rows(
		host_bundle(rows, CHANGES("linux.seccomp", "null", "process.capabilities.bounding",
					  strong, "process.capabilities.effective", strong,
					  "process.capabilities.permitted", strong, NO_LANDLOCK)),
		"BREACH", false);
}

/* With the host's network its abstract sockets are in reach but for the scope. */
static void landlock_alone_keeps_from_abstract_sockets(void **state)
{
	static struct fake_host h;
	char *why = NULL;
	bool ran;

	(void)state;
	if (iso_landlock_abi() < 6) {
		print_message("# skip: Landlock has ABI %d here\n", iso_landlock_abi());
		skip();
	}
	fake_host_open(&h, world, NULL, NULL);
	ran = fake_host_attack(
		&h, insula_argv(world, ARGV("run", "--rm", "--network", "host", "--rootfs", "/")),
		&why);
	fake_host_close(&h);
	if (!ran)
		fail_msg("%s", why);
	assert_string_equal(fake_host_row(&h, "abstract-bus")->verdict, "refused");
	assert_string_equal(fake_host_row(&h, "abstract-x11")->verdict, "refused");
	/* The network itself is what was asked for. */
	assert_string_equal(fake_host_row(&h, "local-port")->verdict, "BREACH");
}

/* In a bundle, without any other fence, for the first process and for an exec'd one. */
static void landlock_in_a_bundle(void **state)
{
	static const char script[] =
		"echo x >> /etc/plain; echo x > /etc/new; rm /etc/plain; mv /etc/passwd /etc/p; "
		"mkdir /data/sub && echo ok > /data/sub/f && mv /data/sub/f /data/g && cat "
		"/data/g; "
		"echo done";
	const char *dir =
		bundle(world, "landlock", "echo ready; sleep 600",
		       CHANGES("root.readonly", "false", "annotations",
			       "{\"org.insula.landlock\": \"{\\\"read\\\": [\\\"/\\\"], "
			       "\\\"write\\\": [\\\"/data\\\"], \\\"device\\\": [\\\"/dev\\\"]}\"}",
			       NO_MASKS));
	int fd;
	char *plain;

	(void)state;
	need_landlock();
	pid_t pid = bundle_start(world, dir, "ready", &fd);
	struct run_result r = run_oci(world, ARGV("exec", world->id, "sh", "-c", script));

	bundle_end(world, pid, fd);
	assert_string_equal(r.out, "ok\ndone\n");
	assert_non_null(strstr(r.err, "Permission denied"));
	run_result_done(&r);
	dir = bundle(world, "landlock", script,
		     CHANGES("root.readonly", "false", "annotations",
			     "{\"org.insula.landlock\": \"{\\\"read\\\": [\\\"/\\\"], "
			     "\\\"write\\\": [\\\"/data\\\"]}\"}",
			     NO_MASKS));
	expect_result(run_oci(world, ARGV("exec", world->id, "true")), 1, "", "");
	assert_int_equal(rmdir(text("%s/data/sub", world->rootfs)), 0);
	r = bundle_run(world, dir);
	assert_string_equal(r.out, "ok\ndone\n");
	run_result_done(&r);
	plain = read_file(text("%s/etc/plain", world->rootfs));
	assert_string_equal(plain, "just text\n");
	free(plain);
	assert_int_equal(access(text("%s/etc/new", world->rootfs), F_OK), -1);
	assert_int_equal(access(text("%s/etc/passwd", world->rootfs), F_OK), 0);
}

/* What a user owns outside of his home and working directory is part of the system: his sandbox only reads it. */
static void own_files_elsewhere_are_only_read(void **state)
{
	static const char script[] =
		"echo changed > /opt/own/file; rm -f /opt/own/file; touch /opt/own/new; "
		"chmod 777 /opt/own; cat /opt/own/file";
	const struct user *const users[] = {with_ids, without_ids};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world as = world_as(world, users[i]);

		if (!user_can_run(&as))
			skip();
		make_tree("/opt/own");
		write_file("/opt/own/file", "mine\n", 0644);
		assert_int_equal(chown("/opt/own", users[i]->uid, users[i]->gid), 0);
		assert_int_equal(chown("/opt/own/file", users[i]->uid, users[i]->gid), 0);
		struct run_result r =
			run_insula(&as, ARGV("run", "--rm", "--rootfs", "/", "sh", "-c", script));
		char *tree = tree_text("/opt/own");

		remove_tree("/opt/own");
		assert_string_equal(r.out, "mine\n");
		assert_string_equal(tree, " d 755 \nfile f 644 5 \n");
		free(tree);
		run_result_done(&r);
	}
}

/* What is asked for anew by name is there: the streams that were given, wherever they lead. */
static void streams_can_be_opened_anew(void **state)
{
	const char *out = text("%s/out", world->dir);
	struct run_spec s = {.argv = ARGV("/bin/sh", "-c", "exec \"$@\" >\"$0\" 2>&1", out,
					  world->insula, "--root", world->state, "run", "--rm",
					  "--rootfs", "/", "sh", "-c",
					  "echo one > /dev/stdout; echo two >> /dev/stderr")};
	struct run_result r = run(&s);
	char *written = read_file(out);

	(void)state;
	run_result_done(&r);
	assert_non_null(strstr(written, "two\n"));
	unlink(out);
	free(written);
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
	struct world as = world_as(world, user);
	const char *const *command = (const char *const *)argv + first;

	if (strcmp(*command, "INSULA") == 0)
		command = insula_argv(&as, command + 1);
	fake_host_open(&h, world, user, user ? grace : NULL);
	bool ran = fake_host_attack(&h, command, &why);

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
	{"root gives up one defence", root_gives_up_one_defence},
	{"a user gives up one defence", user_gives_up_one_defence},
	{"Landlock alone protects the kernel's files", landlock_alone_protects_the_kernels_files},
	{"Landlock alone keeps the mounts", landlock_alone_keeps_the_mounts},
	{"Landlock alone keeps from abstract sockets", landlock_alone_keeps_from_abstract_sockets},
	{"Landlock in a bundle", landlock_in_a_bundle},
	{"own files elsewhere are only read", own_files_elsewhere_are_only_read},
	{"streams can be opened anew", streams_can_be_opened_anew},
	{"nothing is left", nothing_is_left},
};

/* TEST_SHORT: without the fourteen whole lists of those who give one defence up, which say that each of several fences holds; an
 * emulated host takes many minutes for them. */
static size_t take_short(struct hostile_test *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		if (tests[i].function != root_gives_up_one_defence &&
		    tests[i].function != user_gives_up_one_defence)
			ret[n++] = tests[i];
	print_message("# short: nobody gives up one defence\n");
	return n;
}

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
	struct hostile_test few[sizeof(tests) / sizeof(*tests)];
	void *state;
	int failed;

	if (open_world() < 0)
		return 1;
	state = world;
	if (argc > 3 && strcmp(argv[1], "--table") == 0)
		failed = print_table(argc, argv);
	else if (getenv("TEST_SHORT"))
		failed = hostile_group(world, "hostile host", few, take_short(few), NULL, NULL,
				       NULL);
	else
		failed = hostile_group(world, "hostile host", tests, sizeof(tests) / sizeof(*tests),
				       NULL, NULL, NULL);
	fake_places_undo();
	return failed + (world_teardown(&state) < 0) != 0;
}
