/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio registers as the specification describes them (4.2.2), and drivers that do things out of
 * order: what comes at the wrong time is dropped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "virtio_driver.h"

#include "../../../hypervisor/kvm/virtio_rng.h"

#define V1         (1ull << VIRTIO_F_VERSION_1)
#define ACK_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)

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

static void test_identity(void **state)
{
	struct vd *v = *state;

	assert_int_equal(vd_read(v, 0x000), 0x74726976);
	assert_int_equal(vd_read(v, 0x004), 2);
	assert_int_equal(vd_read(v, 0x008), 4); /* entropy source */
	assert_true(vd_offered(v) & V1);
	vd_write(v, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	/* No shared memory regions. */
	assert_int_equal(vd_read(v, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
	vd_write(v, VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	vd_write(v, VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_QUEUE_READY), 0);
}

static void test_odd_accesses(void **state)
{
	struct vd *v = *state;
	uint64_t all = UINT64_MAX;
	uint16_t half = 0xffff;

	v->bus.ops->read(v->bus.self, 0, &all, 8);
	assert_int_equal(all, 0);
	v->bus.ops->read(v->bus.self, 2, &half, 2);
	assert_int_equal(half, 0);
	half = 1;
	v->bus.ops->write(v->bus.self, VIRTIO_MMIO_STATUS, &half, 2);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_STATUS), 0);
	/* This device has no configuration. */
	assert_int_equal(vd_read(v, 0x100), 0);
	assert_int_equal(vd_read(v, 0xffc), 0);
	vd_write(v, 0x100, 1);
	vd_write(v, 0xffc, 1);
}

static void test_status_grows_in_order(void **state)
{
	static const struct {
		uint32_t have, write, want;
	} steps[] = {
		{0, 1, 1},         {0, 2, 0},
		{0, 3, 0},         {0, 4, 0},
		{0, 8, 0},         {0, 15, 0},
		{1, 3, 3},         {1, 2, 1},
		{1, 5, 1},         {1, 9, 1},
		{3, 11, 11},       {3, 7, 3},
		{3, 1, 3},         {3, 15, 3},
		{11, 15, 15},      {11, 3, 11},
		{11, 7, 11},       {15, 11, 15},
		{15, 15, 15},      {15, 15 | 64, 15}, /* NEEDS_RESET is the device's */
		{15, 15 | 16, 15}, {3, 3 | 128, 3 | 128},
		{15, 0, 0},        {3, 0, 0},
	};
	struct vd *v = *state;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		static const uint32_t order[] = {1, 3, 11, 15};

		vd_write(v, VIRTIO_MMIO_STATUS, 0);
		for (unsigned k = 0; k < 4 && order[k] <= steps[i].have; k++) {
			if (order[k] == 3) {
				vd_write(v, VIRTIO_MMIO_STATUS, 3);
				vd_accept(v, V1);
			}
			vd_write(v, VIRTIO_MMIO_STATUS, order[k]);
		}
		assert_int_equal(vd_read(v, VIRTIO_MMIO_STATUS), steps[i].have);
		vd_write(v, VIRTIO_MMIO_STATUS, steps[i].write);
		if (vd_read(v, VIRTIO_MMIO_STATUS) != steps[i].want)
			fail_msg("step %zu: status %u", i, vd_read(v, VIRTIO_MMIO_STATUS));
	}
}

static void test_only_offered_features(void **state)
{
	struct vd *v = *state;

	assert_false(vd_negotiate(v, V1 | 1));
	assert_int_equal(v->reports, 1);
	assert_false(vd_negotiate(v, V1 | 1ull << 63));
	assert_false(vd_negotiate(v, 0)); /* without VERSION_1 */
	assert_true(vd_negotiate(v, V1));
	assert_true(vd_negotiate(v, vd_offered(v)));
}

static void test_features_only_while_they_are_negotiated(void **state)
{
	struct vd *v = *state;

	/* Too early: forgotten. */
	vd_write(v, VIRTIO_MMIO_STATUS, 0);
	vd_accept(v, V1);
	vd_write(v, VIRTIO_MMIO_STATUS, 1);
	vd_accept(v, V1);
	vd_write(v, VIRTIO_MMIO_STATUS, 3);
	vd_write(v, VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_STATUS), 3);
	/* Too late: what was agreed stays. */
	assert_true(vd_start(v, 0));
	vd_accept(v, vd_offered(v));
	assert_int_equal(v->d->features, V1);
	/* Another half than the two. */
	assert_true(vd_negotiate(v, V1));
	vd_write(v, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	vd_write(v, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	vd_add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(v->d->features, V1);
}

static void test_queues_only_between_features_and_driver_ok(void **state)
{
	struct vd *v = *state;

	vd_write(v, VIRTIO_MMIO_STATUS, 0);
	vd_place_queue(v, 0, 8, 0x10000, 0x11000, 0x12000);
	vd_write(v, VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_QUEUE_READY), 0);

	/* Frozen while ready, and for good at DRIVER_OK. */
	assert_true(vd_negotiate(v, V1));
	vd_queue_setup(v, 0);
	vd_write(v, VIRTIO_MMIO_QUEUE_NUM, 2);
	vd_write(v, VIRTIO_MMIO_QUEUE_DESC_HIGH, 7);
	assert_int_equal(v->d->queue[0].size, VD_SIZE);
	assert_int_equal(v->d->queue[0].desc, VD_QUEUE(0));
	vd_add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
	vd_write(v, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_QUEUE_READY), 1);
	vd_write(v, VIRTIO_MMIO_QUEUE_NUM, 2);
	vd_write(v, VIRTIO_MMIO_QUEUE_USED_LOW, 0);
	assert_int_equal(v->d->queue[0].size, VD_SIZE);
	assert_int_equal(v->d->queue[0].used, VD_QUEUE(0) + VD_USED);
	vd_send(v, 0, &(struct vd_buf){VD_DATA, 16, true}, 1);
	assert_int_equal(vd_used(v, 0, NULL), 0);
	assert_int_equal(v->reports, 0);
}

static void test_kicks_of_what_is_not_there(void **state)
{
	struct vd *v = *state;

	vd_kick(v, 0); /* no driver at all */
	vd_kick(v, 1);
	vd_kick(v, UINT32_MAX);
	/* Activated without its queue. */
	assert_true(vd_negotiate(v, V1));
	vd_add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
	vd_kick(v, 0);
	assert_false(vd_broken(v));
	assert_int_equal(vd_interrupts(v), 0);
}

static void test_reset_forgets_everything(void **state)
{
	struct vd *v = *state;

	assert_true(vd_start(v, 0));
	vd_send(v, 0, &(struct vd_buf){VD_DATA, 16, true}, 1);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	vd_write(v, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(v->d->queue[0].desc, 0);
	vd_publish(v, 0, 0);
	vd_kick(v, 0);
	v->q[0].seen_used = 1;
	assert_int_equal(vd_used(v, 0, NULL), -1);
}

static void test_what_waits_before_driver_ok_is_served(void **state)
{
	struct vd *v = *state;

	assert_true(vd_negotiate(v, V1));
	vd_queue_setup(v, 0);
	vd_publish(v, 0, vd_chain(v, 0, &(struct vd_buf){VD_DATA, 16, true}, 1));
	vd_kick(v, 0);
	assert_int_equal(vd_used(v, 0, NULL), -1);
	vd_add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
	vd_turn(v);
	assert_int_equal(vd_used(v, 0, NULL), 0);
}

static void test_interrupt_status_is_acknowledged_bit_by_bit(void **state)
{
	struct vd *v = *state;

	assert_true(vd_start(v, 0));
	vd_send(v, 0, &(struct vd_buf){VD_DATA, 16, true}, 1);
	vd_publish(v, 0, 9999); /* breaks it: a configuration interrupt on top */
	vd_kick(v, 0);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	vd_write(v, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	vd_write(v, VIRTIO_MMIO_INTERRUPT_ACK, 0xfffffffe);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void test_generation_grows_with_the_configuration(void **state)
{
	struct vd *v = *state;
	uint32_t before;

	assert_true(vd_start(v, 0));
	before = vd_read(v, VIRTIO_MMIO_CONFIG_GENERATION);
	v->d->transport->config_changed(v->d);
	assert_int_not_equal(vd_read(v, VIRTIO_MMIO_CONFIG_GENERATION), before);
	assert_int_equal(vd_read(v, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
}

/* A kick by KVM's hand is a write to the eventfd, nothing more. */
static void test_kick_by_eventfd(void **state)
{
	struct vd *v = *state;
	const uint64_t one = 1;

	assert_true(vd_start(v, 0));
	vd_publish(v, 0, vd_chain(v, 0, &(struct vd_buf){VD_DATA, 16, true}, 1));
	assert_int_equal(write(virtio_mmio_notify_fd(v->t, 0), &one, sizeof(one)), sizeof(one));
	vd_turn(v);
	assert_int_equal(vd_used(v, 0, NULL), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_identity),
		T(test_odd_accesses),
		T(test_status_grows_in_order),
		T(test_only_offered_features),
		T(test_features_only_while_they_are_negotiated),
		T(test_queues_only_between_features_and_driver_ok),
		T(test_kicks_of_what_is_not_there),
		T(test_reset_forgets_everything),
		T(test_what_waits_before_driver_ok_is_served),
		T(test_interrupt_status_is_acknowledged_bit_by_bit),
		T(test_generation_grows_with_the_configuration),
		T(test_kick_by_eventfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
