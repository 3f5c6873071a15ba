/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vsock connection: the host's socket, what the guest sent and the host did not take yet, and the credit of
 * both sides; and the table of all.
 */
#pragma once

#include <linux/virtio_vsock.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtio_queue.h"
#include "virtio_vsock.h"

enum vsock_state {
	VSOCK_GREETING,   /* the host is to say CONNECT */
	VSOCK_CONNECTING, /* the guest is to answer */
	VSOCK_ASKING,     /* the broker is to answer; fd is where */
	VSOCK_OPEN,
	VSOCK_DYING,     /* only its RST is still to be sent */
	VSOCK_LINGERING, /* over for the guest; the host has not read all that came before the end */
};

/* What the guest is to be told, in order of precedence. */
enum {
	VSOCK_SAY_RST = 1,
	VSOCK_SAY_REQUEST = 2,
	VSOCK_SAY_RESPONSE = 4,
	VSOCK_SAY_CREDIT = 8, /* CREDIT_UPDATE */
	VSOCK_SAY_CREDIT_REQUEST = 16,
	VSOCK_SAY_DATA = 32, /* the socket is readable, as far as is known */
	VSOCK_SAY_SHUTDOWN = 64,
};

struct vsock_conn {
	struct vsock_conn *next_in_bucket;
	struct vsock_conn *next_to_say, *prev_to_say; /* in a list while `say` is not 0 */
	void *device;
	enum vsock_state state;
	uint32_t guest_port, host_port;
	int fd;
	uint64_t source;
	unsigned say;
	bool host_ended;                  /* read to the end */
	bool guest_sends, guest_receives; /* until its SHUTDOWN */
	bool host_hung_up;
	/* To the host. */
	uint8_t *buffer; /* VSOCK_BUFFER_BYTES, on first need */
	uint32_t start, len;
	uint32_t received,
		forwarded; /* bytes from the guest; of those, taken by the host. Wrap around */
	uint32_t told_forwarded;
	/* To the guest. */
	uint32_t sent, peer_forwarded, peer_buffer;
};

struct vsock_table {
	unsigned n;
	struct vsock_conn *bucket[VSOCK_CONNECTIONS_MAX];
};

struct vsock_conn *vsock_find(const struct vsock_table *t, uint32_t guest_port, uint32_t host_port);
/* A connection over fd (taken over on success), or NULL: too many, or no memory. */
struct vsock_conn *vsock_add(struct vsock_table *t, uint32_t guest_port, uint32_t host_port,
			     int fd);
/* Ports known only later (after the greeting). */
void vsock_rename(struct vsock_table *t, struct vsock_conn *c, uint32_t guest_port,
		  uint32_t host_port);
void vsock_remove(struct vsock_table *t, struct vsock_conn *c); /* closes and frees */

/* How much more the guest can take. */
uint32_t vsock_credit(const struct vsock_conn *c);
/* The peer's view of the credit, from any packet. False: impossible. */
bool vsock_set_credit(struct vsock_conn *c, uint32_t buffer, uint32_t forwarded);

/* Bytes for the host: written at once or kept. False: more than was granted, or no memory, or the host is gone. */
bool vsock_to_host(struct vsock_conn *c, const struct virtq_chain *chain, uint64_t skip,
		   uint32_t len);
/* Write what is kept. False: the host is gone. */
bool vsock_flush(struct vsock_conn *c);

/* The greeting: 1 and the port, 0 not whole yet, -EPROTO. */
int vsock_greeting(struct vsock_conn *c, uint32_t *ret_port);
/* Connect to the host's "<path>_<port>". A descriptor or -errno. */
int vsock_connect_host(const char *path, uint32_t port);

/* A port and a descriptor (-1: none) in one message, and back: the descriptor, -ECONNREFUSED for a message without,
 * -EPIPE at the end, -EAGAIN. */
int vsock_send_port(int socket, const uint32_t *port, int fd);
int vsock_receive_port(int socket, uint32_t *ret_port);

/* Where the VMM cannot connect by itself, a broker does: ask it for the host's port. Returns a descriptor that
 * becomes readable with the answer, or -errno. */
int vsock_ask_broker(int broker_fd, uint32_t port);
/* The connection that it answered with, or -errno (-ECONNREFUSED: it found nobody). */
int vsock_take_answer(int fd);
