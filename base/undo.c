/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The undo stack (base/undo.h). The number of steps of a creation is known when it is written, so a
 * full stack is a bug of the caller. Even then nothing may leak silently: the step is taken back at
 * once, which makes the bug visible in the first test that reaches it.
 */
#include "base/undo.h"

void undo_push(struct undo *u, void (*fn)(void *arg), void *arg)
{
	if (u->n == UNDO_MAX) {
		fn(arg);
		return;
	}
	u->steps[u->n].fn = fn;
	u->steps[u->n].arg = arg;
	u->n++;
}

void undo_run(struct undo *u)
{
	while (u->n > 0) {
		u->n--; /* first, so that an action that ends up here again does not run twice */
		u->steps[u->n].fn(u->steps[u->n].arg);
	}
}

void undo_forget(struct undo *u)
{
	u->n = 0;
}
