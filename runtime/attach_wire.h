/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes over the socket `attach` between a monitor and those who are attached to its sandbox, or wait for its
 * end. SOCK_SEQPACKET: one message, one datagram; its first byte is the type. Both ends are this very
 * program run by the same user (the socket is 0600 in a 0700 directory, and the peer's uid is looked at),
 * yet neither trusts a length.
 *
 *	client                        monitor
 *	HELLO flags ---------------->
 *	                              WELCOME flags
 *	INPUT bytes, SIZE rows, columns
 *	                              OUT bytes, ERR bytes
 *	                              EXIT code           the end of the sandbox was noted
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define ATTACH_DATA_MAX    8192
#define ATTACH_MESSAGE_MAX (1 + ATTACH_DATA_MAX)

enum attach_type {
	ATTACH_HELLO = 'H',
	ATTACH_WELCOME = 'W',
	ATTACH_INPUT = 'I',
	ATTACH_SIZE = 'Z', /* struct attach_size */
	ATTACH_OUT = 'O',
	ATTACH_ERR = 'E',
	ATTACH_EXIT = 'X', /* int32_t; -1: unknown */
};

/* The flags of HELLO and of WELCOME, one byte each. */
#define ATTACH_WANTS_OUTPUT 1u
#define ATTACH_HAS_TERMINAL 1u
#define ATTACH_TAKES_INPUT  2u

struct attach_size {
	uint16_t rows, columns;
};

/* Bind `attach` in the state directory. Returns the socket. */
int attach_listen(int statefd, struct err *e);

/* The next who connected, non-blocking; -EAGAIN: nobody; -EINVAL: the listener was shut down and its queue is
 * empty. Strangers are sent away. */
int attach_accept(int listen_fd);

/* Connect. -ECONNREFUSED, -ENOENT: no monitor listens. */
int attach_connect(int statefd, struct err *e);

/* Send one message; waits unless the socket is non-blocking. 0 or -errno. */
int attach_send(int fd, enum attach_type type, const void *data, size_t len);
