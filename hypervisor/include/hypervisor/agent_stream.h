/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stream of one process over an agent connection, for both ends: a *source* turns what a local
 * descriptor yields into AGENT_DATA, a *sink* writes AGENT_DATA to a local descriptor. They keep
 * the credit of agent.h: a source sends what was granted and no more; a sink holds at most
 * AGENT_WINDOW bytes, grants anew what it wrote, and takes a sender that overran for a liar.
 *
 * An empty AGENT_DATA in the direction of the stream is its end. Against the direction it says that
 * the reader is gone: the source's descriptor is closed, and whoever writes to it gets EPIPE, as
 * it would have without a machine in between.
 *
 * Descriptors are owned. They should be non-blocking; where that would change a file description
 * shared with strangers see agent_stream_open().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hypervisor/agent.h"

struct agent_source {
	int fd; /* -1: ended */
	uint32_t credit;
	uint32_t proc;
	uint8_t stream;
	bool end_sent;
};

struct agent_sink {
	int fd;       /* -1: reader gone, or end reached; what comes is dropped (and granted) */
	uint8_t *buf; /* ring of AGENT_WINDOW bytes, made on first need */
	uint32_t start, len;
	uint32_t window; /* what the peer may still send */
	uint32_t owed;   /* written, not granted yet */
	uint32_t proc;
	uint8_t stream;
	bool end;       /* the peer's end was received */
	bool gone_sent; /* we told that our reader is gone */
};

/* A descriptor of ours on what `fd` stands for, which can be polled and then used without blocking
 * and without touching the flags of the file description that `fd` shares with others: pipes and
 * terminals are opened anew; a socket, regular file or what cannot be opened again is duplicated
 * (and used in small pieces after poll). Takes fd over in every case. Returns a descriptor or
 * -errno. */
int agent_stream_open(int fd, bool for_writing);

void agent_source_init(struct agent_source *s, int fd, uint32_t proc, enum agent_stream stream);
void agent_source_done(struct agent_source *s);
/* Poll fd for input now? False without credit and while the connection is full. */
bool agent_source_wants(const struct agent_source *s, const struct agent_conn *c);
/* Move what is there, at most one frame. 1: moved; 0: nothing there for now; -ENODATA: ended (the
 * end was sent). Other errors are the connection's. */
int agent_source_move(struct agent_source *s, struct agent_conn *c);
/* Send the end without waiting for it (idempotent). */
int agent_source_end(struct agent_source *s, struct agent_conn *c);
/* AGENT_CREDIT came. -EPROTO when it grants more than a window. */
int agent_source_grant(struct agent_source *s, uint32_t bytes);
/* The peer's reader is gone. */
void agent_source_abort(struct agent_source *s);

void agent_sink_init(struct agent_sink *s, int fd, uint32_t proc, enum agent_stream stream);
void agent_sink_done(struct agent_sink *s);
/* AGENT_DATA came. -EPROTO beyond the window or after the end; -ENOMEM. */
int agent_sink_push(struct agent_sink *s, const uint8_t *data, uint32_t len);
/* Poll fd for output now? */
bool agent_sink_wants(const struct agent_sink *s);
/* Write what the descriptor takes; grant; tell when the reader is gone. Errors are the
 * connection's. */
int agent_sink_move(struct agent_sink *s, struct agent_conn *c);
/* Nothing is left to write: end reached and drained, or the reader is gone. */
bool agent_sink_is_done(const struct agent_sink *s);
