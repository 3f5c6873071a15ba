/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The undo stack: each step of a creation pushes how to take it back. After success
 * undo_forget(), after failure (or at the end of a sandbox that ran to its end) undo_run(), which
 * calls them in reverse order. An undo action must be idempotent and must not fail loudly.
 */
#pragma once

#include <stddef.h>

#define UNDO_MAX 16

struct undo {
	struct {
		void (*fn)(void *arg);
		void *arg;
	} steps[UNDO_MAX];
	size_t n;
};

void undo_push(struct undo *u, void (*fn)(void *arg), void *arg);
void undo_run(struct undo *u);
void undo_forget(struct undo *u);

static inline void undo_runp(struct undo *u)
{
	undo_run(u);
}
#define _cleanup_undo_ __attribute__((cleanup(undo_runp)))
