/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work of insula-layer (images/worker.h has what it promises to the store). Its main() finds the mode, shuts itself in with
 * nothing but the mode's directory, and runs it.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "images/worker.h"

struct layer_mode {
	const char *name;
	int n_args;       /* after the name */
	int directory_fd; /* the one it writes in, or -1 */
	int report_fd;
	int (*run)(char **args, bool keep_owners, struct img_worker_report *ret, struct err *e);
};

/* NULL: no such mode. */
const struct layer_mode *layer_mode_find(const char *name);

/* Run it. keep_owners: files may be given to other ids than the process's own. ret->error tells of a failure. */
void layer_mode_run(const struct layer_mode *mode, char **args, bool keep_owners,
		    struct img_worker_report *ret);

/* Send the report and return the exit status. */
int layer_mode_report(const struct layer_mode *mode, const struct img_worker_report *report);
