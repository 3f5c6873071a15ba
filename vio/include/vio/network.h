/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks of a sandbox. For now those that need no host set-up; bridges, published ports and the
 * shared uplink join here.
 */
#pragma once

#include "base/err.h"

enum vio_network_kind {
	VIO_NETWORK_NONE,    /* own namespace with only a loopback device */
	VIO_NETWORK_HOST,    /* the host's namespace */
	VIO_NETWORK_SANDBOX, /* that of another sandbox */
};

/* --network's value. A kind of a later step ("bridge", a network's name) is ERR_UNSUPPORTED by
 * name. */
int vio_network_parse(const char *s, enum vio_network_kind *ret, struct err *e);

/* The id or name behind "container:", for VIO_NETWORK_SANDBOX. Borrowed from s. */
const char *vio_network_sandbox(const char *s);
