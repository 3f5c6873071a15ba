/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk images: formats by name, qcow2 headers that are refused, what decides how a disk boots, and the files that are written
 * here: overlays (judged by qemu-img where it is installed) and seeds.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "hypervisor/disk.h"
#include "hypervisor/seed.h"

static int memory_file(const void *data, size_t len, off_t size)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, 0), len);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static void formats_by_name(void **state)
{
	static const struct {
		const char *path, *stated;
		int r;
		enum vm_disk_format format;
	} rows[] = {
		{"a.img", NULL, 0, VM_DISK_RAW},     {"/x/a.raw", NULL, 0, VM_DISK_RAW},
		{"a.qcow2", NULL, 0, VM_DISK_QCOW2}, {"a.qcow2", "raw", 0, VM_DISK_RAW},
		{"/dev/sda", "raw", 0, VM_DISK_RAW}, {"/dev/sda", NULL, -EINVAL, 0},
		{"a.vmdk", NULL, -EINVAL, 0},        {".img", NULL, -EINVAL, 0},
		{"a.img", "vmdk", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum vm_disk_format f = VM_DISK_RAW;
		struct err e = ERR_INIT;

		assert_int_equal(vm_disk_format_of(rows[i].path, rows[i].stated, &f, &e),
				 rows[i].r);
		if (rows[i].r == 0)
			assert_int_equal(f, rows[i].format);
	}
}

/* An image as vm_disk_overlay_write() makes it, with one field changed. */
static int qcow2_with(size_t at, const void *value, size_t len)
{
	int fd = memory_file("", 0, 0);

	assert_int_equal(vm_disk_overlay_write(fd, 3ull << 30, NULL), 0);
	assert_int_equal(pwrite(fd, value, len, (off_t)at), len);
	return fd;
}

static void qcow2_headers(void **state)
{
	const struct {
		size_t at;
		uint64_t value; /* of 8 bytes, big-endian */
		const char *says;
	} rows[] = {
		{0, 0, "not a qcow2"},
		{8, 104, "backing"},
		{32, 1ull << 32, "encrypted"},
		{16, 1ull << 32 | 16, "backing"},
		{16, 40, "cluster size"},
		{24, 513, "whole sectors"},
		{24, 0, "empty"},
		{40, 1ull << 40, "cut off"},
		{72, 1, "not closed"},
		{72, 2, "corrupt"},
		{72, 4, "another file"},
		{72, 1ull << 40, "not known here"},
		{104, 0x4441544100000004ull, "another file"},
		{104, 0xe2792aca00000004ull, "another file"},
		{104, 0x12345678ffffffffull, "too long"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t v = htobe64(rows[i].value), bytes = 7;
		struct err e = ERR_INIT;
		_cleanup_close_ int fd = qcow2_with(rows[i].at, &v, sizeof(v));

		assert_true(vm_disk_check(fd, VM_DISK_QCOW2, &bytes, &e) < 0);
		if (!strstr(e.text, rows[i].says))
			fail_msg("row %zu: '%s' does not say '%s'", i, e.text, rows[i].says);
		assert_int_equal(bytes, 7);
	}
	_cleanup_close_ int fd = qcow2_with(72, "", 0);
	uint64_t bytes;

	assert_int_equal(vm_disk_check(fd, VM_DISK_QCOW2, &bytes, NULL), 0);
	assert_true(bytes == 3ull << 30);
}

static void booting(void **state)
{
	uint8_t head[4096] = {0};
	struct err e = ERR_INIT;
	enum vm_boot b;
	int fd;

	(void)state;
	fd = memory_file(head, sizeof(head), 1 << 20);
	assert_int_equal(vm_disk_boot_of(fd, VM_DISK_RAW, &b, &e), -EINVAL);
	assert_int_equal(vm_disk_boot_of(fd, VM_DISK_QCOW2, &b, NULL), 0);
	assert_int_equal(b, VM_BOOT_BIOS);
	close(fd);
	head[510] = 0x55;
	head[511] = 0xaa;
	memcpy(head + 512, "EFI PART", 8);
	fd = memory_file(head, sizeof(head), 1 << 20);
	assert_int_equal(vm_disk_boot_of(fd, VM_DISK_RAW, &b, NULL), 0);
	assert_int_equal(b, VM_BOOT_UEFI);
	close(fd);
	head[0] = 0xeb;
	fd = memory_file(head, sizeof(head), 1 << 20);
	assert_int_equal(vm_disk_boot_of(fd, VM_DISK_RAW, &b, NULL), 0);
	assert_int_equal(b, VM_BOOT_BIOS);
	close(fd);
	head[1080] = 0x53;
	head[1081] = 0xef;
	head[1028] = 64; /* blocks of 1 KiB */
	fd = memory_file(head, sizeof(head), 1 << 20);
	assert_int_equal(vm_disk_boot_of(fd, VM_DISK_RAW, &b, NULL), 0);
	assert_int_equal(b, VM_BOOT_KERNEL);
	assert_int_equal(ftruncate(fd, 32768), 0);
	assert_int_equal(vm_disk_boot_of(fd, VM_DISK_RAW, &b, &e), -EINVAL);
	close(fd);
}

static void overlays_are_whole(void **state)
{
	static const uint64_t sizes[] = {512, 10ull << 30, 5ull << 40};
	char command[128];

	(void)state;
	if (access("/usr/bin/qemu-img", X_OK) < 0) {
		print_message("[  SKIP    ] qemu-img is not installed\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_close_ int fd = memory_file("", 0, 0);

		assert_int_equal(vm_disk_overlay_write(fd, sizes[i], NULL), 0);
		snprintf(command, sizeof(command),
			 "qemu-img check -q -f qcow2 /proc/%d/fd/%d >/dev/null", (int)getpid(), fd);
		assert_int_equal(system(command), 0);
	}
}

static void seeds_are_read(void **state)
{
	static const char data[] = "#cloud-config\nhostname: x\n";
	_cleanup_close_ int fd = memory_file("", 0, 0);
	char command[160], out[256] = "";
	FILE *f;

	(void)state;
	assert_int_equal(vm_seed_write(fd, "web", data, strlen(data), NULL), 0);
	if (access("/usr/bin/bsdtar", X_OK) < 0) {
		print_message("[  SKIP    ] bsdtar is not installed\n");
		skip();
	}
	snprintf(command, sizeof(command), "bsdtar -xOf /proc/%d/fd/%d meta-data user-data 2>&1",
		 (int)getpid(), fd);
	f = popen(command, "r");
	assert_non_null(f);
	out[fread(out, 1, sizeof(out) - 1, f)] = '\0';
	pclose(f);
	assert_string_equal(out, "instance-id: web\nlocal-hostname: web\n"
				 "#cloud-config\nhostname: x\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_by_name), cmocka_unit_test(qcow2_headers),
		cmocka_unit_test(booting),         cmocka_unit_test(overlays_are_whole),
		cmocka_unit_test(seeds_are_read),
	};

	return cmocka_run_group_tests_name("disks", tests, NULL, NULL);
}
