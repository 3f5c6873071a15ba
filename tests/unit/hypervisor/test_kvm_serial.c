/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serial port as a driver sees it: registers, interrupts, loop back, input that waits, and a reader that does not
 * read.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../hypervisor/kvm/power.h"
#include "../../../hypervisor/kvm/serial.h"

#define PORT 0x3f8u

static struct io_loop *loop;
static struct serial *serial;
static struct irq_line irq;
static struct bus bus;
static int host; /* the other end of its socket */
static int guest_end;

static int setup(void **state)
{
	struct bus_range r;
	int pair[2];

	(void)state;
	bus = (struct bus){.n = 0};
	irq.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0 ||
	    io_loop_new(&loop, NULL) < 0 || serial_new(loop, pair[0], irq, &serial, NULL) < 0)
		return -1;
	guest_end = pair[0];
	host = pair[1];
	r = serial_range(serial, PORT);
	return bus_add(&bus, &r, NULL);
}

static int teardown(void **state)
{
	(void)state;
	serial_free(serial);
	io_loop_free(loop);
	close(irq.fd);
	close(guest_end);
	if (host >= 0)
		close(host);
	return 0;
}

static uint8_t in(unsigned reg)
{
	uint8_t v;

	assert_true(bus_read(&bus, PORT + reg, &v, 1));
	return v;
}

static void out(unsigned reg, uint8_t v)
{
	assert_true(bus_write(&bus, PORT + reg, &v, 1));
}

static uint64_t interrupts(void)
{
	uint64_t n = 0;

	return read(irq.fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void turn(void)
{
	assert_true(io_loop_step(loop, 0, NULL) >= 0);
}

static void test_output(void **state)
{
	char said[8] = "";

	(void)state;
	assert_int_equal(in(5) & 0x60, 0x60);
	out(0, 'h');
	out(0, 'i');
	assert_int_equal(read(host, said, sizeof(said)), 2);
	assert_string_equal(said, "hi");
	assert_int_equal(interrupts(), 0); /* nobody asked for any */
}

static void test_transmitter_interrupt(void **state)
{
	(void)state;
	assert_int_equal(in(2) & 0x0f, 1);
	out(1, 2); /* an empty transmitter interrupts when it is asked to */
	assert_int_equal(interrupts(), 1);
	assert_int_equal(in(2) & 0x0f, 2);
	assert_int_equal(in(2) & 0x0f, 1); /* reading acknowledged it */
	out(0, 'x');
	assert_int_equal(interrupts(), 1);
	assert_int_equal(in(2) & 0x0f, 2);
	assert_int_equal(in(1), 2);
	out(1, 0xff);
	assert_int_equal(in(1), 0x0f);
}

static void test_input(void **state)
{
	(void)state;
	out(1, 1);
	assert_int_equal(in(5) & 1, 0);
	assert_int_equal(in(0), 0);
	assert_int_equal(write(host, "ab", 2), 2);
	turn();
	assert_int_equal(interrupts(), 1);
	assert_int_equal(in(2) & 0x0f, 4);
	assert_int_equal(in(5) & 1, 1);
	assert_int_equal(in(0), 'a');
	assert_int_equal(interrupts(), 1); /* one more is there */
	assert_int_equal(in(0), 'b');
	assert_int_equal(in(5) & 1, 0);
	assert_int_equal(in(2) & 0x0f, 1);
}

static void test_input_waits_for_room(void **state)
{
	uint8_t sent[1000];

	(void)state;
	for (unsigned i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7);
	assert_int_equal(write(host, sent, sizeof(sent)), sizeof(sent));
	for (unsigned i = 0; i < sizeof(sent); i++) {
		turn();
		assert_int_equal(in(5) & 1, 1);
		assert_int_equal(in(0), sent[i]);
	}
	turn();
	assert_int_equal(in(5) & 1, 0);
}

static void test_loop_back_and_probe(void **state)
{
	(void)state;
	out(4, 0x1a); /* as drivers look for a port */
	assert_int_equal(in(6) & 0xf0, 0x90);
	out(0, 'z');
	assert_int_equal(in(0), 'z');
	out(4, 0);
	assert_int_equal(in(6) & 0xf0, 0xb0);
	out(7, 0x5a);
	assert_int_equal(in(7), 0x5a);
	out(3, 0x83); /* the divisor is behind registers 0 and 1 */
	out(0, 1);
	out(1, 2);
	assert_true(in(0) == 1 && in(1) == 2 && in(3) == 0x83);
	out(3, 3);
	assert_int_equal(in(1), 0);
	out(2, 1);
	assert_int_equal(in(2) & 0xc0, 0xc0); /* a 16550A */
	out(2, 0);
	assert_int_equal(in(2) & 0xc0, 0);
}

/* Far more than socket and ring hold: the port says busy, loses what comes then, and recovers. */
static void test_reader_that_does_not_read(void **state)
{
	static char buf[1 << 20];
	size_t sent = 0, got = 0;
	ssize_t n;

	(void)state;
	while (in(5) & 0x20) {
		out(0, (uint8_t)('a' + sent % 26));
		assert_true(++sent < sizeof(buf));
	}
	assert_true(sent > 65536);
	out(0, '!'); /* lost */
	while (got < sent) {
		n = read(host, buf + got, sizeof(buf) - got);
		if (n > 0)
			got += (size_t)n;
		turn();
	}
	assert_int_equal(got, sent);
	for (size_t i = 0; i < got; i++)
		assert_int_equal(buf[i], (char)('a' + i % 26));
	assert_int_equal(in(5) & 0x60, 0x60);
}

static void test_reader_that_is_gone(void **state)
{
	(void)state;
	close(host);
	host = -1;
	turn();
	for (int i = 0; i < 100000; i++)
		out(0, 'x');
	assert_int_equal(in(5) & 0x60, 0x60); /* the guest is not held up */
	turn();
}

static enum power_event events[4];
static unsigned n_events;

static void on_event(void *arg, enum power_event e)
{
	(void)arg;
	events[n_events++] = e;
}

static void test_power_registers(void **state)
{
	static const struct {
		uint64_t reg;
		uint8_t value;
	} harmless[] = {{0, 0}, {0, 2}, {1, 0x20}, {1, 0x14}, {1, 0x30}, {2, 0xff}};
	struct power p = {on_event, NULL};
	struct bus ports = {.n = 0};
	struct bus_range r = power_range(&p, 0x600);
	uint8_t v = 0x77;

	(void)state;
	n_events = 0;
	assert_int_equal(bus_add(&ports, &r, NULL), 0);
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		assert_true(bus_write(&ports, 0x600 + harmless[i].reg, &harmless[i].value, 1));
	assert_true(bus_write(&ports, 0x600, "\1\x34", 2)); /* registers are bytes */
	assert_int_equal(n_events, 0);
	assert_true(bus_read(&ports, 0x602, &v, 1) && v == 0);
	assert_true(bus_write(&ports, 0x600, "\1", 1));
	assert_true(bus_write(&ports, 0x601, "\x34", 1));
	assert_true(n_events == 2 && events[0] == POWER_RESTART && events[1] == POWER_OFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transmitter_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input_waits_for_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loop_back_and_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_that_does_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_that_is_gone, setup, teardown),
		cmocka_unit_test(test_power_registers),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
