/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtqueue against good drivers and bad ones, behind a real transport with the randomness device (which writes to
 * what it is given, and so shows what was let through), and bare where a chain's inside matters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "virtio_driver.h"

#include "../../../hypervisor/kvm/virtio_rng.h"

#define EVENT_IDX (1ull << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT  (1ull << VIRTIO_RING_F_INDIRECT_DESC)

static int setup(void **state)
{
	struct vd *v = calloc(1, sizeof(*v));
	struct virtio_device *d;

	*state = v;
	return !v || vd_prepare(v) < 0 || virtio_rng_new(&d, &v->last) < 0 || vd_attach(v, d) < 0;
}

static int teardown(void **state)
{
	vd_done(*state);
	free(*state);
	return 0;
}

/* A queue of its own over the same memory, for looking at chains. */
static void bare(struct vd *v, struct virtq *q, uint64_t features)
{
	assert_true(vd_start(v, features));
	virtq_init(q, &v->memory, VIRTQ_SIZE_MAX);
	q->size = v->q[0].size;
	q->desc = VD_QUEUE(0);
	q->avail = VD_QUEUE(0) + VD_AVAIL;
	q->used = VD_QUEUE(0) + VD_USED;
	assert_int_equal(virtq_activate(q, features, &v->last), 0);
}

static void test_request_is_served(void **state)
{
	struct vd *v = *state;
	const struct vd_buf b[] = {{VD_DATA, 100, true}, {VD_DATA + 0x1000, 60, true}};
	uint8_t zero[200] = {0};
	uint32_t len = 0;
	uint16_t head;

	assert_true(vd_start(v, 0));
	head = vd_send(v, 0, b, 2);
	assert_int_equal(vd_used(v, 0, &len), head);
	assert_int_equal(len, 160);
	assert_memory_not_equal(vd_ptr(v, VD_DATA), zero, 100);
	assert_memory_not_equal(vd_ptr(v, VD_DATA + 0x1000), zero, 60);
	/* Nothing beyond what was given. */
	assert_memory_equal((uint8_t *)vd_ptr(v, VD_DATA) + 100, zero, 100);
	assert_memory_equal((uint8_t *)vd_ptr(v, VD_DATA + 0x1000) + 60, zero, 100);
	assert_int_equal(vd_interrupts(v), 1);
	assert_int_equal(v->reports, 0);
}

static void test_many_requests_wrap_around(void **state)
{
	struct vd *v = *state;
	const struct vd_buf b = {VD_DATA, 16, true};

	assert_true(vd_start(v, EVENT_IDX));
	for (unsigned i = 0; i < 70000; i++) {
		uint16_t head = vd_chain(v, 0, &b, 1);

		/* The driver wants to hear of the next one; index 65535 is followed by 0. */
		vd_avail(v, 0)[2 + v->q[0].size] = v->q[0].seen_used;
		vd_publish(v, 0, head);
		vd_kick(v, 0);
		if (vd_used(v, 0, NULL) != head || vd_interrupts(v) != 1)
			fail_msg("request %u", i);
	}
}

static void test_interrupts_as_wanted(void **state)
{
	struct vd *v = *state;
	const struct vd_buf b = {VD_DATA, 16, true};

	assert_true(vd_start(v, 0));
	vd_avail(v, 0)[0] = VRING_AVAIL_F_NO_INTERRUPT;
	vd_send(v, 0, &b, 1);
	assert_true(vd_used(v, 0, NULL) >= 0);
	assert_int_equal(vd_interrupts(v), 0);

	assert_true(vd_start(v, EVENT_IDX));
	/* Only the third is of interest. */
	vd_avail(v, 0)[2 + v->q[0].size] = 2;
	vd_send(v, 0, &b, 1);
	vd_send(v, 0, &b, 1);
	assert_int_equal(vd_interrupts(v), 0);
	vd_send(v, 0, &b, 1);
	assert_int_equal(vd_interrupts(v), 1);
	/* The device names the entry for which it wants the next kick. */
	assert_int_equal(*(uint16_t *)vd_ptr(v, VD_QUEUE(0) + VD_USED + 4 + 8 * v->q[0].size), 3);
}

static void test_a_burst_interrupts_once(void **state)
{
	struct vd *v = *state;
	const struct vd_buf b = {VD_DATA, 16, true};

	assert_true(vd_start(v, 0));
	for (unsigned i = 0; i < 10; i++)
		vd_publish(v, 0, vd_chain(v, 0, &b, 1));
	vd_kick(v, 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(vd_used(v, 0, NULL), i);
	assert_int_equal(vd_interrupts(v), 1);
}

/* What a queue does when it meets a malicious driver: stops, tells, gives nothing back, touches nothing. */
static void refused(struct vd *v, const char *word)
{
	uint8_t zero[4096] = {0};

	vd_kick(v, 0);
	assert_true(vd_broken(v));
	assert_int_equal(v->reports, 1);
	assert_int_equal(v->fatal, 0);
	assert_non_null(strstr(v->last.text, word));
	assert_int_equal(vd_used(v, 0, NULL), -1);
	assert_memory_equal(vd_ptr(v, VD_DATA), zero, sizeof(zero));
	assert_true(vd_read(v, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	/* More of it changes nothing; a reset brings it back. */
	vd_kick(v, 0);
	assert_int_equal(v->reports, 1);
	assert_true(vd_start(v, 0));
	vd_send(v, 0, &(struct vd_buf){VD_DATA, 16, true}, 1);
	assert_int_equal(vd_used(v, 0, NULL), 0);
}

static void test_cycle(void **state)
{
	struct vd *v = *state;
	const struct vd_buf b[] = {{VD_DATA, 16, true}, {VD_DATA + 64, 16, true}};

	assert_true(vd_start(v, 0));
	vd_publish(v, 0, vd_chain(v, 0, b, 2));
	vd_desc(v, 0, 1)->flags |= VRING_DESC_F_NEXT;
	vd_desc(v, 0, 1)->next = 0;
	refused(v, "longer than the queue");
}

static void test_cycle_of_empty_buffers(void **state)
{
	struct vd *v = *state;

	assert_true(vd_start(v, 0));
	*vd_desc(v, 0, 0) = (struct vring_desc){.flags = VRING_DESC_F_NEXT};
	vd_publish(v, 0, 0);
	refused(v, "longer than the queue");
}

static void test_next_beyond_the_table(void **state)
{
	struct vd *v = *state;

	assert_true(vd_start(v, 0));
	vd_publish(v, 0, vd_chain(v, 0, &(struct vd_buf){VD_DATA, 16, true}, 1));
	vd_desc(v, 0, 0)->flags |= VRING_DESC_F_NEXT;
	vd_desc(v, 0, 0)->next = v->q[0].size;
	refused(v, "next descriptor");
}

static void test_head_beyond_the_table(void **state)
{
	struct vd *v = *state;

	assert_true(vd_start(v, 0));
	vd_publish(v, 0, v->q[0].size);
	refused(v, "head beyond");
}

static void test_index_jumps(void **state)
{
	struct vd *v = *state;

	assert_true(vd_start(v, 0));
	vd_avail(v, 0)[1] = (uint16_t)(v->q[0].size + 1);
	refused(v, "runs ahead");
}

static void test_index_goes_back(void **state)
{
	struct vd *v = *state;

	assert_true(vd_start(v, 0));
	vd_avail(v, 0)[1] = UINT16_MAX;
	refused(v, "runs ahead");
}

static void test_buffers_outside_of_memory(void **state)
{
	static const struct vd_buf bad[] = {
		{VD_MEMORY_BYTES, 16, true},
		{VD_MEMORY_BYTES - 8, 16, true},
		{VD_DATA, UINT32_MAX, true},
		{UINT64_MAX - 7, 16, true},
		{UINT64_MAX, 1, true},
		{0xc0001050, 4, true}, /* a device's own registers: memory only, never a bus */
	};
	struct vd *v = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		v->reports = 0;
		memset(vd_ptr(v, VD_DATA), 0, 4096);
		assert_true(vd_start(v, 0));
		vd_publish(v, 0, vd_chain(v, 0, &bad[i], 1));
		refused(v, "outside of memory");
	}
}

static void test_readable_after_writable(void **state)
{
	struct vd *v = *state;
	const struct vd_buf b[] = {{VD_DATA, 16, true}, {VD_DATA + 64, 16, false}};

	assert_true(vd_start(v, 0));
	vd_publish(v, 0, vd_chain(v, 0, b, 2));
	refused(v, "after a writable");
}

static void test_overlap_in_a_chain(void **state)
{
	struct vd *v = *state;
	const struct vd_buf b[] = {{VD_DATA, 16, false}, {VD_DATA + 15, 16, true}};

	assert_true(vd_start(v, 0));
	vd_publish(v, 0, vd_chain(v, 0, b, 2));
	refused(v, "overlap");
}

static void test_same_head_twice(void **state)
{
	struct vd *v = *state;
	struct virtq q;
	struct virtq_chain c;

	bare(v, &q, 0);
	vd_chain(v, 0, &(struct vd_buf){VD_DATA, 16, true}, 1);
	vd_publish(v, 0, 0);
	vd_publish(v, 0, 0);
	assert_int_equal(virtq_pop(&q, &c, &v->last), 1);
	assert_int_equal(virtq_pop(&q, &c, &v->last), -EPROTO);
	/* The first is still owned, and once given back it cannot be given back again. */
	virtq_push(&q, 0, 1);
	virtq_push(&q, 0, 1);
	assert_int_equal(q.next_used, 1);
}

static void test_changes_after_the_look_reach_nobody(void **state)
{
	struct vd *v = *state;
	struct virtq q;
	struct virtq_chain c;

	bare(v, &q, 0);
	vd_publish(v, 0, vd_chain(v, 0, &(struct vd_buf){VD_DATA, 16, true}, 1));
	assert_int_equal(virtq_pop(&q, &c, &v->last), 1);
	*vd_desc(v, 0, 0) = (struct vring_desc){.addr = UINT64_MAX, .len = UINT32_MAX, .flags = 0};
	assert_int_equal(c.n_in, 1);
	assert_int_equal(c.n_out, 0);
	assert_int_equal(c.in_bytes, 16);
	assert_ptr_equal(c.iov[0].iov_base, vd_ptr(v, VD_DATA));
	assert_int_equal(c.iov[0].iov_len, 16);
}

static void test_unpop_gives_the_same_again(void **state)
{
	struct vd *v = *state;
	struct virtq q;
	struct virtq_chain c;

	bare(v, &q, EVENT_IDX);
	vd_publish(v, 0, vd_chain(v, 0, &(struct vd_buf){VD_DATA, 16, true}, 1));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(virtq_pop(&q, &c, &v->last), 1);
		assert_int_equal(q.in_flight, 1);
		virtq_unpop(&q, c.head);
		assert_int_equal(q.in_flight, 0);
	}
	assert_true(virtq_listen(&q));
}

static void test_copies(void **state)
{
	struct vd *v = *state;
	const struct vd_buf b[] = {{VD_DATA, 3, false},
				   {VD_DATA + 100, 5, false},
				   {VD_DATA + 200, 2, true},
				   {VD_DATA + 300, 4, true}};
	struct virtq q;
	struct virtq_chain c;
	struct iovec part[4];
	char text[16] = {0};

	bare(v, &q, 0);
	memcpy(vd_ptr(v, VD_DATA), "abc", 3);
	memcpy(vd_ptr(v, VD_DATA + 100), "defgh", 5);
	vd_publish(v, 0, vd_chain(v, 0, b, 4));
	assert_int_equal(virtq_pop(&q, &c, &v->last), 1);
	assert_int_equal(virtq_copy_out(&c, 2, text, 4), 4);
	assert_string_equal(text, "cdef");
	assert_int_equal(virtq_copy_out(&c, 6, text, sizeof(text)), 2);
	assert_int_equal(virtq_copy_out(&c, 8, text, 1), 0);
	assert_int_equal(virtq_copy_in(&c, 1, "WXYZ!!!!", 8), 5);
	assert_memory_equal((char *)vd_ptr(v, VD_DATA + 201), "W", 2);
	assert_memory_equal((char *)vd_ptr(v, VD_DATA + 300), "XYZ!", 5);
	assert_int_equal(virtq_slice(c.iov, c.n_out, 1, 4, part, 4), 2);
	assert_int_equal(part[0].iov_len, 2);
	assert_int_equal(part[1].iov_len, 2);
	assert_int_equal(virtq_slice(c.iov, c.n_out, 1, 100, part, 1), 1);
}

/* ---- indirect tables -------------------------------------------------------------------------- */

#define TABLE (VD_DATA + 0x8000)

static void indirect(struct vd *v, uint64_t at, uint32_t len, uint16_t flags)
{
	*vd_desc(v, 0, 0) = (struct vring_desc){.addr = at, .len = len, .flags = flags, .next = 1};
	vd_publish(v, 0, 0);
}

static void table(struct vd *v, unsigned i, uint64_t at, uint32_t len, uint16_t flags,
		  uint16_t next)
{
	((struct vring_desc *)vd_ptr(v, TABLE))[i] =
		(struct vring_desc){.addr = at, .len = len, .flags = flags, .next = next};
}

static void test_indirect_table(void **state)
{
	struct vd *v = *state;
	uint32_t len = 0;

	assert_true(vd_start(v, INDIRECT));
	table(v, 0, VD_DATA, 10, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 2);
	table(v, 2, VD_DATA + 100, 20, VRING_DESC_F_WRITE, 0);
	indirect(v, TABLE, 3 * 16, VRING_DESC_F_INDIRECT);
	vd_kick(v, 0);
	assert_int_equal(vd_used(v, 0, &len), 0);
	assert_int_equal(len, 30);
}

static void test_bad_indirect_tables(void **state)
{
	static const struct {
		uint64_t features, at;
		uint32_t len;
		uint16_t flags;
		uint16_t inner_flags, inner_next;
		const char *word;
	} bad[] = {
		{0, TABLE, 16, VRING_DESC_F_INDIRECT, VRING_DESC_F_WRITE, 0, "not agreed"},
		{INDIRECT, TABLE, 0, VRING_DESC_F_INDIRECT, VRING_DESC_F_WRITE, 0,
		 "impossible length"},
		{INDIRECT, TABLE, 17, VRING_DESC_F_INDIRECT, VRING_DESC_F_WRITE, 0,
		 "impossible length"},
		{INDIRECT, TABLE, 16 * (VD_SIZE + 1), VRING_DESC_F_INDIRECT, VRING_DESC_F_WRITE, 0,
		 "impossible length"},
		{INDIRECT, TABLE, 0xfffffff0, VRING_DESC_F_INDIRECT, VRING_DESC_F_WRITE, 0,
		 "impossible length"},
		{INDIRECT, VD_MEMORY_BYTES - 16, 32, VRING_DESC_F_INDIRECT, VRING_DESC_F_WRITE, 0,
		 "outside of memory"},
		{INDIRECT, TABLE + 4, 16, VRING_DESC_F_INDIRECT, VRING_DESC_F_WRITE, 0,
		 "misaligned"},
		{INDIRECT, TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, VRING_DESC_F_WRITE,
		 0, "with a next"},
		{INDIRECT, TABLE, 16, VRING_DESC_F_INDIRECT, VRING_DESC_F_INDIRECT, 0,
		 "inside of another"},
		{INDIRECT, TABLE, 32, VRING_DESC_F_INDIRECT, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT,
		 2, "next descriptor"},
		{INDIRECT, TABLE, 32, VRING_DESC_F_INDIRECT, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT,
		 0, "longer than the queue"},
	};
	struct vd *v = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		v->reports = 0;
		memset(vd_ptr(v, VD_DATA), 0, 4096);
		memset(vd_ptr(v, TABLE), 0, 4096);
		assert_true(vd_start(v, bad[i].features));
		table(v, 0, VD_DATA, 16, bad[i].inner_flags, bad[i].inner_next);
		indirect(v, bad[i].at, bad[i].len, bad[i].flags);
		refused(v, bad[i].word);
	}
}

/* ---- where a queue may lie -------------------------------------------------------------------- */

static void test_places_of_a_queue(void **state)
{
	static const struct {
		uint32_t size;
		uint64_t desc, avail, used;
		const char *word; /* NULL: fine */
	} places[] = {
		{8, 0x10000, 0x11000, 0x12000, NULL},
		{1, 0x10000, 0x11000, 0x12000, NULL},
		{0, 0x10000, 0x11000, 0x12000, "power of two"},
		{3, 0x10000, 0x11000, 0x12000, "power of two"},
		{128, 0x10000, 0x11000, 0x12000, "power of two"}, /* more than the device's 64 */
		{65536 + 8, 0x10000, 0x11000, 0x12000, "power of two"},
		{8, 0x10008, 0x11000, 0x12000, "misaligned"},
		{8, 0x10000, 0x11001, 0x12000, "misaligned"},
		{8, 0x10000, 0x11000, 0x12002, "misaligned"},
		{8, VD_MEMORY_BYTES - 16, 0x11000, 0x12000, "outside"},
		{8, 0x10000, VD_MEMORY_BYTES - 4, 0x12000, "outside"},
		{8, 0x10000, 0x11000, VD_MEMORY_BYTES, "outside"},
		{8, 0x10000, 0x11000, UINT64_MAX - 3, "outside"},
		{8, 0x10000, 0x10010, 0x12000, "overlap"},
		{8, 0x10000, 0x11000, 0x11004, "overlap"},
		{8, 0x12000, 0x11000, 0x12000, "overlap"},
	};
	struct vd *v = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		v->reports = 0;
		assert_true(vd_negotiate(v, 1ull << VIRTIO_F_VERSION_1));
		vd_place_queue(v, 0, places[i].size, places[i].desc, places[i].avail,
			       places[i].used);
		vd_add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
		vd_turn(v);
		assert_int_equal(vd_broken(v), places[i].word != NULL);
		if (places[i].word && !strstr(v->last.text, places[i].word))
			fail_msg("place %zu: %s", i, v->last.text);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_request_is_served),
		T(test_many_requests_wrap_around),
		T(test_interrupts_as_wanted),
		T(test_a_burst_interrupts_once),
		T(test_cycle),
		T(test_cycle_of_empty_buffers),
		T(test_next_beyond_the_table),
		T(test_head_beyond_the_table),
		T(test_index_jumps),
		T(test_index_goes_back),
		T(test_buffers_outside_of_memory),
		T(test_readable_after_writable),
		T(test_overlap_in_a_chain),
		T(test_same_head_twice),
		T(test_changes_after_the_look_reach_nobody),
		T(test_unpop_gives_the_same_again),
		T(test_copies),
		T(test_indirect_table),
		T(test_bad_indirect_tables),
		T(test_places_of_a_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
