/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three cgroup managers.
 *
 *	cgroupfs	we make the directories
 *	systemd		systemd makes a scope, a unit of its own, with Delegate=yes: from then on the group is ours to use like
 *			any other. As with runc the sandbox lives in the scope's own group, not in one below.
 *	disabled	no group; a limit is refused
 */
#include "cgroup_manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/str.h"
#include "caller.h"
#include "sandbox.h"
#include "systemd_client.h"

/* ---- cgroupfs ---------------------------------------------------------------------------------- */

static int cgroupfs_plan(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	struct cg_host *host;
	int r = rt_cgroups(c->ctx, &host, e);

	if (r < 0)
		return r;
	return cg_path_resolve(host, s->config.cgroups_path, CGROUP_PREFIX, c->request->id,
			       &s->state.cgroup_path, e);
}

static int cgroupfs_make(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	struct cg_host *host;
	int r = rt_cgroups(c->ctx, &host, e);

	return r < 0 ? r : cg_create(host, s->state.cgroup_path, &s->plan.limits, &s->cgroup, e);
}

/* ---- systemd ------------------------------------------------------------------------------------- */

static int set_path(struct sandbox *s, char *path)
{
	if (!path)
		return -ENOMEM;
	free(s->state.cgroup_path);
	s->state.cgroup_path = path;
	return 0;
}

/* The group's path is systemd's to say, so until the scope is there the state names the scope alone. */
static int systemd_plan(struct creation *c, struct err *e)
{
	_cleanup_json_ struct json *unused = json_new_array();
	struct sandbox *s = c->s;
	struct systemd_unit u;
	int r;

	if (!unused)
		return err_nomem(e);
	r = systemd_unit_resolve(s->config.cgroups_path, c->request->id, !caller_is_hosts_root(),
				 &u, e);
	if (r < 0)
		return r;
	s->state.scope = TAKE_PTR(u.name);
	c->slice = TAKE_PTR(u.slice);
	if (set_path(s, strdup("")) < 0)
		return err_nomem(e);
	/* A wrong one is refused before any work. */
	return systemd_annotation_properties(s->config.annotations, unused, e);
}

static int systemd_make(struct creation *c, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	struct sandbox *s = c->s;
	struct cg_host *host;
	int r = rt_cgroups(c->ctx, &host, e);

	if (r == 0)
		r = scope_start(s, c->slice, &path, e);
	if (r == 0)
		r = FAULT("scope", e);
	if (r < 0)
		return r;
	(void)set_path(s, TAKE_PTR(path));
	r = sandbox_save(s, RT_CREATING, e);
	if (r == 0)
		r = FAULT("scope-saved", e);
	if (r == 0)
		r = cg_adopt(host, s->state.cgroup_path, &s->plan.limits, &s->cgroup, e);
	return r;
}

/* Only now: with the placeholder in it a low limit would hurt the wrong one. systemd's part of the limits is set already. */
static int systemd_settle(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	int r = scope_settle(s, e);

	if (r == 0)
		r = FAULT("scope-settled", e);
	if (r == 0)
		r = cg_set_limits(s->cgroup, &s->plan.limits, e);
	return r < 0 ? err_wrap(e, "cgroup '%s'", s->state.cgroup_path) : 0;
}

/* ---- disabled -------------------------------------------------------------------------------------- */

static int disabled_plan(struct creation *c, struct err *e)
{
	struct cg_limits *l = &c->s->plan.limits;
	const char *what = cg_limits_first(l);

	if (what) {
		err_unsupported(e, "%s: the cgroup manager is disabled, so there is no group",
				what);
		return err_hint(e, "leave the limit out, or use --cgroup-manager cgroupfs");
	}
	/* Engines write rules in every configuration, so these are told and not refused. */
	if (l->n_devices > 0) {
		log_to(&c->ctx->log, LOG_LEVEL_INFO,
		       "'%s': the cgroup manager is disabled: device rules are not applied",
		       c->request->id);
		l->n_devices = 0;
	}
	return set_path(c->s, strdup("")) < 0 ? err_nomem(e) : 0;
}

static int disabled_make(struct creation *c, struct err *e)
{
	struct cg_host *host;
	int r = rt_cgroups(c->ctx, &host, e);

	return r < 0 ? r : cg_new_null(host, &c->s->cgroup, e);
}

/* ---- the table --------------------------------------------------------------------------------------- */

static const struct cgroup_manager managers[RT_CGROUP_MANAGER_COUNT] = {
	[RT_CGROUPFS] = {"cgroupfs", cgroupfs_plan, cgroupfs_make, NULL},
	[RT_CGROUP_SYSTEMD] = {"systemd", systemd_plan, systemd_make, systemd_settle},
	[RT_CGROUP_DISABLED] = {"disabled", disabled_plan, disabled_make, NULL},
};

const struct cgroup_manager *cgroup_manager_of(const struct rt_ctx *ctx)
{
	return &managers[ctx->cgroup_manager];
}

int rt_cgroup_manager_parse(const char *name, enum rt_cgroup_manager *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(managers); i++)
		if (STREQ(name, managers[i].name)) {
			*ret = (enum rt_cgroup_manager)i;
			return 0;
		}
	return err_invalid(e, "cgroup manager '%s' is none of cgroupfs, systemd, disabled", name);
}

int sandbox_remove_group(struct sandbox *s, const char *path, struct err *e)
{
	struct err failure = ERR_INIT;
	struct cg_host *host;
	int r = 0;

	scope_leave(s);
	if (path[0]) {
		r = rt_cgroups(s->ctx, &host, e);
		if (r == 0)
			r = cg_remove(host, path, true, e);
		if (r < 0)
			return r;
	}
	if (!s->state.scope || scope_stop(s, &failure) == 0)
		return 0;
	/* An empty scope goes by itself, so what we could not say to systemd matters only where we do not know that it is. */
	if (path[0] == '\0') {
		if (e)
			*e = failure;
		return failure.errnum ? -failure.errnum : -EIO;
	}
	log_error_value(&s->ctx->log, &failure);
	return 0;
}
