/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user namespace of a sandbox: which ids it has, and what else of the document follows from that. See run_userns.h.
 */
#include "run_userns.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "base/str.h"
#include "caller.h"
#include "isolate/userns.h"

struct maps {
	struct iso_id_maps uid, gid;
	bool single; /* one id each */
	char *why;   /* owned; why there are no more */
};

static void maps_done(struct maps *m)
{
	iso_id_maps_done(&m->uid);
	iso_id_maps_done(&m->gid);
	free(m->why);
}

bool run_is_ordinary(void)
{
	return geteuid() != 0;
}

/* ---- maps --------------------------------------------------------------------------------- */

static int add(struct iso_id_maps *maps, uint32_t inside, uint32_t outside, uint32_t count)
{
	struct iso_id_map *v;

	if (count == 0)
		return 0;
	v = reallocarray(maps->v, maps->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	maps->v = v;
	maps->v[maps->n++] = (struct iso_id_map){inside, outside, count};
	return 0;
}

static int set_single(struct maps *m, uint32_t uid, uint32_t gid, struct err *e)
{
	m->single = true;
	if (add(&m->uid, uid, geteuid(), 1) < 0 || add(&m->gid, gid, getegid(), 1) < 0)
		return err_nomem(e);
	return 0;
}

/* From "0 is the user, then his ranges" to: the ranges from 0 on, and in their midst, at his own number, himself if he
 * `stays`. */
static int rearrange(struct iso_id_maps *maps, uint32_t own, bool stays)
{
	struct iso_id_maps from = *maps;
	uint32_t next = 0;
	int r = 0;

	*maps = (struct iso_id_maps){0};
	/* The first entry is the user's own. */
	for (size_t i = 1; i < from.n && r == 0; i++) {
		struct iso_id_map m = from.v[i];

		if (stays && next <= own && m.count > own - next) {
			uint32_t before = own - next;

			r = add(maps, next, m.outside, before);
			if (r == 0)
				r = add(maps, own + 1, m.outside + before, m.count - before);
			next += m.count + 1;
		} else {
			r = add(maps, next, m.outside, m.count);
			next += m.count;
		}
	}
	if (r == 0 && stays)
		r = add(maps, own, own, 1);
	iso_id_maps_done(&from);
	return r;
}

static int full_maps(struct maps *m, enum run_userns_mode mode, struct err *e)
{
	int r = iso_user_maps(&m->uid, &m->gid, &m->single, &m->why, e);

	/* Root has no subordinate ids to arrange: his map is all there is, each to itself. */
	if (r < 0 || !run_is_ordinary() || mode == RUN_USERNS_ROOT)
		return r;
	if (m->single && mode == RUN_USERNS_KEEP_ID) {
		iso_id_maps_done(&m->uid);
		iso_id_maps_done(&m->gid);
		return set_single(m, geteuid(), getegid(), e);
	}
	if (rearrange(&m->uid, geteuid(), mode == RUN_USERNS_KEEP_ID) < 0 ||
	    rearrange(&m->gid, getegid(), mode == RUN_USERNS_KEEP_ID) < 0)
		return err_nomem(e);
	return 0;
}

/* Does the process need no more than this one id? Groups that only came with the user's name are not counted: with a single
 * map the kernel allows none. */
static bool is_enough(const struct run_build *b, uint32_t uid, uint32_t gid)
{
	return b->user.uid == uid && b->user.gid == gid &&
	       strv_len((char *const *)b->request->groups) == 0;
}

static int default_maps(const struct run_build *b, struct maps *m, struct err *e)
{
	if (!b->rootfs.host_root)
		return full_maps(m, RUN_USERNS_ROOT, e);
	if (is_enough(b, geteuid(), getegid()))
		return set_single(m, geteuid(), getegid(), e);
	if (is_enough(b, 0, 0))
		return set_single(m, 0, 0, e);
	return full_maps(m, RUN_USERNS_KEEP_ID, e);
}

static int refuse_id(const struct maps *m, const char *kind, uint32_t id, struct err *e)
{
	if (!m->single) {
		err_invalid(e, "%s %u is not among the ids of the user namespace", kind, id);
		return err_hint(e, "a longer range in /etc/subuid and /etc/subgid reaches it");
	}
	err_unsupported(e, "%s %u cannot be mapped: %s", kind, id,
			m->why ? m->why : "there is only one id");
	return err_hint(e,
			"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "
			"NAME; or run as the mapped user (without -u)");
}

static int check_user(const struct run_build *b, const struct maps *m, struct err *e)
{
	const struct iso_user *u = &b->user;
	uint32_t host;

	if (iso_id_to_host(&m->uid, u->uid, &host) < 0)
		return refuse_id(m, "user", u->uid, e);
	if (iso_id_to_host(&m->gid, u->gid, &host) < 0)
		return refuse_id(m, "group", u->gid, e);
	/* setgroups(2) is denied where one group alone is mapped. */
	if (m->single && strv_len((char *const *)b->request->groups) > 0) {
		err_unsupported(e, "--group-add: %s", m->why ? m->why : "only one id is mapped");
		return err_hint(e, "as root: usermod --add-subuids 100000-165535 --add-subgids "
				   "100000-165535 NAME");
	}
	return 0;
}

/* ---- the document ------------------------------------------------------------------------- */

static struct json *maps_to_json(const struct iso_id_maps *maps)
{
	_cleanup_json_ struct json *v = json_new_array();

	for (size_t i = 0; v && i < maps->n; i++) {
		_cleanup_json_ struct json *m = json_new_object();

		if (!m || json_set(m, "containerID", json_new_u64(maps->v[i].inside)) < 0 ||
		    json_set(m, "hostID", json_new_u64(maps->v[i].outside)) < 0 ||
		    json_set(m, "size", json_new_u64(maps->v[i].count)) < 0 ||
		    json_push(v, TAKE_PTR(m)) < 0)
			return NULL;
	}
	return TAKE_PTR(v);
}

static const char *member_text(struct json *object, const char *key)
{
	struct json_at at = json_top(object), child;

	return json_member(&at, key, &child) ? json_peek_string(&child) : NULL;
}

static size_t array_len(const struct json *array)
{
	struct json_at at = json_top(array);

	return json_array_len(&at);
}

static bool has_namespace(struct json *l, const char *type)
{
	struct json *v = json_object_member(l, "namespaces", false);

	for (size_t i = 0; v && i < array_len(v); i++) {
		const char *t = member_text(json_array_member(v, i), "type");

		if (t && STREQ(t, type))
			return true;
	}
	return false;
}

static int add_namespace(struct json *l, const struct maps *m)
{
	struct json *v = json_object_member(l, "namespaces", false);

	if (!v || json_push(v, run_fixed("{\"type\": \"user\"}")) < 0 ||
	    json_set(l, "uidMappings", maps_to_json(&m->uid)) < 0)
		return -ENOMEM;
	return json_set(l, "gidMappings", maps_to_json(&m->gid));
}

/* The kernel gives these file systems to the owner of the namespace that they show. */
static const struct {
	const char *type, *namespace, *source;
} owned_types[] = {
	{"sysfs", "network", "/sys"},
	{"mqueue", "ipc", "/dev/mqueue"},
	{"proc", "pid", "/proc"},
};

static int bind_instead(struct json *mount, const char *source)
{
	if (json_set(mount, "type", json_new_string("bind")) < 0 ||
	    json_set(mount, "source", json_new_string(source)) < 0)
		return -ENOMEM;
	return json_set(mount, "options",
			run_fixed(STREQ(source, "/sys")
					  ? "[\"rbind\", \"rprivate\", \"rnosuid\", \"rnodev\", "
					    "\"rnoexec\", \"rro\"]"
					  : "[\"rbind\", \"rprivate\", \"rnosuid\", \"rnodev\", "
					    "\"rnoexec\"]"));
}

static int adapt_mounts(struct json *document, struct json *l)
{
	struct json *mounts = json_object_member(document, "mounts", false);

	for (size_t i = 0; mounts && i < array_len(mounts); i++) {
		struct json *m = json_array_member(mounts, i);
		const char *type = member_text(m, "type");

		for (size_t k = 0; type && k < ARRAY_SIZE(owned_types); k++) {
			if (!STREQ(type, owned_types[k].type))
				continue;
			if (!has_namespace(l, owned_types[k].namespace) &&
			    bind_instead(m, owned_types[k].source) < 0)
				return -ENOMEM;
			break;
		}
	}
	return 0;
}

/* Groups that came with the user's name in the root's own /etc/group. */
static void drop_groups(struct json *document)
{
	struct json *process = json_object_member(document, "process", false);
	struct json *user = process ? json_object_member(process, "user", false) : NULL;

	if (user)
		json_remove(user, "additionalGids");
}

/* The own system: the root read-only, as all of it is, and where the caller stands. */
static int adapt_own_system(const struct run_build *b, struct json *document, struct err *e)
{
	struct json *root = json_object_member(document, "root", false);
	struct json *process = json_object_member(document, "process", false);
	_cleanup_(run_own_done) struct run_own own = {0};
	int r;

	if (!root || json_set(root, "readonly", json_new_bool(true)) < 0)
		return err_nomem(e);
	r = run_own_find(b->rootfs.fd, &own, e);
	if (r < 0)
		return r;
	if (!own.home && b->ctx)
		log_to(&b->ctx->log, LOG_LEVEL_WARNING,
		       "this user has no home directory of his own; the sandbox has an empty one");
	if (own.note && b->ctx)
		log_to(&b->ctx->log, LOG_LEVEL_WARNING, "%s", own.note);
	if (own.locked && b->ctx)
		log_to(&b->ctx->log, LOG_LEVEL_WARNING,
		       "'%s' is read-only in the sandbox: a user namespace cannot put a layer over "
		       "the "
		       "mounts below it",
		       own.locked);
	if (b->request->workdir || !process)
		return 0;
	return json_set(process, "cwd", json_new_string(own.cwd)) < 0 ? err_nomem(e) : 0;
}

/* Root of an outer user namespace may have no groups there, or not these. */
static int adapt_outer_groups(const struct run_build *b, struct json *document, struct err *e)
{
	_cleanup_(maps_done) struct maps m = {0};
	_cleanup_free_ char *setgroups = NULL;
	uint32_t host;
	int r;

	if (b->user.n_additional_gids == 0 || strv_len((char *const *)b->request->groups) > 0 ||
	    caller_is_hosts_root())
		return 0;
	r = path_read_file_at(AT_FDCWD, "/proc/self/setgroups", 64, &setgroups, NULL, e);
	if (r == 0)
		r = iso_user_maps(&m.uid, &m.gid, &m.single, NULL, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < b->user.n_additional_gids; i++)
		if (str_has_prefix(setgroups, "deny") ||
		    iso_id_to_host(&m.gid, b->user.additional_gids[i], &host) < 0)
			drop_groups(document);
	return 0;
}

int run_user_namespace(const struct run_build *b, struct json *document, enum run_userns_mode mode,
		       struct err *e)
{
	struct json *l = json_object_member(document, "linux", true);
	_cleanup_(maps_done) struct maps m = {0};
	int r;

	if (mode == RUN_USERNS_NONE || (mode == RUN_USERNS_DEFAULT && !run_is_ordinary()))
		return run_is_ordinary() ? 0 : adapt_outer_groups(b, document, e);
	if (!l)
		return err_nomem(e);
	/* The files of its layers belong to the ids of the usual map. */
	if (b->request->image && run_is_ordinary() &&
	    (mode == RUN_USERNS_KEEP_ID || mode == RUN_USERNS_NOMAP)) {
		err_unsupported(e, "--userns %s with an image: its files belong to other ids",
				b->request->userns);
		return err_hint(e, "leave --userns away: root of the sandbox is you");
	}
	r = mode == RUN_USERNS_DEFAULT ? default_maps(b, &m, e) : full_maps(&m, mode, e);
	if (r == 0)
		r = check_user(b, &m, e);
	if (r < 0)
		return err_wrap(e, "user namespace");
	if (add_namespace(l, &m) < 0 || adapt_mounts(document, l) < 0)
		return err_nomem(e);
	if (m.single)
		drop_groups(document);
	return run_is_ordinary() && b->rootfs.host_root ? adapt_own_system(b, document, e) : 0;
}
