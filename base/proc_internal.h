/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines on the monotonic clock, shared by what waits for processes and sockets.
 */
#pragma once

#include <stdint.h>

#include "base/proc.h"

int64_t proc_now_msec(void);

/* What is left until the deadline, for poll(): -1 (for ever) if the deadline is negative. */
int proc_msec_left(int64_t deadline);
