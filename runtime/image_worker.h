/* SPDX-License-Identifier: Apache-2.0 */
/* Starting insula-layer for the image store. Internal to this folder. */
#pragma once

#include "images/image.h"
#include "isolate/namespace.h"

/* The store's img_worker_fn; arg is not used. The worker runs in a user namespace with the ids that the caller may have
 * (iso_user_maps()), and mount, network, IPC, UTS, cgroup and pid namespaces of its own. */
int image_worker_start(void *arg, char *const *args, const int *fds, size_t n_fds, pid_t *ret_pid,
		       struct err *e);

/* The same with the program's path. */
int image_worker_start_program(const char *program, char *const *args, const int *fds, size_t n_fds,
			       pid_t *ret_pid, struct err *e);

/* Where such a process runs. */
struct image_worker_place {
	const struct iso_id_maps *uid, *gid;
	uint64_t namespaces; /* CLONE_NEW*, without CLONE_NEWUSER */
	char *const *env;    /* NULL: none */
	bool by_descriptor; /* its ids need not get through the directories in which the program lies */
};
/* The same in that place. */
int image_worker_start_in(const struct image_worker_place *place, const char *program,
			  char *const *args, const int *fds, size_t n_fds, pid_t *ret_pid,
			  struct err *e);
