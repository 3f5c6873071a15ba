/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox as JSON, for people's scripts: what ps and inspect print and templates are made of. */
#pragma once

#include "runtime/runtime.h"

/* "Up 3 minutes", "Exited (0) 2 hours ago". */
#define STATUS_TEXT_MAX 96
const char *status_text(const struct sandbox *s, enum rt_status status, char buf[STATUS_TEXT_MAX]);

/* What --filter status= and the member State call it: created, running, paused, exited, creating. */
const char *status_word(enum rt_status status);

/* A row of ps; s NULL: a broken one of that id, of which nothing else is known. NULL when out of memory. */
struct json *sandbox_row_json(const struct sandbox *s, const char *id, enum rt_status status,
			      bool truncate);

/* {id, name, state, config}. */
int sandbox_inspect_json(struct sandbox *s, struct json **ret, struct err *e);
