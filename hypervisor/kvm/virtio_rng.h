/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-rng: the host's getrandom(2) for the guest. Spec: virtio 1.2, 5.4.
 */
#pragma once

#include "virtio_device.h"

int virtio_rng_new(struct virtio_device **ret, struct err *e);
