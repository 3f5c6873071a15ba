/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups by an image's own files, which may be anything. */
#include "box.h"

#include "base/path.h"

static int root;

static void etc(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), BOX_ROOT "/etc/%s", name);
	unlink(path);
	if (text)
		box_file(path, text, 0644);
}

#define PASSWD                                     \
	"root:x:0:0:root:/root:/bin/sh\n"          \
	"# a comment\n"                            \
	"broken\n"                                 \
	"app:x:1000:1000:App:/home/app:/bin/sh\n"  \
	"app:x:0:0:second line:/:/bin/sh\n"        \
	"over:x:4294967296:1:overflow:/:/bin/sh\n" \
	"minus:x:4294967295:1:no id:/:/bin/sh\n"   \
	"neg:x:-1:1::/:/bin/sh\n"                  \
	"nohome:x:7:7::relative:/bin/sh\n"         \
	"short:x:8:8"
#define GROUP                    \
	"root:x:0:\n"            \
	"staff:x:50:app,other\n" \
	"wheel:x:10:other,app\n" \
	"apple:x:11:apple\n"     \
	"app:x:1000:\n"          \
	"bad:x:4294967296:app\n"

static void resolved(void **state)
{
	static const struct {
		const char *spec;
		uint32_t uid, gid;
		size_t n;
		const char *home;
	} rows[] = {
		{"0", 0, 0, 0, "/root"},
		{"root", 0, 0, 0, "/root"},
		{"app", 1000, 1000, 2, "/home/app"},
		{"1000", 1000, 1000, 2, "/home/app"},
		{"app:50", 1000, 50, 0, "/home/app"},
		{"app:wheel", 1000, 10, 0, "/home/app"},
		{"4321", 4321, 0, 0, "/"},
		{"4321:staff", 4321, 50, 0, "/"},
		{"4294967294:4294967294", 4294967294u, 4294967294u, 0, "/"},
		{"nohome", 7, 7, 0, "/"},
		{"short", 8, 8, 0, "/"},
	};

	(void)state;
	etc("passwd", PASSWD);
	etc("group", GROUP);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct iso_user u = {.umask = 022, .has_umask = true};
		_cleanup_free_ char *home = NULL;
		struct err e = ERR_INIT;

		if (iso_user_resolve(root, rows[i].spec, &u, &home, &e) < 0)
			fail_msg("%s: %s", rows[i].spec, e.text);
		assert_int_equal(u.uid, rows[i].uid);
		assert_int_equal(u.gid, rows[i].gid);
		assert_int_equal(u.n_additional_gids, rows[i].n);
		assert_string_equal(home, rows[i].home);
		assert_true(u.has_umask && u.umask == 022);
		if (rows[i].n == 2) {
			assert_int_equal(u.additional_gids[0], 50);
			assert_int_equal(u.additional_gids[1], 10);
		}
		free(u.additional_gids);
	}
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"1:",
		"app:",
		":1",
		":root",
		"1:2:3",
		"nobody-here",
		"app:nogroup",
		"4294967295",
		"4294967296",
		"-1",
		"+1",
		"0x0",
		" 0",
		"0 ",
		"over",
		"minus",
		"neg",
		"1:4294967295",
		"1:bad",
		"99999999999999999999",
		"app\n",
		"../x",
		"broken",
	};

	(void)state;
	etc("passwd", PASSWD);
	etc("group", GROUP);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct iso_user u = {.uid = 77, .gid = 78};
		struct err e = ERR_INIT;
		char *home = NULL;

		if (iso_user_resolve(root, bad[i], &u, &home, &e) == 0)
			fail_msg("'%s' became %u:%u", bad[i], u.uid, u.gid);
		assert_int_equal(u.uid, 77);
		assert_int_equal(u.gid, 78);
		assert_null(home);
		assert_contains(e.text, "user '");
	}
}

/* What may stand in the place of /etc/passwd: names fail, ids work, nothing hangs. */
static void hostile_files(void **state)
{
	(void)state;
	for (int kind = 0; kind < 6; kind++) {
		_cleanup_close_ int fifo = -EBADF;
		struct iso_user u = {0};
		struct err e = ERR_INIT;

		etc("passwd", NULL);
		etc("group", NULL);
		if (kind == 1) {
			assert_int_equal(mkfifo(BOX_ROOT "/etc/passwd", 0644), 0);
			assert_int_equal(mkfifo(BOX_ROOT "/etc/group", 0644), 0);
		} else if (kind == 2) {
			assert_int_equal(symlink("/etc/shadow", BOX_ROOT "/etc/passwd"), 0);
		} else if (kind == 3) {
			int fd = open(BOX_ROOT "/etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

			assert_int_equal(ftruncate(fd, 1 << 30), 0);
			close(fd);
		} else if (kind == 4) {
			assert_int_equal(mknod(BOX_ROOT "/etc/passwd", S_IFCHR | 0644, 0x105), 0);
		} else if (kind == 5) {
			/* One that would answer. */
			assert_int_equal(mkfifo(BOX_ROOT "/etc/passwd", 0644), 0);
			fifo = open(BOX_ROOT "/etc/passwd", O_RDWR | O_CLOEXEC);
			assert_int_equal(write(fifo, PASSWD, strlen(PASSWD)), strlen(PASSWD));
		}
		assert_true(iso_user_resolve(root, "app", &u, NULL, &e) < 0);
		if (kind == 5)
			assert_contains(e.text, "not a regular file");
		err_clear(&e);
		if (iso_user_resolve(root, "12:13", &u, NULL, &e) < 0)
			fail_msg("kind %d: %s", kind, e.text);
		assert_int_equal(u.uid, 12);
		assert_int_equal(u.gid, 13);
		if (iso_user_resolve(root, "12", &u, NULL, &e) < 0)
			fail_msg("kind %d: %s", kind, e.text);
		assert_int_equal(u.gid, 0);
	}
	etc("passwd", NULL);
}

/* /etc itself a link out of the tree: it stays inside. */
static void etc_is_a_link_to_the_host(void **state)
{
	struct iso_user u = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdir("/mnt/other", 0755), 0);
	assert_int_equal(symlink("/../../../etc", "/mnt/other/etc"), 0);
	root = path_open_dir("/mnt/other", &e);
	assert_true(root >= 0);
	assert_true(iso_user_resolve(root, "root", &u, NULL, &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolved),
		cmocka_unit_test(refused),
		cmocka_unit_test(hostile_files),
		cmocka_unit_test(etc_is_a_link_to_the_host),
	};
	struct err e = ERR_INIT;

	box_prepare_tree();
	root = path_open_dir(BOX_ROOT, &e);
	return cmocka_run_group_tests_name("isolate/user", tests, NULL, NULL);
}
