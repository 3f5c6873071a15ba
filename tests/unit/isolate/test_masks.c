/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masked and read-only paths.
 */
#include "base/path.h"
#include "base/str.h"
#include "private_ns.h"

static char *masked[8], *readonly[8];

static void fixture_masks(struct fixture *f, const char *const *mask, const char *const *ro)
{
	memset(masked, 0, sizeof(masked));
	memset(readonly, 0, sizeof(readonly));
	for (size_t i = 0; mask && mask[i]; i++)
		masked[i] = (char *)mask[i];
	for (size_t i = 0; ro && ro[i]; i++)
		readonly[i] = (char *)ro[i];
	f->config.masked_paths = masked;
	f->config.readonly_paths = readonly;
}

static bool is_null(int dirfd, const char *path)
{
	struct stat st;

	return fstatat(dirfd, path, &st, 0) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(1, 3);
}

static void masks(void)
{
	static const char *const mask[] = {"/secret", "/dir",  "/dir2", "/missing/x",
					   "/file/x", "/link", NULL};
	struct err err_ = ERR_INIT;
	struct fixture f;
	struct stat host;

	CHECK(stat("/dev/null", &host) == 0);
	CHECK(mkdir("root", 0755) == 0 && mkdir("root/dir", 0755) == 0 &&
	      mkdir("root/dir2", 0755) == 0);
	write_file("root/secret", "secret");
	write_file("root/file", "plain");
	write_file("root/target", "secret");
	write_file("root/dir/inner", "secret");
	CHECK(symlink("/target", "root/link") == 0);
	fixture_root(&f);
	fixture_masks(&f, mask, NULL);
	CHECK_OK(inside_masks(&f.in, &err_));
	CHECK(file_is(f.in.root_fd, "secret", ""));
	CHECK(is_null(f.in.root_fd, "secret"));
	CHECK(is_null(f.in.root_fd, "target")); /* what the link leads to */
	CHECK(faccessat(f.in.root_fd, "dir/inner", F_OK, 0) < 0);
	CHECK(openat(f.in.root_fd, "dir/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 &&
	      errno == EROFS);
	CHECK(openat(f.in.root_fd, "dir2/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0);
	CHECK(file_is(f.in.root_fd, "file", "plain"));
	/* The mask is the host's device: nothing of it may be changed from inside. Asked for is what
	 * it already is, so that a broken mask harms no machine it is tested on. */
	CHECK(fchmodat(f.in.root_fd, "secret", host.st_mode & 07777, 0) < 0 && errno == EROFS);
	CHECK(fchownat(f.in.root_fd, "secret", host.st_uid, host.st_gid, 0) < 0 && errno == EROFS);
	/* one file system for all directories */
	{
		struct stat a, b;

		CHECK(fstatat(f.in.root_fd, "dir", &a, 0) == 0);
		CHECK(fstatat(f.in.root_fd, "dir2", &b, 0) == 0);
		CHECK(a.st_dev == b.st_dev && a.st_ino == b.st_ino);
	}
}

static void test_masks(void **state)
{
	(void)state;
	run_private(masks, 0);
}

/* CVE-2025-31133: whatever an image has as /dev/null is never what masks. */
static void hostile_null(void)
{
	static const char *const mask[] = {"/secret", NULL};
	struct err err_ = ERR_INIT;
	struct fixture f;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/dev", 0755) == 0);
	write_file("root/secret", "secret");
	CHECK(symlink("/proc/sys/kernel/core_pattern", "root/dev/null") == 0);
	fixture_root(&f);
	fixture_masks(&f, mask, NULL);
	CHECK_OK(inside_masks(&f.in, &err_));
	CHECK(is_null(f.in.root_fd, "secret"));
}

/* And if the host's own is not the device, nothing is masked by it, but refused. */
static void no_null(void)
{
	static const char *const mask[] = {"/secret", NULL};
	struct err e = ERR_INIT;
	struct fixture f;

	CHECK(mkdir("root", 0755) == 0);
	write_file("root/secret", "secret");
	write_file("fake", "");
	fixture_root(&f);
	CHECK(mount("fake", "/dev/null", NULL, MS_BIND, NULL) == 0);
	fixture_masks(&f, mask, NULL);
	CHECK(inside_masks(&f.in, &e) == -ENODEV);
	CHECK_TEXT(e.text, "masked path '/secret'");
	CHECK_TEXT(e.text, "1:3");
	CHECK(umount("/dev/null") == 0);
	CHECK(mount("/dev/zero", "/dev/null", NULL, MS_BIND, NULL) == 0);
	CHECK(inside_masks(&f.in, &e) == -ENODEV);
}

static void test_hostile_null(void **state)
{
	(void)state;
	run_private(hostile_null, 0);
	run_private(no_null, 0);
}

static void readonly_paths(void)
{
	static const char *const ro[] = {"/dir", "/file", "/missing", "/proc/sys", NULL};
	struct err err_ = ERR_INIT;
	struct fixture f;
	int fd;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/dir", 0755) == 0);
	CHECK(mkdir("root/dir/sub", 0755) == 0);
	CHECK(mount("sub", "root/dir/sub", "tmpfs", MS_NOSUID | MS_NOEXEC, NULL) == 0);
	write_file("root/file", "text");
	fixture_root(&f);
	add_mount(&f, "/proc", "proc", "proc", "nosuid noexec nodev");
	CHECK_OK(inside_mounts(&f.in, &err_));
	fixture_masks(&f, NULL, ro);
	CHECK_OK(inside_masks(&f.in, &err_));
	CHECK(mkdirat(f.in.root_fd, "dir/x", 0755) < 0 && errno == EROFS);
	CHECK(mkdirat(f.in.root_fd, "dir/sub/x", 0755) < 0 && errno == EROFS);
	CHECK((flags_at(f.in.root_fd, "dir/sub") & (ST_NOSUID | ST_NOEXEC)) ==
	      (ST_NOSUID | ST_NOEXEC));
	CHECK(file_is(f.in.root_fd, "file", "text"));
	CHECK(openat(f.in.root_fd, "file", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
	CHECK((flags_at(f.in.root_fd, "proc/sys") & (ST_RDONLY | ST_NOSUID | ST_NODEV)) ==
	      (ST_RDONLY | ST_NOSUID | ST_NODEV));
	CHECK(!(flags_at(f.in.root_fd, "proc") & ST_RDONLY));
	/* the host's directory is as it was */
	CHECK(umount2("root", MNT_DETACH) == 0);
	fd = open("root/dir/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
}

static void test_readonly_paths(void **state)
{
	(void)state;
	run_private(readonly_paths, 0);
}

/* A path that is both ends masked. */
static void both(void)
{
	static const char *const paths[] = {"/dir", NULL};
	struct err err_ = ERR_INIT;
	struct fixture f;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/dir", 0755) == 0);
	write_file("root/dir/file", "secret");
	fixture_root(&f);
	fixture_masks(&f, paths, paths);
	CHECK_OK(inside_masks(&f.in, &err_));
	CHECK(faccessat(f.in.root_fd, "dir/file", F_OK, 0) < 0);
}

static void test_masked_and_readonly(void **state)
{
	(void)state;
	run_private(both, 0);
}

static void in_userns(void)
{
	masks();
}

static void test_user_namespace(void **state)
{
	(void)state;
	run_private(in_userns, CLONE_NEWUSER | CLONE_NEWNS);
}

static void bad_path(void)
{
	static const char *const mask[] = {"relative", NULL};
	struct err e = ERR_INIT;
	struct fixture f;

	fixture_root(&f);
	fixture_masks(&f, mask, NULL);
	CHECK(inside_masks(&f.in, &e) == -EINVAL);
	CHECK_TEXT(e.text, "masked path 'relative'");
	fixture_masks(&f, NULL, mask);
	CHECK(inside_masks(&f.in, &e) == -EINVAL);
	CHECK_TEXT(e.text, "read-only path 'relative'");
}

static void test_bad_path(void **state)
{
	(void)state;
	run_private(bad_path, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masks),          cmocka_unit_test(test_hostile_null),
		cmocka_unit_test(test_readonly_paths), cmocka_unit_test(test_masked_and_readonly),
		cmocka_unit_test(test_user_namespace), cmocka_unit_test(test_bad_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
