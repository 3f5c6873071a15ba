/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where configured mounts land: no image, no link and no race makes one land outside the root, and nothing of them
 * reaches the host.
 */
#include "mounts.h"

/* proc and sysfs go only onto real directories. */
static void symlinked_proc(void)
{
	struct err e = ERR_INIT;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/etc", 0755) == 0);
	CHECK(symlink("/etc", "root/proc") == 0);
	CHECK(symlink("etc", "root/sys") == 0);
	CHECK(symlink("/nowhere", "root/dangling") == 0);
	write_file("root/file", "");
	CHECK(one_mount("/proc", "proc", "proc", "", &e) < 0);
	CHECK(e.kind == ERR_INVALID);
	CHECK_TEXT(e.text, "mount 'proc' on '/proc'");
	CHECK_TEXT(e.text, "is not a directory");
	CHECK_TEXT(e.hint, "symlink");
	CHECK(one_mount("/sys", "sysfs", "sysfs", "", &e) < 0);
	CHECK(one_mount("/etc/../proc/./x", "proc", "proc", "", &e) < 0);
	CHECK(one_mount("/sys/sub", "proc", "proc", "", &e) < 0);
	CHECK(one_mount("/dangling", "proc", "proc", "", &e) < 0);
	CHECK(one_mount("/file", "proc", "proc", "", &e) < 0);
	CHECK(one_mount("/a/b", "proc", "proc", "", &e) == 0);
	CHECK(access("root/etc/sub", F_OK) < 0 && access("root/nowhere", F_OK) < 0);
}

static void test_symlinked_proc(void **state)
{
	(void)state;
	run_private(symlinked_proc, 0);
}

/* Whatever the destination says, it is inside. */
static void stays_inside(void)
{
	static const char *const destinations[] = {
		"/../../x",    "/abs/evil", "/up/evil",
		"/dangling/a", "/abs-file", "/../../../../../../../../tmp",
	};
	struct err err_ = ERR_INIT;
	struct fixture f;
	char *before, *after;

	CHECK(mkdir("outside", 0777) == 0);
	write_file("outside/file", "host");
	CHECK(mkdir("root", 0755) == 0);
	CHECK(symlink(in_scratch("outside"), "root/abs") == 0);
	CHECK(symlink("../../../../../../../../../../tmp", "root/up") == 0);
	CHECK(symlink(in_scratch("outside/file"), "root/abs-file") == 0);
	CHECK(mkdir("root/x", 0755) == 0);
	CHECK(symlink("x", "root/dangling") == 0);
	fixture_root(&f);
	/* the way the links point exists inside as well */
	CHECK(path_mkdirs_in_root(f.in.root_fd, in_scratch("outside"), 0755, NULL) >= 0);
	CHECK(path_mkdirs_in_root(f.in.root_fd, "/tmp", 0755, NULL) >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(destinations); i++) {
		f.config.n_mounts = 0;
		if (STREQ(destinations[i], "/abs-file"))
			add_mount(&f, destinations[i], NULL, "/etc/passwd", "bind ro");
		else
			add_mount(&f, destinations[i], "tmpfs", "inner", "mode=711");
		CHECK_OK(inside_mounts(&f.in, &err_));
	}
	CHECK(file_is(AT_FDCWD, "outside/file", "host"));
	CHECK(access("outside/evil", F_OK) < 0 && access("/x", F_OK) < 0);
	/* every mount made lies below the root */
	before = read_mountinfo();
	CHECK(strstr(before, " - tmpfs inner "));
	CHECK(umount2("root", MNT_DETACH) == 0);
	after = read_mountinfo();
	CHECK(!strstr(after, " - tmpfs inner "));
	CHECK(!strstr(after, "/etc/passwd"));
}

static void test_destinations_stay_inside(void **state)
{
	(void)state;
	run_private(stays_inside, 0);
}

/* Images ship /etc/resolv.conf as a link into /run, which is empty. */
static void dangling(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;

	write_file("resolv", "nameserver");
	CHECK(mkdir("root", 0755) == 0 && mkdir("root/etc", 0755) == 0);
	CHECK(symlink("../run/systemd/resolve/stub", "root/etc/resolv.conf") == 0);
	CHECK(symlink("/etc/hostname.real", "root/etc/hostname") == 0);
	fixture_root(&f);
	add_mount(&f, "/etc/resolv.conf", NULL, in_scratch("resolv"), "bind");
	add_mount(&f, "/etc/hostname", NULL, in_scratch("resolv"), "bind");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(file_is(f.in.root_fd, "run/systemd/resolve/stub", "nameserver"));
	CHECK(file_is(f.in.root_fd, "etc/hostname.real", "nameserver"));
}

static void test_dangling_link(void **state)
{
	(void)state;
	run_private(dangling, 0);
}

/* An attacker inside a shared volume exchanges a directory and a symlink to the outside, as fast as
 * it can, while mounts go below it. */
static void exchange_for_ever(const char *a, const char *b)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

static void race(void)
{
	char *info;
	pid_t pid;
	int ok = 0;

	CHECK(mkdir("outside", 0755) == 0 && mkdir("outside/x", 0755) == 0);
	CHECK(mkdir("root", 0755) == 0 && mkdir("root/a", 0755) == 0 &&
	      mkdir("root/a/x", 0755) == 0);
	CHECK(symlink(in_scratch("outside"), "root/b") == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		exchange_for_ever("root/a", "root/b");
	for (int i = 0; i < 400; i++) {
		struct err e = ERR_INIT;
		struct fixture f;
		int r;

		fixture_root(&f);
		add_mount(&f, "/a/x", "tmpfs", "inner", "");
		add_mount(&f, "/a/x", NULL, "/etc", "bind ro");
		add_mount(&f, "/a/proc", "proc", "inner", "");
		r = inside_mounts(&f.in, &e);
		ok += r == 0;
		CHECK(umount2("root", MNT_DETACH) == 0);
		info = read_mountinfo();
		CHECK(!strstr(info, " inner ") && !strstr(info, "outside"));
		free(info);
		close(f.in.root_fd);
		close(f.in.proc_fd);
	}
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(access("outside/proc", F_OK) < 0);
	CHECK(ok > 0); /* the race was about something */
}

static void test_exchange_race(void **state)
{
	(void)state;
	run_private(race, 0);
}

/* A volume that asks for it hands its mounts to the host and no other does. */
static void shared_volumes(void)
{
	int ready[2], go[2], status;
	char c = 0, *info;
	pid_t pid;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/v", 0755) == 0 && mkdir("root/w", 0755) == 0);
	CHECK(mkdir("v", 0755) == 0 && mkdir("v/sub", 0755) == 0);
	CHECK(mkdir("w", 0755) == 0 && mkdir("w/sub", 0755) == 0);
	CHECK(mount("root", "root", "tmpfs", 0, NULL) == 0);
	CHECK(mount("v", "v", "tmpfs", 0, NULL) == 0 && mkdir("v/sub", 0755) == 0);
	CHECK(mount("w", "w", "tmpfs", 0, NULL) == 0 && mkdir("w/sub", 0755) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) == 0);
	CHECK(pipe2(ready, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		struct err err_ = ERR_INIT;
		struct fixture f;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		CHECK(unshare(CLONE_NEWNS) == 0);
		fixture_init(&f, in_scratch("root"));
		f.config.rootfs.propagation = MS_SHARED | MS_REC;
		CHECK_OK(iso_rootfs_mount(&f.config.rootfs, &f.in.root_fd, NULL, &err_));
		add_mount(&f, "/v", "bind", in_scratch("v"), "rbind rshared");
		add_mount(&f, "/w", "bind", in_scratch("w"), "rbind");
		add_mount(&f, "/proc", "proc", "inner", "");
		CHECK_OK(inside_mounts(&f.in, &err_));
		CHECK_OK(inside_pivot(&f.in, &err_));
		CHECK(mount("public", "/v/sub", "tmpfs", 0, NULL) == 0);
		CHECK(mount("inner", "/w/sub", "tmpfs", 0, NULL) == 0);
		CHECK(write(ready[1], &c, 1) == 1);
		CHECK(read(go[0], &c, 1) == 1);
		_exit(0);
	}
	close(ready[1]);
	close(go[0]);
	CHECK(read(ready[0], &c, 1) == 1);
	info = read_mountinfo();
	CHECK(strstr(info, " - tmpfs public "));
	CHECK(!strstr(info, " inner "));
	CHECK(write(go[1], &c, 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void test_shared_volume(void **state)
{
	(void)state;
	run_private(shared_volumes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symlinked_proc),
		cmocka_unit_test(test_destinations_stay_inside),
		cmocka_unit_test(test_dangling_link),
		cmocka_unit_test(test_exchange_race),
		cmocka_unit_test(test_shared_volume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
