/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting limits: each kind through the version that has its controller, in one order, and at last
 * the files of v2 given by name (so that they win, as they are the more exact word).
 */
#include "group.h"

#include <errno.h>
#include <string.h>

#include "backend.h"
#include "base/cleanup.h"
#include "base/str.h"

typedef int (*apply_fn)(const struct cg_dir *d, const struct cg_limits *l, struct err *e);

static const struct {
	enum cg_ctl ctl;
	size_t op; /* offset of an apply_fn in struct cg_backend */
} apply_table[] = {
	{CG_CTL_CPUSET, offsetof(struct cg_backend, set_cpuset)},
	{CG_CTL_CPU, offsetof(struct cg_backend, set_cpu)},
	{CG_CTL_MEMORY, offsetof(struct cg_backend, set_memory)},
	{CG_CTL_PIDS, offsetof(struct cg_backend, set_pids)},
	{CG_CTL_DEVICES, offsetof(struct cg_backend, set_devices)},
	{CG_CTL_IO, offsetof(struct cg_backend, set_io)},
	{CG_CTL_HUGETLB, offsetof(struct cg_backend, set_pages)},
	{CG_CTL_RDMA, offsetof(struct cg_backend, set_rdma)},
	{CG_CTL_NET_CLS, offsetof(struct cg_backend, set_net_class)},
	{CG_CTL_NET_PRIO, offsetof(struct cg_backend, set_net_priorities)},
};

/* Which controllers the named fields need; the unified files are looked at one by one. */
static unsigned field_needs(const struct cg_limits *l)
{
	struct cg_limits fields = *l;

	fields.n_unified = 0;
	return cg_limits_needs(&fields);
}

static int set_unified(const struct cgroup *g, const struct cg_unified *u, struct err *e)
{
	const struct cg_dir *v2 = cg_group_v2(g);
	size_t len = strcspn(u->file, ".");
	enum cg_ctl c;
	int r;

	if (!v2) {
		err_unsupported(e, "unified '%s': this host has no cgroup v2", u->file);
		return err_hint(e, "use the limit's own field in place of 'unified'");
	}
	if (cg_ctl_parse(u->file, len, &c) && cg_group_dir(g, c) != v2)
		return cg_group_dir(g, c)
			       ? err_unsupported(
					 e,
					 "unified '%s': the %.*s controller of this host is "
					 "in a v1 hierarchy",
					 u->file, (int)len, u->file)
			       : cg_group_missing(g, c, e);
	r = cg_file_write(v2->fd, u->file, u->value, e);
	if (r == -ENOENT)
		return err_unsupported(e, "unified '%s': this kernel has no such file", u->file);
	return r;
}

int cg_set_limits(struct cgroup *g, const struct cg_limits *l, struct err *e)
{
	unsigned needs = field_needs(l);
	int r = cg_limits_check(l, e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(apply_table); i++) {
		const struct cg_dir *d = cg_group_dir(g, apply_table[i].ctl);
		apply_fn fn;

		if (!(needs & CG_BIT(apply_table[i].ctl)))
			continue;
		if (!d) {
			r = cg_group_missing(g, apply_table[i].ctl, e);
			break;
		}
		memcpy(&fn, (const char *)d->hier->ops + apply_table[i].op, sizeof(fn));
		r = fn(d, l, e);
	}
	for (size_t i = 0; r == 0 && i < l->n_unified; i++)
		r = set_unified(g, &l->unified[i], e);
	if (r < 0)
		err_wrap(e, "set limits of cgroup '%s'", g->path);
	return r;
}
