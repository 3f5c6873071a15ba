/* SPDX-License-Identifier: Apache-2.0 */
/* The jail of insula-fetch. Internal to this folder and its programs. */
#pragma once

#include "base/err.h"

/* In the namespaces that image_fetch_start() makes, before any thread. On failure the process must end. */
int fetch_jail_enter(struct err *e);
