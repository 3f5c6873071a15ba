/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who makes a sandbox's control group: we ourselves, systemd, or nobody. A creation picks one; what it made is in the state
 * (cgroup_path, scope), and the later verbs go by that. Internal to this folder.
 */
#pragma once

#include "creation.h"

struct cgroup_manager {
	const char *name;
	/* Name in c->s->state what will be made. Makes nothing. */
	int (*plan)(struct creation *c, struct err *e);
	/* Make it, and open it as c->s->cgroup; a null group where there is none. */
	int (*make)(struct creation *c, struct err *e);
	/* The host process is in it: set the limits. NULL: they are set before there is one. */
	int (*settle)(struct creation *c, struct err *e);
};
const struct cgroup_manager *cgroup_manager_of(const struct rt_ctx *ctx);

/* Remove the group that the state names, whoever made it: kills all in it first. A missing one is success. */
int sandbox_remove_group(struct sandbox *s, const char *path, struct err *e);
