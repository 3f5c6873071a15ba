/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks: which run when, what they are given, and what a failing one does.
 * Spec: OCI runtime-spec config.md "POSIX-platform Hooks", runtime.md "Lifecycle".
 */
#include "container_fixture.h"

/* A hook that appends its words and what it finds in the state document to LOG. */
#define HOOK(script) "{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"" script "\"]}"

/* "status":"x" and "pid":n of standard input. */
#define FIELDS "sed -E 's/.*\\\"pid\\\":([0-9]+).*\\\"status\\\":\\\"([a-z]+)\\\".*/\\\\2 \\\\1/'"

static const char *log_path(const struct fixture *f)
{
	return scratch_path(f->dir, 3, "log");
}

static void each_kind_runs_in_its_time_with_its_state(void **state)
{
	struct fixture *f = *state;
	char hooks[4096], want[1024];
	_cleanup_free_ char *log = NULL;
	struct sandbox *s;
	int status, pid;

	/* Those inside the container have the busybox of its root, and write to its /tmp; the one
	 * before pivot_root sees the host's paths. */
	snprintf(
		hooks, sizeof(hooks),
		"{\"prestart\":[" HOOK(
			"echo prestart $(%2$s) >> %1$s") "],"
							 "\"createRuntime\":[" HOOK(
								 "echo "
								 "createRuntime "
								 "$(%2$s) >> "
								 "%1$s") "," HOOK("echo second >> "
										  "%1$s") "],"
											  "\"create"
											  "Co"
											  "ntainer"
											  "\":"
											  "[" HOOK(
												  "ec"
												  "ho"
												  " c"
												  "re"
												  "at"
												  "eC"
												  "on"
												  "ta"
												  "in"
												  "er"
												  " $"
												  "(%"
												  "2$"
												  "s)"
												  " >"
												  "> "
												  "%1"
												  "$"
												  "s") "],"
												       "\"startContainer\":[{\"path\":\"/bin/busybox\",\"args\":[\"sh\",\"-c\","
												       "\"cat > /tmp/startContainer\"]}],"
												       "\"poststart\":[" HOOK(
													       "echo poststart $(%2$s) >> %1$s") "],"
																		 "\"poststop\":[" HOOK(
																			 "echo poststop $(%2$s) >> %1$s") "]}",
		log_path(f), FIELDS);
	s = create_ok(f, &(struct bundle){.args = "[\"sleep\",\"1000\"]", .hooks = hooks});
	start_ok(s);
	pid = s->state.host.pid;
	assert_int_equal(rt_kill(s, SIGKILL, false, NULL), 0);
	assert_int_equal(rt_wait(s, &status, NULL), 0);
	rt_close(s);
	assert_int_equal(rt_delete(&f->ctx, f->id, false, NULL), 0);
	log = read_file(log_path(f));
	snprintf(want, sizeof(want),
		 "prestart creating %d\ncreateRuntime creating %d\nsecond\n"
		 "createContainer creating 1\npoststart running %d\npoststop stopped 0\n",
		 pid, pid, pid);
	assert_string_equal(log, want);
	free(log);
	log = read_file(scratch_path(f->dir, 1, "bundle/rootfs/tmp/startContainer"));
	assert_non_null(log);
	assert_non_null(strstr(log, "\"status\":\"created\""));
	assert_non_null(strstr(log, "\"pid\":1,"));
	assert_non_null(strstr(log, "\"a.b\":\"c=d\""));
}

static void arguments_and_environment_are_exactly_the_configured(void **state)
{
	struct fixture *f = *state;
	char hooks[1024];
	_cleanup_free_ char *log = NULL;
	struct sandbox *s;

	setenv("INSULA_TEST_SECRET", "1", 1);
	snprintf(hooks, sizeof(hooks),
		 "{\"prestart\":["
		 "{\"path\":\"/bin/busybox\",\"args\":[\"sh\",\"-c\","
		 "\"/bin/busybox env >> %1$s; echo $0 $1 >> %1$s\",\"zero\",\"a b\"],"
		 "\"env\":[\"X=1\"]},"
		 "{\"path\":\"/bin/busybox\",\"args\":[\"sh\",\"-c\","
		 "\"/bin/busybox env | grep -c SECRET >> %1$s; true\"]}]}",
		 log_path(f));
	s = create_ok(f, &(struct bundle){.args = "[\"true\"]", .hooks = hooks});
	unsetenv("INSULA_TEST_SECRET");
	rt_close(s);
	log = read_file(log_path(f));
	/* The shell adds its own few; what counts is X, and nothing of ours. */
	assert_non_null(strstr(log, "X=1\n"));
	assert_non_null(strstr(log, "\nzero a b\n"));
	assert_null(strstr(log, "SECRET"));
	assert_true(str_has_suffix(log, "\n0\n"));
}

/* A hook may ask for the state, which takes the lock. */
static void no_lock_is_held_while_a_hook_runs(void **state)
{
	static const char *const kinds[] = {"prestart", "createRuntime", "createContainer",
					    "poststart", "poststop"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char hooks[1024];
		struct sandbox *s;
		struct err e = ERR_INIT;

		snprintf(hooks, sizeof(hooks),
			 "{\"%s\":[" HOOK("flock -n %s/%s true || { echo locked >&2; exit 1; }; "
					  "echo free >> %s") "]}",
			 kinds[i], f->root, f->id, log_path(f));
		s = create_ok(f, &(struct bundle){.args = "[\"true\"]", .hooks = hooks});
		start_ok(s);
		assert_int_equal(rt_wait(s, &(int){0}, NULL), 0);
		rt_close(s);
		if (rt_delete(&f->ctx, f->id, false, &e) < 0)
			fail_msg("%s: %s", kinds[i], e.text);
	}
	_cleanup_free_ char *log = read_file(log_path(f));
	assert_string_equal(log, "free\nfree\nfree\nfree\nfree\n");
}

static void a_failing_one_ends_the_creation(void **state)
{
	static const char *const kinds[] = {"prestart", "createRuntime", "createContainer"};
	struct fixture *f = *state;

	assert_int_equal(rt_cgroups(&f->ctx, &(struct cg_host *){0}, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct rt_create_request r = request_of(f);
		struct around before = look_around();
		_cleanup_free_ char *log = NULL;
		struct err e = ERR_INIT;
		struct sandbox *s;
		char hooks[1024];

		unlink(log_path(f));
		snprintf(
			hooks, sizeof(hooks),
			"{\"%s\":[" HOOK("echo first >> %s; echo the reason >&2; exit 3") "," HOOK(
				"echo never >> %s") "],\"poststop\":[" HOOK("echo poststop >> %s") "]}",
			kinds[i], log_path(f), log_path(f), log_path(f));
		write_bundle(f, &(struct bundle){.args = "[\"true\"]", .hooks = hooks});
		assert_true(rt_create(&f->ctx, &r, &s, &e) < 0);
		if (!strstr(e.text, kinds[i]) || !strstr(e.text, "'/bin/sh'") ||
		    !strstr(e.text, "exit status 3") || !strstr(e.text, "the reason"))
			fail_msg("%s: '%s'", kinds[i], e.text);
		/* Spec: after a failing hook the container is destroyed and poststop hooks run. */
		log = read_file(log_path(f));
		assert_string_equal(log, "first\npoststop\n");
		assert_nothing_left(f, &before);
	}
}

static void one_that_hangs_is_killed_at_its_timeout(void **state)
{
	struct fixture *f = *state;
	struct rt_create_request r = request_of(f);
	struct err e = ERR_INIT;
	struct sandbox *s;

	write_bundle(f, &(struct bundle){
				.args = "[\"true\"]",
				.hooks = "{\"createRuntime\":[{\"path\":\"/bin/busybox\",\"args\":["
					 "\"sleep\",\"1000\"],\"timeout\":1}]}"});
	assert_int_equal(rt_create(&f->ctx, &r, &s, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "createRuntime hook '/bin/busybox'"));
	assert_int_equal(count_entries(f->root), 0);
}

static void a_failing_start_hook_stops_the_container(void **state)
{
	static const char *const kinds[] = {"startContainer", "poststart"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct err e = ERR_INIT;
		struct sandbox *s;
		char hooks[512];

		snprintf(hooks, sizeof(hooks),
			 "{\"%s\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"echo no >&2; "
			 "exit 5\"]}]}",
			 kinds[i]);
		s = create_ok(f, &(struct bundle){.args = "[\"sleep\",\"1000\"]", .hooks = hooks});
		assert_true(rt_start(s, &e) < 0);
		if (!strstr(e.text, kinds[i]) || !strstr(e.text, "exit status 5") ||
		    !strstr(e.text, "start '"))
			fail_msg("%s: '%s'", kinds[i], e.text);
		assert_int_equal(status_of(f), RT_STOPPED);
		rt_close(s);
		assert_int_equal(rt_delete(&f->ctx, f->id, false, NULL), 0);
	}
}

static void a_failing_poststop_is_only_logged(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *said = NULL, *log = NULL;
	char hooks[1024];
	struct sandbox *s;
	int sink = open(scratch_path(f->dir, 1, "sink"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	snprintf(hooks, sizeof(hooks),
		 "{\"poststop\":[" HOOK("exit 6") "," HOOK("echo second >> %s") "]}", log_path(f));
	s = create_ok(f, &(struct bundle){.args = "[\"true\"]", .hooks = hooks});
	rt_close(s);
	f->ctx.log = (struct log_sink){.fd = sink, .level = LOG_LEVEL_WARNING};
	assert_int_equal(rt_delete(&f->ctx, f->id, false, NULL), 0);
	close(sink);
	log = read_file(log_path(f));
	assert_string_equal(log, "second\n");
	said = read_file(scratch_path(f->dir, 1, "sink"));
	assert_non_null(strstr(said, "poststop hook"));
	assert_non_null(strstr(said, "exit status 6"));
	assert_int_equal(count_entries(f->root), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_kind_runs_in_its_time_with_its_state),
		T(arguments_and_environment_are_exactly_the_configured),
		T(no_lock_is_held_while_a_hook_runs),
		T(a_failing_one_ends_the_creation),
		T(one_that_hangs_is_killed_at_its_timeout),
		T(a_failing_start_hook_stops_the_container),
		T(a_failing_poststop_is_only_logged),
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
