/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula ps --filter: a table of keys. Filters of one key are alternatives, those of several keys must all fit, as in docker.
 */
#include "ps_filter.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "sandbox_json.h"

struct look {
	const struct sandbox *s;
	const char *id;
	enum rt_status status;
};

static bool fits_id(const struct look *l, const char *value)
{
	return str_has_prefix(l->id, value);
}

static bool fits_name(const struct look *l, const char *value)
{
	const char *name = l->s && l->s->state.name ? l->s->state.name : l->id;

	return strstr(name, value) != NULL;
}

static bool fits_status(const struct look *l, const char *value)
{
	return STREQ(value, l->s ? status_word(l->status) : "broken");
}

static bool fits_exited(const struct look *l, const char *value)
{
	int64_t code;

	return l->s && l->status == RT_STOPPED && parse_i64(value, &code) == 0 &&
	       l->s->state.exit_code == code;
}

/* "KEY" is any value. */
static bool fits_label(const struct look *l, const char *value)
{
	size_t len = strlen(value);
	bool with_value = strchr(value, '=') != NULL;

	for (char *const *label = l->s ? l->s->state.labels : NULL; label && *label; label++)
		if (with_value ? STREQ(*label, value)
			       : strncmp(*label, value, len) == 0 &&
					 ((*label)[len] == '=' || !(*label)[len]))
			return true;
	return false;
}

static bool fits_ancestor(const struct look *l, const char *value)
{
	const struct state *st = l->s ? &l->s->state : NULL;

	return st && ((st->image && STREQ(st->image, value)) ||
		      (st->image_id && STREQ(st->image_id, value)) ||
		      (!st->image && st->rootfs && STREQ(st->rootfs, value)));
}

static bool fits_kind(const struct look *l, const char *value)
{
	return l->s && l->s->state.driver && STREQ(l->s->state.driver, value);
}

static const struct {
	const char *key;
	bool (*fits)(const struct look *l, const char *value);
} keys[] = {
	{"id", fits_id},         {"name", fits_name},   {"status", fits_status},
	{"exited", fits_exited}, {"label", fits_label}, {"ancestor", fits_ancestor},
	{"kind", fits_kind},
};

/* The value, or NULL when the filter is not of that key. */
static const char *value_of(const char *filter, const char *key)
{
	size_t len = strlen(key);

	return strncmp(filter, key, len) == 0 && filter[len] == '=' ? filter + len + 1 : NULL;
}

static int check_one(const char *filter, bool *all, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = value_of(filter, keys[i].key);

		if (!value)
			continue;
		if (keys[i].fits == fits_status) {
			bool known = STREQ(value, "broken");

			for (int s = 0; s < RT_STATUS_COUNT; s++)
				known |= STREQ(value, status_word((enum rt_status)s));
			if (!known) {
				err_invalid(e, "--filter status: '%s' is none", value);
				return err_hint(e, "creating, created, running, paused, exited, "
						   "broken");
			}
		}
		*all |= keys[i].fits == fits_status || keys[i].fits == fits_exited;
		return 0;
	}
	err_invalid(e, "--filter '%s' is not KEY=VALUE with a known key", filter);
	return err_hint(e, "keys: id, name, status, exited, label, ancestor, kind");
}

int ps_filter_check(char *const *filters, bool *ret_all, struct err *e)
{
	bool all = false;

	for (; filters && *filters; filters++) {
		int r = check_one(*filters, &all, e);

		if (r < 0)
			return r;
	}
	*ret_all = all;
	return 0;
}

bool ps_filter_fits(char *const *filters, const struct sandbox *s, const char *id,
		    enum rt_status status)
{
	const struct look l = {s, id, status};

	for (size_t i = 0; filters && i < ARRAY_SIZE(keys); i++) {
		bool given = false, fits = false;

		for (char *const *f = filters; *f && !fits; f++) {
			const char *value = value_of(*f, keys[i].key);

			given |= value != NULL;
			fits = value && keys[i].fits(&l, value);
		}
		if (given && !fits)
			return false;
	}
	return true;
}
