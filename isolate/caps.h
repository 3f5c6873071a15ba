/* SPDX-License-Identifier: Apache-2.0 */
/* Applying a capability configuration to the calling process. Internal to this folder. */
#pragma once

#include "isolate/process.h"

/* First half, while still privileged: shrink the bounding set and keep the permitted capabilities
 * over the coming change of ids. */
int caps_drop_bounding(const struct iso_caps *caps, struct err *e);

/* Second half, after the ids changed: exactly the permitted, effective, inheritable and ambient
 * sets that were asked for and that this process may have. */
int caps_apply(const struct iso_caps *caps, struct err *e);
