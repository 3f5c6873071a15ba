/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the running program was installed, for path_program_dir(); and the steps of sealing.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define SELF_EXE "/proc/self/exe"
#define SELF_ENV "INSULA_SELF" /* set once we left our file: its path */

/* Absolute path of the program on disk, also when we run from its sealed copy. Caller frees. */
int self_original_path(char **ret, struct err *e);

int self_open_exe(struct err *e);
bool self_is_sealed(int fd);
int self_empty_sealed(struct err *e); /* an empty memfd, sealed: its descriptor */

/* self_place.c */
bool self_can_exchange_link(void);
int self_leave_file(int file); /* the program's; after a failure we still run, partly from it */
