/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices and symlinks in /dev, on a tmpfs and on what an image ships.
 */
#include "base/path.h"
#include "base/str.h"
#include "private_ns.h"

static bool is_device(int dirfd, const char *path, mode_t type, unsigned maj, unsigned min)
{
	struct stat st;

	return fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (st.st_mode & S_IFMT) == type && st.st_rdev == makedev(maj, min);
}

static bool links_to(int dirfd, const char *path, const char *target)
{
	char text[128] = "";

	return readlinkat(dirfd, path, text, sizeof(text) - 1) > 0 && STREQ(text, target);
}

static void check_defaults(int dev_fd)
{
	static const struct {
		const char *name;
		unsigned maj, min;
	} want[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
		    {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		CHECK(is_device(dev_fd, want[i].name, S_IFCHR, want[i].maj, want[i].min));
		CHECK(fstatat(dev_fd, want[i].name, &st, 0) == 0 && (st.st_mode & 07777) == 0666);
	}
	CHECK(links_to(dev_fd, "fd", "/proc/self/fd"));
	CHECK(links_to(dev_fd, "stdin", "/proc/self/fd/0"));
	CHECK(links_to(dev_fd, "stdout", "/proc/self/fd/1"));
	CHECK(links_to(dev_fd, "stderr", "/proc/self/fd/2"));
	CHECK(links_to(dev_fd, "ptmx", "pts/ptmx"));
}

static int open_dev(const struct fixture *f)
{
	int fd = openat(f->in.root_fd, "dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static void defaults(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;

	umask(077);
	fixture_root(&f);
	add_mount(&f, "/dev", "tmpfs", "tmpfs", "nosuid mode=755");
	add_mount(&f, "/proc", "proc", "proc", "");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK_OK(inside_devices(&f.in, &err_));
	check_defaults(open_dev(&f));
	CHECK(faccessat(AT_FDCWD, "/proc/kcore", F_OK, 0) < 0 ||
	      links_to(f.in.root_fd, "dev/core", "/proc/kcore"));
	CHECK(openat(f.in.root_fd, "dev/null", O_WRONLY | O_CLOEXEC) >= 0);
}

static void test_defaults(void **state)
{
	(void)state;
	run_private(defaults, 0);
}

/* Without a mount on /dev, in the image's own directory; twice, as with a rootfs used again. */
static void image_dev(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/dev", 0755) == 0);
	CHECK(mknod("root/dev/ptmx", S_IFCHR | 0666, makedev(5, 2)) == 0);
	fixture_root(&f);
	CHECK_OK(inside_devices(&f.in, &err_));
	CHECK_OK(inside_devices(&f.in, &err_));
	check_defaults(open_dev(&f));
}

static void test_image_dev(void **state)
{
	(void)state;
	run_private(image_dev, 0);
}

/* CVE-2026-41579: it leads to the container's own /tmp, wherever it seems to point. */
static void symlinked_dev(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;
	char target[128];

	CHECK(mkdir("root", 0755) == 0 && mkdir("host", 0755) == 0);
	snprintf(target, sizeof(target), "%s/host", scratch);
	CHECK(symlink(target, "root/dev") == 0);
	fixture_root(&f);
	CHECK(path_mkdirs_in_root(f.in.root_fd, target, 0755, NULL) >= 0);
	CHECK_OK(inside_devices(&f.in, &err_));
	CHECK(rmdir("host") == 0); /* still empty */
	CHECK(is_device(f.in.root_fd, target + 1, S_IFDIR, 0, 0));
	check_defaults(openat(f.in.root_fd, target + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void symlinked_dev_up(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/tmp", 01777) == 0);
	CHECK(symlink("../../../../../../tmp", "root/dev") == 0);
	fixture_root(&f);
	CHECK_OK(inside_devices(&f.in, &err_));
	CHECK(access("/tmp/null", F_OK) < 0 && access("/tmp/stdin", F_OK) < 0);
	check_defaults(openat(f.in.root_fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void test_symlinked_dev(void **state)
{
	(void)state;
	run_private(symlinked_dev, 0);
	run_private(symlinked_dev_up, 0);
}

static void expect_refused(bool userns)
{
	struct err e = ERR_INIT;
	struct fixture f;

	fixture_root(&f);
	f.in.userns = userns;
	CHECK(inside_devices(&f.in, &e) == -EEXIST);
	CHECK(e.kind == ERR_INVALID);
	CHECK_TEXT(e.text, "device '/dev/null'");
	CHECK_TEXT(e.hint, "tmpfs on /dev");
	CHECK(umount2("root", MNT_DETACH) == 0);
}

/* Something else where the device belongs is not taken for it. */
static void hostile_null(void)
{
	write_file("victim", "host");
	CHECK(mkdir("root", 0755) == 0 && mkdir("root/dev", 0755) == 0);
	CHECK(symlink("../../victim", "root/dev/null") == 0);
	expect_refused(false);
	expect_refused(true);
	CHECK(unlink("root/dev/null") == 0);
	write_file("root/dev/null", "regular");
	expect_refused(false);
	CHECK(unlink("root/dev/null") == 0);
	CHECK(mknod("root/dev/null", S_IFCHR | 0666, makedev(1, 11)) == 0);
	expect_refused(false);
	expect_refused(true);
	CHECK(unlink("root/dev/null") == 0 && mkdir("root/dev/null", 0755) == 0);
	expect_refused(false);
	expect_refused(true);
	CHECK(file_is(AT_FDCWD, "victim", "host"));
}

static void test_hostile_null(void **state)
{
	(void)state;
	run_private(hostile_null, 0);
}

static void configured(void)
{
	struct iso_device devices[] = {
		{.path = (char *)"/dev/net/tun",
		 .type = 'c',
		 .major = 10,
		 .minor = 200,
		 .mode = 0640,
		 .has_mode = true,
		 .uid = 5,
		 .gid = 6},
		{.path = (char *)"/dev/blk",
		 .type = 'b',
		 .major = 7,
		 .minor = 0,
		 .mode = 0,
		 .has_mode = true},
		{.path = (char *)"/some/fifo", .type = 'p', .mode = 0622, .has_mode = true},
		{.path = (char *)"/dev/null",
		 .type = 'u',
		 .major = 1,
		 .minor = 3,
		 .mode = 0600,
		 .has_mode = true},
	};
	struct err err_ = ERR_INIT;
	struct err e = ERR_INIT;
	struct fixture f;
	struct stat st;

	umask(077);
	fixture_root(&f);
	f.config.devices = devices;
	f.config.n_devices = ARRAY_SIZE(devices);
	CHECK_OK(inside_devices(&f.in, &err_));
	CHECK(is_device(f.in.root_fd, "dev/net/tun", S_IFCHR, 10, 200));
	CHECK(fstatat(f.in.root_fd, "dev/net/tun", &st, 0) == 0);
	CHECK((st.st_mode & 07777) == 0640 && st.st_uid == 5 && st.st_gid == 6);
	CHECK(is_device(f.in.root_fd, "dev/blk", S_IFBLK, 7, 0));
	CHECK(fstatat(f.in.root_fd, "dev/blk", &st, 0) == 0 && (st.st_mode & 07777) == 0);
	CHECK(fstatat(f.in.root_fd, "some/fifo", &st, 0) == 0 && S_ISFIFO(st.st_mode));
	CHECK((st.st_mode & 07777) == 0622);
	/* the configuration's word on a default device counts */
	CHECK(fstatat(f.in.root_fd, "dev/null", &st, 0) == 0 && (st.st_mode & 07777) == 0600);
	/* again: all are there. Another number is another device */
	CHECK_OK(inside_devices(&f.in, &err_));
	devices[1].minor = 1;
	CHECK(inside_devices(&f.in, &e) == -EEXIST);
	CHECK_TEXT(e.text, "device '/dev/blk'");
	devices[1].path = (char *)"/..";
	CHECK(inside_devices(&f.in, &e) == -EINVAL);
}

static void test_configured(void **state)
{
	(void)state;
	run_private(configured, 0);
}

static void userns(void)
{
	struct iso_device wrong = {
		.path = (char *)"/dev/kmsg", .type = 'c', .major = 1, .minor = 99};
	struct err err_ = ERR_INIT;
	struct err e = ERR_INIT;
	struct fixture f;

	fixture_root(&f);
	f.in.userns = true;
	add_mount(&f, "/dev", "tmpfs", "tmpfs", "mode=755");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK_OK(inside_devices(&f.in, &err_));
	CHECK_OK(inside_devices(&f.in, &err_));
	check_defaults(open_dev(&f));
	CHECK(openat(f.in.root_fd, "dev/null", O_RDWR | O_CLOEXEC) >= 0);
	f.config.devices = &wrong;
	f.config.n_devices = 1;
	CHECK(inside_devices(&f.in, &e) == -ENODEV);
	CHECK_TEXT(e.text, "another device");
}

static void test_user_namespace(void **state)
{
	(void)state;
	run_private(userns, CLONE_NEWUSER | CLONE_NEWNS);
}

/* A read-only root without a /dev: says what to do. With all in place already it is enough. */
static void readonly_root(void)
{
	struct err err_ = ERR_INIT;
	struct err e = ERR_INIT;
	struct fixture f;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/dev", 0755) == 0);
	CHECK(mount("r", "root", "tmpfs", 0, NULL) == 0 && mkdir("root/dev", 0755) == 0);
	CHECK(mount(NULL, "root", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	fixture_root(&f);
	CHECK(inside_devices(&f.in, &e) == -EROFS);
	CHECK_TEXT(e.hint, "mount a tmpfs on /dev");
	CHECK(umount2("root", MNT_DETACH) == 0);
	CHECK(mount(NULL, "root", NULL, MS_REMOUNT, NULL) == 0);
	fixture_root(&f);
	CHECK_OK(inside_devices(&f.in, &err_));
	CHECK(umount2("root", MNT_DETACH) == 0);
	CHECK(mount(NULL, "root", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	fixture_root(&f);
	CHECK_OK(inside_devices(&f.in, &err_));
}

static void test_readonly_root(void **state)
{
	(void)state;
	run_private(readonly_root, 0);
}

/* A bound /dev is somebody else's: nothing is made in it. */
static void bound_dev(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;
	char source[128];

	CHECK(mkdir("hostdev", 0755) == 0);
	snprintf(source, sizeof(source), "%s/hostdev", scratch);
	fixture_root(&f);
	add_mount(&f, "/dev", "bind", source, "rbind");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK_OK(inside_devices(&f.in, &err_));
	CHECK(rmdir("hostdev") == 0); /* it is empty */
}

static void test_bound_dev(void **state)
{
	(void)state;
	run_private(bound_dev, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),      cmocka_unit_test(test_image_dev),
		cmocka_unit_test(test_symlinked_dev), cmocka_unit_test(test_hostile_null),
		cmocka_unit_test(test_configured),    cmocka_unit_test(test_user_namespace),
		cmocka_unit_test(test_readonly_root), cmocka_unit_test(test_bound_dev),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
