/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accessor of guest memory: what lies in a region is reached, what does not wholly is not, whatever
 * the sums do.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../hypervisor/kvm/guest_memory.h"

#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

static void test_small_is_one_region(void **state)
{
	struct guest_memory m;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(guest_memory_create(MIB(8), &m, &e), 0);
	assert_int_equal(m.n_regions, 1);
	assert_true(m.region[0].start == 0 && m.region[0].bytes == MIB(8));
	assert_ptr_equal(guest_range(&m, GPA(0), MIB(8)), m.region[0].host);
	assert_ptr_equal(guest_range(&m, GPA(MIB(8) - 1), 1), m.region[0].host + MIB(8) - 1);
	guest_memory_done(&m);
	assert_int_equal(m.fd, -1);
	guest_memory_done(&m); /* twice is harmless */
}

static void test_large_leaves_the_gap(void **state)
{
	struct guest_memory m;
	struct err e = ERR_INIT;
	char text[4] = "";

	(void)state;
	assert_int_equal(guest_memory_create(GIB(5), &m, &e), 0);
	assert_int_equal(m.n_regions, 2);
	assert_true(m.region[0].bytes == GIB(3));
	assert_true(m.region[1].start == GIB(4) && m.region[1].bytes == GIB(2));
	assert_true(m.region[1].file_offset == GIB(3));
	assert_null(guest_range(&m, GPA(GIB(3)), 1));
	assert_null(guest_range(&m, GPA(GIB(4) - 1), 1));
	assert_null(guest_range(&m, GPA(GIB(3) - 1), 2));
	assert_null(guest_range(&m, GPA(GIB(4) - 1), 2));
	assert_non_null(guest_range(&m, GPA(GIB(6) - 1), 1));
	assert_null(guest_range(&m, GPA(GIB(6)), 1));
	/* Both views are one file. */
	assert_int_equal(guest_write(&m, GPA(GIB(4)), "abc", 3), 0);
	assert_int_equal(pread(m.fd, text, 3, (off_t)GIB(3)), 3);
	assert_string_equal(text, "abc");
	guest_memory_done(&m);
}

static void test_size_is_sealed(void **state)
{
	struct guest_memory m;

	(void)state;
	assert_int_equal(guest_memory_create(MIB(1), &m, NULL), 0);
	assert_int_equal(ftruncate(m.fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(m.fd, MIB(2)), -1);
	assert_int_equal(errno, EPERM);
	assert_true(fcntl(m.fd, F_GETFD) & FD_CLOEXEC);
	guest_memory_done(&m);
}

static void test_bad_sizes(void **state)
{
	static const uint64_t sizes[] = {0, 1, 4095, 4097, UINT64_MAX, UINT64_MAX & ~4095ull};
	struct guest_memory m = {.fd = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(guest_memory_create(sizes[i], &m, &e), -EINVAL);
		assert_non_null(strstr(e.text, "guest memory"));
		assert_int_equal(m.fd, 77);
	}
}

static void test_hostile_ranges(void **state)
{
	uint8_t ram[8192] = {0}, copy[16];
	struct guest_memory m = {
		.fd = -1,
		.region = {{.start = 0x1000, .bytes = 4096, .host = ram},
			   /* Adjacent, yet a region of its own: a range never spans both. */
			   {.start = 0x2000, .bytes = 4096, .host = ram + 4096}},
		.n_regions = 2,
	};

	(void)state;
	assert_null(guest_range(&m, GPA(0x1000), 0));
	assert_null(guest_range(&m, GPA(0xfff), 1));
	assert_null(guest_range(&m, GPA(0x1fff), 2));
	assert_null(guest_range(&m, GPA(0x1000), UINT64_MAX));
	assert_null(guest_range(&m, GPA(0x1008), UINT64_MAX - 7));
	assert_null(guest_range(&m, GPA(UINT64_MAX), 1));
	assert_null(guest_range(&m, GPA(UINT64_MAX), UINT64_MAX));
	assert_ptr_equal(guest_range(&m, GPA(0x2fff), 1), ram + 8191);
	assert_int_equal(guest_read(&m, GPA(0x2ff8), copy, 8), 0);
	assert_int_equal(guest_read(&m, GPA(0x2ff8), copy, 9), -EFAULT);
	assert_int_equal(guest_write(&m, GPA(0x3000), copy, 1), -EFAULT);
	assert_int_equal(guest_write(&m, GPA(0x9999999), copy, 0), 0);
	guest_memory_done(&m); /* must not unmap what is ours */
	ram[0] = 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_is_one_region),
		cmocka_unit_test(test_large_leaves_the_gap),
		cmocka_unit_test(test_size_is_sealed),
		cmocka_unit_test(test_bad_sizes),
		cmocka_unit_test(test_hostile_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
