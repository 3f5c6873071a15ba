/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus: who answers, what an access that crosses an edge or meets nobody reads, and that devices
 * cannot overlap.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../hypervisor/kvm/bus.h"

struct device {
	uint64_t offset;
	unsigned len, calls;
	uint8_t written[8];
};

static void device_read(void *self, uint64_t offset, void *data, unsigned len)
{
	struct device *d = self;

	d->offset = offset;
	d->len = len;
	d->calls++;
	memset(data, 0x42, len);
}

static void device_write(void *self, uint64_t offset, const void *data, unsigned len)
{
	struct device *d = self;

	d->offset = offset;
	d->len = len;
	d->calls++;
	memcpy(d->written, data, len);
}

static const struct bus_ops ops = {device_read, device_write};

static struct bus_range range(uint64_t start, uint64_t bytes, struct device *d)
{
	return (struct bus_range){.start = start, .bytes = bytes, .ops = &ops, .self = d};
}

static void test_lookup(void **state)
{
	static const uint64_t starts[] = {0x3000, 0x1000, 0x5000, 0x2000, 0};
	struct device d[5] = {0};
	struct bus b = {.n = 0};
	uint64_t value = 0;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct bus_range r = range(starts[i], 0x1000, &d[i]);

		assert_int_equal(bus_add(&b, &r, NULL), 0);
	}
	for (unsigned i = 1; i < b.n; i++)
		assert_true(b.range[i - 1].start < b.range[i].start);
	for (size_t i = 0; i < 5; i++) {
		assert_true(bus_read(&b, starts[i] + 0xff8, &value, 8));
		assert_true(value == 0x4242424242424242ull);
		assert_true(d[i].offset == 0xff8 && d[i].len == 8 && d[i].calls == 1);
	}
	assert_true(bus_write(&b, 0x5000, "xy", 2));
	assert_memory_equal(d[2].written, "xy", 2);
	assert_true(d[2].offset == 0 && d[2].len == 2);
}

static void test_nobody(void **state)
{
	struct device d = {0};
	struct bus b = {.n = 0};
	struct bus_range r = range(0x1000, 6, &d);
	uint8_t data[8] = {0};

	(void)state;
	assert_false(bus_read(&b, 0x1000, data, 4)); /* empty */
	assert_int_equal(data[3], 0xff);
	assert_int_equal(data[4], 0);
	assert_int_equal(bus_add(&b, &r, NULL), 0);
	assert_false(bus_read(&b, 0xfff, data, 1));
	assert_false(bus_read(&b, 0x1006, data, 1));
	assert_false(bus_read(&b, 0x1004, data, 4)); /* crosses the end */
	assert_false(bus_write(&b, 0xffe, data, 4)); /* crosses the start */
	assert_false(bus_read(&b, 0x1000, data, 8)); /* longer than the device */
	assert_false(bus_read(&b, 0x1000, data, 3)); /* no access of a processor */
	assert_false(bus_write(&b, 0x1000, data, 0));
	assert_false(bus_read(&b, UINT64_MAX, data, 8));
	assert_int_equal(d.calls, 0);
	assert_true(bus_read(&b, 0x1004, data, 2));
	assert_int_equal(d.calls, 1);
}

static void test_overlaps(void **state)
{
	static const struct {
		uint64_t start, bytes;
		int r;
	} rows[] = {
		{0x1000, 0x100, -EEXIST},
		{0x10ff, 1, -EEXIST},
		{0xfff, 2, -EEXIST},
		{0, 0x2000, -EEXIST},
		{0x1080, 0x1000, -EEXIST},
		{0x1100, 0, -EINVAL},
		{UINT64_MAX, 2, -EINVAL},
		{0x1100, 1, 0},
		{0xfff, 1, 0},
		{UINT64_MAX, 1, 0},
	};
	struct device d = {0};
	struct bus b = {.n = 0};
	struct bus_range first = range(0x1000, 0x100, &d);

	(void)state;
	assert_int_equal(bus_add(&b, &first, NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bus_range r = range(rows[i].start, rows[i].bytes, &d);

		assert_int_equal(bus_add(&b, &r, NULL), rows[i].r);
	}
	assert_int_equal(b.n, 4);
	assert_true(bus_read(&b, UINT64_MAX, &d.written, 1));
}

static void test_full(void **state)
{
	struct device d = {0};
	struct bus b = {.n = 0};
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned i = 0; i < BUS_RANGES_MAX; i++) {
		struct bus_range r = range((BUS_RANGES_MAX - i) * 16ull, 16, &d);

		assert_int_equal(bus_add(&b, &r, NULL), 0);
	}
	struct bus_range more = range(0, 1, &d);

	assert_int_equal(bus_add(&b, &more, &e), -ENOSPC);
	assert_int_equal(e.kind, ERR_LIMIT);
}

static void test_irq(void **state)
{
	struct irq_line irq = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	uint64_t count = 0, full = UINT64_MAX - 1;

	(void)state;
	irq_raise(&irq);
	irq_raise(&irq);
	assert_int_equal(read(irq.fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 2);
	assert_int_equal(write(irq.fd, &full, sizeof(full)), sizeof(full));
	irq_raise(&irq); /* does not block */
	close(irq.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),   cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_overlaps), cmocka_unit_test(test_full),
		cmocka_unit_test(test_irq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
