/* SPDX-License-Identifier: Apache-2.0 */
/* Being there while a command runs: its terminal or our signals, and its end as our exit code. */
#pragma once

#include "runtime/runtime.h"

/* Start a created sandbox and stay until its end, which is noted in its state. Returns the exit code
 * (128 + n after signal n) or a negative errno. */
int attend_start(struct sandbox *s, bool interactive, struct err *e);

/* Stay until the process of an exec ended. console: its terminal's master, or -1. */
int attend_exec(struct sandbox *s, pid_t pid, int console, bool interactive, struct err *e);
