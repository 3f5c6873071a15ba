/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of an exec, as a JSON object: so that one parser checks what came from flags and what came from
 * an engine's file.
 */
#include "exec_process.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/str.h"

/* In a user namespace with one group alone, which allows no others, those that came with a user's name fall
 * away, as they do for the first process. */
static bool can_have(const struct iso_id_maps *maps, uint32_t gid)
{
	uint32_t host;

	return maps->n != 1 || maps->v[0].count != 1 || iso_id_to_host(maps, gid, &host) == 0;
}

static int set_user(struct json *process, const struct sandbox *s, const struct exec_changes *c)
{
	struct json *user = json_object_member(process, "user", true);
	struct json *gids;

	if (!user || json_set(user, "uid", json_new_u64(c->user->uid)) < 0 ||
	    json_set(user, "gid", json_new_u64(c->user->gid)) < 0)
		return -ENOMEM;
	if (!c->set_gids)
		return 0;
	gids = json_new_array();
	if (json_set(user, "additionalGids", gids) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < c->user->n_additional_gids; i++)
		if (can_have(&s->config.isolation.gid_maps, c->user->additional_gids[i]) &&
		    json_push(gids, json_new_u64(c->user->additional_gids[i])) < 0)
			return -ENOMEM;
	return 0;
}

/* Append to (or, for the environment, replace in) a list of strings that may be missing. */
static int extend_list(struct json *object, const char *key, char *const *more,
		       int (*add)(char ***v, const char *s), struct err *e)
{
	struct json_at top = json_top(object), list;
	_cleanup_strv_ char **all = NULL;

	if (json_member(&top, key, &list)) {
		int r = json_get_strv(&list, &all, e);

		if (r < 0)
			return r;
	}
	for (; more && *more; more++)
		if (add(&all, *more) < 0)
			return err_nomem(e);
	return json_set(object, key, json_new_strv(all)) < 0 ? err_nomem(e) : 0;
}

/* An added capability is one the process really holds: bounding, permitted and effective. */
static int add_caps(struct json *process, char *const *caps, struct err *e)
{
	static const char *const sets[] = {"bounding", "permitted", "effective"};
	struct json *all = json_object_member(process, "capabilities", true);

	if (!all)
		return err_nomem(e);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		int r = extend_list(all, sets[i], caps, strv_push, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int set_string(struct json *process, const char *key, const char *value)
{
	return value ? json_set(process, key, json_new_string(value)) : 0;
}

/* The size of the caller's terminal from the first moment on: a later change is a signal. */
static int set_size(struct json *process)
{
	struct json *size;
	struct winsize w;

	if (ioctl(0, TIOCGWINSZ, &w) < 0 && ioctl(1, TIOCGWINSZ, &w) < 0 &&
	    ioctl(2, TIOCGWINSZ, &w) < 0)
		return 0;
	size = json_object_member(process, "consoleSize", true);
	if (!size || json_set(size, "height", json_new_u64(w.ws_row)) < 0 ||
	    json_set(size, "width", json_new_u64(w.ws_col)) < 0)
		return -ENOMEM;
	return 0;
}

int exec_process_json(const struct sandbox *s, const struct exec_changes *c, struct json **ret,
		      struct err *e)
{
	struct json_at top = json_top(s->config.document), at;
	_cleanup_json_ struct json *p =
		json_member(&top, "process", &at) ? json_copy(at.value) : json_new_object();
	int r;

	if (!p || json_set(p, "args", json_new_strv(c->args)) < 0 ||
	    json_set(p, "terminal", json_new_bool(c->tty)) < 0 ||
	    set_string(p, "cwd", c->cwd) < 0 ||
	    set_string(p, "selinuxLabel", c->selinux_label) < 0 ||
	    set_string(p, "apparmorProfile", c->apparmor_profile) < 0)
		return err_nomem(e);
	if (c->tty && set_size(p) < 0)
		return err_nomem(e);
	if (c->no_new_privileges && json_set(p, "noNewPrivileges", json_new_bool(true)) < 0)
		return err_nomem(e);
	if (c->user && set_user(p, s, c) < 0)
		return err_nomem(e);
	r = c->caps ? add_caps(p, c->caps, e) : 0;
	if (r >= 0 && c->env)
		r = extend_list(p, "env", c->env, strv_env_set, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}
