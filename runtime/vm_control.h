/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of a running VM: `control` in the sandbox's state directory, served by its
 * monitor process. SOCK_SEQPACKET, a message per datagram; a request is answered by one message
 * (CONTROL_OK or CONTROL_ERROR), but an exec by CONTROL_STARTED and, at its end, CONTROL_EXIT on
 * the same connection, which meanwhile takes CONTROL_SIGNAL and CONTROL_RESIZE for that process
 * without answers. Closing it kills that process.
 *
 * Only root and the uid of the monitor process are served (SO_PEERCRED).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CONTROL_NAME "control"

enum control_type {
	/* client → monitor */
	CONTROL_EXEC =
		1,      /* descriptors: enum control_exec_fd; flags CONTROL_TERMINAL; value: rows <<
			     16 | cols */
	CONTROL_SIGNAL, /* value: signal; flags CONTROL_ALL */
	CONTROL_RESIZE, /* value: rows << 16 | cols */
	CONTROL_PAUSE,
	CONTROL_RESUME,
	/* monitor → client */
	CONTROL_OK,
	CONTROL_STARTED,
	CONTROL_EXIT,  /* value: wait status */
	CONTROL_ERROR, /* an error value follows */
	CONTROL_TYPE_COUNT,
};

enum control_flag { CONTROL_ALL = 1, CONTROL_TERMINAL = 2 };

/* The process object (a sealed memfd), and its standard streams. With a terminal all three are its
 * slave. */
enum control_exec_fd {
	CONTROL_FD_DOCUMENT,
	CONTROL_FD_STDIN,
	CONTROL_FD_STDOUT,
	CONTROL_FD_STDERR,
	CONTROL_FD_COUNT,
};

struct control_message {
	uint32_t type;
	uint32_t flags;
	int32_t value;
	int fds[CONTROL_FD_COUNT]; /* received: owned by the receiver; -1 where none came */
};
#define CONTROL_MESSAGE(t, ...) \
	((struct control_message){.type = (t), .fds = {-1, -1, -1, -1}, ##__VA_ARGS__})

void control_message_done(struct control_message *m); /* closes what was received */

/* Bind in the state directory; non-blocking. Returns the socket. */
int control_listen(int statefd, struct err *e);
/* Take a connection. -EAGAIN: none, or a stranger. */
int control_accept(int listener);
/* Blocking. ERR_STATE when nobody listens. */
int control_connect(int statefd, struct err *e);

/* Never blocks for long: messages are few and small. error: only with CONTROL_ERROR. */
int vm_control_send(int fd, const struct control_message *m, const struct err *error,
		    struct err *e);
/* 0, -EPIPE at the end, -EAGAIN. 1: a CONTROL_ERROR of the monitor, copied to e; apart from the
 * others, since its errno may be any. */
int control_recv(int fd, struct control_message *ret, struct err *e);
/* The negative errno of such an error. */
int control_error(const struct err *e);

/* Connect and ask, without waiting for the answer: a frozen monitor acts when it is thawed. */
int control_post(int statefd, enum control_type type, int32_t value, uint32_t flags, struct err *e);

/* Connect, ask, wait for CONTROL_OK. -ETIMEDOUT after a time that only a stopped monitor needs. */
int control_request(int statefd, enum control_type type, int32_t value, uint32_t flags,
		    struct err *e);
