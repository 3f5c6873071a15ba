/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a VM's vsock that its jailed VMM cannot do: the listening socket has a name, and connections of the
 * guest's are made by name. Internal to hypervisor/.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>

#include "base/err.h"

struct vm_vsock;

int vm_vsock_check(const struct vm_vsock *v, struct err *e);

/* A listening Unix socket and what removes its name again. */
struct vm_socket {
	int fd, dir_fd;
	char *name; /* in that directory */
};
#define VM_SOCKET_INIT ((struct vm_socket){.fd = -EBADF, .dir_fd = -EBADF})

/* For its user alone. What lies there is never replaced: EADDRINUSE. */
int vm_socket_make(struct vm_socket *s, const char *path, struct err *e);
void vm_socket_remove(struct vm_socket *s);

/* Answer what the VMM asks for, without blocking. False: it is gone. */
bool vsock_broker_serve(int broker_fd, const char *path);
