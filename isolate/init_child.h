/* SPDX-License-Identifier: Apache-2.0 */
/* Between the creator's and the child's side of a container's init. Internal to this folder. */
#pragma once

#include "isolate/sandbox.h"

struct init_plan {
	const struct iso_init_params *params;
	int join_fds[ISO_NS_COUNT]; /* namespaces to join; -1: none */
	int *mapped_fds;            /* id-mapped trees, see idmap_prepare(); or NULL */
	int *layer_mounts;          /* see rootfs_layers_prepare(); or NULL */
	bool joined;                /* the intermediate did it */
	bool waits;                 /* a SYNC_PID from the creator comes first: ids are mapped */
	bool userns;                /* new or joined */
};

/* setns() to every join_fds, each as soon as there is privilege for it. */
int init_join(void *plan, struct err *e);

/* The whole child (struct spawn's `child`). */
int init_child(void *plan, int *fd, struct err *e);
