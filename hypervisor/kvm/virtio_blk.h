/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk over a disk (virtio_disk.h). Spec: virtio 1.2, 5.2.
 */
#pragma once

#include "virtio_device.h"
#include "virtio_disk.h"

#define VIRTIO_BLK_SERIAL_MAX 20u

struct virtio_blk_setup {
	struct io_loop *loop; /* the one of the transport */
	struct disk *disk;    /* taken over, in every case */
	const char *serial;   /* up to 20 bytes; /dev/disk/by-id in the guest. May be NULL */
	uint32_t block_bytes; /* logical: 512 or 4096; 0: 512 */
	unsigned threads;     /* 1 to WORKERS_MAX; 0: 2. See workers_new() about seccomp */
};

int virtio_blk_new(const struct virtio_blk_setup *setup, struct virtio_device **ret, struct err *e);
