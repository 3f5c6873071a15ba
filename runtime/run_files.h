/* SPDX-License-Identifier: Apache-2.0 */
/* Making the files of a document; internal to this folder. */
#pragma once

#include "runtime/runtime.h"

/* In order; what is there already is replaced. What was made is removed with the directories that it is in. */
int run_files_make(const struct rt_file *v, size_t n, struct err *e);
