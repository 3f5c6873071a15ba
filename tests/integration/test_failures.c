/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What really goes wrong: a configuration whose step fails on this host, hooks that fail, a limit that is too low, and
 * processes that somebody kills. Each is said in one or two lines that name step, object and cause, and nothing is left
 * behind.
 */
#include "harness.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct world *world;
static bool is_vm;

#define MAX_CHANGES 7
#define SH_HOOK(kind, script)                                            \
	"hooks." kind "[].path", "\"/bin/sh\"", "hooks." kind "[].args", \
		"[\"sh\", \"-c\", \"" script "\"]"

/* ---- a configuration that fails ------------------------------------------------------------ */

struct failure {
	const char *name;
	const char *changes[MAX_CHANGES];
	const char *flags[4]; /* of run; {DIR} is the world's directory */
	const char *words;    /* of the error */
};

static const struct failure failures[] = {
	{"missing root file system",
	 {"root.path", "\"/no/such/rootfs\""},
	 .words = "root file system|/no/such/rootfs|does not exist"},
	{"a file as root file system",
	 {"root.path", "\"/etc/hostname\""},
	 .words = "root file system|/etc/hostname|not a directory"},
	{"missing source of a mount",
	 {"mounts[].destination", "\"/data\"", "mounts[].type", "\"bind\"", "mounts[].source",
	  "\"/no/such/dir\""},
	 .words = "mount|/no/such/dir|No such file or directory"},
	{"unknown file system type",
	 {"mounts[].destination", "\"/data\"", "mounts[].type", "\"nosuchfs\"", "mounts[].source",
	  "\"none\""},
	 .words = "mount|nosuchfs|/data"},
	{"missing executable",
	 {"process.args", "[\"no-such-command\"]"},
	 .words = "no-such-command|executable file not found in"},
	{"working directory that is a file",
	 {"process.cwd", "\"/etc/plain\""},
	 .words = "cwd|/etc/plain|Not a directory"},
	{"unknown sysctl",
	 {"linux.sysctl", "{\"net.no_such_setting\": \"1\"}"},
	 .words = "sysctl|net.no_such_setting"},
	{"namespace that is not there",
	 {"linux.namespaces",
	  "[{\"type\": \"mount\"}, {\"type\": \"pid\"}, {\"type\": \"network\", "
	  "\"path\": \"/no/such/namespace\"}]",
	  "hostname", "null"},
	 .words = "network namespace|/no/such/namespace|No such file or directory"},
	{"prestart hook fails",
	 {SH_HOOK("prestart", "exit 3")},
	 .words = "prestart hook '/bin/sh'|exit status 3"},
	{"createRuntime hook fails",
	 {SH_HOOK("createRuntime", "exit 4")},
	 .words = "createRuntime hook '/bin/sh'|exit status 4"},
	{"createContainer hook fails",
	 {SH_HOOK("createContainer", "exit 5")},
	 .words = "createContainer hook '/bin/sh'|exit status 5"},
	{"startContainer hook fails",
	 {SH_HOOK("startContainer", "exit 6")},
	 .words = "startContainer hook '/bin/sh'|exit status 6"},
	{"poststart hook fails",
	 {SH_HOOK("poststart", "exit 7")},
	 .words = "poststart hook '/bin/sh'|exit status 7"},
	{"hook is killed",
	 {SH_HOOK("prestart", "kill -9 $$")},
	 .words = "prestart hook '/bin/sh'|SIGKILL"},
	{"hook that is not there",
	 {"hooks.prestart[].path", "\"/no/such/hook\""},
	 .words = "prestart hook '/no/such/hook'|No such file or directory"},
	{"hook takes too long",
	 {SH_HOOK("createRuntime", "sleep 100"), "hooks.createRuntime[].timeout", "1"},
	 .words = "createRuntime hook '/bin/sh'|did not end within 1000 ms"},
	{"pid file in a missing directory",
	 {NULL},
	 .flags = {"--pid-file", "/no/such/dir/pid"},
	 .words = "pid file|/no/such/dir|No such file or directory"},
	{"console socket that is not there",
	 {"process.terminal", "true"},
	 .flags = {"--console-socket", "/no/such/socket"},
	 .words = "console socket '/no/such/socket'|No such file or directory"},
	{"console socket that is a file",
	 {"process.terminal", "true"},
	 .flags = {"--console-socket", "{DIR}/rootfs/etc/plain"},
	 .words = "console socket|rootfs/etc/plain|Connection refused"},
	{"terminal without a console socket",
	 {"process.terminal", "true"},
	 .flags = {"--detach"},
	 .words = "terminal|--console-socket"},
	{"memory limit too low to start",
	 {"linux.resources.memory.limit", "65536"},
	 .words = "out of memory during set-up (limit 64 KiB)|raise the memory limit"},
};

#define N_FAILURES (sizeof(failures) / sizeof(*failures))

static const char *expand(const char *word, char *buf, size_t size)
{
	const char *mark = word ? strstr(word, "{DIR}") : NULL;

	if (!mark)
		return word;
	snprintf(buf, size, "%.*s%s%s", (int)(mark - word), word, world->dir, mark + 5);
	return buf;
}

static void configuration_fails(void **state)
{
	const struct failure *f = *state;
	struct snapshot before = snapshot_take(world), after;
	const char *words[16] = {"run"};
	size_t n = 1;
	char buf[256];

	for (size_t i = 0; f->flags[i]; i++)
		words[n++] = expand(f->flags[i], buf, sizeof(buf));
	words[n++] = "--bundle";
	words[n++] = bundle(world, "failing", "true", f->changes);
	words[n++] = world->id;
	expect_error(run_oci(world, words), 1, f->words);
	expect_ids(world, NO_WORDS);
	after = snapshot_take(world);
	snapshot_compare(&before, &after);
}

/* ---- somebody kills --------------------------------------------------------------------------- */

static pid_t run_named(const char *const *flags, int *ret_fd)
{
	const char *words[24] = {"run"};
	size_t n = 1;

	if (is_vm)
		words[n++] = "--vm";
	for (; *flags; flags++)
		words[n++] = *flags;
	words[n++] = "--name";
	words[n++] = world->id;
	words[n++] = "--rootfs";
	words[n++] = world->rootfs;
	words[n++] = "sh";
	words[n++] = "-c";
	words[n++] = "echo ready; sleep 1000";
	return start(insula_argv(world, words), false, ret_fd);
}

static pid_t host_pid(void)
{
	char *text = oci_state(world, world->id, "pid");
	pid_t pid = atoi(text);

	free(text);
	assert_true(pid > 1);
	return pid;
}

/* Started by `insula run`, and said to be ready. */
static pid_t running(const char *const *flags, int *ret_fd)
{
	char buf[4096] = "";
	pid_t pid = run_named(flags, ret_fd);

	if (!read_until(*ret_fd, "ready", buf, sizeof(buf), 120))
		fail_msg("not running: %s", buf);
	return pid;
}

/* What was still there is listed, deleted by force, and then nothing is left. */
static void clean_up(struct snapshot *before)
{
	struct snapshot after;

	expect_result(run_oci(world, ARGV("list")), 0, NULL, NULL);
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
	expect_ids(world, NO_WORDS);
	after = snapshot_take(world);
	snapshot_compare(before, &after);
}

/* The workload goes on without its caller, is found, and can be ended. */
static void caller_is_killed(void **state)
{
	struct snapshot before = snapshot_take(world);
	int fd;
	pid_t pid = running(ARGV("--rm"), &fd);

	(void)state;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(finish(pid, 20), 128 + SIGKILL);
	close(fd);
	expect_status(world, world->id, "running");
	expect_ids(world, ARGV(world->id));
	clean_up(&before);
}

static void host_process_is_killed(void **state)
{
	struct snapshot before = snapshot_take(world);
	int fd;
	pid_t pid = running(ARGV("--rm"), &fd);

	(void)state;
	assert_int_equal(kill(host_pid(), SIGKILL), 0);
	assert_int_equal(finish(pid, 20), 128 + SIGKILL);
	close(fd);
	/* --rm did its work. */
	expect_ids(world, NO_WORDS);
	clean_up(&before);
}

/* The pid of a process whose command line contains `word`. */
static pid_t find_process(const char *word)
{
	DIR *d = opendir("/proc");
	pid_t found = 0;

	assert_non_null(d);
	for (struct dirent *entry; !found && (entry = readdir(d));) {
		char path[300], text[16384];

		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		FILE *f = atoi(entry->d_name) > 0 ? fopen(path, "re") : NULL;

		if (!f)
			continue;
		size_t n = fread(text, 1, sizeof(text) - 1, f);

		fclose(f);
		for (size_t i = 0; i < n; i++)
			if (text[i] == '\0')
				text[i] = ' ';
		text[n] = '\0';
		if (strstr(text, word))
			found = atoi(entry->d_name);
	}
	closedir(d);
	return found;
}

/* The machine dies below the monitor: that is our failure, not the workload's, and it is said. */
static void machine_is_killed(void **state)
{
	struct snapshot before = snapshot_take(world);
	char buf[4096] = "", name[64];
	int fd, code;
	pid_t pid = running(ARGV("--rm"), &fd), qemu;

	(void)state;
	snprintf(name, sizeof(name), "-name %s,", world->id);
	qemu = find_process(name);
	if (!qemu)
		fail_msg("no QEMU process has %s", name);
	assert_int_equal(kill(qemu, SIGKILL), 0);
	code = finish(pid, 30);
	(void)read_until(fd, "never said", buf, sizeof(buf), 1);
	/* Not a status that the workload is likely to give, and the reason beside it. */
	if (code != 255 || !strstr(buf, "the microVM ended: qemu was killed"))
		fail_msg("exit code %d: %s", code, buf);
	close(fd);
	clean_up(&before);
}

static void creation_is_killed_with_a_hook(void **state)
{
	struct snapshot before = snapshot_take(world);
	const char *dir = bundle(world, "hook", "sleep 100",
				 CHANGES(SH_HOOK("createRuntime", "exec sleep 1000")));
	int fd;
	pid_t pid = start(oci_argv(world, ARGV("create", "--bundle", dir, world->id)), false, &fd);

	(void)state;
	expect_status(world, world->id, "creating");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(finish(pid, 20), 128 + SIGKILL);
	expect_status(world, world->id, "stopped");
	close(fd);
	clean_up(&before);
}

/* ---- all of them ------------------------------------------------------------------------------ */

static void skipped(void **state)
{
	print_message("# skip: %s\n", (const char *)*state);
	skip();
}

static int run_failures(void)
{
	struct CMUnitTest tests[N_FAILURES];

	for (size_t i = 0; i < N_FAILURES; i++)
		tests[i] = (struct CMUnitTest){.name = failures[i].name,
					       .test_func = configuration_fails,
					       .initial_state = (void *)&failures[i]};
	return _cmocka_run_group_tests("failures", tests, N_FAILURES, NULL, NULL);
}

static int run_kills(const char *missing)
{
	const struct CMUnitTest all[] = {
		{is_vm ? "vm: its caller is killed" : "container: its caller is killed",
		 caller_is_killed, NULL, NULL, NULL},
		{is_vm ? "vm: its monitor is killed" : "container: its init is killed",
		 host_process_is_killed, NULL, NULL, NULL},
		{is_vm ? "vm: its machine is killed"
		       : "container: its creation is killed while a hook runs",
		 is_vm ? machine_is_killed : creation_is_killed_with_a_hook, NULL, NULL, NULL},
	};
	struct CMUnitTest tests[sizeof(all) / sizeof(*all)];

	memcpy(tests, all, sizeof(all));
	for (size_t i = 0; missing && i < sizeof(all) / sizeof(*all); i++) {
		tests[i].test_func = skipped;
		tests[i].initial_state = (void *)missing;
	}
	return _cmocka_run_group_tests("kills", tests, sizeof(all) / sizeof(*all), NULL, NULL);
}

int main(void)
{
	const char *wanted = getenv("TEST_KIND");
	int failed = 0;
	void *state;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	if (!wanted || strcmp(wanted, "container") == 0)
		failed += run_failures() + run_kills(NULL);
	is_vm = true;
	if (!wanted || strcmp(wanted, "vm") == 0)
		failed += run_kills(vm_missing());
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
