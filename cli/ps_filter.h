/* SPDX-License-Identifier: Apache-2.0 */
/* insula ps --filter. */
#pragma once

#include "runtime/runtime.h"

/* Every filter is KEY=VALUE with a known key. *ret_all: one of them is about those that have ended. */
int ps_filter_check(char *const *filters, bool *ret_all, struct err *e);

/* Of each key that is given, one filter must fit. A broken one (s NULL) fits only its id. */
bool ps_filter_fits(char *const *filters, const struct sandbox *s, const char *id,
		    enum rt_status status);
