/* SPDX-License-Identifier: Apache-2.0 */
/* insula run --vm DISK: a whole guest system. Internal to cli/. */
#pragma once

#include "command.h"
#include "run_options.h"

/* Does `word`, in the image's place (NULL: there is none), name a disk? By its extension, or --format. */
bool run_system_is(const struct run_opts *o, const char *word);
/* Refuses flags that a disk does not take, and those of a disk where there is none. */
int run_system_check(const struct run_opts *o, const char *word, struct err *e);
/* args: the disk, and what follows it. The exit code, or a negative errno. */
int run_system(struct cli *cli, const struct run_opts *o, const struct run_parts *parts,
	       char **args, struct err *e);

/* cmd_run.c. c->document is taken over. */
int run_checked(struct cli *cli, const struct run_opts *o, struct rt_create_request *c,
		struct err *e);
int run_explain(struct cli *cli, struct rt_create_request *c, struct err *e);
