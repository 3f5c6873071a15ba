/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts that are added to a sandbox that exists, and removed again. What is asked for has the form of `mounts` of a
 * configuration, and goes its way: the support table, the parser, then the driver. The saved configuration and the state
 * follow while the new mounts can still be taken back, so what is in the sandbox and not in the state is in neither.
 *
 * Only what was added can be removed, and only by the id that it got: the destinations of the configuration belong to
 * what fences the sandbox in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "sandbox.h"
#include "state_internal.h"

/* An entry of state.live_mounts: "ID DESTINATION". */
static int entry_read(const char *entry, uint64_t *ret_id, const char **ret_destination,
		      struct err *e)
{
	const char *blank = strchr(entry, ' ');
	_cleanup_free_ char *id = blank ? strndup(entry, (size_t)(blank - entry)) : NULL;

	if (!id || parse_u64(id, ret_id) < 0 || blank[1] != '/')
		return err_invalid(e, "state: liveMounts: '%s' is no mount", entry);
	*ret_destination = blank + 1;
	return 0;
}

static int check_lives(struct sandbox *s, struct err *e)
{
	enum rt_status status = sandbox_status(s);

	if (status == RT_CREATED || status == RT_RUNNING || status == RT_PAUSED)
		return sandbox_need_config(s, e);
	return err_set(e, ERR_STATE, EINVAL, "container not running: %s", rt_status_name(status));
}

/* ---- adding ----------------------------------------------------------------------------- */

/* The sandbox's document, but with these mounts alone. */
static int read_added(struct sandbox *s, const struct json *mounts, struct oci_config *ret,
		      struct err *e)
{
	_cleanup_json_ struct json *document = json_copy(s->config.document);
	int r;

	if (!document || json_set(document, "mounts", json_copy(mounts)) < 0)
		return err_nomem(e);
	r = oci_config_read(document, s->state.bundle ? s->state.bundle : "/", ret, e);
	if (r < 0)
		return r;
	TAKE_PTR(document);
	return driver_check_config(s->driver, ret, e);
}

struct addition {
	struct sandbox *s;
	const struct oci_config *added;
	const struct json *mounts;
};

static int note_in_config(struct sandbox *s, const struct json *mounts, struct err *e)
{
	struct json_at at = json_top(mounts);
	struct json *all = json_object_member(s->config.document, "mounts", false);

	if (!all || json_type_of(all) != JSON_ARRAY) {
		if (json_set(s->config.document, "mounts", json_new_array()) < 0)
			return err_nomem(e);
		all = json_object_member(s->config.document, "mounts", false);
	}
	for (size_t i = 0; i < json_array_len(&at); i++)
		if (json_push(all, json_copy(json_array_at(&at, i).value)) < 0)
			return err_nomem(e);
	return sandbox_save_config(s, e);
}

static int note_in_state(const struct addition *a, const uint64_t *ids, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *clean = NULL, *entry = NULL;

		if (path_normalize(a->added->isolation.mounts[i].destination, &clean) < 0 ||
		    str_printf(&entry, "%llu %s", (unsigned long long)ids[i], clean) < 0 ||
		    strv_push(&a->s->state.live_mounts, entry) < 0)
			return err_nomem(e);
	}
	return sandbox_save(a->s, a->s->state.saved, e);
}

/* The state first: an entry too many, should the configuration not be saved, is of a mount that is gone, which hurts
 * nobody; a mount too many could not be removed. */
static int keep(void *arg, const uint64_t *ids, size_t n, struct err *e)
{
	const struct addition *a = arg;
	int r = note_in_state(a, ids, n, e);

	return r < 0 ? r : note_in_config(a->s, a->mounts, e);
}

static int add_locked(struct sandbox *s, const struct json *mounts, struct err *e)
{
	struct oci_config added = {0};
	struct addition a = {s, &added, mounts};
	int r = check_lives(s, e);

	if (r == 0)
		r = read_added(s, mounts, &added, e);
	if (r == 0)
		r = s->driver->mounts_add(s, &added.isolation, keep, &a, e);
	oci_config_done(&added);
	return r;
}

/* ---- removing --------------------------------------------------------------------------- */

/* The newest on that destination that is not chosen yet. *ret_index: its place in the state. */
static int find_entry(struct sandbox *s, const char *destination, const bool *chosen,
		      size_t *ret_index, uint64_t *ret_id, struct err *e)
{
	for (size_t i = strv_len(s->state.live_mounts); i-- > 0;) {
		const char *there = NULL;
		int r = entry_read(s->state.live_mounts[i], ret_id, &there, e);

		if (r < 0)
			return r;
		if (chosen[i] || !STREQ(there, destination))
			continue;
		*ret_index = i;
		return 0;
	}
	err_set(e, ERR_NOT_FOUND, ENOENT, "no mount was added on '%s'", destination);
	return err_hint(e, "mounts of the configuration stay for the life of a container");
}

static int read_destination(const struct json_at *at, char **ret, struct err *e)
{
	struct json_at member;
	const char *text;

	if (json_type_of(at->value) != JSON_OBJECT || !json_member(at, "destination", &member))
		return json_error(at, e, "expected an object with a destination");
	text = json_peek_string(&member);
	if (!text || text[0] != '/')
		return json_error(&member, e, "expected an absolute path");
	return path_normalize(text, ret) < 0 ? err_nomem(e) : 0;
}

/* From the saved configuration: the last one of that destination. */
static int forget_in_config(struct sandbox *s, const char *destination, struct err *e)
{
	struct json_at top = json_top(s->config.document), all;
	_cleanup_json_ struct json *rest = json_new_array();
	size_t last = SIZE_MAX;

	if (!json_member(&top, "mounts", &all))
		return 0;
	for (size_t i = 0; i < json_array_len(&all); i++) {
		struct json_at item = json_array_at(&all, i);
		_cleanup_free_ char *there = NULL;

		if (read_destination(&item, &there, NULL) == 0 && STREQ(there, destination))
			last = i;
	}
	for (size_t i = 0; i < json_array_len(&all); i++)
		if (i != last &&
		    (!rest || json_push(rest, json_copy(json_array_at(&all, i).value)) < 0))
			return err_nomem(e);
	return json_set(s->config.document, "mounts", TAKE_PTR(rest)) < 0 ? err_nomem(e) : 0;
}

/* What is left in the state of what was chosen. */
static void drop_chosen(struct sandbox *s, const bool *chosen)
{
	char **v = s->state.live_mounts;
	size_t n = 0;

	for (size_t i = 0; v && v[i]; i++) {
		if (chosen[i])
			free(v[i]);
		else
			v[n++] = v[i];
	}
	if (v)
		v[n] = NULL;
}

/* chosen[] has a place per entry of the state, ids[] one per mount of the list. */
static int choose(struct sandbox *s, const struct json_at *list, bool *chosen, uint64_t *ids,
		  struct err *e)
{
	for (size_t i = 0; i < json_array_len(list); i++) {
		struct json_at item = json_array_at(list, i);
		_cleanup_free_ char *destination = NULL;
		size_t index = 0;
		int r = read_destination(&item, &destination, e);

		if (r == 0)
			r = find_entry(s, destination, chosen, &index, &ids[i], e);
		if (r == 0)
			r = forget_in_config(s, destination, e);
		if (r < 0)
			return r;
		chosen[index] = true;
	}
	return 0;
}

static int remove_locked(struct sandbox *s, const struct json *mounts, struct err *e)
{
	struct json_at list = json_top(mounts);
	size_t n = json_array_len(&list);
	_cleanup_free_ bool *chosen = calloc(strv_len(s->state.live_mounts) + 1, sizeof(*chosen));
	_cleanup_free_ uint64_t *ids = calloc(n + 1, sizeof(*ids));
	int r;

	if (!chosen || !ids)
		return err_nomem(e);
	if (n == 0)
		return err_invalid(e, "there is no mount in the list");
	r = check_lives(s, e);
	if (r == 0)
		r = choose(s, &list, chosen, ids, e);
	if (r == 0)
		r = s->driver->mounts_remove(s, ids, n, e);
	if (r < 0)
		return r;
	drop_chosen(s, chosen);
	r = sandbox_save(s, s->state.saved, e);
	return r < 0 ? r : sandbox_save_config(s, e);
}

/* ---- both ------------------------------------------------------------------------------- */

static int with_lock(struct sandbox *s, const struct json *mounts, const char *verb,
		     int (*step)(struct sandbox *s, const struct json *mounts, struct err *e),
		     struct err *e)
{
	int r;

	if (json_type_of(mounts) != JSON_ARRAY)
		return err_invalid(e, "%s '%s': expected an array of mounts", verb, s->dir.id);
	r = sandbox_lock(s, e);
	if (r == 0)
		r = driver_check_verb(s->driver, "mounts", e);
	if (r == 0)
		r = step(s, mounts, e);
	sandbox_unlock(s);
	return r < 0 ? err_wrap(e, "%s '%s'", verb, s->dir.id) : 0;
}

int rt_mounts_add(struct sandbox *s, const struct json *mounts, struct err *e)
{
	return with_lock(s, mounts, "add mounts to", add_locked, e);
}

int rt_mounts_remove(struct sandbox *s, const struct json *mounts, struct err *e)
{
	return with_lock(s, mounts, "remove mounts from", remove_locked, e);
}
