/* SPDX-License-Identifier: Apache-2.0 */
/* --env-file and --label-file, -e and --env-host, for run and exec. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Append the lines of a file to *v: NAME=VALUE each, "#" begins a comment line. A name alone takes the caller's value
 * (none: nothing is appended) where `caller`, else it stands as it is. */
int env_file_read(const char *path, bool caller, char ***v, struct err *e);

/* -e: "NAME=VALUE", "NAME" for the caller's value (or, where the caller has none, as it is: the variable is taken
 * away), "NAME*" for all of the caller's that begin so. */
int env_take_flag(const char *flag, char ***v, struct err *e);

/* All in docker's order: the caller's environment where `host`, files, flags. */
int env_take_all(bool host, char *const *files, char *const *flags, char ***v, struct err *e);
