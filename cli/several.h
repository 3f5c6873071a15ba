/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that take several sandboxes. */
#pragma once

#include "command.h"

/* The words behind the flags, or with `all` the ids of those that `wanted` takes (NULL: every one, broken ones too).
 * ERR_INVALID when there are neither or both. The caller frees. */
int several_words(struct cli *cli, int argc, char **argv, int first, bool all,
		  bool (*wanted)(enum rt_status status), char ***ret, struct err *e);

/* What became of one: a failure is kept if it is the first, else printed at once. */
void several_note(struct cli *cli, int r, const struct err *one, int *result, struct err *e);

/* Do `one` to each and print its word; go on after a failure, and return the first. */
int several_each(struct cli *cli, char *const *words, bool missing_ok,
		 int (*one)(struct cli *cli, const char *id, const void *arg, struct err *e),
		 const void *arg, struct err *e);
