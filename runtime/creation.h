/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A creation on its way: what `create` and `--explain` share. Internal to this folder.
 */
#pragma once

#include <stdbool.h>

#include "runtime/runtime.h"

#define ANNOTATION_ISOLATION "org.insula.isolation"
#define CGROUP_PREFIX        "insula"

struct creation {
	struct rt_ctx *ctx;
	struct rt_create_request *request;
	struct sandbox *s;
	bool dir_made;    /* the state directory exists and was ours when we last held its lock */
	bool hooks_began; /* so poststop hooks are owed */
	bool pid_file_made;
	char *slice; /* owned; where systemd puts the scope */
};

/* Look at everything that can be judged without making anything: id, configuration, driver,
 * support table. Fills s->config, s->driver and the parts of s->state that follow from them. Takes
 * over request->document. */
int creation_load(struct creation *c, struct err *e);

/* The driver's plan and its limits; the cgroup's path. */
int creation_plan(struct creation *c, struct err *e);
