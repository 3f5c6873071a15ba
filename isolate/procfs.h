/* SPDX-License-Identifier: Apache-2.0 */
/* A procfs instance that nobody else can arrange. Internal to this folder. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Mount a fresh procfs of the calling process's pid namespace, attached nowhere. Without `sysctls`
 * it holds only the processes. Returns a close-on-exec descriptor of its root or -errno. */
int procfs_open_private(bool sysctls, struct err *e);
