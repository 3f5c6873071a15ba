/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent connection: frames in and out whole, and what a hostile peer sends refused. The peer
 * here is the other end of a socket pair that writes raw bytes.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "hypervisor/agent.h"
#include "hypervisor/agent_stream.h"

struct fixture {
	int ours, peer;
	struct agent_conn *c;
	struct err e;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int sv[2];

	if (!f || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	f->ours = sv[0];
	f->peer = sv[1];
	*state = f;
	return agent_conn_new(f->ours, &f->c);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	agent_conn_free(f->c);
	close(f->ours);
	if (f->peer >= 0)
		close(f->peer);
	free(f);
	return 0;
}

/* The wire format written out by hand, so that the test does not lean on the code's own struct. */
static void raw_header(uint8_t out[16], uint32_t length, uint8_t type, uint8_t stream,
		       uint16_t flags, uint32_t proc, uint32_t value)
{
	length = htole32(length);
	flags = htole16(flags);
	proc = htole32(proc);
	value = htole32(value);
	memcpy(out, &length, 4);
	out[4] = type;
	out[5] = stream;
	memcpy(out + 6, &flags, 2);
	memcpy(out + 8, &proc, 4);
	memcpy(out + 12, &value, 4);
}

static void peer_sends(struct fixture *f, uint32_t length, uint8_t type, uint8_t stream,
		       uint16_t flags)
{
	uint8_t h[16];

	raw_header(h, length, type, stream, flags, 7, 9);
	assert_int_equal(write(f->peer, h, 16), 16);
	assert_int_equal(agent_conn_fill(f->c, &f->e), 0);
}

static void test_frame_arrives_as_sent(void **state)
{
	struct fixture *f = *state;
	struct agent_header h = {.length = 5,
				 .type = AGENT_DATA,
				 .stream = AGENT_STDERR,
				 .proc = 0x01020304,
				 .value = 0};
	uint8_t raw[21], want[16];

	assert_int_equal(agent_send(f->c, &h, "hello"), 0);
	assert_true(agent_conn_wants_write(f->c));
	assert_int_equal(agent_conn_flush(f->c, &f->e), 0);
	assert_false(agent_conn_wants_write(f->c));
	assert_int_equal(read(f->peer, raw, sizeof(raw)), 21);
	raw_header(want, 5, AGENT_DATA, AGENT_STDERR, 0, 0x01020304, 0);
	assert_memory_equal(raw, want, 16);
	assert_memory_equal(raw + 16, "hello", 5);
}

/* One byte at a time: no frame before the last, and the payload is NUL-terminated although the next
 * frame's header follows at once. */
static void test_frames_in_pieces(void **state)
{
	struct fixture *f = *state;
	struct agent_frame got;
	uint8_t bytes[16 + 3 + 16];

	raw_header(bytes, 3, AGENT_CREATE, 0, AGENT_MORE, 0, 0);
	memcpy(bytes + 16, "abc", 3);
	raw_header(bytes + 19, 0, AGENT_EXIT, 0, 0, 4, 0xff00);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(write(f->peer, bytes + i, 1), 1);
		assert_int_equal(agent_conn_fill(f->c, &f->e), 0);
		if (i == 18) {
			assert_int_equal(agent_conn_next(f->c, &got, &f->e), 1);
			assert_string_equal((const char *)got.payload, "abc");
			assert_int_equal(got.h.flags, AGENT_MORE);
		} else if (i < sizeof(bytes) - 1) {
			assert_int_equal(agent_conn_next(f->c, &got, &f->e), 0);
		}
	}
	assert_int_equal(agent_conn_next(f->c, &got, &f->e), 1);
	assert_int_equal(got.h.type, AGENT_EXIT);
	assert_int_equal(got.h.proc, 4);
	assert_int_equal(got.h.value, 0xff00);
}

static void test_two_frames_in_one_read(void **state)
{
	struct fixture *f = *state;
	struct agent_frame got;
	uint8_t bytes[2 * 18];

	raw_header(bytes, 2, AGENT_DATA, AGENT_STDOUT, 0, 0, 0);
	memcpy(bytes + 16, "xy", 2);
	raw_header(bytes + 18, 2, AGENT_DATA, AGENT_STDOUT, 0, 0, 0);
	memcpy(bytes + 34, "zw", 2);
	assert_int_equal(write(f->peer, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(agent_conn_fill(f->c, &f->e), 0);
	assert_int_equal(agent_conn_next(f->c, &got, &f->e), 1);
	assert_string_equal((const char *)got.payload, "xy");
	assert_int_equal(agent_conn_next(f->c, &got, &f->e), 1);
	assert_string_equal((const char *)got.payload, "zw");
	assert_int_equal(agent_conn_next(f->c, &got, &f->e), 0);
}

static void test_largest_frame(void **state)
{
	struct fixture *f = *state;
	static uint8_t payload[AGENT_PAYLOAD_MAX + 1];
	struct agent_header h = {.length = AGENT_PAYLOAD_MAX, .type = AGENT_DATA};
	struct agent_conn *peer;
	struct agent_frame got;
	int r;

	memset(payload, 'p', sizeof(payload));
	assert_int_equal(agent_conn_new(f->peer, &peer), 0);
	assert_int_equal(agent_send(peer, &h, payload), 0);
	do {
		assert_int_equal(agent_conn_flush(peer, &f->e), 0);
		assert_int_equal(agent_conn_fill(f->c, &f->e), 0);
		r = agent_conn_next(f->c, &got, &f->e);
	} while (r == 0);
	assert_int_equal(r, 1);
	assert_int_equal(got.h.length, AGENT_PAYLOAD_MAX);
	assert_memory_equal(got.payload, payload, AGENT_PAYLOAD_MAX);
	assert_int_equal(got.payload[AGENT_PAYLOAD_MAX], 0);

	h.length = AGENT_PAYLOAD_MAX + 1;
	assert_int_equal(agent_send(peer, &h, payload), -EMSGSIZE);
	agent_conn_free(peer);
}

static void test_overlong_frame_is_refused_by_its_header(void **state)
{
	struct fixture *f = *state;
	struct agent_frame got;

	peer_sends(f, AGENT_PAYLOAD_MAX + 1, AGENT_DATA, 0, 0);
	assert_int_equal(agent_conn_next(f->c, &got, &f->e), -EPROTO);
	assert_non_null(strstr(f->e.text, "DATA"));
}

static void test_length_near_overflow(void **state)
{
	struct fixture *f = *state;
	struct agent_frame got;

	peer_sends(f, UINT32_MAX, AGENT_DATA, 0, 0);
	assert_int_equal(agent_conn_next(f->c, &got, &f->e), -EPROTO);
}

static void test_malformed_headers(void **state)
{
	static const struct {
		uint32_t length;
		uint8_t type, stream;
		uint16_t flags;
	} bad[] = {
		{0, 0, 0, 0},                                /* no type */
		{0, AGENT_TYPE_COUNT, 0, 0},                 /* unknown type */
		{0, 255, 0, 0},                              /* unknown type */
		{0, AGENT_DATA, AGENT_STREAM_COUNT, 0},      /* unknown stream */
		{0, AGENT_CREDIT, 255, 0},                   /* unknown stream */
		{0, AGENT_EXIT, 1, 0},                       /* a stream where none belongs */
		{4, AGENT_EXIT, 0, 0},                       /* payload where none belongs */
		{1, AGENT_HELLO, 0, 0},                      /* the same */
		{7, AGENT_TIME, 0, 0},                       /* too short */
		{sizeof(struct err) - 1, AGENT_ERROR, 0, 0}, /* half an error */
		{sizeof(struct err) + 1, AGENT_ERROR, 0, 0},
		{0, AGENT_EXIT, 0, AGENT_MORE},           /* a flag of another type */
		{0, AGENT_SIGNAL, 0, AGENT_ALL | 0x8000}, /* unknown flag */
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture *f;
		struct agent_frame got;

		assert_int_equal(setup(state), 0);
		f = *state;
		peer_sends(f, bad[i].length, bad[i].type, bad[i].stream, bad[i].flags);
		assert_int_equal(agent_conn_next(f->c, &got, &f->e), -EPROTO);
		assert_int_equal(f->e.kind, ERR_INVALID);
		teardown(state);
	}
}

static void test_end_of_stream(void **state)
{
	struct fixture *f = *state;
	struct agent_frame got;

	peer_sends(f, 10, AGENT_DATA, AGENT_STDOUT, 0);
	assert_int_equal(write(f->peer, "half", 4), 4);
	close(f->peer);
	f->peer = -1;
	assert_int_equal(agent_conn_fill(f->c, &f->e), 0);
	assert_int_equal(agent_conn_next(f->c, &got, &f->e), 0);
	assert_int_equal(agent_conn_fill(f->c, &f->e), -EPIPE);
	assert_non_null(strstr(f->e.text, "inside a frame"));
}

static void test_queue_is_bounded(void **state)
{
	struct fixture *f = *state;
	static uint8_t payload[AGENT_PAYLOAD_MAX];
	struct agent_header h = {.length = sizeof(payload), .type = AGENT_DATA};
	size_t queued = 0;
	int r;

	while ((r = agent_send(f->c, &h, payload)) == 0)
		queued += sizeof(payload);
	assert_int_equal(r, -ENOBUFS);
	assert_in_range(queued, 7u << 20, 8u << 20);
}

static void test_document_in_chunks(void **state)
{
	struct fixture *f = *state;
	const size_t len = 3 * AGENT_PAYLOAD_MAX + 17;
	_cleanup_free_ char *text = malloc(len), *got = malloc(len);
	struct agent_conn *peer;
	size_t n = 0;
	bool more = true;

	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i % 26);
	assert_int_equal(agent_conn_new(f->peer, &peer), 0);
	assert_int_equal(agent_send_document(peer, AGENT_EXEC, 3, text, len), 0);
	while (more) {
		struct agent_frame frame;

		assert_int_equal(agent_conn_flush(peer, &f->e), 0);
		assert_int_equal(agent_conn_fill(f->c, &f->e), 0);
		while (agent_conn_next(f->c, &frame, &f->e) == 1) {
			assert_int_equal(frame.h.type, AGENT_EXEC);
			assert_int_equal(frame.h.proc, 3);
			memcpy(got + n, frame.payload, frame.h.length);
			n += frame.h.length;
			more = frame.h.flags & AGENT_MORE;
		}
	}
	assert_int_equal(n, len);
	assert_memory_equal(got, text, len);
	assert_int_equal(agent_send_document(peer, AGENT_EXEC, 3, text, AGENT_DOCUMENT_MAX + 1),
			 -EFBIG);
	agent_conn_free(peer);
}

static void test_error_travels(void **state)
{
	struct fixture *f = *state;
	struct err sent = ERR_INIT, *got;
	struct agent_conn *peer;
	struct agent_frame frame;

	err_set(&sent, ERR_CMD_NOT_FOUND, ENOENT, "no such thing");
	assert_int_equal(agent_conn_new(f->peer, &peer), 0);
	assert_int_equal(agent_send_error(peer, 5, &sent), 0);
	assert_int_equal(agent_conn_flush(peer, &f->e), 0);
	assert_int_equal(agent_conn_fill(f->c, &f->e), 0);
	assert_int_equal(agent_conn_next(f->c, &frame, &f->e), 1);
	assert_int_equal(frame.h.proc, 5);
	got = (struct err *)frame.payload;
	assert_int_equal(got->kind, ERR_CMD_NOT_FOUND);
	assert_string_equal(got->text, "no such thing");
	agent_conn_free(peer);
}

/* ---- streams ------------------------------------------------------------------------------ */

static void test_sink_refuses_more_than_its_window(void **state)
{
	static uint8_t data[AGENT_WINDOW];
	struct agent_sink s;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	agent_sink_init(&s, p[1], 0, AGENT_STDOUT);
	assert_int_equal(agent_sink_push(&s, data, AGENT_WINDOW), 0);
	assert_int_equal(agent_sink_push(&s, data, 1), -EPROTO);
	agent_sink_done(&s);
	close(p[0]);
}

static void test_sink_refuses_data_after_the_end(void **state)
{
	struct agent_sink s;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	agent_sink_init(&s, p[1], 0, AGENT_STDOUT);
	assert_int_equal(agent_sink_push(&s, NULL, 0), 0);
	assert_int_equal(agent_sink_push(&s, (const uint8_t *)"x", 1), -EPROTO);
	assert_int_equal(agent_sink_push(&s, NULL, 0), -EPROTO);
	agent_sink_done(&s);
	close(p[0]);
}

static void test_source_keeps_to_its_credit(void **state)
{
	struct fixture *f = *state;
	static uint8_t block[AGENT_PAYLOAD_MAX];
	struct agent_source s;
	size_t moved = 0;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	agent_source_init(&s, p[0], 2, AGENT_STDOUT);
	/* nobody grants: exactly one window leaves, however much there is */
	while (s.credit) {
		assert_true(write(p[1], block, 4096) > 0);
		assert_true(agent_source_move(&s, f->c) >= 0);
	}
	(void)!write(p[1], block, 4096);
	assert_int_equal(agent_source_move(&s, f->c), 0);
	assert_false(agent_source_wants(&s, f->c));
	assert_int_equal(agent_conn_flush(f->c, &f->e), 0);
	for (;;) {
		static uint8_t in[1 << 16];
		ssize_t n = read(f->peer, in, sizeof(in));

		if (n <= 0) {
			assert_int_equal(agent_conn_flush(f->c, &f->e), 0);
			if (!agent_conn_wants_write(f->c) && n < 0 && read(f->peer, in, 0) == 0 &&
			    recv(f->peer, in, 1, MSG_PEEK) < 0)
				break;
			continue;
		}
		moved += (size_t)n;
	}
	assert_int_equal(moved, AGENT_WINDOW + 16 * (AGENT_WINDOW / 4096));
	assert_int_equal(agent_source_grant(&s, AGENT_WINDOW + 1), -EPROTO);
	assert_int_equal(agent_source_grant(&s, AGENT_WINDOW), 0);
	assert_int_equal(agent_source_grant(&s, 1), -EPROTO);
	agent_source_done(&s);
	close(p[1]);
}

/* Source, connection, sink: a megabyte comes out as it went in, then the end. */
static void test_stream_end_to_end(void **state)
{
	struct fixture *f = *state;
	const size_t total = 1 << 20;
	struct agent_source src;
	struct agent_sink snk;
	struct agent_conn *peer;
	size_t put = 0, got = 0;
	int in[2], out[2];
	bool ended = false;

	assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(agent_conn_new(f->peer, &peer), 0);
	agent_source_init(&src, in[0], 1, AGENT_STDOUT);
	agent_sink_init(&snk, out[1], 1, AGENT_STDOUT);
	while (!ended) {
		struct agent_frame frame;
		uint8_t buf[5000];
		ssize_t n;

		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)((put + i) * 31);
		n = put < total ? write(in[1], buf,
					total - put < sizeof(buf) ? total - put : sizeof(buf))
				: 0;
		put += n > 0 ? (size_t)n : 0;
		if (put == total && in[1] >= 0) {
			close(in[1]);
			in[1] = -1;
		}
		if (agent_source_wants(&src, f->c))
			assert_true(agent_source_move(&src, f->c) != -EPROTO);
		assert_int_equal(agent_conn_flush(f->c, &f->e), 0);
		assert_int_equal(agent_conn_fill(peer, &f->e), 0);
		while (agent_conn_next(peer, &frame, &f->e) == 1)
			assert_int_equal(agent_sink_push(&snk, frame.payload, frame.h.length), 0);
		assert_int_equal(agent_sink_move(&snk, peer), 0);
		assert_int_equal(agent_conn_flush(peer, &f->e), 0);
		assert_int_equal(agent_conn_fill(f->c, &f->e), 0);
		while (agent_conn_next(f->c, &frame, &f->e) == 1) {
			assert_int_equal(frame.h.type, AGENT_CREDIT);
			assert_int_equal(agent_source_grant(&src, frame.h.value), 0);
		}
		while ((n = read(out[0], buf, sizeof(buf))) > 0)
			for (ssize_t i = 0; i < n; i++, got++)
				assert_int_equal(buf[i],
						 (uint8_t)((got % 5000 + got / 5000 * 5000) * 31));
		ended = n == 0;
	}
	assert_int_equal(got, total);
	assert_true(agent_sink_is_done(&snk));
	agent_source_done(&src);
	agent_sink_done(&snk);
	agent_conn_free(peer);
	close(out[0]);
}

/* A reader that goes away is told to the other side, once, and what still comes is dropped. */
static void test_reader_gone(void **state)
{
	struct fixture *f = *state;
	struct agent_sink s;
	uint8_t raw[64], want[16];
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	agent_sink_init(&s, p[1], 6, AGENT_STDOUT);
	close(p[0]);
	assert_int_equal(agent_sink_push(&s, (const uint8_t *)"x", 1), 0);
	assert_int_equal(agent_sink_move(&s, f->c), 0);
	assert_true(agent_sink_is_done(&s));
	assert_int_equal(agent_conn_flush(f->c, &f->e), 0);
	assert_int_equal(read(f->peer, raw, sizeof(raw)), 32);
	raw_header(want, 0, AGENT_DATA, AGENT_STDOUT, 0, 6, 0);
	assert_memory_equal(raw, want, 16);
	raw_header(want, 0, AGENT_CREDIT, AGENT_STDOUT, 0, 6, 1);
	assert_memory_equal(raw + 16, want, 16);
	assert_int_equal(agent_sink_push(&s, (const uint8_t *)"y", 1), 0);
	assert_int_equal(s.len, 0);
	agent_sink_done(&s);
}

/* A pipe's description is shared with whoever gave it: its flags must stay as they were. */
static void test_stream_open_leaves_shared_flags(void **state)
{
	int p[2], keep, fd;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	keep = fcntl(p[1], F_DUPFD_CLOEXEC, 3);
	fd = agent_stream_open(p[1], true);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(keep, F_GETFL) & O_NONBLOCK);
	close(fd);
	close(keep);
	close(p[0]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_frame_arrives_as_sent),
		T(test_frames_in_pieces),
		T(test_two_frames_in_one_read),
		T(test_largest_frame),
		T(test_overlong_frame_is_refused_by_its_header),
		T(test_length_near_overflow),
		cmocka_unit_test(test_malformed_headers),
		T(test_end_of_stream),
		T(test_queue_is_bounded),
		T(test_document_in_chunks),
		T(test_error_travels),
		cmocka_unit_test(test_sink_refuses_more_than_its_window),
		cmocka_unit_test(test_sink_refuses_data_after_the_end),
		T(test_source_keeps_to_its_credit),
		T(test_stream_end_to_end),
		T(test_reader_gone),
		cmocka_unit_test(test_stream_open_leaves_shared_flags),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
