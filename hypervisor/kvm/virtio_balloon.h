/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-balloon: memory that the guest gives back. Spec: virtio 1.2, 5.5. Deflates by itself when the guest runs out of
 * memory; tells the guest's own statistics.
 *
 * The functions want the loop's lock.
 */
#pragma once

#include <linux/virtio_balloon.h>

#include "virtio_device.h"

int virtio_balloon_new(struct virtio_device **ret, struct err *e);

/* How much the guest is to give back, and how much it has given by its own word. */
void virtio_balloon_set_target(struct virtio_device *d, uint64_t bytes);
uint64_t virtio_balloon_actual(const struct virtio_device *d);

struct virtio_balloon_stats {
	uint32_t known; /* bit per VIRTIO_BALLOON_S_* */
	uint64_t value[VIRTIO_BALLOON_S_NR];
	uint64_t updates; /* grows with each answer; 0: none yet */
};
/* Ask the guest for new ones. False: it offers none, or has not answered the last time. */
bool virtio_balloon_ask(struct virtio_device *d);
void virtio_balloon_stats(const struct virtio_device *d, struct virtio_balloon_stats *ret);
