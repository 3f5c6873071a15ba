/* SPDX-License-Identifier: Apache-2.0 */
/* What this host offers to containers and microVMs. */
#pragma once

#include "runtime/runtime.h"

/* Lines "key: value" for people: kernel, control groups and their controllers, KVM verdict and why, guest
 * kernel, engine. A thing that is missing is a line that says so, no error. Caller frees. */
int rt_info_text(struct rt_ctx *ctx, char **ret, struct err *e);
