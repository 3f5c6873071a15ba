/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the QEMU Machine Protocol: JSON objects, one per line, commands answered by id and
 * events in between. Source: QEMU docs/interop/qmp-spec.txt.
 *
 * QEMU is what a hostile guest attacks first, so its answers are read as hostile input: bounded
 * lines, strict JSON, checked types.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QMP_LINE_MAX (64u << 10)

struct qmp {
	int fd;   /* borrowed, non-blocking */
	bool eof; /* the other end closed, or broke the protocol */
	uint64_t last_id;
	size_t len;
	char shutdown_reason[32]; /* of a SHUTDOWN event; "" before */
	bool panicked;            /* GUEST_PANICKED was seen */
	char buf[QMP_LINE_MAX];
};

enum qmp_kind { QMP_NONE, QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

struct qmp_message {
	enum qmp_kind kind;
	uint64_t id;    /* of QMP_RETURN and QMP_ERROR; 0 if it had none */
	char name[32];  /* event, or the error's class; cut to fit */
	char text[256]; /* the error's description, or an event's data.reason; cut to fit */
};

void qmp_init(struct qmp *q, int fd);

/* Read what is there without blocking, note events. 0, -EPIPE at the end of the stream, -EPROTO if
 * it is not QMP. */
int qmp_handle(struct qmp *q, struct err *e);

/* Wait for the greeting and leave negotiation mode; QEMU answers this from its main loop, so the
 * machine is built when it returns. -EPIPE: QEMU went away. */
int qmp_negotiate(struct qmp *q, int timeout_msec, struct err *e);

/* Run a command without arguments and wait for its answer. */
int qmp_execute(struct qmp *q, const char *command, int timeout_msec, struct err *e);

/* One line, without its newline, to a message. -EPROTO. For tests too. */
int qmp_parse(const char *line, size_t len, struct qmp_message *ret, struct err *e);
