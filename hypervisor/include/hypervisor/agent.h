/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol between the host and the agent in the guest, and a framed connection for both ends.
 * It runs over any byte stream (virtio-serial, vsock, a socket pair in tests).
 *
 * A frame is a 16-byte little-endian header and a payload of at most AGENT_PAYLOAD_MAX bytes.
 * `proc` names a process of the sandbox: 0 is the first, higher numbers are chosen by the host per
 * exec. The streams of all processes share the connection, so each has credit: a sender sends no
 * more than the receiver granted (AGENT_WINDOW at the start, more by AGENT_CREDIT), and a stuck
 * reader never stops the others.
 *
 * Configurations travel as JSON in the OCI form, since the guest runs the same code as the host
 * (isolate/, runtime's parser): semantics are equal by construction. Everything from the guest is
 * hostile: lengths, types and process numbers are checked, and what breaks the protocol ends the
 * VM.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define AGENT_VERSION      1
#define AGENT_PAYLOAD_MAX  (64u << 10) /* stream data */
#define AGENT_DOCUMENT_MAX (4u << 20)  /* AGENT_CREATE and AGENT_EXEC documents come in chunks */
#define AGENT_WINDOW       (256u << 10)
#define AGENT_PORT_NAME    "org.insula.agent"

enum agent_type {
	/* guest → host */
	AGENT_HELLO = 1, /* value: AGENT_VERSION */
	AGENT_CREATED,   /* proc: everything but the exec is done */
	AGENT_STARTED,   /* proc: the exec happened */
	AGENT_ERROR,     /* proc: payload is a struct err */
	AGENT_EXIT,      /* proc: value is the wait status */
	/* host → guest */
	AGENT_CREATE, /* proc 0; payload: chunk of the OCI configuration; flags AGENT_MORE */
	AGENT_EXEC,   /* proc n; payload: chunk of an OCI process object; creates and starts it */
	AGENT_START,  /* proc 0 */
	AGENT_SIGNAL, /* proc; value: signal number; flags AGENT_ALL for every process */
	AGENT_RESIZE, /* proc; value: rows << 16 | cols */
	AGENT_SHUTDOWN,
	AGENT_TIME, /* payload: le64 nanoseconds since the epoch, for guests without a clock */
	/* both ways */
	AGENT_DATA,   /* proc, stream; empty payload is end of file; empty against the stream's
			 direction: its reader is gone (agent_stream.h) */
	AGENT_CREDIT, /* proc, stream; value: bytes granted */
	AGENT_TYPE_COUNT,
};

enum agent_flag { AGENT_MORE = 1, AGENT_ALL = 2 };
enum agent_stream { AGENT_STDIN, AGENT_STDOUT, AGENT_STDERR, AGENT_STREAM_COUNT };

struct agent_header {
	uint32_t length; /* of the payload */
	uint8_t type;
	uint8_t stream;
	uint16_t flags;
	uint32_t proc;
	uint32_t value;
};
_Static_assert(sizeof(struct agent_header) == 16, "wire format");

struct agent_frame {
	struct agent_header h;
	const uint8_t *payload; /* borrowed until the next receive; NUL follows it */
};

struct agent_conn;

/* fd is borrowed and must be non-blocking. */
int agent_conn_new(int fd, struct agent_conn **ret);
void agent_conn_free(struct agent_conn *c);

/* Queue a frame (copied). -ENOMEM, or -ENOBUFS when more than 8 MiB wait, a sign of a peer that
 * does not read. agent_conn_flush() writes what the descriptor takes. */
int agent_send(struct agent_conn *c, const struct agent_header *h, const void *payload);
/* A document of any size up to AGENT_DOCUMENT_MAX, cut to chunks. */
int agent_send_document(struct agent_conn *c, enum agent_type type, uint32_t proc, const char *text,
			size_t len);
int agent_send_error(struct agent_conn *c, uint32_t proc, const struct err *error);
int agent_conn_flush(struct agent_conn *c, struct err *e);
bool agent_conn_wants_write(const struct agent_conn *c);

/* Read what is there. 0, or -EPIPE at the end of the stream. */
int agent_conn_fill(struct agent_conn *c, struct err *e);

/* Next whole frame: 1 and *ret, 0 when none is complete, -EPROTO for a malformed one. */
int agent_conn_next(struct agent_conn *c, struct agent_frame *ret, struct err *e);
