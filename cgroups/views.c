/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the hierarchies look to a container that mounts its cgroups: one directory per hierarchy, or
 * the one of v2 alone.
 */
#include "group.h"

size_t cg_mount_views(struct cgroup *g, const struct cg_mount_view **ret)
{
	for (size_t i = 0; i < g->n_dirs; i++) {
		const struct cg_dir *d = &g->dirs[i];
		bool alone = d->hier->v2 && g->n_dirs == 1;

		g->views[i] = (struct cg_mount_view){
			.name = alone ? "" : d->hier->name,
			.fstype = d->hier->v2 ? "cgroup2" : "cgroup",
			.options = d->hier->options,
			.group_fd = d->fd,
		};
	}
	*ret = g->views;
	return g->n_dirs;
}
