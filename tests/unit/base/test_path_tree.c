/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing trees: symlinks are not followed, mounts are not crossed, depth does not matter.
 */
#include "check.h"

#include <sched.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/path.h"

static struct scratch scratch;

static int make_scratch(void **state)
{
	(void)state;
	scratch_make(&scratch);
	return 0;
}

static int drop_scratch(void **state)
{
	(void)state;
	scratch_drop(&scratch);
	return 0;
}

static bool exists(const char *name)
{
	return faccessat(scratch.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void touch(const char *name)
{
	int fd = openat(scratch.fd, name, O_CREAT | O_WRONLY | O_EXCL, 0644);

	assert_true(fd >= 0);
	close(fd);
}

static void removes_whatever_is_there(void **state)
{
	struct err e = ERR_INIT;
	char name[64];

	(void)state;
	mkdirat(scratch.fd, "t", 0755);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "t/d%d", i);
		mkdirat(scratch.fd, name, 0755);
		for (int k = 0; k < 20; k++) {
			snprintf(name, sizeof(name), "t/d%d/f%d", i, k);
			touch(name);
			snprintf(name, sizeof(name), "t/d%d/s%d", i, k);
			mkdirat(scratch.fd, name, 0755);
		}
		snprintf(name, sizeof(name), "t/d%d/s0/x", i);
		mkfifoat(scratch.fd, name, 0644);
	}
	touch("t/\xff\xfe odd \n name");
	assert_ok(path_remove_tree_at(scratch.fd, "t", &e), &e);
	assert_false(exists("t"));
	touch("plain");
	assert_ok(path_remove_tree_at(scratch.fd, "plain", &e), &e);
	assert_false(exists("plain"));
}

static void missing_is_success(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(path_remove_tree_at(scratch.fd, "nothing", &e), 0);
	assert_int_equal(path_unlink_at(scratch.fd, "nothing", &e), 0);
}

static void only_plain_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "/", "a/b", "../x"};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(path_remove_tree_at(scratch.fd, bad[i], &e), -EINVAL);
}

static void links_are_removed_not_followed(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	mkdirat(scratch.fd, "keep", 0755);
	touch("keep/file");
	mkdirat(scratch.fd, "t", 0755);
	symlinkat("../keep", scratch.fd, "t/link");
	symlinkat("keep", scratch.fd, "toplink");
	assert_ok(path_remove_tree_at(scratch.fd, "t", &e), &e);
	assert_ok(path_remove_tree_at(scratch.fd, "toplink", &e), &e);
	assert_false(exists("toplink"));
	assert_true(exists("keep/file"));
}

/* 1500 levels: deeper than PATH_MAX, than the descriptor limit, than a careless recursion. */
static void depth_does_not_matter(void **state)
{
	int fd = dup(scratch.fd);
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 1500; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "dd", 0755), 0);
		next = openat(fd, "dd", O_RDONLY | O_DIRECTORY);
		assert_true(next >= 0);
		close(openat(fd, "file", O_CREAT | O_WRONLY, 0644));
		close(fd);
		fd = next;
	}
	close(fd);
	unlinkat(scratch.fd, "file", 0);
	assert_ok(path_remove_tree_at(scratch.fd, "dd", &e), &e);
	assert_false(exists("dd"));
}

/* In a private mount namespace, so that nothing is left mounted whatever happens. */
static int remove_with_mounts(void *arg)
{
	char a[128], b[128];
	struct err e = ERR_INIT;

	(void)arg;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	snprintf(a, sizeof(a), "%s/host", scratch.path);
	snprintf(b, sizeof(b), "%s/t/sub/bind", scratch.path);
	/* Opened anew: the test's own descriptor still looks at the namespace without our mounts. */
	scratch.fd = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A bind mount of the same file system: the device number says nothing. */
	if (mount(a, b, NULL, MS_BIND, NULL) < 0)
		return 2;
	if (path_remove_tree_at(scratch.fd, "t", &e) != -EBUSY)
		return 3;
	if (!strstr(e.text, "'bind'") || !strstr(e.text, "'t'") || !e.hint[0])
		return 4;
	if (!exists("host/precious"))
		return 5;
	/* the top itself */
	if (mount(a, (snprintf(b, sizeof(b), "%s/top", scratch.path), b), NULL, MS_BIND, NULL) < 0)
		return 6;
	if (path_remove_tree_at(scratch.fd, "top", &e) != -EBUSY || !exists("host/precious"))
		return 7;
	return 0;
}

/* Where the kernel's own refusal does not help: it only looks for mounts of the namespace we are in,
 * but a descriptor leads into the one it was opened in. */
static int remove_through_another_namespace(void *arg)
{
	char host[128], bind[128];
	struct err e = ERR_INIT;

	(void)arg;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	scratch.fd = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(host, sizeof(host), "%s/host", scratch.path);
	snprintf(bind, sizeof(bind), "%s/t/sub/bind", scratch.path);
	if (mount(host, bind, NULL, MS_BIND, NULL) < 0)
		return 2;
	/* The descriptor keeps the first namespace, and with it its mounts, alive. */
	if (open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    umount2(bind, 0) < 0)
		return 3;
	if (path_remove_tree_at(scratch.fd, "t", &e) != -EBUSY)
		return 4;
	return exists("host/precious") ? 0 : 5;
}

static void mounts_are_not_crossed(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	mkdirat(scratch.fd, "host", 0755);
	touch("host/precious");
	mkdirat(scratch.fd, "top", 0755);
	mkdirat(scratch.fd, "t", 0755);
	mkdirat(scratch.fd, "t/sub", 0755);
	mkdirat(scratch.fd, "t/sub/bind", 0755);
	touch("t/sub/zfile");
	touch("t/sub/bind/under");
	assert_int_equal(in_child(remove_with_mounts, NULL), 0);
	assert_int_equal(in_child(remove_through_another_namespace, NULL), 0);
	assert_true(exists("host/precious"));
	/* Where nothing is mounted any more, it goes. */
	assert_ok(path_remove_tree_at(scratch.fd, "t", &e), &e);
}

static int remove_as_nobody(void *arg)
{
	(void)arg;
	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 1;
	if (mkdirat(scratch.fd, "t", 0755) < 0 || mkdirat(scratch.fd, "t/a", 0755) < 0 ||
	    mkdirat(scratch.fd, "t/a/b", 0755) < 0 || mkdirat(scratch.fd, "t/n", 0755) < 0 ||
	    mkdirat(scratch.fd, "t/n/m", 0755) < 0)
		return 2;
	close(openat(scratch.fd, "t/a/b/f", O_CREAT | O_WRONLY, 0));
	if (fchmodat(scratch.fd, "t/a/b", 0500, 0) < 0 || fchmodat(scratch.fd, "t/a", 0, 0) < 0 ||
	    fchmodat(scratch.fd, "t/n", 0555, 0) < 0)
		return 3;
	return path_remove_tree_at(scratch.fd, "t", NULL) == 0 ? 0 : 4;
}

/* Image layers hold 0555 directories; without root's rights they must go all the same. */
static void own_locked_directories_go_too(void **state)
{
	(void)state;
	assert_int_equal(fchmod(scratch.fd, 0777), 0);
	assert_int_equal(in_child(remove_as_nobody, NULL), 0);
	assert_false(exists("t"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(removes_whatever_is_there, make_scratch,
						drop_scratch),
		cmocka_unit_test_setup_teardown(missing_is_success, make_scratch, drop_scratch),
		cmocka_unit_test_setup_teardown(only_plain_names, make_scratch, drop_scratch),
		cmocka_unit_test_setup_teardown(links_are_removed_not_followed, make_scratch,
						drop_scratch),
		cmocka_unit_test_setup_teardown(depth_does_not_matter, make_scratch, drop_scratch),
		cmocka_unit_test_setup_teardown(mounts_are_not_crossed, make_scratch, drop_scratch),
		cmocka_unit_test_setup_teardown(own_locked_directories_go_too, make_scratch,
						drop_scratch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
