/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend's side of vhost-user: another process serves a device's queues over the guest's memory. Spec: QEMU's
 * docs/interop/vhost-user.rst.
 *
 * The backend is not trusted more than need be: it sees guest memory and the eventfds of its queues, addresses of ours it
 * never learns (guest-physical addresses serve as "user" addresses), every answer is awaited for a bounded time and
 * checked, and descriptors that it sends are dropped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "guest_memory.h"
#include "virtio_queue.h"

struct vhost_user {
	int fd;            /* owned */
	uint64_t features; /* what the backend offers for the device */
	bool has_protocol, acks;
};

/* Shake hands over `fd`, which is taken over in every case. */
int vhost_user_open(struct vhost_user *vu, int fd, struct err *e);
void vhost_user_close(struct vhost_user *vu);

/* Before the queues start. */
int vhost_user_set_features(struct vhost_user *vu, uint64_t features, struct err *e);
int vhost_user_set_memory(struct vhost_user *vu, const struct guest_memory *m, struct err *e);

/* Hand an active queue over. The backend reads kick_fd and writes call_fd. */
int vhost_user_start_queue(struct vhost_user *vu, unsigned index, const struct virtq *q,
			   int kick_fd, int call_fd, struct err *e);
/* Take it back: on return the backend has let go of it. */
int vhost_user_stop_queue(struct vhost_user *vu, unsigned index, struct err *e);
