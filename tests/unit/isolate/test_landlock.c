/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock, by what it does to a process behind it: in a tree made here, without any mount, so that nothing else refuses.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../isolate/landlock.h"

static char tree[] = "/tmp/insula-test-landlock-XXXXXX";

static const char *at(const char *name)
{
	static char paths[8][96];
	static unsigned next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", tree, name);
	return p;
}

static void put(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "text", 4), 4);
	close(fd);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(tree) || mkdir(at("seen"), 0755) < 0 || mkdir(at("own"), 0755) < 0 ||
	    mkdir(at("own/sub"), 0755) < 0 || mkdir(at("dark"), 0755) < 0)
		return -1;
	put("seen/file");
	put("own/file");
	put("dark/file");
	return 0;
}

static int tear_down(void **state)
{
	char line[128];

	(void)state;
	snprintf(line, sizeof(line), "rm -r %s", tree);
	return system(line);
}

/* Run `body` in a child behind the fence; its exit status. */
static int behind(const struct iso_landlock *l, int (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e = ERR_INIT;
		int fd;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    landlock_prepare(l, 3, &fd, &e) < 0 || landlock_enforce(fd, &e) < 0) {
			fprintf(stderr, "%s\n", e.text);
			_exit(99);
		}
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static struct iso_landlock usual(void)
{
	static struct iso_landlock_rule rules[4];
	static char own[4096];

	snprintf(own, sizeof(own), "%s", at("own"));
	rules[0] = (struct iso_landlock_rule){(char *)at("seen"), ISO_LANDLOCK_READ};
	rules[1] = (struct iso_landlock_rule){own, ISO_LANDLOCK_WRITE};
	rules[2] = (struct iso_landlock_rule){(char *)"/dev", ISO_LANDLOCK_DEVICE};
	rules[3] = (struct iso_landlock_rule){(char *)"/not/there", ISO_LANDLOCK_WRITE};
	return (struct iso_landlock){.present = true, .rules = rules, .n_rules = 4};
}

#define NEED(condition)                        \
	do {                                   \
		if (!(condition))              \
			return __LINE__ % 251; \
	} while (0)
#define REFUSED(call) NEED((call) < 0 && errno == EACCES)

static int reads(void)
{
	NEED(open(at("seen/file"), O_RDONLY) >= 0);
	NEED(open(at("seen"), O_RDONLY | O_DIRECTORY) >= 0);
	REFUSED(open(at("dark/file"), O_RDONLY));
	REFUSED(open(at("dark"), O_RDONLY | O_DIRECTORY));
	return 0;
}

static int writes(void)
{
	REFUSED(open(at("seen/file"), O_WRONLY));
	REFUSED(open(at("seen/new"), O_WRONLY | O_CREAT, 0644));
	REFUSED(mkdir(at("seen/dir"), 0755));
	REFUSED(unlink(at("seen/file")));
	REFUSED(rename(at("seen/file"), at("seen/other")));
	REFUSED(symlink("/", at("seen/link")));
	REFUSED(mkfifo(at("seen/fifo"), 0600));
	NEED(open(at("own/file"), O_WRONLY | O_TRUNC) >= 0);
	NEED(open(at("own/new"), O_WRONLY | O_CREAT, 0644) >= 0);
	NEED(truncate(at("own/new"), 10) == 0);
	NEED(mkdir(at("own/dir"), 0755) == 0 && rmdir(at("own/dir")) == 0);
	/* from one directory to another, as editors and package managers do */
	NEED(rename(at("own/new"), at("own/sub/new")) == 0);
	NEED(link(at("own/sub/new"), at("own/second")) == 0);
	NEED(unlink(at("own/second")) == 0 && unlink(at("own/sub/new")) == 0);
	/* what may only be read does not come into where it could be written */
	NEED(rename(at("seen/file"), at("own/stolen")) < 0 && (errno == EXDEV || errno == EACCES));
	NEED(link(at("seen/file"), at("own/linked")) < 0 && errno == EXDEV);
	return 0;
}

static int truncates(void)
{
	REFUSED(truncate(at("seen/file"), 0));
	return 0;
}

static int devices(void)
{
	REFUSED(mknod(at("own/null"), S_IFCHR | 0666, 0x103));
	REFUSED(mknod(at("own/block"), S_IFBLK | 0666, 0x103));
	return 0;
}

static int device_ioctls(void)
{
	int fd = open("/dev/zero", O_RDWR), n;

	NEED(fd >= 0);
	REFUSED(ioctl(fd, TIOCGPTN, &n));
	return 0;
}

/* Also where every right of root's is at hand, in a mount namespace of one's own. */
static int mounts(void)
{
	NEED(mount("none", at("own"), "tmpfs", 0, NULL) < 0 && errno == EPERM);
	NEED(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) < 0 && errno == EPERM);
	NEED(umount2("/proc", MNT_DETACH) < 0 && errno == EPERM);
	return 0;
}

static int own_streams(void)
{
	NEED(open("/proc/self/fd/0", O_RDONLY) >= 0);
	REFUSED(open("/proc/self/fd/0", O_RDWR));
	NEED(open("/proc/self/fd/1", O_WRONLY | O_TRUNC) >= 0);
	return 0;
}

static void need_abi(int abi)
{
	if (iso_landlock_abi() >= abi)
		return;
	print_message("[  SKIPPED ] Landlock ABI %d, not %d\n", iso_landlock_abi(), abi);
	skip();
}

static void expect_behind(int abi, const struct iso_landlock *l, int (*body)(void))
{
	int line;

	need_abi(abi);
	line = behind(l, body);
	if (line != 0)
		fail_msg("line %d (modulo 251)", line);
}

static void test_reads(void **state)
{
	struct iso_landlock l = usual();

	(void)state;
	expect_behind(2, &l, reads);
}

static void test_writes(void **state)
{
	struct iso_landlock l = usual();

	(void)state;
	expect_behind(2, &l, writes);
}

static void test_truncate(void **state)
{
	struct iso_landlock l = usual();

	(void)state;
	expect_behind(3, &l, truncates);
}

static void test_devices(void **state)
{
	struct iso_landlock l = usual();

	(void)state;
	expect_behind(2, &l, devices);
}

static void test_device_ioctls(void **state)
{
	struct iso_landlock l = usual();

	(void)state;
	l.rules[2].access = ISO_LANDLOCK_WRITE;
	expect_behind(5, &l, device_ioctls);
}

static void test_mounts(void **state)
{
	struct iso_landlock l = usual();

	(void)state;
	need_abi(2);
	/* Nothing of the machine's is at stake should it go through. */
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(98);
		_exit(behind(&l, mounts));
	}
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A file outside of every rule that was given as a standard stream can be opened anew, as far as it was open. */
static void test_streams(void **state)
{
	struct iso_landlock l = usual();
	int kept[2] = {dup(0), dup(1)}, in = open(at("dark/file"), O_RDONLY | O_CLOEXEC);
	int out = open(at("dark/out"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644), line = -1;
	struct iso_landlock_rule proc = {(char *)"/proc", ISO_LANDLOCK_READ};

	(void)state;
	l.rules[3] = proc;
	fflush(stdout);
	assert_true(in >= 0 && out >= 0);
	dup2(in, 0);
	dup2(out, 1);
	if (iso_landlock_abi() >= 2)
		line = behind(&l, own_streams);
	dup2(kept[0], 0);
	dup2(kept[1], 1);
	close(kept[0]);
	close(kept[1]);
	close(in);
	close(out);
	need_abi(2);
	assert_int_equal(line, 0);
}

static void test_absent(void **state)
{
	struct iso_landlock none = {0};
	int fd = 7;

	(void)state;
	assert_int_equal(landlock_prepare(NULL, 3, &fd, NULL), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(landlock_prepare(&none, 3, &fd, NULL), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(landlock_enforce(-1, NULL), 0);
}

static void test_description(void **state)
{
	static const struct {
		int abi;
		const char *text;
	} all[] = {
		{0, "not in this kernel, or switched off"},
		{2, "ABI 2; not enforced: truncate(2) (ABI 3), ioctl(2) on devices (ABI 5), "
		    "abstract sockets and signals (ABI 6)"},
		{5, "ABI 5; not enforced: abstract sockets and signals (ABI 6)"},
		{9, "ABI 9"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		char *text = NULL;

		assert_int_equal(iso_landlock_describe(all[i].abi, &text), 0);
		assert_string_equal(text, all[i].text);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),         cmocka_unit_test(test_writes),
		cmocka_unit_test(test_truncate),      cmocka_unit_test(test_devices),
		cmocka_unit_test(test_device_ioctls), cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_streams),       cmocka_unit_test(test_absent),
		cmocka_unit_test(test_description),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
