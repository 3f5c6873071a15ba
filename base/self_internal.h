/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the running program was installed, for path_program_dir().
 */
#pragma once

#include "base/err.h"

/* Absolute path of the program on disk, also when we run from its sealed copy. Caller frees. */
int self_original_path(char **ret, struct err *e);
