/* SPDX-License-Identifier: Apache-2.0 */
/* insula run -d and insula create: what a monitor is told, and the id that is printed. */
#pragma once

#include "command.h"
#include "run_options.h"

/* Create and start (or only create) under a monitor, and print the id. c->document is taken over. */
int run_detached(struct cli *cli, const struct run_opts *o, struct rt_create_request *c,
		 bool only_create, struct err *e);
