/* SPDX-License-Identifier: Apache-2.0 */
/* Starting insula-fetch for the image store. Internal to this folder. */
#pragma once

#include "images/image.h"

/* The store's img_worker_fn for the network; arg is not used. The process runs in a user namespace with one id, which is
 * nobody's when root starts it and the caller's own else, in mount, IPC, UTS, cgroup and pid namespaces of its own, and in the
 * host's network. */
int image_fetch_start(void *arg, char *const *args, const int *fds, size_t n_fds, pid_t *ret_pid,
		      struct err *e);
