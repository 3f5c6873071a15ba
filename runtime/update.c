/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing the limits of a sandbox that lives. What is asked for has the form of `linux.resources`, and goes the way
 * of a configuration: the support table, the parser, then the driver. Only what is named changes; the saved
 * configuration follows, so that what is shown is what holds.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "oci_parse.h"
#include "sandbox.h"
#include "systemd_client.h"

/* The support table speaks of whole configurations. */
static int check_support(const struct sandbox *s, const struct json *resources, struct err *e)
{
	_cleanup_json_ struct json *document = json_new_object();
	struct json *linux_object = document ? json_object_member(document, "linux", true) : NULL;
	struct oci_config config = {.document = document};

	if (!linux_object || json_set(linux_object, "resources", json_copy(resources)) < 0)
		return err_nomem(e);
	return driver_check_config(s->driver, &config, e);
}

/* A limit of memory and swap together means nothing without the one of memory: the one that holds now. */
static int fill_memory(struct sandbox *s, struct cg_limits *l, struct err *e)
{
	struct cg_stats now;
	int r;

	if (l->memory_swap_bytes == CG_UNSET || l->memory_swap_bytes == CG_MAX ||
	    l->memory_bytes != CG_UNSET)
		return 0;
	r = cg_stats(s->cgroup, &now, e);
	if (r == 0 && now.memory_limit_bytes != UINT64_MAX)
		l->memory_bytes = (int64_t)now.memory_limit_bytes;
	return r;
}

static int apply(struct sandbox *s, const struct json *resources, struct err *e)
{
	struct json_at top = {.value = resources, .key = "resources"};
	struct cg_limits limits;
	int r;

	cg_limits_init(&limits);
	r = oci_read_resources_unchecked(&top, &limits, e);
	if (r == 0)
		r = sandbox_need_cgroup(s, e);
	if (r == 0 && !sandbox_has_cgroup(s)) {
		err_unsupported(e, "the sandbox has no cgroup of its own");
		r = err_hint(e, "have the cgroup controllers delegated to this user");
	}
	if (r == 0)
		r = fill_memory(s, &limits, e);
	if (r == 0)
		r = cg_limits_check(&limits, e);
	if (r == 0)
		r = s->driver->update(s, &limits, e);
	if (r == 0 && s->state.scope)
		r = scope_update(s, &limits, e);
	cg_limits_done(&limits);
	return r;
}

/* Members of objects are replaced one by one; arrays and plain values as a whole. */
static int merge(struct json *into, const struct json *from)
{
	struct json_at at = json_top(from), member;
	size_t pos = 0;

	while (json_next_member(&at, &pos, &member)) {
		struct json *inner = NULL;

		if (json_type_of(member.value) == JSON_OBJECT)
			inner = json_object_member(into, member.key, true);
		if (inner && json_type_of(inner) == JSON_OBJECT) {
			if (merge(inner, member.value) < 0)
				return -ENOMEM;
		} else if (json_set(into, member.key, json_copy(member.value)) < 0) {
			return -ENOMEM;
		}
	}
	return 0;
}

static int save(struct sandbox *s, const struct json *resources, struct err *e)
{
	struct json *linux_object = json_object_member(s->config.document, "linux", true);
	struct json *into =
		linux_object ? json_object_member(linux_object, "resources", true) : NULL;

	if (!into || merge(into, resources) < 0)
		return err_nomem(e);
	return sandbox_save_config(s, e);
}

static int update_locked(struct sandbox *s, const struct json *resources, struct err *e)
{
	enum rt_status status = sandbox_status(s);
	int r;

	if (status != RT_CREATED && status != RT_RUNNING && status != RT_PAUSED)
		return err_set(e, ERR_STATE, EINVAL, "container not running: %s",
			       rt_status_name(status));
	r = driver_check_verb(s->driver, "update", e);
	if (r == 0)
		r = check_support(s, resources, e);
	if (r == 0)
		r = sandbox_need_config(s, e);
	if (r == 0)
		r = apply(s, resources, e);
	return r < 0 ? r : save(s, resources, e);
}

int rt_update(struct sandbox *s, const struct json *resources, struct err *e)
{
	int r;

	if (json_type_of(resources) != JSON_OBJECT)
		return err_invalid(e, "update '%s': resources: expected an object", s->dir.id);
	r = sandbox_lock(s, e);
	if (r == 0)
		r = update_locked(s, resources, e);
	sandbox_unlock(s);
	return r < 0 ? err_wrap(e, "update '%s'", s->dir.id) : 0;
}
