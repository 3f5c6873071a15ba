/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and executing the workload's command. Internal to this folder. */
#pragma once

#include "isolate/process.h"

/* In the container's root: resolve p->args[0] over the PATH of p->env (a name with a slash is taken
 * as it is, relative to p->cwd) and see that p's user may execute it. Fresh path in *ret.
 * ERR_CMD_NOT_FOUND / ERR_CMD_NOT_EXEC with the phrases that engines read. */
int command_find(const struct iso_process *p, char **ret, struct err *e);

/* execve(2). Returns only on failure, with the same kinds. */
int command_exec(const struct iso_process *p, const char *path, struct err *e);
