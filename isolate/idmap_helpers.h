/* SPDX-License-Identifier: Apache-2.0 */
/* Writing id maps with the help of newuidmap(1) and newgidmap(1). Internal to this folder. */
#pragma once

#include <sys/types.h>

#include "isolate/namespace.h"

/* Absolute path of the setuid helper ("newuidmap", "newgidmap") in one of the fixed places, or NULL. Static. */
const char *idmap_helper(const char *name);

/* Have the helper write the map of process `pid`. */
int idmap_helper_run(const char *name, pid_t pid, const struct iso_id_maps *maps, struct err *e);
