/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading registries.conf. The user's own file takes the place of the host's; what lies in registries.conf.d is added on top, the
 * host's first: a [[registry]] of a known prefix replaces the earlier one. A key that we do not know is refused, since it might be the one
 * that forbids something.
 */
#include "registries.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "store.h"
#include "toml.h"

#define FILE_MAX_BYTES (1u << 20)
#define RULES_MAX      1024
#define SYSTEM_DIR     "/etc/containers"
#define NAME           "/registries.conf"

enum section {
	IN_TOP,
	IN_ALIASES,
	IN_RULE,
	IN_MIRROR,
};

/* One file being read; its rules join the others when it is whole. */
struct reading {
	struct registries *into;
	enum section section;
	struct registry_rule *rules;
	size_t n_rules;
};

static void rule_done(struct registry_rule *r)
{
	free(r->prefix);
	free(r->location);
	for (size_t i = 0; i < r->n_mirrors; i++)
		free(r->mirrors[i].location);
	free(r->mirrors);
	*r = (struct registry_rule){0};
}

static void rules_free(struct registry_rule *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rule_done(&v[i]);
	free(v);
}

void registries_done(struct registries *c)
{
	strv_free(c->search);
	strv_free(c->aliases);
	rules_free(c->rules, c->n_rules);
	*c = (struct registries){0};
}

/* ---- values ------------------------------------------------------------------------------------------- */

static int expect(const struct toml_value *v, enum toml_type type, struct err *e)
{
	static const char *const names[] = {
		[TOML_STRING] = "a string",
		[TOML_BOOL] = "true or false",
		[TOML_STRINGS] = "an array of strings",
	};

	return v->type == type ? 0 : err_invalid(e, "expected %s", names[type]);
}

static int take_flag(const struct toml_value *v, bool *to, struct err *e)
{
	int r = expect(v, TOML_BOOL, e);

	if (r == 0)
		*to = v->flag;
	return r;
}

static int take_place(const struct toml_value *v, char **to, struct err *e)
{
	int r = expect(v, TOML_STRING, e);

	if (r < 0)
		return r;
	if (*to)
		return err_invalid(e, "it is there twice");
	for (const char *p = v->string; *p; p++)
		if ((unsigned char)*p <= 0x20 || strchr("\\?#\x7f", *p))
			return err_invalid(e, "'%.80s' is no place of images", v->string);
	if (str_has_suffix(v->string, "/") || strstr(v->string, "://"))
		return err_invalid(e, "'%.80s' is no place of images: HOST[:PORT][/PATH]",
				   v->string);
	*to = strdup(v->string);
	return *to ? 0 : err_nomem(e);
}

/* One row per key that is known. */
static int in_mirror(struct registry_mirror *m, const char *key, const struct toml_value *v,
		     struct err *e)
{
	int r;

	if (STREQ(key, "location"))
		return take_place(v, &m->location, e);
	if (STREQ(key, "insecure"))
		return take_flag(v, &m->insecure, e);
	if (!STREQ(key, "pull-from-mirror"))
		return err_unsupported(e, "not known of a mirror");
	r = expect(v, TOML_STRING, e);
	if (r < 0)
		return r;
	if (STREQ(v->string, "all"))
		m->use = MIRROR_ALL;
	else if (STREQ(v->string, "digest-only"))
		m->use = MIRROR_DIGEST_ONLY;
	else if (STREQ(v->string, "tag-only"))
		m->use = MIRROR_TAG_ONLY;
	else
		return err_invalid(e, "'%.32s' is not all, digest-only or tag-only", v->string);
	return 0;
}

static int in_rule(struct registry_rule *r, const char *key, const struct toml_value *v,
		   struct err *e)
{
	if (STREQ(key, "prefix"))
		return take_place(v, &r->prefix, e);
	if (STREQ(key, "location"))
		return take_place(v, &r->location, e);
	if (STREQ(key, "blocked"))
		return take_flag(v, &r->blocked, e);
	if (STREQ(key, "insecure"))
		return take_flag(v, &r->insecure, e);
	if (STREQ(key, "mirror-by-digest-only"))
		return take_flag(v, &r->mirrors_by_digest, e);
	return err_unsupported(e, "not known of a registry");
}

static int in_aliases(struct registries *c, const char *key, const struct toml_value *v,
		      struct err *e)
{
	_cleanup_free_ char *one = NULL;
	int r = expect(v, TOML_STRING, e);

	if (r < 0)
		return r;
	if (!*key || strchr(key, '='))
		return err_invalid(e, "no name of an image");
	if (str_printf(&one, "%s=%s", key, v->string) < 0 || strv_env_set(&c->aliases, one) < 0)
		return err_nomem(e);
	return 0;
}

static int in_top(struct registries *c, const char *key, const struct toml_value *v, struct err *e)
{
	int r;

	if (STREQ(key, "unqualified-search-registries")) {
		r = expect(v, TOML_STRINGS, e);
		if (r < 0)
			return r;
		strv_free(c->search);
		c->search = NULL;
		c->has_search = true;
		return strv_copy(v->strings, &c->search) < 0 ? err_nomem(e) : 0;
	}
	if (STREQ(key, "short-name-mode")) {
		r = expect(v, TOML_STRING, e);
		if (r < 0)
			return r;
		if (!STREQ(v->string, "enforcing") && !STREQ(v->string, "permissive") &&
		    !STREQ(v->string, "disabled"))
			return err_invalid(e, "'%.32s' is not enforcing, permissive or disabled",
					   v->string);
		c->short_names = STREQ(v->string, "enforcing") ? SHORT_ENFORCING : SHORT_PERMISSIVE;
		return 0;
	}
	if (STREQ(key, "credential-helpers")) {
		r = expect(v, TOML_STRINGS, e);
		if (r == 0 &&
		    !(strv_len(v->strings) == 1 && STREQ(v->strings[0], "containers-auth.json")))
			return err_unsupported(e, "helpers for all registries; name them in the "
						  "credential file (credsStore)");
		return r;
	}
	return err_unsupported(e, "not known");
}

/* ---- one file ------------------------------------------------------------------------------------------- */

static int add_rule(struct reading *r, struct err *e)
{
	struct registry_rule *more;

	if (r->n_rules == RULES_MAX)
		return err_invalid(e, "more than %d registries", RULES_MAX);
	more = reallocarray(r->rules, r->n_rules + 1, sizeof(*more));
	if (!more)
		return err_nomem(e);
	r->rules = more;
	r->rules[r->n_rules++] = (struct registry_rule){0};
	return 0;
}

static int add_mirror(struct registry_rule *r, struct err *e)
{
	struct registry_mirror *more;

	if (r->n_mirrors == RULES_MAX)
		return err_invalid(e, "more than %d mirrors", RULES_MAX);
	more = reallocarray(r->mirrors, r->n_mirrors + 1, sizeof(*more));
	if (!more)
		return err_nomem(e);
	r->mirrors = more;
	r->mirrors[r->n_mirrors++] = (struct registry_mirror){0};
	return 0;
}

static int on_table(void *arg, const char *name, bool array, struct err *e)
{
	struct reading *r = arg;

	if (array && STREQ(name, "registry")) {
		r->section = IN_RULE;
		return add_rule(r, e);
	}
	if (array && STREQ(name, "registry.mirror")) {
		r->section = IN_MIRROR;
		if (r->n_rules == 0)
			return err_invalid(e, "a mirror of no registry");
		return add_mirror(&r->rules[r->n_rules - 1], e);
	}
	if (!array && STREQ(name, "aliases")) {
		r->section = IN_ALIASES;
		return 0;
	}
	if (str_has_prefix(name, "registries."))
		return err_unsupported(e, "[%s] is of version 1 of this file", name);
	return err_unsupported(e, "table '%.64s' is not known", name);
}

static int on_pair(void *arg, const char *key, const struct toml_value *v, struct err *e)
{
	struct reading *r = arg;
	struct registry_rule *rule = r->n_rules ? &r->rules[r->n_rules - 1] : NULL;

	switch (r->section) {
	case IN_TOP:
		return in_top(r->into, key, v, e);
	case IN_ALIASES:
		return in_aliases(r->into, key, v, e);
	case IN_RULE:
		return in_rule(rule, key, v, e);
	case IN_MIRROR:
		return in_mirror(&rule->mirrors[rule->n_mirrors - 1], key, v, e);
	}
	return 0;
}

/* What a rule must have, and what it has when it does not say. */
static int settle(struct registry_rule *r, struct err *e)
{
	if (!r->prefix && !(r->location && *r->location))
		return err_invalid(e, "a [[registry]] without prefix and location");
	if (!r->prefix)
		r->prefix = strdup(r->location);
	if (!r->location && str_has_prefix(r->prefix, "*."))
		r->location = strdup("");
	else if (!r->location)
		r->location = strdup(r->prefix);
	if (!r->prefix || !r->location)
		return err_nomem(e);
	if (!*r->prefix)
		return err_invalid(e, "a [[registry]] with an empty prefix");
	for (size_t i = 0; i < r->n_mirrors; i++) {
		if (!r->mirrors[i].location || !*r->mirrors[i].location)
			return err_invalid(e, "a mirror of '%s' without location", r->prefix);
		if (r->mirrors_by_digest && r->mirrors[i].use == MIRROR_ALL)
			r->mirrors[i].use = MIRROR_DIGEST_ONLY;
		else if (r->mirrors_by_digest)
			return err_invalid(e,
					   "'%s' has mirror-by-digest-only and "
					   "pull-from-mirror",
					   r->prefix);
	}
	return 0;
}

/* Within one file a prefix stands once; over several the last has it. */
static int join(struct reading *r, struct err *e)
{
	struct registries *c = r->into;
	struct registry_rule *more;
	size_t kept = 0;

	for (size_t i = 0; i < r->n_rules; i++)
		for (size_t k = 0; k < i; k++)
			if (STREQ(r->rules[i].prefix, r->rules[k].prefix))
				return err_invalid(e, "prefix '%s' is there twice",
						   r->rules[i].prefix);
	more = calloc(c->n_rules + r->n_rules + 1, sizeof(*more));
	if (!more)
		return err_nomem(e);
	for (size_t i = 0; i < c->n_rules; i++) {
		bool replaced = false;

		for (size_t k = 0; k < r->n_rules; k++)
			replaced = replaced || STREQ(c->rules[i].prefix, r->rules[k].prefix);
		if (replaced)
			rule_done(&c->rules[i]);
		else
			more[kept++] = c->rules[i];
	}
	memcpy(more + kept, r->rules, r->n_rules * sizeof(*more));
	free(c->rules);
	free(r->rules);
	c->rules = more;
	c->n_rules = kept + r->n_rules;
	r->rules = NULL;
	r->n_rules = 0;
	return 0;
}

int registries_add(struct registries *c, const char *text, size_t len, struct err *e)
{
	struct reading reading = {.into = c};
	const struct toml_handler h = {.table = on_table, .pair = on_pair, .arg = &reading};
	int r = toml_parse(text, len, &h, e);

	for (size_t i = 0; r == 0 && i < reading.n_rules; i++)
		r = settle(&reading.rules[i], e);
	if (r == 0 && reading.n_rules > 0)
		r = join(&reading, e);
	rules_free(reading.rules, reading.n_rules);
	return r;
}

/* ---- the files ------------------------------------------------------------------------------------------- */

static int add_file(struct registries *c, const char *path, bool *ret_found, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	*ret_found = access(path, F_OK) == 0 || errno != ENOENT;
	if (!*ret_found)
		return 0;
	r = path_read_file_at(AT_FDCWD, path, FILE_MAX_BYTES, &text, &len, e);
	if (r == 0)
		r = registries_add(c, text, len, e);
	return r < 0 ? err_wrap(e, "'%s'", path) : 0;
}

static int add_dir(struct registries *c, const char *path, struct err *e)
{
	_cleanup_close_ int dir = -EBADF;
	_cleanup_strv_ char **names = NULL;
	bool found;
	int r;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	dir = path_open_dir(path, e);
	r = dir < 0 ? dir : store_read_dir(dir, "", &names, e);
	for (char **v = names; r == 0 && v && *v; v++) {
		_cleanup_free_ char *file = NULL;

		if (!str_has_suffix(*v, ".conf"))
			continue;
		r = str_printf(&file, "%s/%s", path, *v) < 0 ? err_nomem(e)
							     : add_file(c, file, &found, e);
	}
	return r;
}

static int load(char *const *env, struct registries *c, struct err *e)
{
	const char *own = strv_env_get(env, "CONTAINERS_REGISTRIES_CONF"),
		   *home = strv_env_get(env, "HOME"),
		   *config = strv_env_get(env, "XDG_CONFIG_HOME");
	_cleanup_free_ char *user = NULL, *user_file = NULL, *user_dir = NULL;
	bool found = false;
	int r = 0;

	if (own && *own)
		return add_file(c, own, &found, e);
	if (config && *config)
		r = str_printf(&user, "%s/containers", config);
	else if (home && *home)
		r = str_printf(&user, "%s/.config/containers", home);
	if (r == 0 && user &&
	    (str_printf(&user_file, "%s" NAME, user) < 0 ||
	     str_printf(&user_dir, "%s" NAME ".d", user) < 0))
		r = -ENOMEM;
	if (r < 0)
		return err_nomem(e);
	if (user)
		r = add_file(c, user_file, &found, e);
	if (r == 0 && !found)
		r = add_file(c, SYSTEM_DIR NAME, &found, e);
	if (r == 0)
		r = add_dir(c, SYSTEM_DIR NAME ".d", e);
	return r == 0 && user ? add_dir(c, user_dir, e) : r;
}

int registries_load(char *const *env, struct registries *ret, struct err *e)
{
	struct registries c = {0};
	int r = load(env, &c, e);

	if (r < 0) {
		registries_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}
