/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console device as Linux's driver meets it: ports are announced, named and opened by control messages, bytes
 * go both ways whole and in order, backpressure stops the right side, and a malicious driver stops only itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <linux/virtio_console.h>
#include <sys/socket.h>

#include "virtio_driver.h"

#include "../../../hypervisor/kvm/virtio_console.h"

#define MULTIPORT (1ull << VIRTIO_CONSOLE_F_MULTIPORT)

enum { CONSOLE_RX, CONSOLE_TX, CONTROL_RX, CONTROL_TX, AGENT_RX, AGENT_TX };

struct fixture {
	struct vd v;
	int console[2], agent[2]; /* [0] the device's, [1] the host's */
	unsigned opened, closed;
};

static void on_opened(void *arg, bool open)
{
	struct fixture *f = arg;

	if (open)
		f->opened++;
	else
		f->closed++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const int kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	struct virtio_device *d;

	*state = f;
	if (!f || vd_prepare(&f->v) < 0 || socketpair(AF_UNIX, kind, 0, f->console) < 0 ||
	    socketpair(AF_UNIX, kind, 0, f->agent) < 0)
		return -1;

	const struct virtio_console_port ports[] = {
		{.in_fd = f->console[0], .out_fd = f->console[0]},
		{.name = "org.insula.agent",
		 .in_fd = f->agent[0],
		 .out_fd = f->agent[0],
		 .opened = on_opened,
		 .arg = f,
		 .end_on_close = true},
	};
	if (virtio_console_new(ports, 2, &d, &f->v.last) < 0)
		return -1;
	/* The device has its own. */
	close(f->console[0]);
	close(f->agent[0]);
	return vd_attach(&f->v, d);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vd_done(&f->v);
	close(f->console[1]);
	close(f->agent[1]);
	free(f);
	return 0;
}

static void say(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control m = {.id = id, .event = event, .value = value};

	memcpy(vd_ptr(&f->v, VD_DATA), &m, sizeof(m));
	vd_send(&f->v, CONTROL_TX, &(struct vd_buf){VD_DATA, sizeof(m), false}, 1);
	assert_true(vd_used(&f->v, CONTROL_TX, NULL) >= 0);
}

/* What the device says next; the name or size behind it goes to ret. */
static void hears(struct fixture *f, uint32_t id, uint16_t event, uint16_t value, void *ret,
		  uint32_t extra)
{
	const uint8_t *at;
	struct virtio_console_control m;
	uint32_t len = 0;
	int head = vd_used(&f->v, CONTROL_RX, &len);

	assert_true(head >= 0);
	at = vd_ptr(&f->v, vd_desc(&f->v, CONTROL_RX, (uint16_t)head)->addr);
	memcpy(&m, at, sizeof(m));
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, event);
	assert_int_equal(m.value, value);
	assert_int_equal(len, sizeof(m) + extra);
	if (ret)
		memcpy(ret, at + sizeof(m), extra);
}

static void give(struct fixture *f, unsigned q, unsigned n, uint32_t bytes)
{
	for (unsigned i = 0; i < n; i++)
		vd_publish(&f->v, q,
			   vd_chain(&f->v, q,
				    &(struct vd_buf){VD_DATA + 0x10000 * (q + 1) + 0x400 * i, bytes,
						     true},
				    1));
	vd_kick(&f->v, q);
}

/* Through the protocol until both ports are open on both sides. */
static void bring_up(struct fixture *f)
{
	char name[17] = {0};

	assert_true(vd_start(&f->v, MULTIPORT));
	give(f, CONTROL_RX, 32, 128);
	assert_int_equal(vd_used(&f->v, CONTROL_RX, NULL), -1);
	say(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	hears(f, 0, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 0);
	hears(f, 1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 0);
	say(f, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	hears(f, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	hears(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	say(f, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	hears(f, 1, VIRTIO_CONSOLE_PORT_NAME, 1, name, 16);
	assert_string_equal(name, "org.insula.agent");
	hears(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	assert_int_equal(f->opened, 0);
	say(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	say(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(f->opened, 1);
}

static void test_configuration(void **state)
{
	struct fixture *f = *state;
	uint32_t ports = 0;

	vd_config(&f->v, 4, &ports, 4);
	assert_int_equal(ports, 2);
	assert_int_equal(vd_read(&f->v, VIRTIO_MMIO_DEVICE_ID), 3);
}

static void test_bytes_from_the_guest(void **state)
{
	struct fixture *f = *state;
	const struct vd_buf b[] = {{VD_DATA, 3, false}, {VD_DATA + 64, 4, false}};
	char text[16] = {0};

	bring_up(f);
	memcpy(vd_ptr(&f->v, VD_DATA), "abc", 3);
	memcpy(vd_ptr(&f->v, VD_DATA + 64), "defg", 4);
	vd_send(&f->v, AGENT_TX, b, 2);
	assert_true(vd_used(&f->v, AGENT_TX, NULL) >= 0);
	assert_int_equal(read(f->agent[1], text, sizeof(text)), 7);
	assert_string_equal(text, "abcdefg");
	vd_send(&f->v, CONSOLE_TX, b, 1);
	assert_int_equal(read(f->console[1], text, sizeof(text)), 3);
}

static void test_bytes_to_the_guest(void **state)
{
	struct fixture *f = *state;
	uint32_t len = 0;

	bring_up(f);
	/* No buffer: the bytes wait in the socket. */
	assert_int_equal(write(f->agent[1], "hello", 5), 5);
	vd_turn(&f->v);
	give(f, AGENT_RX, 2, 4);
	assert_true(vd_used(&f->v, AGENT_RX, &len) >= 0);
	assert_int_equal(len, 4);
	assert_true(vd_used(&f->v, AGENT_RX, &len) >= 0);
	assert_int_equal(len, 1);
	assert_memory_equal(vd_ptr(&f->v, VD_DATA + 0x10000 * (AGENT_RX + 1)), "hell", 4);
	assert_memory_equal(vd_ptr(&f->v, VD_DATA + 0x10000 * (AGENT_RX + 1) + 0x400), "o", 1);
	assert_true(vd_interrupts(&f->v) > 0);
	/* A buffer first, then bytes. */
	give(f, AGENT_RX, 1, 16);
	assert_int_equal(vd_used(&f->v, AGENT_RX, NULL), -1);
	assert_int_equal(write(f->agent[1], "again", 5), 5);
	vd_turn(&f->v);
	assert_true(vd_used(&f->v, AGENT_RX, &len) >= 0);
	assert_int_equal(len, 5);
}

static void test_nothing_is_delivered_before_the_guest_opens(void **state)
{
	struct fixture *f = *state;

	assert_true(vd_start(&f->v, MULTIPORT));
	assert_int_equal(write(f->agent[1], "early", 5), 5);
	give(f, AGENT_RX, 1, 16);
	vd_turn(&f->v);
	assert_int_equal(vd_used(&f->v, AGENT_RX, NULL), -1);
	say(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	vd_turn(&f->v);
	assert_true(vd_used(&f->v, AGENT_RX, NULL) >= 0);
}

/* The host does not read: the guest's buffers are kept, nothing is lost, the other port goes on. */
static void test_backpressure_towards_the_host(void **state)
{
	struct fixture *f = *state;
	const struct vd_buf big = {VD_DATA, 256 << 10, false};
	const struct vd_buf small = {VD_DATA, 3, false};
	uint8_t *bytes = vd_ptr(&f->v, VD_DATA);
	static uint8_t got[512 << 10];
	size_t have = 0;
	unsigned done = 0;

	bring_up(f);
	for (size_t i = 0; i < big.len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	vd_publish(&f->v, AGENT_TX, vd_chain(&f->v, AGENT_TX, &big, 1));
	vd_publish(&f->v, AGENT_TX, vd_chain(&f->v, AGENT_TX, &big, 1));
	vd_kick(&f->v, AGENT_TX);
	assert_int_equal(vd_used(&f->v, AGENT_TX, NULL), -1);
	vd_send(&f->v, CONSOLE_TX, &small, 1);
	assert_true(vd_used(&f->v, CONSOLE_TX, NULL) >= 0);
	for (int i = 0; i < 1000 && have < sizeof(got); i++) {
		ssize_t n = read(f->agent[1], got + have, sizeof(got) - have);

		if (n > 0)
			have += (size_t)n;
		vd_turn(&f->v);
		done += vd_used(&f->v, AGENT_TX, NULL) >= 0;
	}
	assert_int_equal(have, sizeof(got));
	assert_int_equal(done, 2);
	assert_memory_equal(got, bytes, 256 << 10);
	assert_memory_equal(got + (256 << 10), bytes, 256 << 10);
}

static void test_guest_closes(void **state)
{
	struct fixture *f = *state;
	char c;

	bring_up(f);
	assert_int_equal(read(f->agent[1], &c, 1), -1);
	say(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(f->closed, 1);
	assert_int_equal(read(f->agent[1], &c, 1), 0);
	say(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(f->closed, 1);
}

static void test_reset_closes(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	vd_write(&f->v, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(f->closed, 1);
}

static void test_host_closes(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	give(f, AGENT_RX, 2, 16);
	assert_int_equal(write(f->agent[1], "bye", 3), 3);
	shutdown(f->agent[1], SHUT_WR);
	vd_turn(&f->v);
	assert_true(vd_used(&f->v, AGENT_RX, NULL) >= 0);
	hears(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL, 0);
	/* The loop rests although the hang-up stays. */
	assert_int_equal(io_loop_step(f->v.loop, 0, &f->v.last), 0);
	/* What the guest still writes is taken, also when nobody reads it. */
	shutdown(f->agent[1], SHUT_RDWR);
	vd_send(&f->v, AGENT_TX, &(struct vd_buf){VD_DATA, 3, false}, 1);
	assert_true(vd_used(&f->v, AGENT_TX, NULL) >= 0);
	assert_false(vd_broken(&f->v));
}

static void test_without_ports(void **state)
{
	struct fixture *f = *state;
	char text[8] = {0};

	assert_true(vd_start(&f->v, 0));
	memcpy(vd_ptr(&f->v, VD_DATA), "abc", 3);
	vd_send(&f->v, CONSOLE_TX, &(struct vd_buf){VD_DATA, 3, false}, 1);
	assert_int_equal(read(f->console[1], text, sizeof(text)), 3);
	give(f, CONSOLE_RX, 1, 16);
	assert_int_equal(write(f->console[1], "x", 1), 1);
	vd_turn(&f->v);
	assert_true(vd_used(&f->v, CONSOLE_RX, NULL) >= 0);
	/* Queues of what was not agreed on are dead. */
	vd_send(&f->v, CONTROL_TX, &(struct vd_buf){VD_DATA, 8, false}, 1);
	assert_int_equal(vd_used(&f->v, CONTROL_TX, NULL), -1);
}

static void test_resize(void **state)
{
	struct fixture *f = *state;
	uint16_t size[2] = {0};

	bring_up(f);
	virtio_console_resize(f->v.d, 0, 132, 43);
	hears(f, 0, VIRTIO_CONSOLE_RESIZE, 1, size, 4);
	assert_int_equal(size[0], 132);
	assert_int_equal(size[1], 43);
}

static void test_control_without_buffers_is_bounded(void **state)
{
	struct fixture *f = *state;

	assert_true(vd_start(&f->v, MULTIPORT));
	for (unsigned i = 0; i < 1000; i++)
		say(f, i % 3, i % 8, 1);
	assert_false(vd_broken(&f->v));
	/* Then: each thing once, per port. */
	give(f, CONTROL_RX, 32, 128);
	for (unsigned n = 0;; n++) {
		if (vd_used(&f->v, CONTROL_RX, NULL) < 0)
			break;
		assert_true(n < 8);
	}
}

static void expect_broken(struct fixture *f, const char *word)
{
	assert_true(vd_broken(&f->v));
	assert_int_equal(f->v.reports, 1);
	assert_non_null(strstr(f->v.last.text, word));
}

static void test_short_control_message(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	vd_send(&f->v, CONTROL_TX, &(struct vd_buf){VD_DATA, 7, false}, 1);
	expect_broken(f, "a message of 7 bytes");
	assert_int_equal(f->closed, 0); /* until the reset */
}

static void test_small_control_buffer(void **state)
{
	struct fixture *f = *state;

	assert_true(vd_start(&f->v, MULTIPORT));
	give(f, CONTROL_RX, 1, 4);
	say(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect_broken(f, "a buffer of 4 bytes");
}

static void test_readable_buffer_for_input(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	assert_int_equal(write(f->agent[1], "secret", 6), 6);
	vd_send(&f->v, AGENT_RX, &(struct vd_buf){VD_DATA, 16, false}, 1);
	expect_broken(f, "not writable");
	/* What waits in the socket does not keep the loop busy. */
	vd_turn(&f->v);
	assert_int_equal(io_loop_step(f->v.loop, 0, &f->v.last), 0);
}

static void test_writable_buffer_for_output(void **state)
{
	struct fixture *f = *state;
	char c;

	bring_up(f);
	vd_send(&f->v, AGENT_TX, &(struct vd_buf){VD_DATA, 16, true}, 1);
	expect_broken(f, "writable buffer for output");
	assert_int_equal(read(f->agent[1], &c, 1), -1);
}

static void test_reset_with_half_a_write(void **state)
{
	struct fixture *f = *state;
	static uint8_t got[1 << 20];

	bring_up(f);
	vd_send(&f->v, AGENT_TX, &(struct vd_buf){VD_DATA, 1 << 20, false}, 1);
	assert_int_equal(vd_used(&f->v, AGENT_TX, NULL), -1);
	vd_write(&f->v, VIRTIO_MMIO_STATUS, 0);
	while (read(f->agent[1], got, sizeof(got)) > 0)
		vd_turn(&f->v);
	/* Nothing of the old request is given back to the new driver. */
	assert_true(vd_start(&f->v, MULTIPORT));
	vd_turn(&f->v);
	assert_int_equal(vd_used(&f->v, AGENT_TX, NULL), -1);
	/* And it is served. */
	vd_send(&f->v, AGENT_TX, &(struct vd_buf){VD_DATA, 3, false}, 1);
	assert_int_equal(vd_used(&f->v, AGENT_TX, NULL), 0);
	assert_int_equal(f->v.reports, 0);
}

static void test_bad_setups_are_refused(void **state)
{
	struct fixture *f = *state;
	struct virtio_console_port ports[VIRTIO_CONSOLE_PORTS_MAX + 1];
	struct virtio_device *d = NULL;
	struct err *e = &f->v.last;
	int blocking[2], file = memfd_create("input", MFD_CLOEXEC);
	char name[80];

	for (unsigned i = 0; i <= VIRTIO_CONSOLE_PORTS_MAX; i++)
		ports[i] = (struct virtio_console_port){.in_fd = -1, .out_fd = -1};
	assert_int_equal(virtio_console_new(ports, 0, &d, e), -EINVAL);
	assert_int_equal(virtio_console_new(ports, VIRTIO_CONSOLE_PORTS_MAX + 1, &d, e), -EINVAL);
	memset(name, 'x', sizeof(name));
	name[65] = 0;
	ports[0].name = name;
	assert_int_equal(virtio_console_new(ports, 1, &d, e), -EINVAL);
	ports[0].name = NULL;
	ports[0].in_fd = file;
	assert_int_equal(virtio_console_new(ports, 1, &d, e), -ENOTSUP);
	assert_int_equal(pipe2(blocking, O_CLOEXEC), 0);
	ports[0].in_fd = blocking[0];
	assert_int_equal(virtio_console_new(ports, 1, &d, e), -EINVAL);
	ports[0].in_fd = -1;
	ports[0].end_on_close = true;
	ports[0].out_fd = file;
	assert_int_equal(virtio_console_new(ports, 1, &d, e), -ENOTSOCK);
	assert_null(d);
	close(blocking[0]);
	close(blocking[1]);
	close(file);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_configuration),
		T(test_bytes_from_the_guest),
		T(test_bytes_to_the_guest),
		T(test_nothing_is_delivered_before_the_guest_opens),
		T(test_backpressure_towards_the_host),
		T(test_guest_closes),
		T(test_reset_closes),
		T(test_host_closes),
		T(test_without_ports),
		T(test_resize),
		T(test_control_without_buffers_is_bounded),
		T(test_short_control_message),
		T(test_small_control_buffer),
		T(test_readable_buffer_for_input),
		T(test_writable_buffer_for_output),
		T(test_reset_with_half_a_write),
		T(test_bad_setups_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
