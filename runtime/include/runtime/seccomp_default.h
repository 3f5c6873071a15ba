/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system call filter that `insula run` gives when nothing else is asked for.
 */
#pragma once

#include <stdint.h>

#include "base/json.h"

/* A `linux.seccomp` object for a process whose bounding capabilities are `caps` (bit n: capability
 * n): calls that a capability is for are only let through with it. NULL when out of memory. */
struct json *rt_seccomp_default(uint64_t caps);

/* docs/seccomp.md: the table behind it. Caller frees. */
int rt_seccomp_markdown(char **ret, struct err *e);
