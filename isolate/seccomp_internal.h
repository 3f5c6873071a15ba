/* SPDX-License-Identifier: Apache-2.0 */
/* Between the compiler of filters and the cache of compiled ones. Internal to this folder. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "isolate/seccomp.h"

#define SECCOMP_COMPILER_MAX 96

/* Does it hand calls over to an agent? */
bool seccomp_notifies(const struct iso_seccomp *s);

/* All that a program depends on beside the configuration: libseccomp, its options, what it found the
 * kernel able to do, the native architecture. */
void seccomp_compiler_id(char buf[SECCOMP_COMPILER_MAX]);
