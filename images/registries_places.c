/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a name to the places that may have it: the longest prefix decides, mirrors come before the registry itself. And
 * what a name without a host may mean.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "registries.h"

/* How much of the name a prefix covers; 0: it does not fit. A prefix ends where a part of a name does. */
static size_t covers(const char *prefix, const char *name)
{
	size_t host = strcspn(name, "/"), len = strlen(prefix);

	if (str_has_prefix(prefix, "*.")) {
		/* "*.example.com" stands for every host below it. */
		size_t tail = strcspn(prefix, "/") - 1;

		if (host <= tail || strncmp(name + host - tail, prefix + 1, tail) != 0)
			return 0;
		prefix += tail + 1;
		len = strlen(prefix);
		return strncmp(name + host, prefix, len) == 0 && strchr("/:@", name[host + len])
			       ? host + len
			       : 0;
	}
	return str_has_prefix(name, prefix) && strchr("/:@", name[len]) ? len : 0;
}

static const struct registry_rule *find_rule(const struct registries *c, const char *name,
					     size_t *ret_covered)
{
	const struct registry_rule *best = NULL;

	for (size_t i = 0; i < c->n_rules; i++) {
		size_t covered = covers(c->rules[i].prefix, name);

		if (covered && (!best || strlen(c->rules[i].prefix) > strlen(best->prefix))) {
			best = &c->rules[i];
			*ret_covered = covered;
		}
	}
	return best;
}

/* location "" leaves the name as it is. */
static int rewrite(const char *location, const char *name, size_t covered, bool insecure,
		   struct registry_place *ret, struct err *e)
{
	_cleanup_free_ char *full = NULL;
	char *slash;

	if (str_printf(&full, "%s%s", *location ? location : name,
		       *location ? name + covered : "") < 0)
		return err_nomem(e);
	slash = strchr(full, '/');
	if (!slash || slash == full || !slash[1])
		return err_invalid(e, "registries.conf leads to '%s', which is no repository",
				   full);
	*slash = '\0';
	ret->host = strdup(full);
	ret->repository = strdup(slash + 1);
	ret->insecure = insecure;
	return ret->host && ret->repository ? 0 : err_nomem(e);
}

static bool is_used(const struct registry_mirror *m, bool by_digest)
{
	switch (m->use) {
	case MIRROR_ALL:
		return true;
	case MIRROR_DIGEST_ONLY:
		return by_digest;
	case MIRROR_TAG_ONLY:
		return !by_digest;
	}
	return false;
}

void registries_places_free(struct registry_place *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].host);
		free(v[i].repository);
	}
	free(v);
}

static int blocked(const struct registry_rule *rule, const char *name, struct err *e)
{
	err_set(e, ERR_INVALID, EACCES, "'%s' is blocked by registries.conf (prefix '%s')", name,
		rule->prefix);
	return -EACCES;
}

/* A rule may name a tag or digest, so it is looked for with them. */
static int full_text(const struct img_reference *r, char **ret, struct err *e)
{
	return str_printf(ret, "%s%s%s%s%s", r->name, r->tag ? ":" : "", r->tag ?: "",
			  r->digest ? "@" : "", r->digest ?: "") < 0
		       ? err_nomem(e)
		       : 0;
}

int registries_places(const struct registries *c, const struct img_reference *r, bool mirrors,
		      struct registry_place **ret, size_t *ret_n, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	const struct registry_rule *rule;
	struct registry_place *v;
	size_t covered = 0, n = 0;
	int x = full_text(r, &text, e);

	if (x < 0)
		return x;
	rule = find_rule(c, text, &covered);
	if (rule && rule->blocked)
		return blocked(rule, r->name, e);
	/* A prefix with a tag rewrites no more than the name. */
	if (covered > strlen(r->name))
		covered = strlen(r->name);
	v = calloc((rule ? rule->n_mirrors : 0) + 1, sizeof(*v));
	if (!v)
		return err_nomem(e);
	for (size_t i = 0; x == 0 && mirrors && rule && i < rule->n_mirrors; i++)
		if (is_used(&rule->mirrors[i], r->digest != NULL))
			x = rewrite(rule->mirrors[i].location, r->name, covered,
				    rule->mirrors[i].insecure, &v[n++], e);
	if (x == 0)
		x = rewrite(rule ? rule->location : "", r->name, covered, rule && rule->insecure,
			    &v[n++], e);
	if (x < 0) {
		registries_places_free(v, n);
		return x;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

int registries_host(const struct registries *c, const char *text, bool *ret_insecure, struct err *e)
{
	size_t covered;
	const struct registry_rule *rule = find_rule(c, text, &covered);

	if (rule && rule->blocked)
		return blocked(rule, text, e);
	*ret_insecure = rule && rule->insecure;
	return 0;
}

/* ---- short names ------------------------------------------------------------------------------------------ */

/* The name that people wrote: what stands behind "docker.io/library/", or "docker.io/". */
static const char *path_of(const struct img_reference *r)
{
	const char *path = strchr(r->name, '/') + 1;

	return str_has_prefix(path, "library/") ? path + strlen("library/") : path;
}

static int add_candidate(char ***v, const char *text, struct err *e)
{
	struct img_reference r = {0};
	int x = img_reference_parse(text, &r, e);

	if (x == 0 && (r.transport != IMG_STORED || r.unqualified || r.tag || r.digest))
		x = err_invalid(e, "'%s' is no full name of an image", text);
	if (x == 0 && strv_push(v, r.name) < 0)
		x = err_nomem(e);
	img_reference_done(&r);
	return x < 0 ? err_wrap(e, "registries.conf") : 0;
}

static int ambiguous(const struct img_reference *r, char *const *search, struct err *e)
{
	struct strbuf b = {0};
	_cleanup_free_ char *names = NULL;

	for (; *search; search++)
		strbuf_addf(&b, "%s%s/%s", b.len ? ", " : "", *search, path_of(r));
	if (strbuf_take(&b, &names) < 0)
		return err_nomem(e);
	err_invalid(e, "'%s' may be in several registries", path_of(r));
	return err_hint(e, "name one: %s", names);
}

static int add_searched(const struct registries *c, const struct img_reference *r, char ***v,
			struct err *e)
{
	int x = 0;

	if (strv_len(c->search) == 0) {
		err_invalid(e, "'%s' names no registry, and registries.conf has none to search",
			    path_of(r));
		return err_hint(e, "docker.io/%s", path_of(r));
	}
	if (c->short_names == SHORT_ENFORCING && c->search[1])
		return ambiguous(r, c->search, e);
	for (char **s = c->search; x == 0 && *s; s++) {
		_cleanup_free_ char *text = NULL;

		x = str_printf(&text, "%s/%s", *s, path_of(r)) < 0 ? err_nomem(e)
								   : add_candidate(v, text, e);
	}
	return x;
}

int registries_candidates(const struct registries *c, const struct img_reference *r, char ***ret,
			  struct err *e)
{
	_cleanup_strv_ char **v = NULL;
	const char *alias = r->unqualified ? strv_env_get(c->aliases, path_of(r)) : NULL;
	int x;

	if (alias)
		x = add_candidate(&v, alias, e);
	else if (r->unqualified && c->has_search)
		x = add_searched(c, r, &v, e);
	else
		x = strv_push(&v, r->name) < 0 ? err_nomem(e) : 0;
	if (x == 0)
		*ret = TAKE_PTR(v);
	return x;
}
