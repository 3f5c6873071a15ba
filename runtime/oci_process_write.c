/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process object as JSON: what oci_process_read() reads, written. A guest's agent gets the
 * processes of its sandbox this way, so that one parser serves both sides. json_set() reports a
 * missing memory at each member; one failure makes the whole NULL.
 */
#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

static struct json *user_to_json(const struct iso_user *u)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_json_ struct json *gids = json_new_array();

	if (!o || !gids)
		return NULL;
	for (size_t i = 0; i < u->n_additional_gids; i++)
		if (json_push(gids, json_new_u64(u->additional_gids[i])) < 0)
			return NULL;
	if (json_set(o, "uid", json_new_u64(u->uid)) < 0 ||
	    json_set(o, "gid", json_new_u64(u->gid)) < 0 ||
	    (u->has_umask && json_set(o, "umask", json_new_u64(u->umask)) < 0) ||
	    (u->n_additional_gids && json_set(o, "additionalGids", TAKE_PTR(gids)) < 0))
		return NULL;
	return TAKE_PTR(o);
}

static struct json *cap_set_to_json(uint64_t set)
{
	_cleanup_json_ struct json *names = json_new_array();

	if (!names)
		return NULL;
	for (int cap = 0; cap < 64; cap++) {
		const char *name = set & (UINT64_C(1) << cap) ? iso_cap_name(cap) : NULL;

		if (name && json_push(names, json_new_string(name)) < 0)
			return NULL;
	}
	return TAKE_PTR(names);
}

static struct json *caps_to_json(const struct iso_caps *caps)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "effective", cap_set_to_json(caps->set[ISO_CAP_EFFECTIVE])) < 0 ||
	    json_set(o, "bounding", cap_set_to_json(caps->set[ISO_CAP_BOUNDING])) < 0 ||
	    json_set(o, "inheritable", cap_set_to_json(caps->set[ISO_CAP_INHERITABLE])) < 0 ||
	    json_set(o, "permitted", cap_set_to_json(caps->set[ISO_CAP_PERMITTED])) < 0 ||
	    json_set(o, "ambient", cap_set_to_json(caps->set[ISO_CAP_AMBIENT])) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static struct json *rlimits_to_json(const struct iso_process *p)
{
	_cleanup_json_ struct json *list = json_new_array();

	if (!list)
		return NULL;
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct iso_rlimit *l = &p->rlimits[i];
		_cleanup_json_ struct json *o = json_new_object();

		if (!o || json_set(o, "type", json_new_string(iso_rlimit_name(l->resource))) < 0 ||
		    json_set(o, "soft", json_new_u64(l->soft)) < 0 ||
		    json_set(o, "hard", json_new_u64(l->hard)) < 0 ||
		    json_push(list, TAKE_PTR(o)) < 0)
			return NULL;
	}
	return TAKE_PTR(list);
}

static struct json *console_size_to_json(const struct iso_process *p)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "height", json_new_u64(p->rows)) < 0 ||
	    json_set(o, "width", json_new_u64(p->cols)) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static int set_optional(struct json *o, const char *key, const char *value)
{
	return value ? json_set(o, key, json_new_string(value)) : 0;
}

static int set_scheduling(struct json *o, const struct iso_process *p)
{
	struct json *affinity;

	if (p->scheduler.present &&
	    json_set(o, "scheduler", oci_scheduler_to_json(&p->scheduler)) < 0)
		return -ENOMEM;
	if (p->io_priority.present &&
	    json_set(o, "ioPriority", oci_io_priority_to_json(&p->io_priority)) < 0)
		return -ENOMEM;
	if (!p->cpus_initial && !p->cpus_final)
		return 0;
	affinity = json_object_member(o, "execCPUAffinity", true);
	if (!affinity || set_optional(affinity, "initial", p->cpus_initial) < 0 ||
	    set_optional(affinity, "final", p->cpus_final) < 0)
		return -ENOMEM;
	return 0;
}

struct json *oci_process_to_json(const struct iso_process *p)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "terminal", json_new_bool(p->terminal)) < 0 ||
	    json_set(o, "user", user_to_json(&p->user)) < 0 ||
	    json_set(o, "args", json_new_strv(p->args)) < 0 ||
	    json_set(o, "env", json_new_strv(p->env)) < 0 ||
	    json_set(o, "cwd", json_new_string(p->cwd ? p->cwd : "/")) < 0 ||
	    json_set(o, "noNewPrivileges", json_new_bool(p->no_new_privileges)) < 0)
		return NULL;
	if (p->terminal && (p->rows || p->cols) &&
	    json_set(o, "consoleSize", console_size_to_json(p)) < 0)
		return NULL;
	if (p->caps.present && json_set(o, "capabilities", caps_to_json(&p->caps)) < 0)
		return NULL;
	if (p->n_rlimits && json_set(o, "rlimits", rlimits_to_json(p)) < 0)
		return NULL;
	if (p->has_oom_score_adj && json_set(o, "oomScoreAdj", json_new_i64(p->oom_score_adj)) < 0)
		return NULL;
	if (set_optional(o, "apparmorProfile", p->apparmor_profile) < 0 ||
	    set_optional(o, "selinuxLabel", p->selinux_label) < 0 || set_scheduling(o, p) < 0)
		return NULL;
	return TAKE_PTR(o);
}
