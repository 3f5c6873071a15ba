/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The synchronisation channel between a creator and the host process of a sandbox, the same for a
 * container's init and for a VM's monitor process. A SOCK_SEQPACKET pair: one message, one
 * datagram; a message may carry one descriptor or one error value.
 *
 *	creator                         host process
 *	clone ------------------------> (waits)
 *	                                SYNC_HOST_READY   namespaces joined, pid known
 *	runtime hooks
 *	SYNC_GO ----------------------> builds mounts, devices / guest
 *	                                SYNC_CONSOLE + fd (only with a terminal)
 *	                                SYNC_READY        everything but the exec is done
 *	state saved
 *	SYNC_COMMIT ------------------> from here on it no longer depends on the creator
 *	SYNC_START (here or by the gate) -> startContainer hooks
 *	                                SYNC_STARTED      nothing but the exec is left
 *	                                end of file: the exec happened;  SYNC_ERROR: it did not;
 *	                                end of file without SYNC_STARTED: it was killed before
 *
 * Before SYNC_COMMIT, end of file on the channel means that the creator died: the host process
 * exits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum sync_type {
	SYNC_HOST_READY = 1,
	SYNC_GO,
	SYNC_CONSOLE,
	SYNC_READY,
	SYNC_COMMIT,
	SYNC_START,
	SYNC_STARTED,
	SYNC_SECCOMP_NOTIFY, /* + the notify descriptor */
	SYNC_PID, /* exec through an intermediate: value is the pid. New user namespace: maps are wanted, are written */
	SYNC_ERROR,
};

/* Both ends close-on-exec. */
int sync_pair(int ret[2], struct err *e);

/* Send a message. passed_fd -1: none. value: small number that goes with it. -EPIPE or -ECONNRESET:
 * the peer is gone, but an error that it sent before can still be had by sync_recv(). */
int sync_send(int fd, enum sync_type type, int32_t value, int passed_fd, struct err *e);

/* Send an error and nothing else; best effort, for the dying. */
void sync_send_error(int fd, const struct err *error);

/* Receive whatever comes. End of file is -EPIPE with the text "<peer> died". A SYNC_ERROR from
 * the peer is copied (sanitised) to e and its -errnum returned. Passed descriptor in *ret_fd
 * (close-on-exec) or -1; ret_fd and ret_value may be NULL (a descriptor then is closed).
 * A caller that blocks SIGINT, SIGTERM, SIGHUP or SIGQUIT is interrupted by it with -EINTR; the signal stays
 * pending. */
int sync_recv(int fd, const char *peer, enum sync_type *ret_type, int32_t *ret_value, int *ret_fd,
	      struct err *e);

/* Receive and insist on a type (anything else is -EPROTO). */
int sync_expect(int fd, const char *peer, enum sync_type want, int32_t *ret_value, int *ret_fd,
		struct err *e);

/*
 * The gate: a listening SOCK_SEQPACKET socket named "gate" in the sandbox's state directory, held
 * by the waiting host process. It takes the start order from a later process. Only the uid that
 * created it (SO_PEERCRED) or root may open it.
 */

/* Bind "gate" in statefd (any path length: bound through /proc/self/fd). Returns the socket. */
int gate_listen(int statefd, struct err *e);

/* True when somebody still waits there; a gone listener means the workload was started. */
bool gate_is_waiting(int statefd);

/* Order the start and wait for the answer: 0 when the exec happened, else the child's error. -EPIPE
 * (ERR_INTERNAL) when the process died before. */
int gate_open(int statefd, struct err *e);

/* Host process: wait for SYNC_START on gate_fd (connections that send nothing are dropped; -1: no
 * gate) or on sync_fd (-1: none). SYNC_COMMIT on sync_fd is taken in here, so call it right after
 * sending SYNC_READY. Before that an end of file on sync_fd is -EPIPE; after it, sync_fd is just no
 * longer watched. Returns the descriptor on which the outcome is owed (SYNC_STARTED and close it:
 * success; sync_send_error: failure): sync_fd itself if the order came from there. It is
 * close-on-exec, so a successful exec closes it by itself. */
int gate_wait(int gate_fd, int sync_fd, struct err *e);

/* For an event loop: take one connection off gate_fd and its SYNC_START. Returns the owed
 * descriptor as gate_wait() does, or -EAGAIN if that peer was a stranger or went without a word. */
int gate_accept(int gate_fd, struct err *e);
