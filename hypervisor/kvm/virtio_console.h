/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console with ports: a console (hvc0) and named byte channels. Spec: virtio 1.2, 5.3.
 *
 * A port is a pair of descriptors of the host, often one socket twice. Backpressure goes both ways: what the host does
 * not take stays in the guest's buffers, what the guest does not take stays in the host's socket. Nothing is kept here
 * but one chain per port.
 */
#pragma once

#include "virtio_device.h"

#define VIRTIO_CONSOLE_PORTS_MAX 16u
#define VIRTIO_CONSOLE_NAME_MAX  64u

struct virtio_console_port {
	/* NULL: a console (hvcN). Else the name below /sys/class/virtio-ports. Copied. */
	const char *name;
	/* Borrowed, non-blocking, -1: none. Not regular files for input. The process ignores SIGPIPE. */
	int in_fd, out_fd;
	/* The guest opened or closed its end, or was reset while open. May be NULL. Called with the lock held. */
	void (*opened)(void *arg, bool open);
	void *arg;
	/* When the guest closes its end (or is reset), out_fd is shut down for writing, so that its peer reads an end of
	 * file. For a port that is opened once in a VM's life; out_fd must be a socket. */
	bool end_on_close;
};

/* Port 0 is the first. Without MULTIPORT in the driver only port 0 works. */
int virtio_console_new(const struct virtio_console_port *ports, unsigned n,
		       struct virtio_device **ret, struct err *e);

/* The size of the host's terminal changed. With the loop's lock held. */
void virtio_console_resize(struct virtio_device *d, unsigned port, uint16_t cols, uint16_t rows);
