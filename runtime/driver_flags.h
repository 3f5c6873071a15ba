/* SPDX-License-Identifier: Apache-2.0 */
/* Flags of `insula run` that a kind of sandbox cannot do; internal to this folder. */
#pragma once

#include "base/err.h"

/* Refuse a namespace flag ("--network", …) whose value is "host" or "container:ID", by name and with the
 * reason, where this driver has no such thing. `driver` as driver_find() takes it. */
int driver_check_shared(const char *driver, const char *flag, const char *value, struct err *e);
