/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock: streams in both directions through Unix sockets, credit kept by both sides, ends and refusals as TCP's users
 * know them, and a guest that breaks its promises loses that connection or its device, never more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <linux/virtio_vsock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "virtio_driver.h"

#include "../../../hypervisor/kvm/virtio_vsock.h"

enum { RX, TX, EVENT };

#define CID      7u
#define RX_BYTES 4096u
#define RX_AT(i) (VD_DATA + 0x40000 + RX_BYTES * (i))

struct fixture {
	struct vd v;
	char dir[64], listen_path[80], base[80];
};

static int listen_at(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 300), 0);
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_vsock_setup s = {.guest_cid = CID};
	struct virtio_device *d;

	*state = f;
	if (!f || vd_prepare(&f->v) < 0)
		return -1;
	snprintf(f->dir, sizeof(f->dir), "/tmp/insula-test-vsock.XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->listen_path, sizeof(f->listen_path), "%s/in", f->dir);
	snprintf(f->base, sizeof(f->base), "%s/out", f->dir);
	s.listen_fd = listen_at(f->listen_path);
	s.path = f->base;
	return virtio_vsock_new(&s, &d, &f->v.last) < 0 || vd_attach(&f->v, d) < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char path[100];

	vd_done(&f->v);
	unlink(f->listen_path);
	snprintf(path, sizeof(path), "%s_80", f->base);
	unlink(path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void give_buffers(struct fixture *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t at = f->v.q[RX].next_desc;

		vd_publish(&f->v, RX,
			   vd_chain(&f->v, RX, &(struct vd_buf){RX_AT(at), RX_BYTES, true}, 1));
	}
	vd_kick(&f->v, RX);
}

static void start(struct fixture *f)
{
	assert_true(vd_start(&f->v, 0));
	give_buffers(f, 32);
}

/* The next packet for the guest, its buffer given again. False: none. */
static bool next(struct fixture *f, struct virtio_vsock_hdr *h, void *data)
{
	const uint8_t *at;
	uint32_t len = 0;
	int head;

	vd_turn(&f->v);
	head = vd_used(&f->v, RX, &len);
	if (head < 0)
		return false;
	at = vd_ptr(&f->v, RX_AT((unsigned)head));
	memcpy(h, at, sizeof(*h));
	assert_int_equal(len, sizeof(*h) + h->len);
	assert_int_equal(h->src_cid == 2 || h->op == VIRTIO_VSOCK_OP_RST, true);
	assert_int_equal(h->dst_cid, CID);
	if (data && h->len)
		memcpy(data, at + sizeof(*h), h->len);
	give_buffers(f, 1);
	return true;
}

static void expect(struct fixture *f, uint16_t op, struct virtio_vsock_hdr *h)
{
	assert_true(next(f, h, NULL));
	assert_int_equal(h->op, op);
}

static void nothing_more(struct fixture *f)
{
	struct virtio_vsock_hdr h;

	if (next(f, &h, NULL))
		fail_msg("packet %u", h.op);
}

/* A packet of the guest; `base` gives its addresses and credit. */
static struct virtio_vsock_hdr from(uint32_t guest_port, uint32_t host_port)
{
	return (struct virtio_vsock_hdr){
		.src_cid = CID,
		.dst_cid = 2,
		.src_port = guest_port,
		.dst_port = host_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.buf_alloc = 1 << 18,
	};
}

static void tell(struct fixture *f, struct virtio_vsock_hdr h, uint16_t op, const void *data,
		 uint32_t len)
{
	const struct vd_buf b[] = {{VD_DATA, sizeof(h), false}, {VD_DATA + 0x1000, len, false}};

	h.op = op;
	h.len = len;
	memcpy(vd_ptr(&f->v, VD_DATA), &h, sizeof(h));
	if (len)
		memcpy(vd_ptr(&f->v, VD_DATA + 0x1000), data, len);
	vd_send(&f->v, TX, b, len ? 2 : 1);
	assert_true(vd_used(&f->v, TX, NULL) >= 0);
}

static int host_connects(struct fixture *f, const char *greeting)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->listen_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (greeting)
		assert_int_equal(write(fd, greeting, strlen(greeting)), strlen(greeting));
	vd_turn(&f->v);
	return fd;
}

/* An open connection from the host to port 80: its descriptor, and the guest's view of it. */
static int open_from_host(struct fixture *f, struct virtio_vsock_hdr *ret)
{
	int fd = host_connects(f, "CONNECT 80\n");
	struct virtio_vsock_hdr h;
	char line[32] = {0}, want[32];

	expect(f, VIRTIO_VSOCK_OP_REQUEST, &h);
	assert_int_equal(h.dst_port, 80);
	assert_int_equal(h.buf_alloc, VSOCK_BUFFER_BYTES);
	*ret = from(80, h.src_port);
	tell(f, *ret, VIRTIO_VSOCK_OP_RESPONSE, NULL, 0);
	assert_true(read(fd, line, sizeof(line)) > 0);
	snprintf(want, sizeof(want), "OK %u\n", h.src_port);
	assert_string_equal(line, want);
	return fd;
}

static void closed(int fd)
{
	char c;

	errno = 0;
	assert_true(read(fd, &c, 1) <= 0 && errno != EAGAIN);
	close(fd);
}

static void test_configuration(void **state)
{
	struct fixture *f = *state;
	uint64_t cid = 0;

	vd_config(&f->v, 0, &cid, 8);
	assert_int_equal(cid, CID);
	assert_int_equal(vd_read(&f->v, VIRTIO_MMIO_DEVICE_ID), 19);
}

static void test_host_to_guest(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr g, h;
	char text[RX_BYTES] = {0};
	int fd;

	start(f);
	fd = open_from_host(f, &g);
	assert_int_equal(write(fd, "question", 8), 8);
	assert_true(next(f, &h, text));
	assert_int_equal(h.op, VIRTIO_VSOCK_OP_RW);
	assert_string_equal(text, "question");
	g.fwd_cnt = 8;
	tell(f, g, VIRTIO_VSOCK_OP_RW, "answer", 6);
	assert_int_equal(read(fd, text, sizeof(text)), 6);
	assert_memory_equal(text, "answer", 6);
	nothing_more(f);
	close(fd);
	expect(f, VIRTIO_VSOCK_OP_SHUTDOWN, &h);
	assert_int_equal(h.flags, 3);
	tell(f, g, VIRTIO_VSOCK_OP_SHUTDOWN, NULL, 0);
	g.flags = 3;
	tell(f, g, VIRTIO_VSOCK_OP_SHUTDOWN, NULL, 0);
	expect(f, VIRTIO_VSOCK_OP_RST, &h);
	nothing_more(f);
}

/* What follows the greeting at once is the stream. */
static void test_greeting_in_pieces_and_early_data(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr g, h;
	char text[RX_BYTES] = {0};
	int fd;

	start(f);
	fd = host_connects(f, "CONN");
	nothing_more(f);
	assert_int_equal(write(fd, "ECT 80\nearly", 12), 12);
	expect(f, VIRTIO_VSOCK_OP_REQUEST, &h);
	nothing_more(f);
	g = from(80, h.src_port);
	tell(f, g, VIRTIO_VSOCK_OP_RESPONSE, NULL, 0);
	assert_true(next(f, &h, text));
	assert_int_equal(h.op, VIRTIO_VSOCK_OP_RW);
	assert_string_equal(text, "early");
	close(fd);
}

static void test_bad_greetings(void **state)
{
	static const char *const bad[] = {
		"HELLO\n",      "CONNECT\n",      "CONNECT \n",
		"CONNECT -1\n", "CONNECT 80 \n",  "CONNECT 4294967296\n",
		"connect 80\n", "CONNECT 80\r\n", "CONNECT 000000000000000000000000080"};
	struct fixture *f = *state;

	start(f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		closed(host_connects(f, bad[i]));
	close(host_connects(f, NULL));
	vd_turn(&f->v);
	nothing_more(f);
}

static void test_guest_refuses(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr h;
	int fd;

	start(f);
	fd = host_connects(f, "CONNECT 81\n");
	expect(f, VIRTIO_VSOCK_OP_REQUEST, &h);
	tell(f, from(81, h.src_port), VIRTIO_VSOCK_OP_RST, NULL, 0);
	closed(fd);
	nothing_more(f);
}

static void test_guest_to_host(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr g = from(5000, 80), h;
	char path[100], text[RX_BYTES] = {0};
	int listener, fd;

	snprintf(path, sizeof(path), "%s_80", f->base);
	listener = listen_at(path);
	start(f);
	tell(f, g, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
	expect(f, VIRTIO_VSOCK_OP_RESPONSE, &h);
	assert_int_equal(h.src_port, 80);
	assert_int_equal(h.dst_port, 5000);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	tell(f, g, VIRTIO_VSOCK_OP_RW, "GET", 3);
	assert_int_equal(read(fd, text, sizeof(text)), 3);
	/* Half a close: the host reads the end and still answers. */
	g.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
	tell(f, g, VIRTIO_VSOCK_OP_SHUTDOWN, NULL, 0);
	assert_int_equal(read(fd, text, sizeof(text)), 0);
	assert_int_equal(write(fd, "200", 3), 3);
	assert_true(next(f, &h, text));
	assert_int_equal(h.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(h.len, 3);
	/* A second one from the same port is no connection of its own. */
	tell(f, g, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
	expect(f, VIRTIO_VSOCK_OP_RST, &h);
	closed(fd);
	close(listener);
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr g = from(5000, 4711), h;

	start(f);
	tell(f, g, VIRTIO_VSOCK_OP_REQUEST, NULL, 0); /* nobody listens there */
	expect(f, VIRTIO_VSOCK_OP_RST, &h);
	assert_int_equal(h.src_port, 4711);
	assert_int_equal(h.dst_port, 5000);
	for (uint16_t op = 2; op < 9; op++) {
		tell(f, g, op, NULL, 0);
		if (op != VIRTIO_VSOCK_OP_RST)
			expect(f, VIRTIO_VSOCK_OP_RST, &h);
		nothing_more(f);
	}
	g.dst_cid = 3; /* another guest */
	tell(f, g, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
	expect(f, VIRTIO_VSOCK_OP_RST, &h);
	g = from(5000, 80);
	g.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
	tell(f, g, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
	expect(f, VIRTIO_VSOCK_OP_RST, &h);
	g = from(5000, 80);
	g.src_cid = 99; /* somebody else's name */
	tell(f, g, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
	nothing_more(f);
	assert_false(vd_broken(&f->v));
}

static void test_host_reads_slowly(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr g, h;
	static uint8_t sent[1 << 20], got[1 << 20];
	size_t have = 0, at = 0, granted = VSOCK_BUFFER_BYTES;
	bool stalled = false;
	int fd, small = 4096;

	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + i / 256);
	start(f);
	fd = open_from_host(f, &g);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	while (have < sizeof(sent)) {
		ssize_t n;

		/* As much as was granted, as a good guest does. */
		while (at < sizeof(sent) && at + 8192 <= granted) {
			tell(f, g, VIRTIO_VSOCK_OP_RW, sent + at, 8192);
			at += 8192;
		}
		while (next(f, &h, NULL)) {
			assert_int_equal(h.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
			granted = h.fwd_cnt + h.buf_alloc;
		}
		stalled = stalled || at + 8192 > granted;
		n = read(fd, got + have, 5000);
		if (n > 0)
			have += (size_t)n;
	}
	assert_true(stalled);
	assert_memory_equal(got, sent, sizeof(sent));
	close(fd);
}

/* A guest that wrote, closed, and lost patience with a slow host: what it wrote still arrives, and then the end. */
static void test_reset_after_close_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr g, h;
	static uint8_t sent[1 << 20], got[1 << 20];
	size_t at = 0, have = 0, granted = VSOCK_BUFFER_BYTES;
	ssize_t n;
	int fd;

	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 5 + i / 256);
	start(f);
	fd = open_from_host(f, &g);
	for (; at + 8192 <= granted; at += 8192) {
		tell(f, g, VIRTIO_VSOCK_OP_RW, sent + at, 8192);
		while (next(f, &h, NULL))
			granted = h.fwd_cnt + h.buf_alloc;
	}
	g.flags = 3;
	tell(f, g, VIRTIO_VSOCK_OP_SHUTDOWN, NULL, 0);
	nothing_more(f);
	tell(f, g, VIRTIO_VSOCK_OP_RST, NULL, 0);
	while ((n = read(fd, got + have, sizeof(got) - have)) > 0) {
		have += (size_t)n;
		vd_turn(&f->v);
	}
	assert_int_equal(n, 0);
	assert_int_equal(have, at);
	assert_memory_equal(got, sent, at);
	nothing_more(f);
	close(fd);
	/* One that has not closed loses its connection at once. */
	fd = open_from_host(f, &g);
	tell(f, g, VIRTIO_VSOCK_OP_RST, NULL, 0);
	closed(fd);
}

static void test_guest_overruns_its_credit(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr g, h;
	static uint8_t data[32 << 10];
	unsigned n = 0;
	int fd;

	start(f);
	fd = open_from_host(f, &g);
	/* The host's socket takes some; then the buffer here; then it is over. */
	for (;; n++) {
		assert_true(n < 100);
		tell(f, g, VIRTIO_VSOCK_OP_RW, data, sizeof(data));
		if (next(f, &h, NULL) && h.op == VIRTIO_VSOCK_OP_RST)
			break;
	}
	assert_false(vd_broken(&f->v));
	close(fd);
}

static void test_credit_of_the_guest_is_kept(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr g, h;
	char text[RX_BYTES], data[150];
	int fd;

	start(f);
	memset(data, 'x', sizeof(data));
	fd = host_connects(f, "CONNECT 80\n");
	expect(f, VIRTIO_VSOCK_OP_REQUEST, &h);
	g = from(80, h.src_port);
	g.buf_alloc = 100;
	tell(f, g, VIRTIO_VSOCK_OP_RESPONSE, NULL, 0);
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	assert_true(next(f, &h, text));
	assert_int_equal(h.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(h.len, 100);
	expect(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST, &h);
	nothing_more(f);
	g.fwd_cnt = 60;
	tell(f, g, VIRTIO_VSOCK_OP_CREDIT_UPDATE, NULL, 0);
	assert_true(next(f, &h, text));
	assert_int_equal(h.len, 50);
	/* A guest that shrinks its buffer below what is under way gets nothing for now. */
	g.buf_alloc = 10;
	tell(f, g, VIRTIO_VSOCK_OP_CREDIT_UPDATE, NULL, 0);
	assert_int_equal(write(fd, data, 10), 10);
	nothing_more(f);
	tell(f, g, VIRTIO_VSOCK_OP_CREDIT_REQUEST, NULL, 0);
	expect(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, &h);
	close(fd);
}

static void test_lies_about_credit(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr g, h;
	int fd;

	start(f);
	fd = open_from_host(f, &g);
	g.fwd_cnt = 1; /* it was sent nothing */
	tell(f, g, VIRTIO_VSOCK_OP_CREDIT_UPDATE, NULL, 0);
	expect(f, VIRTIO_VSOCK_OP_RST, &h);
	closed(fd);
}

static void test_too_many_connections(void **state)
{
	struct fixture *f = *state;
	int fds[VSOCK_CONNECTIONS_MAX + 1];
	struct virtio_vsock_hdr h;

	start(f);
	for (unsigned i = 0; i <= VSOCK_CONNECTIONS_MAX; i++)
		fds[i] = host_connects(f, "CONNECT 80\n");
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
		expect(f, VIRTIO_VSOCK_OP_REQUEST, &h);
	nothing_more(f);
	closed(fds[VSOCK_CONNECTIONS_MAX]);
	/* A reset ends them all, and there is room again. */
	vd_write(&f->v, VIRTIO_MMIO_STATUS, 0);
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
		closed(fds[i]);
	start(f);
	close(open_from_host(f, &h));
}

/* Thousands of packets that want an answer, no buffer for one: they wait in the guest's own queue. */
static void test_answers_without_buffers(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr g = from(5000, 4711), h;
	unsigned answers = 0;

	assert_true(vd_start(&f->v, 0));
	g.op = VIRTIO_VSOCK_OP_RW;
	memcpy(vd_ptr(&f->v, VD_DATA), &g, sizeof(g));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 50; i++)
			vd_publish(&f->v, TX,
				   vd_chain(&f->v, TX, &(struct vd_buf){VD_DATA, sizeof(g), false},
					    1));
		vd_kick(&f->v, TX);
	}
	give_buffers(f, 32);
	while (next(f, &h, NULL))
		answers += h.op == VIRTIO_VSOCK_OP_RST;
	assert_int_equal(answers, 100);
	assert_false(vd_broken(&f->v));
}

static void test_malformed_packets(void **state)
{
	static const struct {
		uint32_t bytes, len;
		bool write;
	} bad[] = {
		{43, 0, false}, {44, 1, false},        {100, 57, false},        {0, 0, false},
		{44, 0, true},  {70000, 65537, false}, {44, UINT32_MAX, false},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct virtio_vsock_hdr g = from(1, 2);

		f->v.reports = 0;
		start(f);
		g.op = VIRTIO_VSOCK_OP_RW;
		g.len = bad[i].len;
		memcpy(vd_ptr(&f->v, VD_DATA), &g, sizeof(g));
		vd_send(&f->v, TX, &(struct vd_buf){VD_DATA, bad[i].bytes, bad[i].write}, 1);
		assert_true(vd_broken(&f->v));
		assert_int_equal(f->v.reports, 1);
	}
}

/* No room for a header, or for any data behind it. */
static void test_small_receive_buffers(void **state)
{
	struct fixture *f = *state;

	for (uint32_t bytes = 43; bytes <= 44; bytes++) {
		assert_true(vd_start(&f->v, 0));
		vd_send(&f->v, RX, &(struct vd_buf){RX_AT(0), bytes, true}, 1);
		close(host_connects(f, "CONNECT 80\n"));
		vd_turn(&f->v);
		assert_true(vd_broken(&f->v));
	}
}

static void test_bad_setups(void **state)
{
	static const uint64_t bad[] = {0, 1, 2, UINT32_MAX, 1ull << 32};
	struct fixture *f = *state;
	struct virtio_device *d = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct virtio_vsock_setup s = {.guest_cid = bad[i], .listen_fd = -1};

		assert_int_equal(virtio_vsock_new(&s, &d, &f->v.last), -EINVAL);
	}
	assert_null(d);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_configuration),
		T(test_host_to_guest),
		T(test_greeting_in_pieces_and_early_data),
		T(test_bad_greetings),
		T(test_guest_refuses),
		T(test_guest_to_host),
		T(test_refusals),
		T(test_host_reads_slowly),
		T(test_reset_after_close_loses_nothing),
		T(test_guest_overruns_its_credit),
		T(test_credit_of_the_guest_is_kept),
		T(test_lies_about_credit),
		T(test_too_many_connections),
		T(test_answers_without_buffers),
		T(test_malformed_packets),
		T(test_small_receive_buffers),
		T(test_bad_setups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
