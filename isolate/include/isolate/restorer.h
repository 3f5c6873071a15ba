/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the program that restores a container's processes: in a mount namespace of its own, in which the container's root
 * file system is a mount point, and in the container's control groups, so that what it makes is born there.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define RESTORER_DIR_FD    500
#define RESTORER_SOCKET_FD 510

struct iso_restorer {
	const char *program; /* absolute */
	char *const *argv;
	const int *keep_fds; /* stay open in it, as they are numbered: below RESTORER_DIR_FD */
	size_t n_keep_fds;
	const char *dirs
		[2]; /* absolute; open in it, in its own mount namespace, as RESTORER_DIR_FD and the next */
	int stderr_fd;
	const char *rootfs, *place; /* absolute directories; the former is mounted on the latter */
	int cgroup_fd;              /* as in struct iso_init_params */
	int (*enter_groups)(void *arg, struct err *e);
	void *enter_arg;
};

/* Returns when it was executed. A child of the caller, which has one thread. Its RESTORER_SOCKET_FD is a connected socket
 * (SOCK_SEQPACKET) that it made itself, so that the credentials of the peer that it sees are its own; *ret_fd is the
 * other end. */
int iso_restorer_spawn(const struct iso_restorer *p, pid_t *ret_pid, int *ret_fd, struct err *e);
