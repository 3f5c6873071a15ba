/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces by descriptor, for those who join them. Internal to this folder. */
#pragma once

#include <stdbool.h>

#include "isolate/namespace.h"

/* 1 when fd is the calling process's own namespace, 0 when not, or -errno. */
int ns_is_ours(enum iso_ns ns, int fd, struct err *e);

/* Open the root directory of a process (O_PATH). The caller checks afterwards that the number still is that
 * process's. Returns an fd or -errno. */
int ns_open_root(pid_t pid, struct err *e);

/* Is the calling process in a user namespace other than the first: what needs privilege over the host itself is refused
 * there, even to root. False where that cannot be told. */
bool ns_user_is_nested(void);
