/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full guest systems, insula run --vm DISK. Most tests boot, by BIOS, a system of 512 bytes that writes to its disk, says a
 * word on its serial port and powers off, which takes a second even under software emulation. One boots an unmodified
 * Debian to its login prompt on a real terminal; TEST_GUESTS=all adds the slower stories of it.
 */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static struct world *world;
static char disk[160], idle_disk[160];
static struct snapshot before;

#define DISK_BYTES (1u << 20)

static struct run_result insula_words(const char *const *words)
{
	return run_insula(world, words);
}
#define insula(...) insula_words(ARGV(__VA_ARGS__))

static struct run_result shell(const char *script, const char *argument)
{
	return run(&(struct run_spec){.argv = ARGV("/bin/sh", "-ec", script, "sh", argument),
				      .timeout_sec = 600});
}

/*
 * mov es:bx to itself and write one sector from there to the disk's second one (int 13h, ah = 3), send the text behind
 * the code to COM1, then SLP_EN for S5 to the PM1a control register, which q35's firmware puts at 0x604.
 */
static const unsigned char boot_code[] = {
	0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0xb8, 0x01, 0x03, 0xbb, 0x00, 0x7c, 0xb9, 0x02,
	0x00, 0xb6, 0x00, 0xcd, 0x13, 0xbe, 0x2a, 0x7c, 0xac, 0x84, 0xc0, 0x74, 0x06, 0xba,
	0xf8, 0x03, 0xee, 0xeb, 0xf5, 0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xeb, 0xfe,
};
#define OFFSET_OF_POWER_OFF 33

static void make_disk(char *path, const char *name, bool powers_off)
{
	static const char text[] = "hello from the disk\r\n";
	unsigned char sector[512] = {0};
	int fd;

	memcpy(sector, boot_code, sizeof(boot_code));
	memcpy(sector + sizeof(boot_code), text, sizeof(text));
	if (!powers_off)
		memcpy(sector + OFFSET_OF_POWER_OFF, "\xeb\xfe", 2);
	sector[510] = 0x55;
	sector[511] = 0xaa;
	snprintf(path, 160, "%s/%s", world->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
}

static bool second_sector_is_written(const char *path)
{
	unsigned char byte = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 512), 1);
	close(fd);
	return byte == boot_code[0];
}

static int take_snapshot(void **state)
{
	(void)state;
	before = snapshot_take(world);
	return 0;
}

static bool is_as_before(void *arg)
{
	struct snapshot after = snapshot_take(world);
	bool same = strcmp(before.text, after.text) == 0;

	(void)arg;
	free(after.text);
	return same;
}

/* Whatever a test left is removed; but a test that passed left nothing. A killed machine's last processes may take a moment
 * longer than the word that it has ended. */
static int nothing_left(void **state)
{
	bool same = eventually(is_as_before, NULL, 20);
	struct snapshot after = snapshot_take(world);
	struct run_result r = insula("rm", "-fa");

	(void)state;
	run_result_done(&r);
	if (!same)
		fprintf(stderr, "left behind; before:\n%s\nafter:\n%s\n", before.text, after.text);
	free(before.text);
	free(after.text);
	return same ? 0 : -1;
}

static void need_qemu(void)
{
	if (vm_missing()) {
		print_message("[  SKIP    ] %s\n", vm_missing());
		skip();
	}
}

/* ---- a small system ---------------------------------------------------------------------- */

static void powers_off(void **state)
{
	struct run_result r;

	(void)state;
	need_qemu();
	r = insula("run", "--rm", "--vm", disk);
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.out, "hello from the disk"));
	run_result_done(&r);
	assert_false(second_sector_is_written(disk));
}

static void persists_when_asked(void **state)
{
	char copy[160];
	struct run_result r;

	(void)state;
	need_qemu();
	make_disk(copy, "kept.raw", true);
	r = insula("run", "--rm", "--vm", "--persist", copy);
	assert_int_equal(r.code, 0);
	run_result_done(&r);
	assert_true(second_sector_is_written(copy));
}

static void boots_qcow2(void **state)
{
	char path[160];
	struct run_result r;
	struct stat st, st2;

	(void)state;
	need_qemu();
	if (access("/usr/bin/qemu-img", X_OK) < 0) {
		print_message("[  SKIP    ] qemu-img is not installed\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/disk.qcow2", world->dir);
	r = run(&(struct run_spec){.argv = ARGV("/usr/bin/qemu-img", "convert", "-f", "raw", "-O",
						"qcow2", disk, path)});
	assert_int_equal(r.code, 0);
	run_result_done(&r);
	assert_int_equal(stat(path, &st), 0);
	r = insula("run", "--rm", "--vm", path);
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.out, "hello from the disk"));
	run_result_done(&r);
	assert_int_equal(stat(path, &st2), 0);
	assert_true(st.st_mtim.tv_sec == st2.st_mtim.tv_sec &&
		    st.st_mtim.tv_nsec == st2.st_mtim.tv_nsec);
}

static void further_disks_and_seed(void **state)
{
	char other[160], data[160];
	struct run_result r;

	(void)state;
	need_qemu();
	make_disk(other, "other.raw", true);
	snprintf(data, sizeof(data), "%s/user-data", world->dir);
	write_file(data, "#cloud-config\n", 0644);
	r = insula("run", "--rm", "--vm", "--disk", idle_disk, "--disk", other, "--cloud-init",
		   data, disk);
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.out, "hello from the disk"));
	run_result_done(&r);
}

static bool log_has_hello(void *arg)
{
	struct run_result r = insula("logs", arg);
	bool has = strstr(r.out, "hello from the disk") != NULL;

	run_result_done(&r);
	return has;
}

static void is_a_sandbox(void **state)
{
	struct run_result r;

	(void)state;
	need_qemu();
	expect_result(insula("run", "-d", "--vm", "--name", "sys", idle_disk), 0, "sys\n", NULL);
	assert_true(eventually(log_has_hello, (void *)"sys", 60));
	r = insula("ps", "--no-trunc");
	assert_non_null(strstr(r.out, idle_disk));
	assert_non_null(strstr(r.out, "vm"));
	run_result_done(&r);
	expect_error(insula("exec", "sys", "true"), 125, "exec|guest system");
	expect_error(insula("kill", "-s", "USR1", "sys"), 125, "signal|power button");
	/* Whose changes go to the disk itself wants it for itself. */
	expect_error(insula("run", "--vm", "--persist", idle_disk), 125,
		     "idle.img|another sandbox");
	/* It has no driver for a power button. */
	expect_result(insula("stop", "-t", "1", "sys"), 0, "sys\n", NULL);
	expect_result(insula("rm", "sys"), 0, "sys\n", NULL);
	assert_false(second_sector_is_written(idle_disk));
}

static void killed_from_the_terminal_or_left(void **state)
{
	char buf[4096];
	struct run_result r;
	int fd;
	pid_t pid;

	(void)state;
	need_qemu();
	pid = start(insula_argv(world, ARGV("run", "--rm", "--vm", "--name", "left", idle_disk)),
		    true, &fd);
	assert_true(read_until(fd, "hello from the disk", buf, sizeof(buf), 60));
	assert_int_equal(write(fd, "\x10\x11", 2), 2);
	assert_true(read_until(fd, "insula attach left", buf, sizeof(buf), 60));
	assert_int_equal(finish(pid, 60), 0);
	close(fd);
	expect_result(insula("kill", "left"), 0, "left\n", NULL);
	r = insula("wait", "left");
	run_result_done(&r);
}

/* ---- refusals ---------------------------------------------------------------------------- */

static void refusals(void **state)
{
	char path[160];
	struct run_result r;

	(void)state;
	expect_error(insula("run", "--vm", "./nothing.img"), 125, "nothing.img|No such file");
	expect_error(insula("run", "--vm", "/etc/passwd"), 125, "/etc/passwd|format");
	expect_error(insula("run", "--vm", "--format", "vmdk", disk), 125, "vmdk|raw or qcow2");
	expect_error(insula("run", "--vm", "--format", "qcow2", disk), 125, "not a qcow2");
	expect_error(insula("run", "--vm", "--network", "host", disk), 125, "--network");
	expect_error(insula("run", "--vm", "-v", "/tmp:/x", disk), 125, "--volume|guest system");
	expect_error(insula("run", "--vm", disk, "ls"), 125, "ls|its own system");
	expect_error(insula("run", "--vm", "--boot", "lilo", disk), 125,
		     "lilo|kernel, bios or uefi");
	expect_error(insula("run", "--vm", "--append", "x", disk), 125, "--append|boot loader");
	expect_error(insula("run", "--vm", "--kernel", "/nope", disk), 125, "/nope");
	expect_error(insula("run", "--persist", "--rootfs", "/", "true"), 125, "--persist");
	snprintf(path, sizeof(path), "%s/odd.img", world->dir);
	write_file(path, "not a disk", 0644);
	expect_error(insula("run", "--vm", path), 125, "odd.img|not a disk");
	assert_int_equal(truncate(path, DISK_BYTES), 0);
	expect_error(insula("run", "--vm", path), 125, "odd.img");
	snprintf(path, sizeof(path), "%s/pipe.img", world->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_error(insula("run", "--vm", path), 125, "pipe.img|not a file");
	if (access("/usr/bin/qemu-img", X_OK) < 0)
		return;
	snprintf(path, sizeof(path), "%s/backed.qcow2", world->dir);
	r = run(&(struct run_spec){.argv = ARGV("/usr/bin/qemu-img", "create", "-q", "-f", "qcow2",
						"-b", "/etc/passwd", "-F", "raw", path, "1M")});
	assert_int_equal(r.code, 0);
	run_result_done(&r);
	expect_error(insula("run", "--vm", path), 125, "backed.qcow2|backing file");
	assert_int_equal(truncate(path, 100), 0);
	expect_error(insula("run", "--vm", path), 125, "backed.qcow2|too short");
}

/* ---- Debian ------------------------------------------------------------------------------ */

static void type(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void log_in(int fd, char *buf, size_t size)
{
	assert_true(read_until(fd, "login: ", buf, size, 300));
	type(fd, "root\r");
	assert_true(read_until(fd, "~# ", buf, size, 120));
}

static char *checksum(const char *path)
{
	struct run_result r = shell("sha256sum <\"$1\"", path);
	char *text = strdup(r.out);

	run_result_done(&r);
	return text;
}

static void debian(void **state)
{
	bool all = getenv("TEST_GUESTS") && strcmp(getenv("TEST_GUESTS"), "all") == 0;
	_cleanup_free_ char *sum = NULL, *sum_after = NULL, *image = NULL;
	static char buf[1 << 18];
	struct run_result r;
	pid_t pid;
	int fd;

	(void)state;
	need_qemu();
	r = run(&(struct run_spec){.argv = ARGV("tests/guest-image.sh"), .timeout_sec = 600});
	if (r.code != 0) {
		print_message("[  SKIP    ] no Debian: %s\n", r.err);
		run_result_done(&r);
		skip();
	}
	image = strndup(r.out, strcspn(r.out, "\n"));
	run_result_done(&r);
	sum = checksum(image);
	pid = start(insula_argv(world, ARGV("run", "--rm", "--vm", "--name", "deb", image)), true,
		    &fd);
	log_in(fd, buf, sizeof(buf));
	type(fd, "echo mark-$((40+2)) | tee /root/mark; sync\r");
	assert_true(read_until(fd, "mark-42", buf, sizeof(buf), 60));
	if (all) {
		type(fd, "reboot\r");
		log_in(fd, buf, sizeof(buf));
		type(fd, "cat /root/mark\r");
		assert_true(read_until(fd, "mark-42", buf, sizeof(buf), 60));
	}
	type(fd, "poweroff\r");
	(void)read_until(fd, "the end of the stream", buf, sizeof(buf), 180);
	assert_int_equal(finish(pid, 60), 0);
	close(fd);
	sum_after = checksum(image);
	assert_string_equal(sum, sum_after);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, take_snapshot, nothing_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refusals),
		TEST(powers_off),
		TEST(persists_when_asked),
		TEST(boots_qcow2),
		TEST(further_disks_and_seed),
		TEST(is_a_sandbox),
		TEST(killed_from_the_terminal_or_left),
		TEST(debian),
	};
	int failed;
	void *state;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	make_disk(disk, "disk.img", true);
	make_disk(idle_disk, "idle.img", false);
	if (getenv("TEST_ONLY"))
		cmocka_set_test_filter(getenv("TEST_ONLY"));
	failed = cmocka_run_group_tests_name("guest systems", tests, NULL, NULL);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
