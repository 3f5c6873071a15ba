/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open group as a value: which directory answers for which controller, and what to say when
 * none does.
 */
#include "group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

bool cg_is_denied(int r)
{
	return r == -EACCES || r == -EPERM || r == -EROFS;
}

int cg_group_new(struct cg_host *h, const char *path, struct cgroup **ret, struct err *e)
{
	_cleanup_(cg_freep) struct cgroup *g = calloc(1, sizeof(*g));

	if (!g)
		return err_nomem(e);
	g->host = h;
	h->refs++;
	if (str_printf(&g->path, "%s", path) < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(g);
	return 0;
}

void cg_free(struct cgroup *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_dirs; i++)
		if (g->dirs[i].fd >= 0)
			close(g->dirs[i].fd);
	cg_host_free(g->host);
	free(g->path);
	free(g);
}

bool cg_is_null(const struct cgroup *g)
{
	return g->n_dirs == 0;
}

const char *cg_path(const struct cgroup *g)
{
	return g->path;
}

const struct cg_dir *cg_group_v2(const struct cgroup *g)
{
	for (size_t i = 0; i < g->n_dirs; i++)
		if (g->dirs[i].hier->v2)
			return &g->dirs[i];
	return NULL;
}

const struct cg_dir *cg_group_dir(const struct cgroup *g, enum cg_ctl c)
{
	const struct cg_dir *v2 = NULL;

	for (size_t i = 0; i < g->n_dirs; i++) {
		const struct cg_dir *d = &g->dirs[i];

		if (!(d->controllers & CG_BIT(c)))
			continue;
		if (!d->hier->v2)
			return d;
		v2 = d;
	}
	return v2;
}

const struct cg_dir *cg_group_primary(const struct cgroup *g)
{
	const struct cg_dir *v2 = cg_group_v2(g);

	return v2 || g->n_dirs == 0 ? v2 : &g->dirs[0];
}

int cg_group_missing(const struct cgroup *g, enum cg_ctl c, struct err *e)
{
	const struct cg_host *h = g->host;
	bool v2 = h->layout == CG_LAYOUT_V2;
	const char *name = cg_ctl_name(c, v2);
	bool mounted = false;

	if (!name)
		name = cg_ctl_name(c, false);
	if (h->layout == CG_LAYOUT_NONE) {
		err_unsupported(e, "limit by the %s controller: no cgroup hierarchy is mounted",
				name);
		return err_hint(e, "mount cgroup2 on /sys/fs/cgroup, or run without limits");
	}
	for (size_t i = 0; i < h->n_hier; i++)
		mounted = mounted || (h->hier[i].controllers & CG_BIT(c)) ||
			  (h->hier[i].v2 && (CG_V2_CORE & CG_BIT(c)));
	if (mounted && !v2) {
		err_unsupported(e, "limit by the %s controller: no permission to make cgroup '%s'",
				name, g->path);
		return err_hint(e,
				"cgroup v1 controllers need root; run as root or without limits");
	}
	if (geteuid() != 0) {
		err_unsupported(e, "the %s controller is not delegated to cgroup '%s'", name,
				g->path);
		return err_hint(e,
				"add Delegate=%s to user@.service (systemctl edit user@.service), "
				"log in again and start from a unit of the user manager "
				"(systemd-run --user --scope)",
				name);
	}
	if (mounted) {
		err_unsupported(e, "the %s controller is not enabled for cgroup '%s'", name,
				g->path);
		return err_hint(e, "enable it in cgroup.subtree_control of the parent group");
	}
	err_unsupported(e, "this kernel or container has no %s controller to use", name);
	return err_hint(e, v2 ? "see cgroup.controllers in /sys/fs/cgroup"
			      : "see /proc/cgroups, and mount the controller's hierarchy");
}
