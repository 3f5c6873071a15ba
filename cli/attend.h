/* SPDX-License-Identifier: Apache-2.0 */
/* Being there while a command runs: its terminal or our signals, and its end as our exit code. */
#pragma once

#include "runtime/runtime.h"

/* Before the creation: from here on a signal that asks us to end interrupts what waits for the host process
 * (base/sync.h) in place of ending us, so that what was made can be taken back. */
void attend_hold(void);

/* After a failure was cleaned up: 128 + n when it was such a signal that interrupted us (e is forgotten), else r. */
int attend_interrupted(int r, struct err *e);

/* Start a created sandbox and stay until its end, which is noted in its state. Returns the exit code
 * (128 + n after signal n) or a negative errno. */
int attend_start(struct sandbox *s, bool interactive, struct rt_notify_proxy *notify,
		 struct err *e);

/* The same with one that runs already, and is our child. */
int attend_running(struct sandbox *s, struct err *e);

/* Stay until the process of an exec ended. console: its terminal's master, or -1. */
int attend_exec(struct sandbox *s, pid_t pid, int console, bool interactive, struct err *e);
