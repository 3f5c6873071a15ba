/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest finds at boot: zero page and PVH start_info as their protocols say, and ACPI tables that Intel's compiler
 * (iasl) can read and finds nothing wrong with.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "../../../hypervisor/kvm/acpi.h"
#include "../../../hypervisor/kvm/aml.h"
#include "../../../hypervisor/kvm/boot_data.h"
#include "../../../hypervisor/kvm/layout.h"

#define GIB(n) ((uint64_t)(n) << 30)

static struct guest_memory m;

static int setup(void **state)
{
	(void)state;
	return guest_memory_create(GIB(4), &m, NULL);
}

static int teardown(void **state)
{
	(void)state;
	guest_memory_done(&m);
	return 0;
}

static uint64_t get(uint64_t at, size_t bytes)
{
	uint64_t v = 0;

	assert_int_equal(guest_read(&m, GPA(at), &v, bytes), 0);
	return v;
}

static void assert_map_entry(uint64_t at, uint64_t start, uint64_t bytes, uint32_t type)
{
	assert_true(get(at, 8) == start && get(at + 8, 8) == bytes && get(at + 16, 4) == type);
}

static void test_zero_page(void **state)
{
	struct loaded_kernel k = {.entry = KERNEL_ENTRY_LINUX64, .cmdline_max = 2047};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot_data_write(&m, &k, "a=b quiet", 0xb0000000, 12345, &e), 0);
	assert_string_equal((char *)guest_range(&m, GPA(0x20000), 16), "a=b quiet");
	assert_true(get(0x7000 + 0x1fe, 2) == 0xaa55 && get(0x7000 + 0x202, 4) == 0x53726448);
	assert_int_equal(get(0x7000 + 0x210, 1), 0xff);
	assert_int_equal(get(0x7000 + 0x228, 4), 0x20000);
	assert_int_equal(get(0x7000 + 0x218, 4), 0xb0000000);
	assert_int_equal(get(0x7000 + 0x21c, 4), 12345);
	assert_int_equal(get(0x7000 + 0x070, 8), 0xe0000);
	assert_int_equal(get(0x7000 + 0x1e8, 1), 4);
	assert_map_entry(0x7000 + 0x2d0, 0, 0x9fc00, 1);
	assert_map_entry(0x7000 + 0x2d0 + 20, 0x9fc00, 0x60400, 2);
	assert_map_entry(0x7000 + 0x2d0 + 40, 0x100000, GIB(3) - 0x100000, 1);
	assert_map_entry(0x7000 + 0x2d0 + 60, GIB(4), GIB(1), 1);
	/* Page tables: the first GiB, 2 MiB at a time. */
	assert_true(get(0x9000, 8) == 0xa003 && get(0xa000, 8) == 0xb003);
	assert_true(get(0xb000, 8) == 0x83 && get(0xb000 + 511 * 8, 8) == 0x3fe00083);
	/* Code at 0x10 and data at 0x18. */
	assert_true(get(0x510, 8) == 0x00af9b000000ffff && get(0x518, 8) == 0x00cf93000000ffff);
}

static void test_zero_page_of_bzimage(void **state)
{
	struct loaded_kernel k = {
		.entry = KERNEL_ENTRY_LINUX64, .cmdline_max = 2047, .has_setup = true};
	struct err e = ERR_INIT;

	(void)state;
	memset(k.setup, 0x5a, sizeof(k.setup));
	assert_int_equal(boot_data_write(&m, &k, "", 0, 0, &e), 0);
	assert_int_equal(get(0x7000 + 0x236, 2), 0x5a5a); /* the kernel's own */
	assert_int_equal(get(0x7000 + 0x210, 1), 0xff);   /* ours */
	assert_int_equal(get(0x7000 + 0x21c, 4), 0);
	assert_int_equal(get(0x7000 + 0x2d0 + 16, 4), 1); /* the header does not reach the map */
}

static void test_pvh(void **state)
{
	struct loaded_kernel k = {.entry = KERNEL_ENTRY_PVH, .cmdline_max = 2047};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot_data_write(&m, &k, "x", 0x1000000, 99, &e), 0);
	assert_true(get(0x6000, 4) == 0x336ec578 && get(0x6004, 4) == 1);
	assert_int_equal(get(0x600c, 4), 1);
	assert_int_equal(get(0x6010, 8), 0x6040);
	assert_int_equal(get(0x6018, 8), 0x20000);
	assert_int_equal(get(0x6020, 8), 0xe0000);
	assert_int_equal(get(0x6028, 8), 0x7000);
	assert_int_equal(get(0x6030, 4), 4);
	assert_true(get(0x6040, 8) == 0x1000000 && get(0x6048, 8) == 99);
	assert_map_entry(0x7000, 0, 0x9fc00, 1);
	assert_map_entry(0x7000 + 3 * 24, GIB(4), GIB(1), 1);
	assert_int_equal(boot_data_write(&m, &k, "x", 0, 0, &e), 0);
	assert_true(get(0x600c, 4) == 0 && get(0x6010, 8) == 0);
}

static void test_long_cmdline(void **state)
{
	struct loaded_kernel k = {.entry = KERNEL_ENTRY_LINUX64, .cmdline_max = 10};
	struct err e = ERR_INIT;
	char text[4096];

	(void)state;
	assert_int_equal(boot_data_write(&m, &k, "0123456789", 0, 0, &e), 0);
	assert_int_equal(boot_data_write(&m, &k, "0123456789a", 0, 0, &e), -EINVAL);
	assert_non_null(strstr(e.text, "11 bytes, this kernel takes 10"));
	memset(text, 'x', sizeof(text));
	text[2048] = '\0';
	k.cmdline_max = UINT32_MAX;
	assert_int_equal(boot_data_write(&m, &k, text, 0, 0, &e), -EINVAL);
	text[2047] = '\0';
	assert_int_equal(boot_data_write(&m, &k, text, 0, 0, &e), 0);
}

/* ---- AML ---------------------------------------------------------------------------------------- */

static void test_aml_encodings(void **state)
{
	static const uint8_t want[] = {
		0x08, 'A',  'A',  'A', 'A', 0x00,                         /* Zero */
		0x08, 'B',  'B',  'B', 'B', 0x0b, 0x34, 0x12,             /* word */
		0x5b, 0x82, 0x0b, 'D', 'E', 'V',  '0',                    /* length 11 */
		0x08, 'C',  'C',  'C', 'C', 0x01,                         /* One */
		0x08, '_',  'H',  'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01, /* PNP0501 */
	};
	uint8_t buf[64];
	struct aml a;

	(void)state;
	aml_init(&a, buf, sizeof(buf));
	aml_name_integer(&a, "AAAA", 0);
	aml_name_integer(&a, "BBBB", 0x1234);
	aml_open_device(&a, "DEV0");
	aml_name_integer(&a, "CCCC", 1);
	aml_close(&a);
	aml_name_eisaid(&a, "_HID", "PNP0501");
	assert_int_equal(aml_finish(&a), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

/* The content of a package whose length takes 1, 2, 3 bytes begins where the length says it ends. */
static void test_aml_lengths(void **state)
{
	static const struct {
		size_t strings;
		uint8_t lead[3];
		size_t n;
	} rows[] = {{0, {0x05}, 1}, {1, {0x4b, 0x06}, 2}, {50, {0x80, 0x45, 0x01}, 3}};
	char text[90];
	static uint8_t buf[8192];

	(void)state;
	memset(text, 's', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < 3; i++) {
		size_t content = 4 + rows[i].strings * (5 + 1 + sizeof(text)), total, n;
		struct aml a;

		aml_init(&a, buf, sizeof(buf));
		aml_open_scope(&a, "_SB_");
		for (size_t s = 0; s < rows[i].strings; s++)
			aml_name_string(&a, "TEXT", text);
		aml_close(&a);
		n = buf[1] >> 6;
		assert_int_equal(n + 1, rows[i].n);
		total = n ? buf[1] & 0xf : buf[1] & 0x3f;
		for (size_t b = 0; b < n; b++)
			total |= (size_t)buf[2 + b] << (4 + 8 * b);
		assert_int_equal(total, content + n + 1);
		assert_int_equal(aml_finish(&a), 1 + n + 1 + content);
		assert_memory_equal(buf + 1 + n + 1, "_SB_", 4);
	}
}

static void test_aml_overflow(void **state)
{
	uint8_t buf[16];
	struct aml a;

	(void)state;
	aml_init(&a, buf, sizeof(buf));
	for (int i = 0; i < 10; i++)
		aml_name_integer(&a, "AAAA", 77);
	assert_int_equal(aml_finish(&a), -ENOSPC);
	aml_init(&a, buf, sizeof(buf));
	aml_open_scope(&a, "_SB_");
	assert_int_equal(aml_finish(&a), -ENOSPC); /* not closed */
	aml_init(&a, buf, sizeof(buf));
	aml_close(&a);
	assert_int_equal(aml_finish(&a), -ENOSPC);
}

/* ---- ACPI --------------------------------------------------------------------------------------- */

static uint8_t sum(uint64_t at, size_t n)
{
	uint8_t s = 0;

	while (n--)
		s = (uint8_t)(s + get(at++, 1));
	return s;
}

/* A table's address by its signature, from RSDP on; checks every checksum on the way. */
static uint64_t find_table(const char *signature)
{
	uint64_t xsdt, found = 0;

	assert_memory_equal(guest_range(&m, GPA(0xe0000), 8), "RSD PTR ", 8);
	assert_true(sum(0xe0000, 20) == 0 && sum(0xe0000, 36) == 0);
	xsdt = get(0xe0000 + 24, 8);
	assert_int_equal(sum(xsdt, get(xsdt + 4, 4)), 0);
	for (uint64_t at = xsdt + 36; at < xsdt + get(xsdt + 4, 4); at += 8) {
		uint64_t t = get(at, 8);

		assert_true(t >= 0xa0000 && t + get(t + 4, 4) <= 0xe0000);
		assert_int_equal(sum(t, get(t + 4, 4)), 0);
		if (memcmp(guest_range(&m, GPA(t), 4), signature, 4) == 0)
			found = t;
	}
	assert_true(found != 0);
	return found;
}

static const struct acpi_virtio devices[] = {
	{0xc0001000, 0x1000, 5},
	{0xc0002000, 0x1000, 6},
};

static void test_acpi_tables(void **state)
{
	struct acpi_config c = {.vcpus = 3, .virtio = devices, .n_virtio = 2};
	struct err e = ERR_INIT;
	uint64_t t;

	(void)state;
	assert_int_equal(acpi_write(&m, &c, &e), 0);
	t = find_table("FACP");
	assert_true(get(t + 112, 4) & 1u << 20);  /* hardware-reduced */
	assert_true(get(t + 112, 4) & 1u << 10);  /* reset register */
	assert_int_equal(get(t + 109, 2) & 2, 0); /* no i8042 */
	assert_true(get(t + 116, 1) == 1 && get(t + 120, 8) == 0x600 && get(t + 128, 1) == 1);
	assert_true(get(t + 244, 1) == 1 && get(t + 248, 8) == 0x601);
	assert_true(get(t + 256, 1) == 1 && get(t + 260, 8) == 0x602);
	t = get(t + 140, 8);
	assert_memory_equal(guest_range(&m, GPA(t), 4), "DSDT", 4);
	assert_int_equal(sum(t, get(t + 4, 4)), 0);
	t = find_table("APIC");
	assert_int_equal(get(t + 4, 4), 44 + 3 * 8 + 12);
	for (unsigned i = 0; i < 3; i++)
		assert_true(get(t + 44 + i * 8, 2) == 0x0800 && get(t + 47 + i * 8, 1) == i &&
			    get(t + 48 + i * 8, 4) == 1);
	assert_true(get(t + 44 + 24, 2) == 0x0c01 && get(t + 44 + 28, 4) == 0xfec00000);
	c.vcpus = 255;
	assert_int_equal(acpi_write(&m, &c, &e), -EINVAL);
	c.vcpus = 254; /* the most, with the most devices, still fit */

	struct acpi_virtio many[VIRTIO_DEVICES_MAX];

	for (unsigned i = 0; i < VIRTIO_DEVICES_MAX; i++)
		many[i] = devices[0];
	c.virtio = many;
	c.n_virtio = VIRTIO_DEVICES_MAX;
	assert_int_equal(acpi_write(&m, &c, &e), 0);
}

static void test_iasl(void **state)
{
	static char program[] = "/usr/bin/iasl";
	struct acpi_config c = {.vcpus = 2, .virtio = devices, .n_virtio = 2};
	_cleanup_close_ int tmp = path_open_dir("/tmp", NULL), dir = -EBADF;
	_cleanup_free_ char *dsl = NULL;
	char where[] = "/tmp/insula-acpi-XXXXXX", file[64];
	struct err e = ERR_INIT;
	uint64_t t;
	char *const back[] = {program, (char *)"-d", file, NULL};
	struct proc_spawn spawn = {.argv = back, .cgroup_fd = -1};

	(void)state;
	if (access(program, X_OK) < 0) {
		print_message("# skip: no iasl (package acpica-tools)\n");
		skip();
	}
	assert_int_equal(acpi_write(&m, &c, &e), 0);
	t = get(find_table("FACP") + 140, 8);
	assert_non_null(mkdtemp(where));
	dir = path_open_dir(where, NULL);
	assert_int_equal(path_create_file_at(dir, "dsdt.aml", guest_range(&m, GPA(t), 1),
					     get(t + 4, 4), 0600, &e),
			 0);
	snprintf(file, sizeof(file), "%s/dsdt.aml", where);

	int r = proc_run(&spawn, NULL, 0, 60000, "iasl", &e);
	int r2 = path_read_file_at(dir, "dsdt.dsl", 1 << 20, &dsl, NULL, NULL);

	path_remove_tree_at(tmp, strrchr(where, '/') + 1, NULL);
	if (r < 0 || r2 < 0)
		fail_msg("%s", e.text);
	assert_non_null(strstr(dsl, "Name (_HID, EisaId (\"PNP0501\")"));
	assert_non_null(strstr(dsl, "Name (_HID, \"LNRO0005\")"));
	assert_non_null(strstr(dsl, "0xC0002000,         // Address Base"));
	assert_non_null(strstr(dsl, "Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive"));
	assert_non_null(strstr(dsl, "Name (\\_S5, Package (0x04)"));
	assert_null(strstr(dsl, "Error"));
	assert_null(strstr(dsl, "Unknown"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_zero_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zero_page_of_bzimage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pvh, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_cmdline, setup, teardown),
		cmocka_unit_test(test_aml_encodings),
		cmocka_unit_test(test_aml_lengths),
		cmocka_unit_test(test_aml_overflow),
		cmocka_unit_test_setup_teardown(test_acpi_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iasl, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
