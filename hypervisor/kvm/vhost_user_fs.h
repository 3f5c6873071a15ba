/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-fs whose queues are served by another process (virtiofsd) over vhost-user. Spec: virtio 1.2, 5.11; the
 * vhost-user protocol document of QEMU.
 */
#pragma once

#include "virtio_device.h"

#define VHOST_USER_FS_TAG_BYTES 36u

/* `fd` is a connection to the server, taken over in every case. tag: at most 36 bytes. */
int vhost_user_fs_new(int fd, const char *tag, struct virtio_device **ret, struct err *e);
