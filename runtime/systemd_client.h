/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's side of insula-systemd (systemd_request.h). Internal to this folder.
 */
#pragma once

#include "sandbox.h"
#include "systemd_unit.h"

/* Make the scope that s->state.scope names, in `slice`, around a placeholder, with what systemd knows of the planned limits and what the
 * annotations say. The program then stands by in s->scope. *ret_path is its group; caller frees. */
int scope_start(struct sandbox *s, const char *slice, char **ret_path, struct err *e);
/* The host process is in: the placeholder goes. */
int scope_settle(struct sandbox *s, struct err *e);
/* Let the program go, and with it a placeholder that is still there. Idempotent. */
void scope_leave(struct sandbox *s);

/* Have a process of its own user moved in, by systemd: an ordinary user may not move one that was not in his manager's groups before.
 * scope_stand_by() in the runtime, before the process is made; scope_enter() in the process, which it moves. */
bool scope_moves(const struct sandbox *s);
int scope_stand_by(struct sandbox *s, struct err *e);
int scope_enter(void *sandbox, struct err *e);

/* Tell systemd of changed limits. */
int scope_update(struct sandbox *s, const struct cg_limits *l, struct err *e);
/* Stop the scope, if there is one and it is this sandbox's. */
int scope_stop(struct sandbox *s, struct err *e);
