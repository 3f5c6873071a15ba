/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon: pages given back leave the memory file, nothing outside of the guest's memory is touched, statistics come
 * when they are asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "virtio_driver.h"

#include "../../../hypervisor/kvm/virtio_balloon.h"

enum { INFLATE, DEFLATE, STATS };

#define STATS_VQ (1ull << VIRTIO_BALLOON_F_STATS_VQ)
#define LIST     VD_DATA
#define PAGES    0x300000ull /* where the guest's pages lie */

static int setup(void **state)
{
	struct vd *v = calloc(1, sizeof(*v));
	struct virtio_device *d;

	*state = v;
	return !v || vd_prepare(v) < 0 || virtio_balloon_new(&d, &v->last) < 0 ||
	       vd_attach(v, d) < 0;
}

static int teardown(void **state)
{
	vd_done(*state);
	free(*state);
	return 0;
}

static uint64_t blocks(struct vd *v)
{
	struct stat st;

	assert_int_equal(fstat(v->memory.fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void list(struct vd *v, unsigned queue, const uint32_t *pfn, unsigned n)
{
	memcpy(vd_ptr(v, LIST), pfn, n * 4);
	vd_send(v, queue, &(struct vd_buf){LIST, n * 4, false}, 1);
}

static void test_inflate_and_deflate(void **state)
{
	struct vd *v = *state;
	const uint32_t pfn[] = {PAGES >> 12, (PAGES >> 12) + 1, (PAGES >> 12) + 2,
				(PAGES >> 12) + 9, (PAGES >> 12) + 7};
	uint8_t zero[4096] = {0};
	uint64_t before;

	assert_true(vd_start(v, 0));
	memset(vd_ptr(v, PAGES), 0x77, 16 * 4096);
	memset(vd_ptr(v, LIST), 0, 4096);
	before = blocks(v);
	list(v, INFLATE, pfn, 5);
	assert_true(vd_used(v, INFLATE, NULL) >= 0);
	assert_int_equal(before - blocks(v), 5 * 4096);
	for (unsigned i = 0; i < 5; i++)
		assert_memory_equal(vd_ptr(v, (uint64_t)pfn[i] << 12), zero, 4096);
	/* Its neighbours are untouched. */
	assert_int_equal(*(uint8_t *)vd_ptr(v, PAGES + 3 * 4096), 0x77);
	assert_int_equal(*(uint8_t *)vd_ptr(v, PAGES + 6 * 4096), 0x77);
	assert_int_equal(*(uint8_t *)vd_ptr(v, PAGES + 8 * 4096 + 4095), 0x77);
	list(v, DEFLATE, pfn, 5);
	assert_true(vd_used(v, DEFLATE, NULL) >= 0);
	*(uint8_t *)vd_ptr(v, PAGES) = 1; /* it is there again */
	assert_int_equal(v->reports, 0);
}

static void test_pages_outside_of_memory(void **state)
{
	static const uint32_t bad[][2] = {
		{VD_MEMORY_BYTES >> 12, 1},
		{UINT32_MAX, 1},
		{(VD_MEMORY_BYTES >> 12) - 1, 2}, /* a run that ends outside */
		{0xc0001, 1},
	};
	struct vd *v = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint32_t pfn[] = {bad[i][0], bad[i][0] + 1};

		v->reports = 0;
		assert_true(vd_start(v, 0));
		list(v, INFLATE, pfn, bad[i][1]);
		assert_true(vd_broken(v));
		assert_int_equal(v->reports, 1);
	}
}

static void test_impossible_lists(void **state)
{
	static const struct vd_buf bad[] = {
		{LIST, 3, false}, {LIST, 4097 * 4, false}, {LIST, 4, true}};
	struct vd *v = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(vd_start(v, 0));
		vd_send(v, DEFLATE, &bad[i], 1);
		assert_true(vd_broken(v));
	}
}

static void test_target_and_actual(void **state)
{
	struct vd *v = *state;
	uint32_t pages = 0, actual = 5, bad = 99;

	assert_true(vd_start(v, 0));
	virtio_balloon_set_target(v->d, 1 << 20);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	vd_config(v, 0, &pages, 4);
	assert_int_equal(pages, 256);
	v->bus.ops->write(v->bus.self, VIRTIO_MMIO_CONFIG + 4, &actual, 4);
	assert_int_equal(virtio_balloon_actual(v->d), 5 * 4096);
	/* The target is not the driver's to write. */
	v->bus.ops->write(v->bus.self, VIRTIO_MMIO_CONFIG, &bad, 4);
	v->bus.ops->write(v->bus.self, VIRTIO_MMIO_CONFIG + 2, &bad, 4);
	vd_config(v, 0, &pages, 4);
	assert_int_equal(pages, 256);
	virtio_balloon_set_target(v->d, UINT64_MAX);
	vd_config(v, 0, &pages, 4);
	assert_int_equal(pages, UINT32_MAX);
	/* A new driver starts with nothing given back; the target stays. */
	vd_write(v, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(virtio_balloon_actual(v->d), 0);
}

static void put_stat(struct vd *v, unsigned i, uint16_t tag, uint64_t val)
{
	uint8_t *at = (uint8_t *)vd_ptr(v, LIST) + 10 * i;

	memcpy(at, &tag, 2);
	memcpy(at + 2, &val, 8);
}

static void test_statistics(void **state)
{
	struct vd *v = *state;
	struct virtio_balloon_stats s;

	assert_true(vd_start(v, STATS_VQ));
	assert_false(virtio_balloon_ask(v->d));
	virtio_balloon_stats(v->d, &s);
	assert_int_equal(s.updates, 0);
	put_stat(v, 0, VIRTIO_BALLOON_S_MEMFREE, 1234);
	put_stat(v, 1, 999, 5); /* of a newer guest */
	put_stat(v, 2, VIRTIO_BALLOON_S_MEMTOT, 99999);
	vd_send(v, STATS, &(struct vd_buf){LIST, 30, false}, 1);
	virtio_balloon_stats(v->d, &s);
	assert_int_equal(s.known, 1u << VIRTIO_BALLOON_S_MEMFREE | 1u << VIRTIO_BALLOON_S_MEMTOT);
	assert_int_equal(s.value[VIRTIO_BALLOON_S_MEMFREE], 1234);
	assert_int_equal(s.value[VIRTIO_BALLOON_S_MEMTOT], 99999);
	/* The buffer is kept until new ones are wanted. */
	assert_int_equal(vd_used(v, STATS, NULL), -1);
	assert_true(virtio_balloon_ask(v->d));
	assert_int_equal(vd_used(v, STATS, NULL), 0);
	assert_int_equal(vd_interrupts(v), 1);
	assert_false(virtio_balloon_ask(v->d));
	vd_send(v, STATS, &(struct vd_buf){LIST, 10, false}, 1);
	virtio_balloon_stats(v->d, &s);
	assert_int_equal(s.updates, 2);
	assert_int_equal(s.known, 1u << VIRTIO_BALLOON_S_MEMFREE);
	/* Reset while it is held. */
	assert_true(vd_start(v, STATS_VQ));
	assert_false(virtio_balloon_ask(v->d));
	assert_int_equal(vd_used(v, STATS, NULL), -1);
}

static void test_statistics_nobody_asked_for(void **state)
{
	struct vd *v = *state;

	assert_true(vd_start(v, STATS_VQ));
	vd_send(v, STATS, &(struct vd_buf){LIST, 10, false}, 1);
	vd_send(v, STATS, &(struct vd_buf){LIST, 10, false}, 1);
	assert_true(vd_broken(v));
	assert_true(vd_start(v, STATS_VQ));
	vd_send(v, STATS, &(struct vd_buf){LIST, 641, false}, 1);
	assert_true(vd_broken(v));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_inflate_and_deflate), T(test_pages_outside_of_memory),
		T(test_impossible_lists),    T(test_target_and_actual),
		T(test_statistics),          T(test_statistics_nobody_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
