/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net over a tap. Spec: virtio 1.2, 5.1. One pair of queues, no control queue.
 */
#pragma once

#include "virtio_device.h"

struct virtio_net_setup {
	/* A tap with IFF_VNET_HDR and IFF_NO_PI, or a datagram socket that carries the same (a 12-byte virtio-net header and
	 * a frame). Made non-blocking; taken over, in every case. */
	int fd;
	uint8_t mac[6];
	uint16_t mtu; /* 0: none advised */
};

int virtio_net_new(const struct virtio_net_setup *setup, struct virtio_device **ret, struct err *e);

/* Plug and unplug the cable. With the loop's lock held. */
void virtio_net_set_link(struct virtio_device *d, bool up);
