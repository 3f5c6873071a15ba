/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the annotation about Landlock (landlock_document.h).
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "landlock_document.h"

#define RULES_MAX 4096 /* of one document: each costs a few calls at every start */

static int push_rule(struct iso_landlock *l, char *path, enum iso_landlock_access access,
		     struct err *e)
{
	struct iso_landlock_rule *v;

	v = realloc(l->rules, (l->n_rules + 1) * sizeof(*v));
	if (!v) {
		free(path);
		return err_nomem(e);
	}
	v[l->n_rules++] = (struct iso_landlock_rule){.path = path, .access = access};
	l->rules = v;
	return 0;
}

static int read_paths(const struct json_at *at, enum iso_landlock_access access,
		      struct iso_landlock *l, struct err *e)
{
	if (json_type_of(at->value) != JSON_ARRAY)
		return json_error(at, e, "expected an array");
	for (size_t i = 0; i < json_array_len(at); i++) {
		struct json_at element = json_array_at(at, i);
		char *path = NULL;
		int r = json_get_string(&element, &path, e);

		if (r == 0 && (path[0] != '/' || l->n_rules >= RULES_MAX)) {
			r = path[0] != '/' ? json_error(&element, e, "expected an absolute path")
					   : json_error(at, e, "more than %d paths", RULES_MAX);
			free(path);
		} else if (r == 0) {
			r = push_rule(l, path, access, e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_scope(const struct json_at *at, struct iso_landlock *l, struct err *e)
{
	if (json_type_of(at->value) != JSON_ARRAY)
		return json_error(at, e, "expected an array");
	for (size_t i = 0; i < json_array_len(at); i++) {
		struct json_at element = json_array_at(at, i);
		const char *word = json_peek_string(&element);

		if (word && STREQ(word, "signal"))
			l->scope_signals = true;
		else if (word && STREQ(word, "abstract-unix-socket"))
			l->scope_abstract = true;
		else
			return json_error(&element, e,
					  "expected 'signal' or 'abstract-unix-socket'");
	}
	return 0;
}

/* Unlike in the document itself an unknown member is an error: a fence that is not understood is none. */
static int read_members(const struct json_at *top, struct iso_landlock *l, struct err *e)
{
	struct json_at member;
	size_t pos = 0;
	int r = 0;

	if (json_type_of(top->value) != JSON_OBJECT)
		return json_error(top, e, "expected an object");
	while (r == 0 && json_next_member(top, &pos, &member)) {
		enum iso_landlock_access access;

		if (iso_landlock_access_parse(member.key, &access) == 0)
			r = read_paths(&member, access, l, e);
		else if (STREQ(member.key, "scope"))
			r = read_scope(&member, l, e);
		else
			r = json_error(&member, e, "unknown member");
	}
	return r;
}

int oci_read_landlock(const char *annotation, struct iso_landlock *ret, struct err *e)
{
	_cleanup_json_ struct json *v = NULL;
	struct iso_landlock l = {.present = true};
	struct json_at top;
	int r;

	if (!annotation)
		return 0;
	r = json_parse(annotation, strlen(annotation), ANNOTATION_LANDLOCK, &v, e);
	if (r == 0) {
		top = json_top(v);
		r = read_members(&top, &l, e);
	}
	if (r < 0) {
		iso_landlock_done(&l);
		return err_wrap(e, "annotations[\"%s\"]", ANNOTATION_LANDLOCK);
	}
	*ret = l;
	return 0;
}
