/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests of our own VMM as people start them: insula run --vm --engine kvm, with a directory and with a whole system's
 * disk, which restarts once and finds on its disks what it wrote. The system is busybox and a script. Where KVM cannot run
 * Linux only the refusals are tested; the lab host (tests/lab/run) can.
 */
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hypervisor/vm.h"

static struct world *world;

#define insula(...) run_insula(world, ARGV(__VA_ARGS__))

/* First: what it finds, marks on both disks, a restart. Then: what is left of the marks. */
static const char init_script[] =
	"#!/bin/busybox sh\n"
	"b=/bin/busybox\n"
	"$b mount -t proc proc /proc 2>/dev/null\n"
	"if [ -e /mark ]; then\n"
	"	$b echo \"again: $($b cat /mark) $($b head -c 4 /dev/vdb)\"\n"
	"	$b poweroff -f\n"
	"fi\n"
	"$b echo \"first: $($b grep -c ^processor /proc/cpuinfo) $1 $($b cat /sys/block/vdc/ro)\"\n"
	"$b echo kept >/mark\n"
	"$b echo -n MARK | $b dd of=/dev/vdb conv=fsync 2>/dev/null\n"
	"$b echo -n MARK 2>/dev/null >/dev/vdc && $b echo 'wrote to the read-only disk'\n"
	"$b sync\n"
	"$b reboot -f\n"
	"$b sleep 1000\n";

static void need_kvm(void)
{
	_cleanup_free_ char *why = NULL;

	if (vm_missing()) {
		print_message("# skip: %s\n", vm_missing());
		skip();
	}
	if (vm_kvm_probe(-1, &why) != VM_KVM_WORKS) {
		print_message("# skip: %s\n", why ? why : "no KVM");
		free(why);
		why = NULL;
		skip();
	}
}

static void make_empty(char path[160], const char *name, off_t bytes)
{
	snprintf(path, 160, "%s/%s", world->dir, name);
	write_file(path, "", 0644);
	assert_int_equal(truncate(path, bytes), 0);
}

static void make_system(char path[160])
{
	static const char script[] =
		"mkdir -p \"$1/bin\" \"$1/sbin\" \"$1/dev\" \"$1/proc\" \"$1/sys\"\n"
		"cp /bin/busybox \"$1/bin/busybox\"\n"
		"cp \"$3\" \"$1/sbin/init\"\n"
		"chmod 755 \"$1/sbin/init\"\n"
		"mkfs.ext4 -q -F -E root_owner=0:0 -d \"$1\" \"$2\"\n";
	char tree[160], init[160];
	struct run_result r;

	make_empty(path, "system.img", 16 << 20);
	snprintf(tree, sizeof(tree), "%s/tree", world->dir);
	snprintf(init, sizeof(init), "%s/init", world->dir);
	write_file(init, init_script, 0755);
	r = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-ec", script, "sh", tree, path, init)});
	if (r.code != 0)
		fail_msg("%s", r.err);
	run_result_done(&r);
}

static char *checksum(const char *path)
{
	struct run_result r = run(
		&(struct run_spec){.argv = ARGV("/bin/sh", "-c", "sha256sum <\"$1\"", "sh", path)});
	char *text = strdup(r.out);

	run_result_done(&r);
	return text;
}

static void system_restarts_and_keeps_its_changes_apart(void **state)
{
	char disk[160], second[160], third[160], read_only[200];
	struct run_result r;

	(void)state;
	need_kvm();
	make_system(disk);
	make_empty(second, "second.raw", 1 << 20);
	make_empty(third, "third.raw", 1 << 20);
	snprintf(read_only, sizeof(read_only), "%s:ro", third);
	_cleanup_free_ char *before = checksum(disk), *after = NULL;
	r = insula("run", "--rm", "--vm", "--engine", "kvm", "--vcpus", "2", "--memory", "128m",
		   "--disk", second, "--disk", read_only, "--append", "word", disk);
	if (r.code != 0 || !strstr(r.out, "first: 2 word 1") || !strstr(r.out, "again: kept MARK"))
		fail_msg("code %d, output: %s\nerror: %s", r.code, r.out, r.err);
	assert_null(strstr(r.out, "wrote to the read-only disk"));
	run_result_done(&r);
	after = checksum(disk);
	assert_string_equal(before, after);
	_cleanup_free_ char *text = read_file(second);
	assert_true(text[0] == '\0');
}

static void directory_as_a_workload(void **state)
{
	(void)state;
	need_kvm();
	expect_result(insula("run", "--rm", "--vm", "--engine", "kvm", "--rootfs", world->rootfs,
			     "sh", "-c", "echo from the guest; exit 42"),
		      42, "from the guest\n", NULL);
}

static void refusals_name_the_engine(void **state)
{
	char disk[160];
	struct run_result r;

	(void)state;
	make_empty(disk, "blank.img", 1 << 20);
	expect_error(insula("run", "--vm", "--engine", "kvm", "--boot", "bios", disk), 125,
		     "engine kvm|firmware|--engine qemu");
	if (vm_missing())
		return;
	if (access("/usr/bin/qemu-img", X_OK) == 0) {
		char qcow2[160];

		snprintf(qcow2, sizeof(qcow2), "%s/blank.qcow2", world->dir);
		r = run(&(struct run_spec){.argv = ARGV("/usr/bin/qemu-img", "create", "-q", "-f",
							"qcow2", qcow2, "1M")});
		assert_int_equal(r.code, 0);
		run_result_done(&r);
		expect_error(insula("run", "--vm", "--engine", "kvm", "--boot", "kernel", qcow2),
			     125, "engine kvm|disk 1|qcow2|raw");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals_name_the_engine),
		cmocka_unit_test(directory_as_a_workload),
		cmocka_unit_test(system_restarts_and_keeps_its_changes_apart),
	};
	int failed;
	void *state;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	if (getenv("TEST_ONLY"))
		cmocka_set_test_filter(getenv("TEST_ONLY"));
	failed = cmocka_run_group_tests_name("our own VMM", tests, NULL, NULL);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
