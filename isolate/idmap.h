/* SPDX-License-Identifier: Apache-2.0 */
/* Id-mapped mounts. Internal to this folder. */
#pragma once

#include "isolate/sandbox.h"

/* Does this mount ask for it? */
static inline bool idmap_is_wanted(const struct iso_mount *m)
{
	return m->flags & (ISO_MOUNT_IDMAP | ISO_MOUNT_RIDMAP);
}

/* What can be said without the kernel; `place` names the mount. */
int idmap_check(const struct iso_config *c, const struct iso_mount *m, struct err *e);

/* In the creator, which owns the file systems: a detached tree for every mount that is to be id-mapped, -1 for the others.
 * user_ns_fd is the user namespace that the container joins, or -1. *ret_fds has one per mount, or is NULL when none
 * asks; close with idmap_close(). */
int idmap_prepare(const struct iso_config *c, int user_ns_fd, int **ret_fds, struct err *e);
void idmap_close(const struct iso_config *c, int *fds);
