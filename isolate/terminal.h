/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals of a container's processes. Internal to this folder. */
#pragma once

#include "isolate/process.h"

/* A new terminal of the devpts mounted at dev/pts below root_fd, owned by the process's user and
 * sized as it asks. Both ends are close-on-exec and nobody's controlling terminal yet. */
int terminal_open(int root_fd, const struct iso_process *p, int *ret_master, int *ret_slave,
		  struct err *e);

/* Make it the controlling terminal of the calling session leader. */
int terminal_control(int slave_fd, struct err *e);
