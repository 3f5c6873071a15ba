/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libcgroup does for us: it enumerates the host's controllers and makes the permanent top
 * group. The only file that includes <libcgroup.h>.
 *
 * Why not every container: a group made, limited (memory, cpu, pids), joined and removed took 1650 us
 * by libcgroup and 870 us by descriptors (750 us when the child attaches itself), medians of 400
 * interleaved rounds of tests/bench/cgroup_cost.c on a hybrid host with nine v1 hierarchies, ours
 * joining ten and libcgroup eight: half the time, of a whole container start of a few milliseconds.
 * cgroup_init() is not what costs there (60 us with a short mount table; it grows with the table);
 * each of its calls finds every path and file anew by name.
 *
 * What was found with libcgroup 2.0.2: it makes no group in a named hierarchy ("systemd" is not
 * known to it), leaves a new v1 cpuset without CPUs, and looks at mount points only, never at the
 * root of a mount. So after it made the top group, the same code that makes a sandbox's group fills
 * in the rest. It keeps its mount table in globals of its own, and is called from one thread here.
 */
#include <libcgroup.h>

#include "group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

struct table {
	struct cg_controller_info *rows;
	size_t n;
};

static int library_error(struct err *e, int code, const char *step)
{
	int errnum = cgroup_get_last_errno();

	switch (code) {
	case ECGROUPNOTALLOWED:
	case ECGROUPNOTOWNER:
		return err_sys(e, EACCES, "%s", step);
	case ECGROUPNOTMOUNTED:
	case ECGROUPSUBSYSNOTMOUNTED:
		return err_unsupported(e, "%s: no cgroup hierarchy is mounted", step);
	default:
		if (code == ECGOTHER && errnum > 0)
			return err_sys(e, errnum, "%s", step);
		return err_set(e, ERR_SYSTEM, EIO, "%s: libcgroup: %s", step,
			       cgroup_strerror(code));
	}
}

/* ---- describing the host ------------------------------------------------------------------------- */

void cg_host_describe_free(struct cg_controller_info *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(c[i].name);
		free(c[i].mount_point);
	}
	free(c);
}

static void table_done(struct table *t)
{
	cg_host_describe_free(t->rows, t->n);
}

/* "blkio" and "io" are one controller. */
static struct cg_controller_info *find_row(struct table *t, const char *name)
{
	enum cg_ctl wanted, have;

	for (size_t i = 0; i < t->n; i++) {
		if (STREQ(t->rows[i].name, name))
			return &t->rows[i];
		if (cg_ctl_parse(name, strlen(name), &wanted) &&
		    cg_ctl_parse(t->rows[i].name, strlen(t->rows[i].name), &have) && wanted == have)
			return &t->rows[i];
	}
	return NULL;
}

static struct cg_controller_info *add_row(struct table *t, const char *name)
{
	struct cg_controller_info *grown = reallocarray(t->rows, t->n + 1, sizeof(*grown));

	if (!grown)
		return NULL;
	t->rows = grown;
	t->rows[t->n] = (struct cg_controller_info){.enabled = true};
	if (str_printf(&t->rows[t->n].name, "%s", name) < 0)
		return NULL;
	return &t->rows[t->n++];
}

static int version_at(const struct cg_host *h, const char *mount_point)
{
	for (size_t i = 0; i < h->n_hier; i++)
		if (STREQ(h->hier[i].mount_point, mount_point))
			return h->hier[i].v2 ? 2 : 1;
	return 0;
}

static int take_mounted(const struct cg_host *h, struct table *t, struct err *e)
{
	_cleanup_free_ struct cgroup_mount_point *m = calloc(1, sizeof(*m)); /* 8 KiB */
	void *handle = NULL;
	int code, r = 0;

	if (!m)
		return err_nomem(e);
	for (code = cgroup_get_controller_begin(&handle, m); code == 0 && r == 0;
	     code = cgroup_get_controller_next(&handle, m)) {
		struct cg_controller_info *row = add_row(t, m->name);

		if (!row || str_printf(&row->mount_point, "%s", m->path) < 0)
			r = err_nomem(e);
		else
			row->version = version_at(h, m->path);
	}
	cgroup_get_controller_end(&handle);
	if (r == 0 && code != 0 && code != ECGEOF)
		r = library_error(e, code, "list the mounted controllers");
	return r;
}

/* Those of /proc/cgroups that are mounted nowhere or switched off. A kernel without v1 may have no
 * such file: then the mounted ones are all there are. */
static int take_known(struct table *t, struct err *e)
{
	_cleanup_free_ struct controller_data *c = calloc(1, sizeof(*c));
	void *handle = NULL;
	int code, r = 0;

	if (!c)
		return err_nomem(e);
	if (access("/proc/cgroups", R_OK) < 0)
		return 0;
	for (code = cgroup_get_all_controller_begin(&handle, c); code == 0 && r == 0;
	     code = cgroup_get_all_controller_next(&handle, c)) {
		struct cg_controller_info *row = find_row(t, c->name);

		if (!row)
			row = add_row(t, c->name);
		if (row)
			row->enabled = c->enabled != 0;
		else
			r = err_nomem(e);
	}
	cgroup_get_all_controller_end(&handle);
	if (r == 0 && code != 0 && code != ECGEOF)
		r = library_error(e, code, "list the kernel's controllers");
	return r;
}

int cg_host_describe(const struct cg_host *h, struct cg_controller_info **ret, size_t *ret_n,
		     struct err *e)
{
	_cleanup_(table_done) struct table t = {0};
	int r = cgroup_init();

	/* libcgroup counts controllers only: a lone named hierarchy is "not mounted" to it. */
	if (r != 0 && r != ECGROUPNOTMOUNTED)
		return library_error(e, r, "describe the host's control groups");
	if (r == 0) {
		r = take_mounted(h, &t, e);
		if (r == 0)
			r = take_known(&t, e);
		if (r < 0)
			return err_wrap(e, "describe the host's control groups");
	}
	*ret_n = t.n;
	*ret = TAKE_PTR(t.rows);
	t.n = 0;
	return 0;
}

/* ---- the top group ------------------------------------------------------------------------------- */

static bool is_ready(const struct cg_host *h, const char *path)
{
	for (size_t i = 0; i < h->n_hier; i++)
		if (!cg_prefix_is_ready(h, &h->hier[i], path))
			return false;
	return true;
}

/* v1 hierarchies as a whole; of v2 what a sandbox usually needs, and on a hybrid host nothing: there
 * enabling a controller would be a change nobody asked for. */
static int name_controllers(const struct cg_host *h, struct cgroup *g, struct err *e)
{
	for (size_t i = 0; i < h->n_hier; i++) {
		const struct cg_hier *hier = &h->hier[i];
		unsigned bits = hier->controllers;

		if (hier->v2)
			bits &= h->layout == CG_LAYOUT_V2 ? CG_V2_USUAL : 0;
		for (int c = 0; c < CG_CTL_COUNT; c++) {
			const char *name = cg_ctl_name((enum cg_ctl)c, hier->v2);

			if (name && (bits & CG_BIT(c)) && !cgroup_add_controller(g, name))
				return err_nomem(e);
		}
	}
	return 0;
}

static int make_by_library(const struct cg_host *h, const char *prefix, struct err *e)
{
	struct cgroup *g;
	int r, code = cgroup_init();

	if (code == ECGROUPNOTMOUNTED)
		return 0; /* no controller anywhere; named hierarchies are ours to do */
	if (code != 0)
		return library_error(e, code, "start libcgroup");
	g = cgroup_new_cgroup(prefix);
	if (!g)
		return err_nomem(e);
	r = name_controllers(h, g, e);
	if (r == 0) {
		/* 1: owner and mode stay as the kernel makes them */
		code = cgroup_create_cgroup(g, 1);
		r = code == 0 ? 0 : library_error(e, code, "make the directories");
	}
	cgroup_free(&g);
	return r;
}

int cg_prefix_prepare(struct cg_host *h, const char *prefix, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (!str_is_name(prefix))
		return err_invalid(e, "'%s' is not a name for the top cgroup", prefix);
	if (str_printf(&path, "/%s", prefix) < 0)
		return err_nomem(e);
	if (cg_host_layout(h) == CG_LAYOUT_NONE)
		return err_unsupported(e, "prepare cgroup '%s': no cgroup hierarchy is mounted",
				       path);
	if (is_ready(h, path))
		return 0;
	r = make_by_library(h, prefix, e);
	if (r == 0)
		r = cg_prefix_finish(h, path, e);
	if (r < 0)
		err_wrap(e, "prepare cgroup '%s'", path);
	return r;
}
