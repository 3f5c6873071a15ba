/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 of credentials. Spec: RFC 4648 section 4. Internal to this folder. */
#pragma once

#include <stddef.h>

/* A fresh string; its bytes are counted without the NUL behind them. -EINVAL, -ENOMEM. */
int base64_decode(const char *text, char **ret, size_t *ret_len);
/* NULL when out of memory. */
char *base64_encode(const void *data, size_t len);
