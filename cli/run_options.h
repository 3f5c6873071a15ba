/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of `insula run`, and how they become a request. Internal to cli/. */
#pragma once

#include "options.h"
#include "runtime/runtime.h"

/* Filled by the option table. Lists are owned, strings borrowed from argv. */
struct run_opts {
	const char *rootfs, *name, *hostname, *workdir, *user, *network;
	char **env, **volumes, **labels;
	int64_t memory, cpus, pids;
	bool interactive, tty, remove, vm, read_only, explain;
	const char *log_driver;
	char **log_opts;
	bool detach;
};

/* What the request borrows from and must be freed. */
struct run_parts {
	char **env;
	struct rt_volume *volumes;
	size_t n_volumes;
};

/* Nothing asked for. */
void run_opts_init(struct run_opts *o);
void run_opts_done(struct run_opts *o);
/* What can be judged by the flags alone. */
int run_opts_check(const struct run_opts *o, int argc, char **argv, int first, struct err *e);

int run_parts_take(const struct run_opts *o, struct run_parts *p, struct err *e);
void run_parts_done(struct run_parts *p);
/* r borrows from all of them. */
void run_request_fill(const struct run_opts *o, const struct run_parts *p, char **args,
		      struct rt_run_request *r);
