/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a container, through the verbs as both command lines call them: what each status
 * allows, what an engine reads, what a failing step leaves behind (nothing), what several
 * processes at once may do to each other.
 */
#include <sched.h>
#include <sys/mount.h>

#include "container_fixture.h"

#define SLEEP      "[\"sleep\",\"1000\"]"
#define SH(script) "[\"sh\",\"-c\",\"" script "\"]"

/* ---- the ordinary way ------------------------------------------------------------------- */

static void a_whole_life(void **state)
{
	struct fixture *f = *state;
	struct bundle b = {.args = SH("echo hello; exit 7")};
	struct around before;
	_cleanup_free_ char *pid_text = NULL, *json = NULL;
	const char *pid_file = scratch_path(f->dir, 2, "pid");
	struct rt_create_request r = request_of(f);
	struct err e = ERR_INIT;
	struct sandbox *s;
	char want[64];
	int status;

	write_bundle(f, &b);
	assert_int_equal(rt_cgroups(&f->ctx, &(struct cg_host *){0}, NULL), 0);
	before = look_around();
	r.pid_file = pid_file;
	if (rt_create(&f->ctx, &r, &s, &e) < 0)
		fail_msg("%s (hint: %s)", e.text, e.hint);
	assert_int_equal(status_of(f), RT_CREATED);
	pid_text = read_file(pid_file);
	snprintf(want, sizeof(want), "%d", (int)s->state.host.pid);
	assert_string_equal(pid_text, want);
	assert_int_equal(rt_state_json(s, &json, NULL), 0);
	snprintf(want, sizeof(want), "\"pid\": %d", (int)s->state.host.pid);
	assert_non_null(strstr(json, "\"status\": \"created\""));
	assert_non_null(strstr(json, "\"ociVersion\": \"1.0.2\""));
	assert_non_null(strstr(json, "\"a.b\": \"c=d\""));
	assert_non_null(strstr(json, want));
	assert_non_null(strstr(json, f->bundle));
	start_ok(s);
	await_output(f, "hello");
	assert_int_equal(rt_wait(s, &status, &e), 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	assert_int_equal(status_of(f), RT_STOPPED);
	assert_int_equal(s->state.exit_code, 7);
	rt_close(s);
	if (rt_delete(&f->ctx, f->id, false, &e) < 0)
		fail_msg("%s", e.text);
	assert_nothing_left(f, &before);
}

static void a_signal_ends_it(void **state)
{
	struct fixture *f = *state;
	struct sandbox *s = create_ok(
		f, &(struct bundle){.args = SH("trap 'exit 9' TERM; echo up; while :; do sleep 1; "
					       "done")});
	struct err e = ERR_INIT;
	int status;

	start_ok(s);
	await_output(f, "up");
	assert_int_equal(status_of(f), RT_RUNNING);
	assert_int_equal(rt_kill(s, SIGTERM, false, &e), 0);
	assert_int_equal(rt_wait(s, &status, &e), 0);
	assert_int_equal(proc_exit_code(status), 9);
	/* containerd and podman look for these words. */
	assert_int_equal(rt_kill(s, SIGTERM, false, &e), -ESRCH);
	assert_int_equal(e.kind, ERR_STATE);
	assert_non_null(strstr(e.text, "container not running"));
	assert_int_equal(rt_kill(s, 4711, false, &e), -EINVAL);
	rt_close(s);
}

static void kill_all_reaches_every_process(void **state)
{
	struct fixture *f = *state;
	struct sandbox *s = create_ok(
		f, &(struct bundle){.args = SH("(trap 'echo child; exit' USR1; echo one; while :; "
					       "do sleep 0.1; done) & trap : USR1; echo two; wait; "
					       "wait; sleep 1000")});

	start_ok(s);
	await_output(f, "one");
	assert_int_equal(rt_kill(s, SIGUSR1, true, NULL), 0);
	await_output(f, "child");
	assert_int_equal(rt_kill(s, SIGKILL, true, NULL), 0);
	assert_int_equal(rt_wait(s, &(int){0}, NULL), 0);
	rt_close(s);
}

/* Another process than the creator opens the gate; the creator has gone by then. */
static void created_by_one_started_by_another(void **state)
{
	struct fixture *f = *state;
	struct bundle b = {.args = SH("echo from $0 $$; exit 3")};
	struct err e = ERR_INIT;
	struct sandbox *s;
	pid_t creator, pid;
	int status;

	write_bundle(f, &b);
	creator = fork_tied();
	if (creator == 0) {
		struct rt_create_request r = request_of(f);

		_exit(rt_create(&f->ctx, &r, &s, NULL) < 0);
	}
	assert_int_equal(waitpid(creator, &status, 0), creator);
	assert_int_equal(status, 0);
	assert_int_equal(status_of(f), RT_CREATED);
	assert_int_equal(rt_open(&f->ctx, f->id, false, &s, &e), 0);
	start_ok(s);
	await_output(f, "from sh 1");
	/* Its exit status is the workload's for whoever it was reparented to. */
	pid = s->state.host.pid;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(proc_exit_code(status), 3);
	assert_int_equal(status_of(f), RT_STOPPED);
	rt_close(s);
}

/* ---- what a status allows ---------------------------------------------------------------- */

static void verbs_that_do_not_fit_are_refused(void **state)
{
	struct fixture *f = *state;
	struct sandbox *s = create_ok(f, &(struct bundle){.args = SLEEP}), *again;
	struct rt_create_request r = request_of(f);
	struct err e = ERR_INIT;

	assert_int_equal(rt_create(&f->ctx, &r, &again, &e), -EEXIST);
	assert_int_equal(e.kind, ERR_EXISTS);
	/* The refusal took nothing away from the one that is there. */
	assert_int_equal(status_of(f), RT_CREATED);
	assert_true(rt_resume(s, &e) < 0);
	assert_int_equal(e.kind, ERR_STATE);
	start_ok(s);
	assert_true(rt_start(s, &e) < 0);
	assert_int_equal(e.kind, ERR_STATE);
	assert_non_null(strstr(e.text, "already running"));
	assert_true(rt_delete(&f->ctx, f->id, false, &e) < 0);
	assert_int_equal(e.kind, ERR_STATE);
	assert_non_null(strstr(e.text, "not stopped: running"));
	assert_int_equal(status_of(f), RT_RUNNING);
	assert_int_equal(rt_delete(&f->ctx, f->id, true, &e), 0);
	assert_true(rt_start(s, &e) < 0);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	rt_close(s);
}

static void one_that_never_ran_can_be_deleted(void **state)
{
	struct fixture *f = *state;
	struct around before;
	struct sandbox *s;
	struct err e = ERR_INIT;

	assert_int_equal(rt_cgroups(&f->ctx, &(struct cg_host *){0}, NULL), 0);
	before = look_around();
	s = create_ok(f, &(struct bundle){.args = SLEEP});
	rt_close(s);
	if (rt_delete(&f->ctx, f->id, false, &e) < 0)
		fail_msg("%s", e.text);
	assert_nothing_left(f, &before);
}

static void paused_is_a_status(void **state)
{
	struct fixture *f = *state;
	struct sandbox *s = create_ok(f, &(struct bundle){.args = SLEEP});
	struct iso_process p = {.args = (char *[]){"true", NULL}, .cwd = "/"};
	struct rt_exec_request r = {.process = &p, .io = {{-1, -1, -1}, -1, 0}};
	struct err e = ERR_INIT;
	int console, status;
	pid_t pid;

	start_ok(s);
	if (rt_pause(s, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(status_of(f), RT_PAUSED);
	assert_true(rt_pause(s, &e) < 0);
	assert_int_equal(e.kind, ERR_STATE);
	assert_true(rt_exec(s, &r, &pid, &console, &e) < 0);
	assert_non_null(strstr(e.text, "paused container"));
	assert_int_equal(rt_resume(s, NULL), 0);
	assert_int_equal(status_of(f), RT_RUNNING);
	assert_int_equal(rt_pause(s, NULL), 0);
	/* SIGKILL ends a paused one, on every cgroup version. */
	assert_int_equal(rt_kill(s, SIGKILL, false, NULL), 0);
	assert_int_equal(rt_wait(s, &status, NULL), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	rt_close(s);
}

static void exec_runs_beside_it(void **state)
{
	struct fixture *f = *state;
	struct sandbox *s = create_ok(f, &(struct bundle){.args = SLEEP});
	char *args[] = {"sh", "-c", "echo exec $$; exit 4", NULL}, *env[] = {"PATH=/bin", NULL};
	struct iso_process p = {.args = args, .env = env, .cwd = "/"};
	struct rt_exec_request r = {.process = &p, .io = {{-1, f->out[1], -1}, -1, 0}};
	struct err e = ERR_INIT;
	int console, status;
	pid_t pid;

	start_ok(s);
	r.pid_file = scratch_path(f->dir, 2, "exec.pid");
	if (rt_exec(s, &r, &pid, &console, &e) < 0)
		fail_msg("%s (hint: %s)", e.text, e.hint);
	assert_int_equal(console, -1);
	await_output(f, "exec ");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(proc_exit_code(status), 4);
	assert_int_equal(access(r.pid_file, F_OK), 0);
	/* What engines turn into 127. */
	args[0] = "nothing-of-that-name";
	assert_true(rt_exec(s, &r, &pid, &console, &e) < 0);
	assert_int_equal(e.kind, ERR_CMD_NOT_FOUND);
	args[0] = "sh";
	r.cgroup = "sub";
	assert_int_equal(rt_exec(s, &r, &pid, &console, &e), -ENOENT);
	assert_non_null(strstr(e.text, "--cgroup 'sub'"));
	r.cgroup = NULL;
	/* A pid file that cannot be written: the process must not stay. */
	r.pid_file = scratch_path(f->dir, 2, "missing/exec.pid");
	assert_true(rt_exec(s, &r, &pid, &console, &e) < 0);
	assert_non_null(strstr(e.text, "missing/exec.pid"));
	assert_int_equal(rt_kill(s, SIGKILL, false, NULL), 0);
	assert_int_equal(rt_wait(s, &status, NULL), 0);
	assert_true(rt_exec(s, &r, &pid, &console, &e) < 0);
	assert_int_equal(e.kind, ERR_STATE);
	rt_close(s);
}

/* ---- failing steps ----------------------------------------------------------------------- */

struct failure {
	const char *what;
	struct bundle bundle;
	const char *pid_file;
	int kind; /* enum err_kind, or 0 */
	const char *word1, *word2;
};

static void every_failure_names_itself_and_leaves_nothing(void **state)
{
	static const struct failure table[] = {
		{"rootfs missing", {.args = SLEEP, .rootfs = "none"}, NULL, 0, "none", "root"},
		{"rootfs a file",
		 {.args = SLEEP, .rootfs = "config.json"},
		 NULL,
		 0,
		 "config.json",
		 "irectory"},
		{"command missing",
		 {.args = "[\"nothing-of-that-name\"]"},
		 NULL,
		 ERR_CMD_NOT_FOUND,
		 "nothing-of-that-name",
		 "executable file not found in"},
		{"command not executable",
		 {.args = "[\"/etc-file\"]"},
		 NULL,
		 ERR_CMD_NOT_EXEC,
		 "etc-file",
		 "ermission denied"},
		{"bind source missing",
		 {.args = SLEEP,
		  .mounts = ",{\"destination\":\"/tmp\",\"source\":\"/nothing/there\","
			    "\"options\":[\"bind\"]}"},
		 NULL,
		 0,
		 "/nothing/there",
		 "/tmp"},
		{"file system type unknown",
		 {.args = SLEEP,
		  .mounts = ",{\"destination\":\"/tmp\",\"type\":\"nosuchfs\",\"source\":\"x\"}"},
		 NULL,
		 0,
		 "nosuchfs",
		 "/tmp"},
		{"pid file in a missing directory",
		 {.args = SLEEP},
		 "/nothing/there/pid",
		 0,
		 "/nothing/there/pid",
		 "pid file"},
		{"pid file is a directory", {.args = SLEEP}, "/tmp", 0, "/tmp", "pid file"},
		{"hook missing",
		 {.args = SLEEP, .hooks = "{\"createRuntime\":[{\"path\":\"/nothing/hook\"}]}"},
		 NULL,
		 0,
		 "createRuntime hook",
		 "/nothing/hook"},
		{"hook in the container missing",
		 {.args = SLEEP, .hooks = "{\"createContainer\":[{\"path\":\"/nothing/hook\"}]}"},
		 NULL,
		 0,
		 "createContainer hook",
		 "/nothing/hook"},
		{"sysctl unknown",
		 {.args = SLEEP, .extra = ",\"sysctl\":{\"kernel.shm_nothing\":\"1\"}"},
		 NULL,
		 0,
		 "kernel",
		 "shm_nothing"},
		{"namespace path missing",
		 {.args = SLEEP,
		  .extra = ",\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\",\"path\":"
			   "\"/nothing/ns\"}]"},
		 NULL,
		 0,
		 "namespaces",
		 NULL},
	};
	struct fixture *f = *state;

	write_file(scratch_path(f->dir, 1, "bundle/rootfs/etc-file"), "x", 0644);
	assert_int_equal(rt_cgroups(&f->ctx, &(struct cg_host *){0}, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct failure *t = &table[i];
		struct rt_create_request r = request_of(f);
		struct around before = look_around();
		struct err e = ERR_INIT;
		struct sandbox *s;

		write_bundle(f, &t->bundle);
		r.pid_file = t->pid_file;
		if (rt_create(&f->ctx, &r, &s, &e) >= 0)
			fail_msg("%s: created", t->what);
		if (!str_has_prefix(e.text, "create '") || !strstr(e.text, t->word1) ||
		    (t->word2 && !strstr(e.text, t->word2)) || (t->kind && e.kind != t->kind))
			fail_msg("%s: kind %d '%s'", t->what, e.kind, e.text);
		assert_nothing_left(f, &before);
	}
}

/* Somebody lives in the configured cgroup: he must survive the refusal, and every cleanup. */
static void an_occupied_cgroup_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct sandbox *s = create_ok(f, &(struct bundle){.args = SLEEP}), *other;
	struct rt_create_request r = request_of(f);
	struct err e = ERR_INIT;

	start_ok(s);
	r.id = "intruder";
	assert_int_equal(rt_create(&f->ctx, &r, &other, &e), -EEXIST);
	assert_non_null(strstr(e.text, f->group));
	assert_int_equal(status_of(f), RT_RUNNING);
	assert_int_equal(count_entries(f->root), 1);
	rt_close(s);
}

static void too_little_memory_is_said(void **state)
{
	struct fixture *f = *state;
	struct bundle b = {.args = SLEEP, .limits = "{\"memory\":{\"limit\":4096}}"};
	struct rt_create_request r = request_of(f);
	struct around before;
	struct err e = ERR_INIT;
	struct sandbox *s;

	write_bundle(f, &b);
	assert_int_equal(rt_cgroups(&f->ctx, &(struct cg_host *){0}, NULL), 0);
	before = look_around();
	if (rt_create(&f->ctx, &r, &s, &e) >= 0)
		fail_msg("created with 4 KiB");
	if (e.kind != ERR_LIMIT || !strstr(e.text, "out of memory during set-up (limit 4 KiB)") ||
	    !strstr(e.hint, "memory limit"))
		fail_msg("kind %d '%s' hint '%s'", e.kind, e.text, e.hint);
	assert_nothing_left(f, &before);
}

static void a_failing_start_stops_it(void **state)
{
	struct fixture *f = *state;
	/* Found at create; gone at start. */
	struct sandbox *s = create_ok(f, &(struct bundle){.args = "[\"/bin/busybox\",\"true\"]"});
	struct err e = ERR_INIT;

	assert_int_equal(unlink(scratch_path(f->dir, 1, "bundle/rootfs/bin/busybox")), 0);
	assert_true(rt_start(s, &e) < 0);
	assert_int_equal(e.kind, ERR_CMD_NOT_FOUND);
	assert_int_equal(status_of(f), RT_STOPPED);
	rt_close(s);
	assert_int_equal(rt_delete(&f->ctx, f->id, false, NULL), 0);
}

/* ---- several at once --------------------------------------------------------------------- */

static void deleted_while_a_hook_of_its_creation_runs(void **state)
{
	struct fixture *f = *state;
	struct rt_create_request r = request_of(f);
	struct err e = ERR_INIT;
	struct sandbox *s;
	char hooks[512], word[2];
	int ready, go, status;
	pid_t deleter;

	assert_int_equal(mkfifo(scratch_path(f->dir, 1, "ready"), 0600), 0);
	assert_int_equal(mkfifo(scratch_path(f->dir, 1, "go"), 0600), 0);
	snprintf(hooks, sizeof(hooks),
		 "{\"createRuntime\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
		 "\"echo > %s/ready; read x < %s/go\"]}]}",
		 f->dir->path, f->dir->path);
	write_bundle(f, &(struct bundle){.args = SLEEP, .hooks = hooks});
	ready = open(scratch_path(f->dir, 1, "ready"), O_RDWR | O_CLOEXEC);
	go = open(scratch_path(f->dir, 1, "go"), O_RDWR | O_CLOEXEC);
	deleter = fork_tied();
	if (deleter == 0) {
		bool creating = read(ready, word, 1) == 1 && status_of(f) == RT_CREATING;
		/* Without force it is refused. */
		int plain = rt_delete(&f->ctx, f->id, false, NULL);
		int forced = rt_delete(&f->ctx, f->id, true, NULL);

		(void)!write(go, "x\n", 2);
		_exit(creating && plain < 0 && forced == 0 ? 0 : 1);
	}
	assert_true(rt_create(&f->ctx, &r, &s, &e) < 0);
	assert_non_null(strstr(e.text, "deleted by another process"));
	assert_int_equal(waitpid(deleter, &status, 0), deleter);
	assert_int_equal(status, 0);
	assert_int_equal(count_entries(f->root), 0);
	assert_int_equal(count_groups(f), 0);
	close(ready);
	close(go);
}

static void two_deletes_run_the_hooks_once(void **state)
{
	struct fixture *f = *state;
	struct sandbox *s;
	char hooks[512];
	_cleanup_free_ char *log = NULL;
	pid_t pids[2];
	int status;

	snprintf(hooks, sizeof(hooks),
		 "{\"poststop\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
		 "\"echo ran >> %s/log; sleep 0.3\"]}]}",
		 f->dir->path);
	s = create_ok(f, &(struct bundle){.args = "[\"true\"]", .hooks = hooks});
	start_ok(s);
	assert_int_equal(rt_wait(s, &status, NULL), 0);
	rt_close(s);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork_tied();
		if (pids[i] == 0)
			_exit(rt_delete(&f->ctx, f->id, true, NULL) < 0);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	log = read_file(scratch_path(f->dir, 1, "log"));
	assert_string_equal(log, "ran\n");
	assert_int_equal(count_entries(f->root), 0);
}

/* ---- explain ------------------------------------------------------------------------------ */

static void explain_shows_and_makes_nothing(void **state)
{
	struct fixture *f = *state;
	struct rt_create_request r = request_of(f);
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;

	write_bundle(
		f, &(struct bundle){.args = SLEEP, .limits = "{\"memory\":{\"limit\":67108864}}"});
	if (rt_explain(&f->ctx, &r, &text, &e) < 0)
		fail_msg("%s", e.text);
	assert_non_null(strstr(text, "\"ociVersion\": \"1.0.2\""));
	assert_non_null(strstr(text, "memory 64 MiB"));
	assert_non_null(strstr(text, f->group));
	assert_int_equal(count_entries(f->root), 0);
	assert_int_equal(count_groups(f), 0);
}

/* ---- fault injection ------------------------------------------------------------------------ */

#ifdef INSULA_FAULTS
static const char *const create_steps[] = {"load",    "plan",     "state", "rootfs",
					   "cgroup",  "host",     "hooks", "inner",
					   "created", "pid-file", "commit"};

static void each_step_of_creation_fails(void **state)
{
	struct fixture *f = *state;
	struct bundle b = {.args = SLEEP};

	write_bundle(f, &b);
	assert_int_equal(rt_cgroups(&f->ctx, &(struct cg_host *){0}, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(create_steps); i++) {
		struct rt_create_request r = request_of(f);
		struct around before = look_around();
		struct err e = ERR_INIT;
		struct sandbox *s;
		char fault[64];

		snprintf(fault, sizeof(fault), "%s:%d", create_steps[i], ENOSPC);
		setenv("INSULA_FAULT", fault, 1);
		r.pid_file = scratch_path(f->dir, 2, "pid");
		if (rt_create(&f->ctx, &r, &s, &e) != -ENOSPC || !strstr(e.text, create_steps[i]))
			fail_msg("%s: '%s'", create_steps[i], e.text);
		assert_int_equal(access(r.pid_file, F_OK), -1);
		assert_nothing_left(f, &before);
	}
}

static void killed_behind_each_step_of_creation(void **state)
{
	struct fixture *f = *state;
	struct bundle b = {.args = SLEEP};

	write_bundle(f, &b);
	assert_int_equal(rt_cgroups(&f->ctx, &(struct cg_host *){0}, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(create_steps); i++) {
		struct rt_create_request r = request_of(f);
		struct around before = look_around();
		struct err e = ERR_INIT;
		struct sandbox *s;
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			char fault[64];

			snprintf(fault, sizeof(fault), "%s:kill", create_steps[i]);
			setenv("INSULA_FAULT", fault, 1);
			_exit(rt_create(&f->ctx, &r, &s, NULL) < 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status))
			fail_msg("%s: not killed", create_steps[i]);
		/* Whatever exists is listed, by name, and goes away by name. */
		assert_int_equal(count_entries(f->root), i >= 2 ? 1 : 0);
		if (rt_delete(&f->ctx, f->id, true, &e) < 0)
			fail_msg("%s: %s", create_steps[i], e.text);
		/* The orphan is ours to reap; it must end by itself or by the delete. */
		while (waitpid(-1, NULL, 0) > 0)
			;
		assert_nothing_left(f, &before);
	}
}

static void killed_in_the_middle_of_start_and_delete(void **state)
{
	static const char *const steps[] = {"start", "started", "delete-killed", "delete-cgroup",
					    "delete-hooks"};
	struct fixture *f = *state;

	assert_int_equal(rt_cgroups(&f->ctx, &(struct cg_host *){0}, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct around before = look_around();
		struct sandbox *s = create_ok(f, &(struct bundle){.args = SLEEP});
		struct err e = ERR_INIT;
		int status;
		pid_t pid;

		rt_close(s);
		pid = fork();
		if (pid == 0) {
			char fault[64];

			snprintf(fault, sizeof(fault), "%s:kill", steps[i]);
			setenv("INSULA_FAULT", fault, 1);
			if (i < 2 && rt_open(&f->ctx, f->id, false, &s, NULL) == 0)
				(void)rt_start(s, NULL);
			else
				(void)rt_delete(&f->ctx, f->id, true, NULL);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		if (i < 2) /* what is true does not depend on who saved what */
			assert_int_equal(status_of(f), i == 0 ? RT_CREATED : RT_RUNNING);
		else
			assert_int_equal(status_of(f), RT_STOPPED);
		if (rt_delete(&f->ctx, f->id, true, &e) < 0)
			fail_msg("%s: %s", steps[i], e.text);
		while (waitpid(-1, NULL, 0) > 0)
			;
		assert_nothing_left(f, &before);
	}
}
#else
static void fault_injection(void **state)
{
	(void)state;
	print_message("# skip: fault points are only in a build with FAULTS=1\n");
	skip();
}
#endif

#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_whole_life),
		T(a_signal_ends_it),
		T(kill_all_reaches_every_process),
		T(created_by_one_started_by_another),
		T(verbs_that_do_not_fit_are_refused),
		T(one_that_never_ran_can_be_deleted),
		T(paused_is_a_status),
		T(exec_runs_beside_it),
		T(every_failure_names_itself_and_leaves_nothing),
		T(an_occupied_cgroup_is_left_alone),
		T(too_little_memory_is_said),
		T(a_failing_start_stops_it),
		T(deleted_while_a_hook_of_its_creation_runs),
		T(two_deletes_run_the_hooks_once),
		T(explain_shows_and_makes_nothing),
#ifdef INSULA_FAULTS
		T(each_step_of_creation_fails),
		T(killed_behind_each_step_of_creation),
		T(killed_in_the_middle_of_start_and_delete),
#else
		cmocka_unit_test(fault_injection),
#endif
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP needs root\n");
		return 0;
	}
	/* What others mount on this host meanwhile is not a leftover of ours. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
