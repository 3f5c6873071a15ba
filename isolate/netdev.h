/* SPDX-License-Identifier: Apache-2.0 */
/* Network devices of the host that a container gets. Internal to this folder. */
#pragma once

#include <sys/types.h>

#include "isolate/sandbox.h"

int netdev_check(const struct iso_config *c, struct err *e);

/* In the creator, once the process is in its namespaces: move each into the process's network namespace under its name
 * there, with its addresses, and bring it up. */
int netdev_move_all(pid_t pid, const struct iso_config *c, struct err *e);
