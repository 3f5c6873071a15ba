/* SPDX-License-Identifier: Apache-2.0 */
/* --cidfile: reserved before any work, written when the sandbox exists, taken back when it does not. */
#pragma once

#include "base/err.h"

/* An empty file of that name, which must be new. path NULL: nothing is done, here and below. */
int cidfile_reserve(const char *path, struct err *e);
/* The id, without a newline, as docker has it. Mode 0644 whatever the umask. */
int cidfile_write(const char *path, const char *id, struct err *e);
void cidfile_remove(const char *path);
