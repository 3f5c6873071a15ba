/* SPDX-License-Identifier: Apache-2.0 */
/* The jail of insula-layer. Internal to this folder and its programs. */
#pragma once

#include "base/err.h"

/* directory_fd: the directory that stays, or -1 for none; with it stay the capabilities over files. In the namespaces that
 * image_worker_start() makes, before any thread. On failure the process must end. */
int layer_jail_enter(int directory_fd, struct err *e);
