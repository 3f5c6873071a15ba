/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device: frames both ways, over a datagram socket (where every case can be made) and over a real tap in a
 * network namespace of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "virtio_driver.h"

#include "../../../hypervisor/kvm/virtio_net.h"

enum { RX, TX };

#define F(n) (1ull << VIRTIO_NET_F_##n)

#define HEADER 12u

struct fixture {
	struct vd v;
	int host; /* the other end, or a packet socket */
};

static const uint8_t mac[6] = {2, 0, 0, 0xaa, 0xbb, 0xcc};

static int attach_fd(struct fixture *f, int fd)
{
	struct virtio_net_setup s = {.fd = fd, .mtu = 1400};
	struct virtio_device *d;

	memcpy(s.mac, mac, 6);
	return virtio_net_new(&s, &d, &f->v.last) < 0 || vd_attach(&f->v, d) < 0 ? -1 : 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int sv[2];

	*state = f;
	if (!f || vd_prepare(&f->v) < 0 ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	f->host = sv[1];
	return attach_fd(f, sv[0]);
}

static int make_tap(const char *name, short flags)
{
	struct ifreq ifr = {.ifr_flags = flags};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int setup_tap(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct ifreq ifr = {0};
	int tap;

	*state = f;
	f->host = -1;
	if (!f || vd_prepare(&f->v) < 0)
		return -1;
	tap = make_tap("vdtest%d", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	if (tap < 0)
		return -1;
	f->host = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (ioctl(tap, TUNGETIFF, &ifr) < 0 || ioctl(f->host, SIOCGIFINDEX, &ifr) < 0)
		return -1;
	addr.sll_ifindex = ifr.ifr_ifindex;
	ifr.ifr_flags = IFF_UP;
	return ioctl(f->host, SIOCSIFFLAGS, &ifr) < 0 ||
	       bind(f->host, (struct sockaddr *)&addr, sizeof(addr)) < 0 || attach_fd(f, tap) < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vd_done(&f->v);
	close(f->host);
	free(f);
	return 0;
}

static int own_network(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNET);
}

static void give(struct fixture *f, unsigned n, uint32_t bytes)
{
	for (unsigned i = 0; i < n; i++)
		vd_publish(&f->v, RX,
			   vd_chain(&f->v, RX,
				    &(struct vd_buf){VD_DATA + 0x1000 * f->v.q[RX].next_desc, bytes,
						     true},
				    1));
	vd_kick(&f->v, RX);
}

static void host_sends(struct fixture *f, uint32_t bytes, uint8_t seed)
{
	static uint8_t packet[70000];

	memset(packet, 0, HEADER);
	for (uint32_t i = 0; i < bytes; i++)
		packet[HEADER + i] = (uint8_t)(i * 3 + i / 255 + seed);
	assert_int_equal(write(f->host, packet, HEADER + bytes), HEADER + bytes);
	vd_turn(&f->v);
}

/* The next frame of `bytes`, out of `buffers` buffers. */
static void guest_gets(struct fixture *f, uint32_t bytes, uint8_t seed, unsigned buffers)
{
	uint32_t at = 0, len = 0;
	uint16_t told = 0;

	for (unsigned k = 0; k < buffers; k++) {
		int head = vd_used(&f->v, RX, &len);
		const uint8_t *p;

		assert_true(head >= 0);
		p = vd_ptr(&f->v, vd_desc(&f->v, RX, (uint16_t)head)->addr);
		if (k == 0)
			memcpy(&told, p + 10, 2);
		for (uint32_t i = k ? 0 : HEADER; i < len; i++, at++)
			assert_int_equal(p[i], (uint8_t)(at * 3 + at / 255 + seed));
	}
	assert_int_equal(told, buffers);
	assert_int_equal(at, bytes);
}

static uint16_t guest_sends(struct fixture *f, uint32_t bytes)
{
	const struct vd_buf b[] = {{VD_DATA, HEADER, false}, {VD_DATA + 0x100, bytes, false}};

	memset(vd_ptr(&f->v, VD_DATA), 0, HEADER);
	return vd_send(&f->v, TX, b, 2);
}

static void test_configuration(void **state)
{
	struct fixture *f = *state;
	uint8_t got[6];
	uint16_t status = 0, mtu = 0;

	for (unsigned i = 0; i < 6; i++)
		vd_config(&f->v, i, got + i, 1);
	assert_memory_equal(got, mac, 6);
	vd_config(&f->v, 6, &status, 2);
	vd_config(&f->v, 10, &mtu, 2);
	assert_int_equal(status, VIRTIO_NET_S_LINK_UP);
	assert_int_equal(mtu, 1400);
	assert_int_equal(vd_read(&f->v, VIRTIO_MMIO_DEVICE_ID), 1);
	/* A socket does no offloads. */
	assert_int_equal(
		vd_offered(&f->v) & (F(CSUM) | F(GUEST_CSUM) | F(GUEST_TSO4) | F(HOST_TSO4)), 0);
}

static void test_frames_to_the_guest(void **state)
{
	struct fixture *f = *state;

	assert_true(vd_start(&f->v, F(MRG_RXBUF)));
	give(f, 8, 2048);
	host_sends(f, 60, 1);
	guest_gets(f, 60, 1, 1);
	assert_true(vd_interrupts(&f->v) > 0);
	host_sends(f, 5000, 2);
	guest_gets(f, 5000, 2, 3);
	/* Exactly full. */
	host_sends(f, 2048 - HEADER, 3);
	guest_gets(f, 2048 - HEADER, 3, 1);
}

static void test_a_frame_waits_for_buffers(void **state)
{
	struct fixture *f = *state;

	assert_true(vd_start(&f->v, F(MRG_RXBUF)));
	give(f, 2, 2048);
	host_sends(f, 5000, 4);
	assert_int_equal(vd_used(&f->v, RX, NULL), -1);
	/* Two taken and put back: nothing spins. */
	assert_int_equal(io_loop_step(f->v.loop, 0, &f->v.last), 0);
	host_sends(f, 60, 5);
	give(f, 1, 2048);
	guest_gets(f, 5000, 4, 3);
	assert_int_equal(vd_used(&f->v, RX, NULL), -1);
	give(f, 1, 2048);
	guest_gets(f, 60, 5, 1);
}

static void test_without_merging(void **state)
{
	struct fixture *f = *state;

	assert_true(vd_start(&f->v, 0));
	give(f, 4, 2048);
	host_sends(f, 5000, 6); /* too long for any buffer: lost */
	host_sends(f, 60, 7);
	guest_gets(f, 60, 7, 1);
	assert_int_equal(vd_used(&f->v, RX, NULL), -1);
}

static void test_a_frame_longer_than_the_queue(void **state)
{
	struct fixture *f = *state;

	assert_true(vd_start(&f->v, F(MRG_RXBUF)));
	give(f, VD_SIZE, 20);
	host_sends(f, 20 * VD_SIZE, 6);
	assert_int_equal(vd_used(&f->v, RX, NULL), -1);
	host_sends(f, 20, 7);
	guest_gets(f, 20, 7, 2);
	assert_false(vd_broken(&f->v));
}

static void test_frames_from_the_guest(void **state)
{
	struct fixture *f = *state;
	uint8_t got[2000];
	uint16_t head;

	assert_true(vd_start(&f->v, 0));
	memset(vd_ptr(&f->v, VD_DATA + 0x100), 0x5a, 1000);
	head = guest_sends(f, 1000);
	assert_int_equal(vd_used(&f->v, TX, NULL), head);
	assert_int_equal(read(f->host, got, sizeof(got)), HEADER + 1000);
	assert_int_equal(got[HEADER], 0x5a);
	/* Too short, too long: lost. */
	guest_sends(f, 13);
	guest_sends(f, 70000);
	assert_true(vd_used(&f->v, TX, NULL) >= 0);
	assert_true(vd_used(&f->v, TX, NULL) >= 0);
	assert_int_equal(read(f->host, got, sizeof(got)), -1);
	assert_false(vd_broken(&f->v));
}

static void test_a_full_host(void **state)
{
	struct fixture *f = *state;
	uint8_t got[2000];
	unsigned sent = 0, used = 0, received = 0;

	assert_true(vd_start(&f->v, 0));
	for (; sent < 2000; sent++) {
		guest_sends(f, 1000);
		if (vd_used(&f->v, TX, NULL) < 0)
			break;
		used++;
	}
	assert_true(sent < 2000);
	assert_int_equal(io_loop_step(f->v.loop, 0, &f->v.last), 0);
	while (read(f->host, got, sizeof(got)) > 0)
		received++;
	vd_turn(&f->v);
	while (vd_used(&f->v, TX, NULL) >= 0)
		used++;
	while (read(f->host, got, sizeof(got)) > 0)
		received++;
	assert_int_equal(used, sent + 1);
	assert_int_equal(received, sent + 1);
}

static void test_link(void **state)
{
	struct fixture *f = *state;
	uint16_t status = 1;
	uint8_t got[100];

	assert_true(vd_start(&f->v, F(STATUS)));
	virtio_net_set_link(f->v.d, false);
	assert_int_equal(vd_read(&f->v, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	vd_config(&f->v, 6, &status, 2);
	assert_int_equal(status, 0);
	guest_sends(f, 60);
	assert_true(vd_used(&f->v, TX, NULL) >= 0);
	assert_int_equal(read(f->host, got, sizeof(got)), -1);
	give(f, 1, 2048);
	host_sends(f, 60, 1);
	assert_int_equal(vd_used(&f->v, RX, NULL), -1);
	virtio_net_set_link(f->v.d, true);
	host_sends(f, 60, 2);
	guest_gets(f, 60, 2, 1);
}

static void test_malicious_queues(void **state)
{
	struct fixture *f = *state;

	assert_true(vd_start(&f->v, F(MRG_RXBUF)));
	vd_send(&f->v, TX, &(struct vd_buf){VD_DATA, 100, true}, 1);
	assert_true(vd_broken(&f->v));
	/* Frames that nobody takes do not keep the loop busy. */
	host_sends(f, 60, 1);
	assert_int_equal(io_loop_step(f->v.loop, 0, &f->v.last), 0);

	assert_true(vd_start(&f->v, F(MRG_RXBUF)));
	vd_send(&f->v, RX, &(struct vd_buf){VD_DATA, 100, false}, 1);
	host_sends(f, 60, 1);
	assert_true(vd_broken(&f->v));

	assert_true(vd_start(&f->v, F(MRG_RXBUF)));
	give(f, 1, 2048);
	host_sends(f, 60, 1);
	guest_gets(f, 60, 1, 1);
}

static void test_reset_with_a_frame_waiting(void **state)
{
	struct fixture *f = *state;

	assert_true(vd_start(&f->v, F(MRG_RXBUF)));
	host_sends(f, 60, 1);
	assert_true(vd_start(&f->v, F(MRG_RXBUF)));
	give(f, 2, 2048);
	host_sends(f, 60, 2);
	guest_gets(f, 60, 2, 1);
}

/* ---- a real tap --------------------------------------------------------------------------------- */

#define ETHERTYPE 0x88b5 /* for experiments */

static void make_frame(uint8_t *frame, uint8_t seed)
{
	memset(frame, seed, 200);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, mac, 6);
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xff;
}

/* The next frame of ours; the kernel sends some of its own. */
static bool host_receives(struct fixture *f, uint8_t *to)
{
	struct pollfd p = {.fd = f->host, .events = POLLIN};

	while (poll(&p, 1, 5000) == 1)
		if (read(f->host, to, 2000) == 200 && to[12] == ETHERTYPE >> 8)
			return true;
	return false;
}

static void test_tap(void **state)
{
	struct fixture *f = *state;
	const uint64_t wants = F(CSUM) | F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6) |
			       F(HOST_TSO4) | F(HOST_TSO6) | F(MRG_RXBUF) | F(MAC);
	uint8_t frame[200], got[2000];
	bool found = false;

	assert_int_equal(vd_offered(&f->v) & wants, wants);
	assert_true(vd_start(&f->v, wants));
	make_frame(vd_ptr(&f->v, VD_DATA + 0x100), 0x11);
	guest_sends(f, 200);
	assert_true(vd_used(&f->v, TX, NULL) >= 0);
	assert_true(host_receives(f, got));
	assert_memory_equal(got, vd_ptr(&f->v, VD_DATA + 0x100), 200);

	give(f, 32, 2048);
	make_frame(frame, 0x22);
	assert_int_equal(send(f->host, frame, 200, 0), 200);
	for (unsigned i = 0; i < 32 && !found; i++) {
		uint32_t len = 0;
		int head;

		io_loop_step(f->v.loop, 1000, &f->v.last);
		while ((head = vd_used(&f->v, RX, &len)) >= 0 && !found)
			found = len == HEADER + 200 &&
				!memcmp((uint8_t *)vd_ptr(
						&f->v, vd_desc(&f->v, RX, (uint16_t)head)->addr) +
						HEADER,
					frame, 200);
	}
	assert_true(found);
	/* A header that makes no sense: the kernel refuses the frame, and only that. */
	memset(vd_ptr(&f->v, VD_DATA), 0xff, HEADER);
	vd_send(&f->v, TX,
		(const struct vd_buf[]){{VD_DATA, HEADER, false}, {VD_DATA + 0x100, 200, false}},
		2);
	assert_true(vd_used(&f->v, TX, NULL) >= 0);
	assert_false(vd_broken(&f->v));
}

static void test_features_that_need_others(void **state)
{
	struct fixture *f = *state;
	const uint64_t v1 = 1ull << VIRTIO_F_VERSION_1;

	assert_false(vd_negotiate(&f->v, v1 | F(GUEST_TSO4)));
	assert_false(vd_negotiate(&f->v, v1 | F(HOST_TSO6)));
	assert_false(vd_negotiate(&f->v, v1 | F(GUEST_CSUM) | F(GUEST_ECN)));
	assert_true(vd_negotiate(&f->v, v1 | F(GUEST_CSUM) | F(GUEST_TSO4)));
	assert_true(vd_negotiate(&f->v, v1 | F(CSUM) | F(HOST_TSO4) | F(HOST_ECN)));
}

static void test_bad_setups(void **state)
{
	struct fixture *f = *state;
	struct virtio_net_setup s = {.fd = make_tap("vdplain%d", IFF_TAP | IFF_NO_PI)};
	struct virtio_device *d = NULL;

	assert_int_equal(virtio_net_new(&s, &d, &f->v.last), -EINVAL);
	assert_non_null(strstr(f->v.last.text, "IFF_VNET_HDR"));
	s.fd = make_tap("vdtun%d", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	assert_int_equal(virtio_net_new(&s, &d, &f->v.last), -EINVAL);
	s.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(virtio_net_new(&s, &d, &f->v.last) < 0);
	s.fd = -1;
	assert_true(virtio_net_new(&s, &d, &f->v.last) < 0);
	s.mac[0] = 1;
	assert_int_equal(virtio_net_new(&s, &d, &f->v.last), -EINVAL);
	assert_null(d);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_configuration),
		T(test_frames_to_the_guest),
		T(test_a_frame_waits_for_buffers),
		T(test_without_merging),
		T(test_a_frame_longer_than_the_queue),
		T(test_frames_from_the_guest),
		T(test_a_full_host),
		T(test_link),
		T(test_malicious_queues),
		T(test_reset_with_a_frame_waiting),
		cmocka_unit_test_setup_teardown(test_tap, setup_tap, teardown),
		cmocka_unit_test_setup_teardown(test_features_that_need_others, setup_tap,
						teardown),
		cmocka_unit_test_setup_teardown(test_bad_setups, setup_tap, teardown),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
