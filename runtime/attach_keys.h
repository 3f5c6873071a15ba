/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the detach keys in what is typed. Internal to this folder. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/attach.h"

struct keys {
	char v[RT_DETACH_KEYS_MAX];
	size_t n, matched; /* n 0: none; held back so far */
};

/* Copy what is for the sandbox to out, which has room for n_in + RT_DETACH_KEYS_MAX. True when the keys were completed: what
 * came behind them is dropped. */
bool keys_filter(struct keys *k, const char *in, size_t n_in, char *out, size_t *ret_n_out);
