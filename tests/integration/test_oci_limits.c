/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of a sandbox that lives, its statistics and its processes: update, events, ps, as engines call them. What both kinds
 * do is tested of both.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

static struct world *world;
static bool is_vm;

static pid_t run_it(const char *command, const char *const *changes, int *ret_fd)
{
	const char *dir = bundle(world, "limits", command, changes);
	const char *const *words =
		ARGV("--isolation", is_vm ? "vm" : "container", "run", "--bundle", dir, world->id);
	char buf[4096] = "";
	pid_t pid = start(oci_argv(world, words), false, ret_fd);

	if (!read_until(*ret_fd, "ready", buf, sizeof(buf), 120))
		fail_msg("not ready: %s", buf);
	return pid;
}

static void end_it(pid_t pid, int fd)
{
	expect_result(run_oci(world, ARGV("kill", world->id, "KILL")), 0, "", NULL);
	assert_int_equal(finish(pid, 60), 137);
	close(fd);
}

/* The number at a path of members in the data of `events --stats`. */
static uint64_t stat_of(const char *first, const char *second, const char *third)
{
	struct run_result r = run_oci(world, ARGV("events", "--stats", world->id));
	struct err e = ERR_INIT;
	struct json *doc = NULL;
	const char *path[] = {"data", first, second, third};
	uint64_t v = 0;

	assert_int_equal(r.code, 0);
	if (json_parse(r.out, r.out_len, "stats", &doc, &e) < 0)
		fail_msg("%s: %s", e.text, r.out);
	struct json_at at[5] = {json_top(doc)};

	for (size_t i = 0; i < 4 && path[i]; i++)
		if (!json_member(&at[i], path[i], &at[i + 1]))
			fail_msg("no member '%s' in %s", path[i], r.out);
	if (json_get_u64(&at[third ? 4 : 3], &v, &e) < 0)
		fail_msg("%s", e.text);
	json_free(doc);
	run_result_done(&r);
	return v;
}

static const char *const SLEEP = "echo ready; sleep 1000";

/* Only what is named changes, and what is shown is what holds. */
static void update_changes_what_it_names(void **state)
{
	const uint64_t mib = 1 << 20;
	int fd;
	pid_t pid = run_it(SLEEP,
			   CHANGES("linux.resources.memory", "{\"limit\": 67108864}",
				   "linux.resources.pids", "{\"limit\": 50}"),
			   &fd);

	(void)state;
	expect_result(run_oci(world, ARGV("update", "--pids-limit", "30", world->id)), 0, "", "");
	assert_int_equal(stat_of("pids", "limit", NULL), 30);
	assert_int_equal(stat_of("memory", "usage", "limit"), 64 * mib);
	expect_result(run_oci(world, ARGV("update", "--memory", "128m", world->id)), 0, "", "");
	assert_int_equal(stat_of("memory", "usage", "limit"), 128 * mib);
	assert_int_equal(stat_of("pids", "limit", NULL), 30);
	struct run_spec s = {
		.argv = oci_argv(world, ARGV("update", "--resources", "-", world->id)),
		.input = "{\"memory\": {\"limit\": 100663296}, \"pids\": {\"limit\": -1}}"};
	expect_result(run(&s), 0, "", "");
	assert_int_equal(stat_of("memory", "usage", "limit"), 96 * mib);
	end_it(pid, fd);
}

/* The new limit binds: what would have fit before ends the program. */
static void update_binds(void **state)
{
	char buf[256] = "";
	int fd;
	pid_t pid =
		run_it("echo ready; read line </dev/null; while ! [ -e /tmp/go ]; do sleep 0.05; "
		       "done; (i=0; while [ $i -lt 10 ]; do sleep 1000 & i=$((i+1)); done; "
		       "echo all) 2>&1",
		       CHANGES("linux.resources.pids", "{\"limit\": 50}"), &fd);

	(void)state;
	expect_result(run_oci(world, ARGV("update", "--pids-limit", "4", world->id)), 0, "", "");
	expect_result(run_oci(world, ARGV("exec", world->id, "touch", "/tmp/go")), 0, "", "");
	assert_true(read_until(fd, "can't fork", buf, sizeof(buf), 30));
	kill(pid, SIGTERM);
	(void)run_oci(world, ARGV("kill", world->id, "KILL"));
	(void)finish(pid, 60);
	close(fd);
}

static void update_refuses(void **state)
{
	int fd;
	pid_t pid = run_it(SLEEP, NO_WORDS, &fd);
	const struct {
		const char *const *words;
		const char *error;
	} rows[] = {
		{ARGV("update", world->id), "nothing to change|--memory"},
		{ARGV("update", "--kernel-memory", "1m", world->id), "kernel-memory"},
		{ARGV("update", "--l3-cache-schema", "x", world->id), "l3-cache-schema"},
		{ARGV("update", "--cpu-quota", "500", world->id), "quota|500"},
		{ARGV("update", "--cpuset-cpus", "x", world->id), "cpus|x"},
		{ARGV("update", "--memory", "1m", "-r", "-", world->id), "--resources|flags"},
		{ARGV("update", "-r", "/no/such", world->id), "/no/such"},
		{ARGV("update", "--memory", "1m", "no-such-sandbox"), "no-such-sandbox"},
	};
	/* Less than is used: v1 refuses it by itself, v2 would kill unless it is to look first. */
	static const char too_little[] =
		"{\"memory\": {\"limit\": 65536, \"checkBeforeUpdate\": true}}";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expect_error(run_oci(world, rows[i].words), 1, rows[i].error);
	struct run_spec bad = {.argv = oci_argv(world, ARGV("update", "-r", "-", world->id)),
			       .input = "[1]"};
	expect_error(run(&bad), 1, "expected an object");
	bad.input = too_little;
	expect_error(run(&bad), 1, is_vm ? "memory|fixed" : "64 KiB|used");
	bad.input = "{\"memory\": {\"kernel\": 5}}";
	expect_error(run(&bad), 1, "memory.kernel");
	bad.input = "{\"memory\": {\"limit\": 18446744073709551615}}";
	expect_error(run(&bad), 1, "limit");
	end_it(pid, fd);
}

/* Nothing to update or to follow in one that has ended. */
static void a_stopped_one(void **state)
{
	const char *dir = bundle(world, "stopped", "true", NO_WORDS);

	(void)state;
	expect_result(run_oci(world, ARGV("create", "--bundle", dir, world->id)), 0, "", NULL);
	expect_result(run_oci(world, ARGV("start", world->id)), 0, "", NULL);
	expect_status(world, world->id, "stopped");
	expect_error(run_oci(world, ARGV("update", "--pids-limit", "5", world->id)), 1,
		     "not running");
	expect_error(run_oci(world, ARGV("events", world->id)), 1, "not running");
	expect_error(run_oci(world, ARGV("ps", world->id)), 1, "not running");
	expect_result(run_oci(world, ARGV("delete", world->id)), 0, "", NULL);
}

/* Lines of statistics, an out-of-memory kill as it happens, and the end with the sandbox. */
static void events_tell(void **state)
{
	static char buf[1 << 20];
	int fd, events;
	pid_t pid = run_it(
		"echo ready; while ! [ -e /tmp/go ]; do sleep 0.05; done; "
		"sh -c 'tail -c 200m /dev/zero' >/dev/null 2>&1; echo survived; sleep 1000",
		CHANGES("linux.resources.memory", "{\"limit\": 20971520, \"swap\": 20971520}"),
		&fd);
	pid_t follower = start(oci_argv(world, ARGV("events", "--interval", "1s", world->id)),
			       false, &events);

	(void)state;
	buf[0] = '\0';
	assert_true(read_until(events, "\"type\":\"stats\"", buf, sizeof(buf), 30));
	expect_result(run_oci(world, ARGV("exec", world->id, "touch", "/tmp/go")), 0, "", "");
	if (!read_until(events, "\"type\":\"oom\"", buf, sizeof(buf), 30))
		fail_msg("no out-of-memory event");
	end_it(pid, fd);
	assert_int_equal(finish(follower, 30), 0);
	close(events);
}

/*
 * What we are in the group before the command is must fit in half a mebibyte: our init enters it before it makes the
 * first mount. The command is a static program that does nothing, since a shell may need more than that for itself; another,
 * within the limit, says what the limit is.
 */
static void a_small_memory_limit(void **state)
{
	static const char limit[] = "{\"limit\": 524288}";
	const char *const show = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes "
				 "/sys/fs/cgroup/memory.max 2>/dev/null; true";
	const char *dir =
		bundle(world, "small", "",
		       CHANGES("linux.resources.memory", limit, "process.args", "[\"/bin/true\"]"));

	(void)state;
	expect_result(run_oci(world, ARGV("run", "--bundle", dir, world->id)), 0, "", "");
	expect_result(run_oci(world, ARGV("create", "--bundle", dir, world->id)), 0, "", "");
	expect_result(run_oci(world, ARGV("start", world->id)), 0, "", "");
	expect_status(world, world->id, "stopped");
	expect_result(run_oci(world, ARGV("delete", world->id)), 0, "", "");
	dir = bundle(world, "small-shown", show, CHANGES("linux.resources.memory", limit));
	expect_result(run_oci(world, ARGV("run", "--bundle", dir, world->id)), 0, "524288\n", "");
}

static void ps_lists(void **state)
{
	int fd;
	pid_t pid = run_it("sleep 1001 & sleep 1002 & echo ready; wait", NO_WORDS, &fd);
	struct run_result r = run_oci(world, ARGV("ps", "--format", "json", world->id));
	char *host = oci_state(world, world->id, "pid");

	(void)state;
	assert_int_equal(r.code, 0);
	if (!strstr(r.out, host) || r.out[0] != '[')
		fail_msg("no %s in %s", host, r.out);
	run_result_done(&r);
	r = run_oci(world, ARGV("ps", world->id, "-eo", "pid,args"));
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.out, "PID"));
	if (!is_vm && (!strstr(r.out, "sleep 1001") || !strstr(r.out, "sleep 1002")))
		fail_msg("not all processes: %s", r.out);
	/* None of others': this program is one. */
	assert_null(strstr(r.out, "test_oci_limits"));
	run_result_done(&r);
	expect_error(run_oci(world, ARGV("ps", world->id, "-eo", "comm")), 1, "PID");
	expect_error(run_oci(world, ARGV("ps", "--format", "xml", world->id)), 1, "xml");
	free(host);
	end_it(pid, fd);
}

/* A microVM's CPU time is the host group's; its memory and processes are its own, and refused. */
static void vm_update(void **state)
{
	int fd;

	(void)state;
	if (vm_missing()) {
		print_message("# skip: %s\n", vm_missing());
		skip();
	}
	is_vm = true;
	pid_t pid = run_it(SLEEP, NO_WORDS, &fd);

	expect_result(run_oci(world, ARGV("update", "--cpu-share", "512", world->id)), 0, "", "");
	expect_error(run_oci(world, ARGV("update", "--memory", "64m", world->id)), 1,
		     "memory|fixed");
	expect_error(run_oci(world, ARGV("update", "--pids-limit", "9", world->id)), 1,
		     "pids|fixed");
	assert_true(stat_of("cpu", "usage", "total") > 0);
	end_it(pid, fd);
	is_vm = false;
}

static int setup(void **state)
{
	int r = world_setup(state);

	world = *state;
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"update changes what it names", update_changes_what_it_names},
		{"update binds", update_binds},
		{"update refuses", update_refuses},
		{"a stopped one", a_stopped_one},
		{"events tell", events_tell},
		{"a small memory limit", a_small_memory_limit},
		{"ps lists", ps_lists},
		{"limits of a microVM", vm_update},
	};

	if (getenv("TEST_ONLY"))
		cmocka_set_test_filter(getenv("TEST_ONLY"));
	return cmocka_run_group_tests(tests, setup, world_teardown);
}
