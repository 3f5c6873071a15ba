/* SPDX-License-Identifier: Apache-2.0 */
/* A new time namespace with offsets. Internal to this folder. */
#pragma once

#include <sys/types.h>

#include "isolate/sandbox.h"

/* Are there offsets? If not, the namespace is made with the others. */
bool timens_has_offsets(const struct iso_config *c);

/* In the process, before it gives up its creator's ids: make the namespace for its children, have the creator write the
 * offsets, enter it. fd is the channel to the creator. */
int timens_enter(int fd, struct err *e);

/* In the creator, when the process says so (SYNC_PID). */
int timens_write_offsets(pid_t pid, const struct iso_config *c, struct err *e);
