/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: bytes from a hostile guest (or host) on the agent's connection. However the bytes are
 * cut on their way, the same frames come out; a frame that was taken gives the same bytes when it is
 * sent again; and streams driven by what came keep to their windows.
 *
 * Input: the first byte says how the bytes are cut, the rest is the stream.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hypervisor/agent.h"
#include "hypervisor/agent_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* What the frames that were taken look like when they are sent again, in one buffer. */
struct end {
	int fds[2];
	struct agent_conn *conn, *mirror; /* mirror writes to its own pair */
	int mirror_fds[2];
	struct agent_source source;
	struct agent_sink sink;
	uint8_t *again;
	size_t n_again;
	uint32_t frames;
	int result; /* 0, or why it ended */
};

static void end_init(struct end *x, size_t size)
{
	int pipe_in[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	const int kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

	*x = (struct end){0};
	MUST(null >= 0 && pipe2(pipe_in, O_CLOEXEC | O_NONBLOCK) == 0);
	MUST(socketpair(AF_UNIX, kind, 0, x->fds) == 0);
	MUST(socketpair(AF_UNIX, kind, 0, x->mirror_fds) == 0);
	MUST(agent_conn_new(x->fds[0], &x->conn) == 0);
	MUST(agent_conn_new(x->mirror_fds[0], &x->mirror) == 0);
	MUST(write(pipe_in[1], "some input", 10) == 10);
	close(pipe_in[1]);
	agent_source_init(&x->source, pipe_in[0], 0, AGENT_STDOUT);
	agent_sink_init(&x->sink, null, 0, AGENT_STDIN);
	x->again = malloc(size + 1);
	MUST(x->again);
}

static void end_done(struct end *x)
{
	agent_source_done(&x->source);
	agent_sink_done(&x->sink);
	agent_conn_free(x->conn);
	agent_conn_free(x->mirror);
	for (int i = 0; i < 2; i++) {
		close(x->fds[i]);
		close(x->mirror_fds[i]);
	}
	free(x->again);
}

/* As the agent and the monitor do it: the streams of process 0, whose errors end the connection. */
static int drive(struct end *x, const struct agent_frame *f)
{
	int r = 0;

	if (f->h.proc != 0)
		return 0;
	if (f->h.type == AGENT_CREDIT && f->h.stream == AGENT_STDOUT)
		r = agent_source_grant(&x->source, f->h.value);
	else if (f->h.type == AGENT_DATA && f->h.stream == AGENT_STDOUT)
		agent_source_abort(&x->source);
	else if (f->h.type == AGENT_DATA && f->h.stream == AGENT_STDIN)
		r = agent_sink_push(&x->sink, f->payload, f->h.length);
	MUST(x->source.credit <= AGENT_WINDOW);
	MUST((uint64_t)x->sink.window + x->sink.len + x->sink.owed <= AGENT_WINDOW);
	if (r < 0)
		return r;
	/* Every other time, so that the ring fills and wraps. */
	if (x->frames % 2 == 0) {
		r = agent_sink_move(&x->sink, x->conn);
		MUST(r == 0);
	}
	r = agent_source_move(&x->source, x->conn);
	MUST(r >= 0 || r == -ENODATA);
	return 0;
}

static int take(struct end *x, const struct agent_frame *f, size_t size)
{
	struct err e = ERR_INIT;
	ssize_t n;

	x->frames++;
	MUST(f->h.length <= AGENT_PAYLOAD_MAX && f->payload[f->h.length] == 0);
	MUST(agent_send(x->mirror, &f->h, f->payload) == 0);
	do {
		MUST(agent_conn_flush(x->mirror, &e) == 0);
		n = read(x->mirror_fds[1], x->again + x->n_again, size - x->n_again);
		if (n > 0)
			x->n_again += (size_t)n;
	} while (agent_conn_wants_write(x->mirror));
	return drive(x, f);
}

/* Let the bytes arrive in pieces of `step` and take every frame that is whole. */
static void feed(struct end *x, const uint8_t *data, size_t size, size_t step)
{
	struct agent_frame f;
	struct err e = ERR_INIT;

	for (size_t at = 0; at < size && x->result == 0;) {
		size_t n = size - at < step ? size - at : step;

		MUST(write(x->fds[1], data + at, n) == (ssize_t)n);
		at += n;
		MUST(agent_conn_fill(x->conn, &e) == 0);
		for (;;) {
			int r = agent_conn_next(x->conn, &f, &e);

			if (r == 1)
				r = take(x, &f, size) ?: 1;
			else
				MUST(r == 0 || (r == -EPROTO && e.text[0]));
			if (r < 0)
				x->result = r;
			if (r <= 0)
				break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct end whole, cut;

	/* A socket and the connection's buffer take this much at once. */
	if (size < 1 || size > AGENT_PAYLOAD_MAX)
		return 0;
	end_init(&whole, size);
	end_init(&cut, size);
	feed(&whole, data + 1, size - 1, size);
	feed(&cut, data + 1, size - 1, data[0] + 1u);
	MUST(whole.result == cut.result && whole.frames == cut.frames);
	MUST(whole.n_again == cut.n_again && whole.n_again <= size - 1);
	MUST(memcmp(whole.again, data + 1, whole.n_again) == 0);
	MUST(memcmp(cut.again, data + 1, cut.n_again) == 0);
	end_done(&whole);
	end_done(&cut);
	return 0;
}
