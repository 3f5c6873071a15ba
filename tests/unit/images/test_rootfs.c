/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root file systems by reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/rootfs.h"

static char dir[] = "/tmp/insula-test-rootfs-XXXXXX";

static const char *below(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int open_rootfs(const char *directory, enum img_rootfs_form form, struct img_rootfs *ret,
		       struct err *e)
{
	return img_rootfs_open(&(struct img_source){.directory = directory}, form, ret, e);
}

static int set_up(void **state)
{
	int fd;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	fd = open(below("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	close(fd);
	return mkdir(below("tree"), 0755) < 0 || symlink("tree", below("link")) < 0 ||
	       symlink("/", below("slash")) < 0 || symlink("gone", below("dangling")) < 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"file", "link", "slash", "dangling"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(below(names[i]));
	rmdir(below("tree"));
	return rmdir(dir);
}

static void test_directory(void **state)
{
	struct img_rootfs r;
	struct err e = ERR_INIT;
	struct stat a, b;
	char want[128];

	(void)state;
	snprintf(want, sizeof(want), "%s", below("tree"));
	/* Through a symlink: the path is the real one. */
	if (open_rootfs(below("link"), IMG_FORM_DIRECTORY, &r, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(r.path, want);
	assert_false(r.host_root);
	assert_int_equal(fstat(r.fd, &a), 0);
	assert_int_equal(stat(want, &b), 0);
	assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	assert_true(fcntl(r.fd, F_GETFL) & O_PATH);
	assert_true(fcntl(r.fd, F_GETFD) & FD_CLOEXEC);
	img_rootfs_done(&r);
	assert_null(r.path);
	assert_true(r.fd < 0);
	img_rootfs_done(&r); /* twice is harmless */
}

/* The host's root under any name. */
static void test_host_root(void **state)
{
	static const char *const names[] = {"/", "//", "/tmp/..", "/proc/self/root"};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) + 1; i++) {
		const char *name = i < 4 ? names[i] : below("slash");
		struct img_rootfs r;

		if (open_rootfs(name, IMG_FORM_DIRECTORY, &r, &e) < 0)
			fail_msg("%s: %s", name, e.text);
		assert_true(r.host_root);
		img_rootfs_done(&r);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *name;
		int errnum;
		enum err_kind kind;
	} cases[] = {
		{"gone", ENOENT, ERR_NOT_FOUND},
		{"dangling", ENOENT, ERR_NOT_FOUND},
		{"file", ENOTDIR, ERR_INVALID},
		{"file/x", ENOTDIR, ERR_SYSTEM},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct img_rootfs r = {.fd = 77};
		struct err e = ERR_INIT;

		assert_int_equal(open_rootfs(below(cases[i].name), IMG_FORM_DIRECTORY, &r, &e),
				 -cases[i].errnum);
		assert_int_equal(e.kind, cases[i].kind);
		assert_non_null(strstr(e.text, below(cases[i].name)));
		assert_int_equal(r.fd, 77); /* left alone */
	}
}

static void test_empty_and_disk(void **state)
{
	struct img_rootfs r;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(open_rootfs("", IMG_FORM_DIRECTORY, &r, &e), -EINVAL);
	assert_int_equal(open_rootfs("/", IMG_FORM_DISK, &r, &e), -ENOTSUP);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_host_root),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_empty_and_disk),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
