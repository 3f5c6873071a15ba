/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces of ordinary users: the files of subordinate ids, the maps made from them, work inside. */
#include <grp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../../../isolate/idmap_helpers.h"
#include "../../../isolate/subids.h"
#include "base/err.h"
#include "isolate/userns.h"
#include "private_ns.h"

/* ---- the files ---------------------------------------------------------------------------- */

struct file_row {
	const char *text;
	size_t n;             /* ranges */
	uint32_t first, last; /* of all */
	const char *error;    /* NULL: good */
};

static const struct file_row file_rows[] = {
	{"", 0, 0, 0, NULL},
	{"\n\n", 0, 0, 0, NULL},
	{"ada:100000:65536\n", 1, 100000, 165535, NULL},
	{"ada:100000:65536", 1, 100000, 165535, NULL},
	{"4711:100000:10\n", 1, 100000, 100009, NULL},
	{"bob:1:2\nada:100000:10\nada:200000:10\n4711:300000:5\n", 3, 100000, 300004, NULL},
	{"adams:100000:10\n47110:5:5\nad:1:1\n", 0, 0, 0, NULL},
	{"# ada\nbob:nonsense\nada:5:1\n", 1, 5, 5, NULL},
	{"ada:4294967294:1\n", 1, 4294967294u, 4294967294u, NULL},
	{"ada:100000:0\n", 0, 0, 0, "line 1: an empty range"},
	{"bob:1:1\nada:4294967295:1\n", 0, 0, 0, "line 2: the range ends beyond"},
	{"ada:100000:4294967295\n", 0, 0, 0, "beyond the last id"},
	{"ada:4294967296:1\n", 0, 0, 0, "USER:FIRST:COUNT"},
	{"ada:-1:1\n", 0, 0, 0, "USER:FIRST:COUNT"},
	{"ada:100000: 1\n", 0, 0, 0, "USER:FIRST:COUNT"},
	{"ada:100000:1:2\n", 0, 0, 0, "USER:FIRST:COUNT"},
	{"ada:100000\n", 0, 0, 0, "USER:FIRST:COUNT"},
	{"ada\n", 0, 0, 0, "USER:FIRST:COUNT"},
	{"ada:100:10\nada:109:5\n", 0, 0, 0, "line 2: the range overlaps"},
};

static void the_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(file_rows); i++) {
		const struct file_row *row = &file_rows[i];
		struct subids s = {0};
		struct err e = ERR_INIT;
		char *text = strdup(row->text);
		int r = subids_parse(text, "/etc/subuid", "ada", 4711, &s, &e);

		if ((r < 0) != (row->error != NULL) || (r == 0 && s.n != row->n))
			fail_msg("row %zu: %d, %zu ranges, '%s'", i, r, s.n, e.text);
		if (row->error && !strstr(e.text, row->error))
			fail_msg("row %zu: '%s'", i, e.text);
		if (s.n > 0) {
			assert_int_equal(s.v[0].first, row->first);
			assert_int_equal(s.v[s.n - 1].first + s.v[s.n - 1].count - 1, row->last);
		}
		subids_done(&s);
		free(text);
	}
}

static void a_missing_file_grants_nothing(void **state)
{
	struct subids s = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(subids_read("/nonexistent/subuid", "ada", 4711, &s, &e), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(e.kind, ERR_NONE);
}

static void login_names(void **state)
{
	static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n:x:7:7::/:\nbroken\nada:x:"
				     "4711:4711::/home/ada:/bin/sh\nlate:x:4711:1::/:/bin/sh\n";
	static const struct {
		uint32_t uid;
		const char *name;
	} rows[] = {{0, "root"}, {4711, "ada"}, {7, NULL}, {1, NULL}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = strdup(passwd);
		const char *name = subids_login(text, rows[i].uid);

		if (rows[i].name)
			assert_string_equal(name, rows[i].name);
		else
			assert_null(name);
		free(text);
	}
}

/* ---- the maps ------------------------------------------------------------------------------ */

static void root_maps_what_there_is(void **state)
{
	struct iso_id_maps uid = {0}, gid = {0};
	struct err e = ERR_INIT;
	bool single = true;

	(void)state;
	assert_int_equal(iso_user_maps(&uid, &gid, &single, NULL, &e), 0);
	assert_false(single);
	assert_int_equal(uid.n, 1);
	assert_int_equal(uid.v[0].inside, 0);
	assert_int_equal(uid.v[0].outside, 0);
	assert_int_equal(uid.v[0].count, UINT32_MAX);
	iso_id_maps_done(&uid);
	iso_id_maps_done(&gid);
}

/* /etc/passwd, subuid and subgid of the child's own, then an ordinary user. */
static void become_ada(const char *subids)
{
	static const char *const files[] = {"passwd", "subuid", "subgid"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char target[64];

		write_file(files[i], i == 0 ? "ada:x:4711:4711::/home/ada:/bin/sh\n" : subids);
		snprintf(target, sizeof(target), "/etc/%s", files[i]);
		CHECK(mount(files[i], target, NULL, MS_BIND, NULL) == 0);
	}
	CHECK(setgroups(0, NULL) == 0);
	CHECK(setresgid(4711, 4711, 4711) == 0);
	CHECK(setresuid(4711, 4711, 4711) == 0);
}

static void maps_of_ranges(void)
{
	struct iso_id_maps uid = {0}, gid = {0};
	struct err err_ = ERR_INIT;
	bool single = true;
	char *why = NULL;

	become_ada("bob:1:1\nada:100000:1000\n4711:300000:5\n");
	CHECK_OK(iso_user_maps(&uid, &gid, &single, &why, &err_));
	CHECK(!single && !why);
	CHECK(uid.n == 3 && gid.n == 3);
	CHECK(uid.v[0].inside == 0 && uid.v[0].outside == 4711 && uid.v[0].count == 1);
	CHECK(uid.v[1].inside == 1 && uid.v[1].outside == 100000 && uid.v[1].count == 1000);
	CHECK(uid.v[2].inside == 1001 && uid.v[2].outside == 300000 && uid.v[2].count == 5);
}

static void maps_without_ranges(void)
{
	struct iso_id_maps uid = {0}, gid = {0};
	struct err err_ = ERR_INIT;
	bool single = false;
	char *why = NULL;

	become_ada("bob:100000:1000\n");
	CHECK_OK(iso_user_maps(&uid, &gid, &single, &why, &err_));
	CHECK(single && why);
	CHECK_TEXT(why, "/etc/subuid");
	CHECK(uid.n == 1 && uid.v[0].inside == 0 && uid.v[0].outside == 4711);
	CHECK(gid.n == 1 && gid.v[0].outside == 4711);
}

static void a_range_with_oneself(void)
{
	struct iso_id_maps uid = {0}, gid = {0};
	struct err err_ = ERR_INIT;
	bool single = false;

	become_ada("ada:4000:1000\n");
	CHECK(iso_user_maps(&uid, &gid, &single, NULL, &err_) == -EINVAL);
	CHECK_TEXT(err_.text, "overlap");
	CHECK_TEXT(err_.hint, "4711");
}

static void maps_with_ranges(void **state)
{
	(void)state;
	run_private(maps_of_ranges, 0);
}

static void maps_alone(void **state)
{
	(void)state;
	run_private(maps_without_ranges, 0);
}

static void maps_that_overlap(void **state)
{
	(void)state;
	run_private(a_range_with_oneself, 0);
}

/* ---- work inside ---------------------------------------------------------------------------- */

static int *seen; /* shared with the children */

static int look(void *arg)
{
	(void)arg;
	seen[0] = (int)getuid();
	/* An id of the range can be had, so it is mapped. */
	seen[1] = setresuid(42, 42, 42) == 0;
	return 17;
}

static int stay(void *arg)
{
	int *fds = arg;
	char c;

	/* A copy of the test that nobody may look into would not be entered; one that executed a program
	 * of its own can be. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	__atomic_store_n(&seen[3], 1, __ATOMIC_RELEASE);
	/* Until the test closes its end. */
	close(fds[1]);
	seen[2] = read(fds[0], &c, 1) == 0;
	return 0;
}

static void share_memory(void)
{
	seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(seen != MAP_FAILED);
}

static void work_in_a_new_one(void)
{
	struct iso_id_maps uid = {0}, gid = {0};
	struct err err_ = ERR_INIT;
	bool single;
	pid_t pid;
	int status;

	share_memory();
	become_ada("ada:100000:1000\n");
	CHECK_OK(iso_user_maps(&uid, &gid, &single, NULL, &err_));
	CHECK(!single);
	CHECK_OK(iso_userns_spawn(&uid, &gid, 0, look, NULL, &pid, &err_));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17);
	CHECK(seen[0] == 0 && seen[1] == 1);
}

static void work_in_that_of_a_process(void)
{
	struct iso_id_maps uid = {0}, gid = {0};
	struct err err_ = ERR_INIT;
	int fds[2], status = -1, pidfd;
	bool single;
	pid_t pid;

	share_memory();
	become_ada("ada:100000:1000\n");
	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	CHECK_OK(iso_user_maps(&uid, &gid, &single, NULL, &err_));
	CHECK_OK(iso_userns_spawn(&uid, &gid, 0, stay, fds, &pid, &err_));
	while (!__atomic_load_n(&seen[3], __ATOMIC_ACQUIRE))
		sched_yield();
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	CHECK(pidfd >= 0);
	CHECK_OK(iso_userns_enter(pidfd, look, NULL, &status, &err_));
	CHECK(status == 17 && seen[0] == 0 && seen[1] == 1);
	close(fds[1]);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK(seen[2] == 1);
}

static void a_map_that_nobody_granted(void)
{
	struct iso_id_map entry[] = {{0, 4711, 1}, {1, 500000, 10}};
	struct iso_id_maps maps = {entry, 2};
	struct err err_ = ERR_INIT;
	pid_t pid;

	become_ada("ada:100000:1000\n");
	CHECK(iso_userns_spawn(&maps, &maps, 0, look, NULL, &pid, &err_) < 0);
	CHECK_TEXT(err_.text, "newuidmap");
	CHECK_TEXT(err_.hint, "usermod --add-subuids");
}

static void work_alone(void)
{
	struct iso_id_map entry[] = {{4711, 4711, 1}};
	struct iso_id_maps maps = {entry, 1};
	struct err err_ = ERR_INIT;
	int status;
	pid_t pid;

	share_memory();
	become_ada("");
	CHECK_OK(iso_userns_spawn(&maps, &maps, 0, look, NULL, &pid, &err_));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17);
	CHECK(seen[0] == 4711 && seen[1] == 0);
}

static void need_helpers(void)
{
	if (idmap_helper("newuidmap") && idmap_helper("newgidmap"))
		return;
	print_message("newuidmap is not installed (Debian: uidmap)\n");
	skip();
}

static void inside_new(void **state)
{
	(void)state;
	need_helpers();
	run_private(work_in_a_new_one, 0);
}

static void inside_that_of_a_process(void **state)
{
	(void)state;
	need_helpers();
	run_private(work_in_that_of_a_process, 0);
}

static void not_granted(void **state)
{
	(void)state;
	need_helpers();
	run_private(a_map_that_nobody_granted, 0);
}

static void inside_alone(void **state)
{
	(void)state;
	run_private(work_alone, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_files),
		cmocka_unit_test(a_missing_file_grants_nothing),
		cmocka_unit_test(login_names),
		cmocka_unit_test(root_maps_what_there_is),
		cmocka_unit_test(maps_with_ranges),
		cmocka_unit_test(maps_alone),
		cmocka_unit_test(maps_that_overlap),
		cmocka_unit_test(inside_new),
		cmocka_unit_test(inside_that_of_a_process),
		cmocka_unit_test(not_granted),
		cmocka_unit_test(inside_alone),
	};

	return cmocka_run_group_tests_name("userns", tests, NULL, NULL);
}
