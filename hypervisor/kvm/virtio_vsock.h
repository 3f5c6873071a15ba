/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock over Unix sockets, without any kernel help. Spec: virtio 1.2, 5.10 (stream sockets only).
 *
 * Host to guest: a process of the host connects to the listening socket, writes "CONNECT <port>\n" and reads
 * "OK <its own port>\n" once somebody in the guest has accepted; else the connection closes. From then on it is the
 * stream. Guest to host: a connection to CID 2, port N goes to the Unix socket "<path>_N"; none there is a refusal.
 *
 * Bounded: VSOCK_CONNECTIONS_MAX connections, VSOCK_BUFFER_BYTES for each that the host does not read.
 */
#pragma once

#include "virtio_device.h"

#define VSOCK_CONNECTIONS_MAX 256u
#define VSOCK_BUFFER_BYTES    (64u << 10)

struct virtio_vsock_setup {
	uint64_t guest_cid; /* 3 and up */
	int listen_fd; /* non-blocking; taken over, in every case; -1: no connections from the host */
	const char *path; /* copied; NULL: no connections to the host */
	/* Without a path, connections to the host are asked for here (vsock_conn's broker). Borrowed. */
	bool has_broker;
	int broker_fd;
};

int virtio_vsock_new(const struct virtio_vsock_setup *setup, struct virtio_device **ret,
		     struct err *e);
