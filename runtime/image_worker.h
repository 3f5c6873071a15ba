/* SPDX-License-Identifier: Apache-2.0 */
/* Starting insula-layer for the image store. Internal to this folder. */
#pragma once

#include "images/image.h"

/* The store's img_worker_fn; arg is not used. The worker runs in a user namespace with the ids that the caller may have
 * (iso_user_maps()), and mount, network, IPC, UTS, cgroup and pid namespaces of its own. */
int image_worker_start(void *arg, char *const *args, const int *fds, size_t n_fds, pid_t *ret_pid,
		       struct err *e);

/* The same with the program's path. */
int image_worker_start_program(const char *program, char *const *args, const int *fds, size_t n_fds,
			       pid_t *ret_pid, struct err *e);
