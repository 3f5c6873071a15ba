/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state on disk: what is saved is what is loaded, the lock excludes, a reader never sees half
 * a file, whatever stands in the file is told in one clear line and can be deleted, and a process
 * is only believed to live if it is the very one.
 */
#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sync.h"
#include "runtime/runtime.h"
#include "scratch_dir.h"

#define ROOT(s) scratch_path(s, 0, "root")

static int setup(void **state)
{
	*state = scratch_new();
	/* A lock that is never given would hang the run. */
	limit_time(60);
	return 0;
}

static int teardown(void **state)
{
	alarm(0);
	scratch_free(*state);
	return 0;
}

static struct state_dir make(struct scratch *t, const char *id)
{
	struct state_dir d;
	struct err e = ERR_INIT;

	if (state_dir_create(ROOT(t), id, &d, &e) < 0)
		fail_msg("%s", e.text);
	return d;
}

/* A state with something in every field. Freed by state_done(). */
static struct state full_state(const char *id)
{
	struct state s = {
		.id = strdup(id),
		.bundle = strdup("/b \"quoted\"\n"),
		.driver = strdup("container"),
		.cgroup_path = strdup("/insula/x"),
		.rootfs = strdup("/b/rootfs"),
		.version = strdup("1.0.2"),
		.owner = strdup("root"),
		.command = strdup("sh -c 'a b'"),
		.name = strdup("web"),
		.ephemeral = true,
		.terminal = true,
		.saved = RT_RUNNING,
		.host = {.pid = 4242, .start_ticks = UINT64_MAX},
		.created_unix_nsec = 1700000000123456789,
		.started_unix_nsec = 2,
		.finished_unix_nsec = 3,
		.exit_code = 137,
	};

	assert_int_equal(strv_push(&s.annotations, "k=v=w"), 0);
	assert_int_equal(strv_push(&s.annotations, "empty="), 0);
	assert_int_equal(strv_push(&s.labels, "a=b"), 0);
	return s;
}

static void save_load_keeps_every_field(void **state)
{
	struct state_dir d = make(*state, "c1");
	struct state a = full_state("c1"), b;
	struct err e = ERR_INIT;

	assert_int_equal(state_save(&d, &a, &e), 0);
	if (state_load(&d, &b, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(b.id, a.id);
	assert_string_equal(b.bundle, a.bundle);
	assert_string_equal(b.driver, a.driver);
	assert_string_equal(b.cgroup_path, a.cgroup_path);
	assert_string_equal(b.rootfs, a.rootfs);
	assert_string_equal(b.version, a.version);
	assert_string_equal(b.owner, a.owner);
	assert_string_equal(b.command, a.command);
	assert_string_equal(b.name, a.name);
	assert_int_equal(strv_len(b.annotations), 2);
	assert_string_equal(b.annotations[0], "k=v=w");
	assert_string_equal(b.labels[0], "a=b");
	assert_true(b.ephemeral && b.terminal);
	assert_int_equal(b.saved, RT_RUNNING);
	assert_int_equal(b.host.pid, 4242);
	assert_true(b.host.start_ticks == UINT64_MAX);
	assert_true(b.created_unix_nsec == a.created_unix_nsec);
	assert_true(b.started_unix_nsec == 2 && b.finished_unix_nsec == 3);
	assert_int_equal(b.exit_code, 137);
	state_done(&a);
	state_done(&b);
	state_dir_done(&d);
}

static void a_taken_id_is_refused_with_the_way_out(void **state)
{
	struct state_dir d = make(*state, "c1"), other;
	struct err e = ERR_INIT;

	assert_int_equal(state_dir_create(ROOT(*state), "c1", &other, &e), -EEXIST);
	assert_int_equal(e.kind, ERR_EXISTS);
	assert_non_null(strstr(e.hint, "delete c1"));
	state_dir_done(&d);
}

static void an_id_is_a_plain_name(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "/a", "-x", ".x", "a b", "a\n"};
	char longest[130];
	struct state_dir d;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(state_dir_create(ROOT(*state), bad[i], &d, &e), -EINVAL);
		assert_int_equal(e.kind, ERR_INVALID);
		assert_int_equal(state_dir_open(ROOT(*state), bad[i], false, &d, &e), -EINVAL);
	}
	memset(longest, 'a', 129);
	longest[129] = '\0';
	assert_int_equal(state_dir_create(ROOT(*state), longest, &d, NULL), -EINVAL);
	longest[128] = '\0';
	assert_int_equal(state_dir_create(ROOT(*state), longest, &d, NULL), 0);
	state_dir_done(&d);
}

static void the_directories_are_for_their_owner_alone(void **state)
{
	struct state_dir d = make(*state, "c1");
	struct stat st;

	assert_int_equal(stat(ROOT(*state), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstat(d.fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	state_dir_done(&d);
}

static void a_root_that_others_can_write_is_refused(void **state)
{
	const char *root = ROOT(*state);
	char **ids = NULL;
	struct state_dir d;
	struct err e = ERR_INIT;

	assert_int_equal(mkdir(root, 0700), 0);
	assert_int_equal(chmod(root, 0770), 0);
	assert_int_equal(state_list(root, &ids, &e), -EPERM);
	assert_non_null(strstr(e.text, root));
	assert_non_null(strstr(e.text, "writable by others"));
	assert_int_equal(chmod(root, 0700), 0);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(root, 65534, 65534), 0);
	err_clear(&e);
	assert_int_equal(state_dir_create(root, "c1", &d, &e), -EPERM);
	assert_non_null(strstr(e.text, "belongs to uid 65534"));
	assert_non_null(strstr(e.hint, "--root"));
}

/* Each adds 1 to a field, many times; without the lock some of it would be lost. A third process
 * reads all the time without the lock: it must always find a whole file. */
#define ROUNDS 400

static int count_up(const char *root)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct state_dir d;
		struct state s;

		if (state_dir_open(root, "c1", true, &d, NULL) < 0)
			return 1;
		if (state_load(&d, &s, NULL) < 0)
			return 2;
		s.created_unix_nsec++;
		if (state_save(&d, &s, NULL) < 0)
			return 3;
		state_done(&s);
		state_dir_done(&d);
	}
	return 0;
}

static void concurrent_writers_lose_nothing_and_readers_see_whole_files(void **state)
{
	const char *root = ROOT(*state);
	struct state_dir d = make(*state, "c1");
	struct state s = full_state("c1");
	pid_t pids[2];
	int left = 2, bad = 0, status;

	s.created_unix_nsec = 0;
	assert_int_equal(state_save(&d, &s, NULL), 0);
	state_done(&s);
	state_dir_unlock(&d);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork_tied();
		if (pids[i] == 0)
			_exit(count_up(root));
	}
	while (left > 0) {
		if (state_load(&d, &s, NULL) < 0)
			bad++;
		else
			state_done(&s);
		while (left > 0 && waitpid(-1, &status, WNOHANG) > 0) {
			bad += status != 0;
			left--;
		}
	}
	assert_int_equal(bad, 0);
	assert_int_equal(state_load(&d, &s, NULL), 0);
	assert_int_equal(s.created_unix_nsec, 2 * ROUNDS);
	state_done(&s);
	state_dir_done(&d);
}

static void the_lock_of_a_removed_directory_is_not_given(void **state)
{
	struct state_dir d = make(*state, "c1"), waiting, again;
	struct err e = ERR_INIT;

	assert_int_equal(state_dir_open(ROOT(*state), "c1", false, &waiting, &e), 0);
	assert_int_equal(state_dir_remove(&d, &e), 0);
	assert_int_equal(state_dir_lock(&waiting, &e), -ENOENT);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "does not exist"));
	/* One of the same name is another one. */
	again = make(*state, "c1");
	assert_int_equal(state_dir_lock(&waiting, &e), -ENOENT);
	state_dir_done(&again);
	state_dir_done(&waiting);
	state_dir_done(&d);
}

static void a_child_that_inherited_it_does_not_keep_the_lock(void **state)
{
	struct state_dir d = make(*state, "c1"), other;
	int hold[2];
	pid_t pid;

	assert_int_equal(pipe(hold), 0);
	pid = fork_tied();
	if (pid == 0) {
		char c;

		close(hold[1]);
		_exit(read(hold[0], &c, 1) != 0);
	}
	close(hold[0]);
	state_dir_done(&d);
	assert_int_equal(state_dir_open(ROOT(*state), "c1", true, &other, NULL), 0);
	state_dir_done(&other);
	close(hold[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_directory_without_state_is_a_dead_creation(void **state)
{
	struct state_dir d = make(*state, "c1"), other;
	_cleanup_strv_ char **ids = NULL;
	struct state s;

	assert_int_equal(state_load(&d, &s, NULL), -ENOENT);
	assert_string_equal(s.id, "c1");
	assert_int_equal(s.saved, RT_CREATING);
	assert_int_equal(s.exit_code, -1);
	/* Who holds the lock knows that no creator is at work; others take the holder for it. */
	assert_int_equal(state_dir_open(ROOT(*state), "c1", false, &other, NULL), 0);
	assert_int_equal(state_status(&d, &s), RT_STOPPED);
	assert_int_equal(state_status(&other, &s), RT_CREATING);
	state_dir_unlock(&d);
	assert_int_equal(state_status(&other, &s), RT_STOPPED);
	assert_int_equal(state_status(&d, &s), RT_STOPPED);
	state_done(&s);
	state_dir_done(&other);
	assert_int_equal(state_list(ROOT(*state), &ids, NULL), 0);
	assert_int_equal(strv_len(ids), 1);
	state_dir_done(&d);
}

static void the_list_is_sorted_and_holds_only_sandboxes(void **state)
{
	static const char *const made[] = {"b", "a10", "a"};
	_cleanup_strv_ char **ids = NULL;
	char **none = (char **)1;

	assert_int_equal(state_list(scratch_path(*state, 1, "missing"), &none, NULL), 0);
	assert_null(none);
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		struct state_dir d = make(*state, made[i]);

		state_dir_done(&d);
	}
	write_file(scratch_path(*state, 1, "root/file"), "", 0600);
	assert_int_equal(mkdir(scratch_path(*state, 1, "root/.hidden"), 0700), 0);
	assert_int_equal(state_list(ROOT(*state), &ids, NULL), 0);
	assert_int_equal(strv_len(ids), 3);
	assert_string_equal(ids[0], "a");
	assert_string_equal(ids[1], "a10");
	assert_string_equal(ids[2], "b");
}

/* ---- whatever stands in the file -------------------------------------------------------- */

#define HEAD                                                                               \
	"{\"format\":1,\"status\":\"stopped\",\"bundle\":\"/b\",\"driver\":\"container\"," \
	"\"ociVersion\":\"1.0.0\",\"pid\":0,\"startTicks\":0,"

static void expect_refused_but_deletable(struct scratch *t, const char *what)
{
	struct rt_ctx ctx;
	struct state_dir d;
	struct state s;
	struct err e = ERR_INIT;
	int r;

	assert_int_equal(rt_ctx_init(&ctx, ROOT(t), NULL, &e), 0);
	assert_int_equal(state_dir_open(ROOT(t), "c1", false, &d, &e), 0);
	r = state_load(&d, &s, &e);
	if (r >= 0 || !strstr(e.text, "'c1'") || !strstr(e.hint, "delete --force c1"))
		fail_msg("%s: %d '%s' hint '%s'", what, r, e.text, e.hint);
	state_dir_done(&d);
	assert_true(rt_delete(&ctx, "c1", false, &e) < 0);
	err_clear(&e);
	if (rt_delete(&ctx, "c1", true, &e) < 0)
		fail_msg("%s: %s", what, e.text);
	assert_int_equal(access(scratch_path(t, 1, "root/c1"), F_OK), -1);
	rt_ctx_done(&ctx);
}

static void bad_files_are_told_and_can_be_deleted(void **state)
{
	static const char *const bad[] = {
		"",
		"garbage",
		"{",
		"[]",
		"null",
		"{}",
		"{\"format\":2}",
		HEAD "\"cgroup\":\"\",\"cgroup\":\"/\"}",
		HEAD "\"cgroup\":7}",
		HEAD "\"cgroup\":\"relative\"}",
		HEAD "\"cgroup\":\"/a/../b\"}",
		HEAD "\"cgroup\":\"/a/..\"}",
		HEAD "\"cgroup\":\"\",\"exitCode\":4294967296}",
		HEAD "\"cgroup\":\"\"} trailing",
		"{\"format\":1,\"status\":\"bored\",\"bundle\":\"/b\",\"driver\":\"container\","
		"\"ociVersion\":\"1.0.0\",\"pid\":0,\"startTicks\":0,\"cgroup\":\"\"}",
		"{\"format\":1,\"status\":\"stopped\",\"bundle\":\"/b\",\"driver\":\"container\","
		"\"ociVersion\":\"1.0.0\",\"pid\":-5,\"startTicks\":0,\"cgroup\":\"\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct state_dir d = make(*state, "c1");

		write_file(scratch_path(*state, 1, "root/c1/state.json"), bad[i], 0600);
		state_dir_done(&d);
		expect_refused_but_deletable(*state, bad[i]);
	}
}

static void a_huge_file_or_a_directory_is_told_and_can_be_deleted(void **state)
{
	struct state_dir d = make(*state, "c1");
	const char *file = scratch_path(*state, 1, "root/c1/state.json");

	write_file(file, "{", 0600);
	assert_int_equal(truncate(file, 1 << 30), 0);
	state_dir_done(&d);
	expect_refused_but_deletable(*state, "1 GiB");
	d = make(*state, "c1");
	assert_int_equal(mkdir(scratch_path(*state, 1, "root/c1/state.json"), 0700), 0);
	state_dir_done(&d);
	expect_refused_but_deletable(*state, "a directory");
}

/* ---- what is true now ------------------------------------------------------------------- */

static void status_follows_the_very_process(void **state)
{
	struct state_dir d = make(*state, "c1");
	struct state s = {.saved = RT_CREATED, .exit_code = -1};
	pid_t pid = fork_tied();
	siginfo_t si;
	int gate;

	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(proc_id_of(pid, &s.host, NULL), 0);
	assert_int_equal(state_status(&d, &s), RT_RUNNING);
	gate = gate_listen(d.fd, NULL);
	assert_true(gate >= 0);
	assert_int_equal(state_status(&d, &s), RT_CREATED);
	close(gate);
	assert_int_equal(state_status(&d, &s), RT_RUNNING);
	s.saved = RT_CREATING;
	assert_int_equal(state_status(&d, &s), RT_CREATING);
	s.saved = RT_RUNNING;
	/* The same number with another start is another process. */
	s.host.start_ticks++;
	assert_int_equal(state_status(&d, &s), RT_STOPPED);
	s.host.start_ticks--;
	/* A zombie has ended. */
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
	assert_int_equal(state_status(&d, &s), RT_STOPPED);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(state_status(&d, &s), RT_STOPPED);
	state_dir_done(&d);
}

/* A reused pid must never be signalled. */
static void delete_leaves_a_reused_pid_alone(void **state)
{
	struct state_dir d = make(*state, "c1");
	struct state s = full_state("c1");
	struct rt_ctx ctx;
	struct err e = ERR_INIT;
	pid_t pid = fork_tied();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(proc_id_of(pid, &s.host, NULL), 0);
	s.host.start_ticks--;
	s.cgroup_path[0] = '\0';
	assert_int_equal(state_save(&d, &s, NULL), 0);
	state_dir_done(&d);
	state_done(&s);
	assert_int_equal(rt_ctx_init(&ctx, ROOT(*state), NULL, NULL), 0);
	if (rt_delete(&ctx, "c1", true, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	rt_ctx_done(&ctx);
}

static void delete_of_a_missing_one(void **state)
{
	struct rt_ctx ctx;
	struct err e = ERR_INIT;

	assert_int_equal(rt_ctx_init(&ctx, ROOT(*state), NULL, NULL), 0);
	assert_int_equal(rt_delete(&ctx, "c1", false, &e), -ENOENT);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_string_equal(e.text, "delete 'c1': container 'c1' does not exist");
	assert_int_equal(rt_delete(&ctx, "c1", true, &e), 0);
	rt_ctx_done(&ctx);
}

/* ---- where ------------------------------------------------------------------------------ */

static void relative_roots_become_absolute(void **state)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	char want[4096];
	struct rt_ctx ctx;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(rt_ctx_init(&ctx, "x/../y", NULL, &e), 0);
	snprintf(want, sizeof(want), "%s/y", cwd);
	assert_string_equal(ctx.root, want);
	rt_ctx_done(&ctx);
	assert_int_equal(rt_ctx_init(&ctx, "", NULL, &e), -EINVAL);
}

static int as_nobody(void)
{
	struct rt_ctx ctx;
	struct err e = ERR_INIT;
	struct stat st;

	/* A /tmp and a /run of the test's own. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmp", "/tmp", "tmpfs", 0, "mode=1777") < 0 ||
	    mount("run", "/run", "tmpfs", 0, "mode=755") < 0 || setresuid(65534, 65534, 65534) < 0)
		return 1;
	unsetenv("XDG_RUNTIME_DIR");
	if (rt_ctx_init(&ctx, NULL, NULL, &e) != 0 || strcmp(ctx.root, "/tmp/insula-65534") != 0 ||
	    lstat(ctx.root, &st) < 0 || st.st_uid != 65534 || (st.st_mode & 07777) != 0700)
		return 2;
	rt_ctx_done(&ctx);
	/* Open to others, or a link to somewhere else of ours. */
	if (chmod("/tmp/insula-65534", 0770) < 0 || rt_ctx_init(&ctx, NULL, NULL, &e) != -EINVAL ||
	    !strstr(e.text, "XDG_RUNTIME_DIR") || !strstr(e.hint, "--root"))
		return 5;
	if (mkdir("/tmp/mine", 0700) < 0 || rmdir("/tmp/insula-65534") < 0 ||
	    symlink("/tmp/mine", "/tmp/insula-65534") < 0 ||
	    rt_ctx_init(&ctx, NULL, NULL, &e) != -EINVAL)
		return 6;
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	if (rt_ctx_init(&ctx, NULL, NULL, &e) != -EINVAL)
		return 3;
	setenv("XDG_RUNTIME_DIR", "/run/user/65534", 1);
	if (rt_ctx_init(&ctx, NULL, NULL, &e) != 0 ||
	    strcmp(ctx.root, "/run/user/65534/insula") != 0)
		return 4;
	return 0;
}

static void the_default_root_depends_on_who_asks(void **state)
{
	struct rt_ctx ctx;
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("# skip: needs root to become another user\n");
		skip();
	}
	unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(rt_ctx_init(&ctx, NULL, NULL, NULL), 0);
	assert_string_equal(ctx.root, "/run/insula");
	rt_ctx_done(&ctx);
	pid = fork_tied();
	if (pid == 0)
		_exit(as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void fresh_ids_are_names_and_differ(void **state)
{
	char a[13], b[13];

	(void)state;
	rt_new_id(a);
	rt_new_id(b);
	assert_int_equal(strlen(a), 12);
	assert_int_equal(strspn(a, "0123456789abcdef"), 12);
	assert_string_not_equal(a, b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(save_load_keeps_every_field),
		T(a_taken_id_is_refused_with_the_way_out),
		T(an_id_is_a_plain_name),
		T(the_directories_are_for_their_owner_alone),
		T(a_root_that_others_can_write_is_refused),
		T(concurrent_writers_lose_nothing_and_readers_see_whole_files),
		T(the_lock_of_a_removed_directory_is_not_given),
		T(a_child_that_inherited_it_does_not_keep_the_lock),
		T(a_directory_without_state_is_a_dead_creation),
		T(the_list_is_sorted_and_holds_only_sandboxes),
		T(bad_files_are_told_and_can_be_deleted),
		T(a_huge_file_or_a_directory_is_told_and_can_be_deleted),
		T(status_follows_the_very_process),
		T(delete_leaves_a_reused_pid_alone),
		T(delete_of_a_missing_one),
		T(relative_roots_become_absolute),
		T(the_default_root_depends_on_who_asks),
		T(fresh_ids_are_names_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
