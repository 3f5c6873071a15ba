/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registries.conf: what it means for a name, and what is refused in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../../images/registries.h"
#include "base/str.h"

static int add(struct registries *c, const char *text, struct err *e)
{
	return registries_add(c, text, strlen(text), e);
}

/* "host/repository[!]" of each place, '!' for insecure, joined by blanks; or "blocked", or the error. */
static const char *places(const char *conf, const char *name, bool mirrors)
{
	static char out[4096];
	struct registries c = {0};
	struct img_reference r = {0};
	struct registry_place *v = NULL;
	struct err e = ERR_INIT;
	size_t n = 0;
	int x = add(&c, conf, &e);

	if (x == 0)
		x = img_reference_parse(name, &r, &e);
	if (x == 0)
		x = registries_places(&c, &r, mirrors, &v, &n, &e);
	snprintf(out, sizeof(out), "%s", x < 0 ? e.text : "");
	for (size_t i = 0; i < n; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s/%s%s", i ? " " : "",
			 v[i].host, v[i].repository, v[i].insecure ? "!" : "");
	registries_places_free(v, n);
	registries_done(&c);
	img_reference_done(&r);
	return out;
}

#define SUM "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void names_lead_to_places(void **state)
{
	static const struct {
		const char *conf, *name, *want;
	} rows[] = {
		{"", "debian", "docker.io/library/debian"},
		{"[[registry]]\nlocation = 'a.b'\n", "a.bc/x", "a.bc/x"},
		{"[[registry]]\nprefix=\"a.b/x\"\nlocation=\"c.d:5000/y\" # moved\n", "a.b/x/z:1",
		 "c.d:5000/y/z"},
		{"[[registry]]\nlocation='a.b'\ninsecure=true\n", "a.b/x", "a.b/x!"},
		{"[[registry]]\nlocation='a.b'\n[[registry.mirror]]\nlocation='m.n/c'\ninsecure = "
		 "true\n[[ registry . mirror ]]\nlocation='o.p'\n",
		 "a.b/x", "m.n/c/x! o.p/x a.b/x"},
		{"[[registry]]\nlocation='a.b'\nmirror-by-digest-only=true\n"
		 "[[registry.mirror]]\nlocation='m.n'\n",
		 "a.b/x:1", "a.b/x"},
		{"[[registry]]\nlocation='a.b'\n[[registry.mirror]]\nlocation='m.n'\n"
		 "pull-from-mirror='digest-only'\n",
		 "a.b/x" SUM, "m.n/x a.b/x"},
		{"[[registry]]\nlocation='a.b'\n[[registry.mirror]]\nlocation='m.n'\n"
		 "pull-from-mirror='tag-only'\n",
		 "a.b/x" SUM, "a.b/x"},
		/* the longest prefix decides, in any order */
		{"[[registry]]\nlocation='a.b'\nblocked=true\n[[registry]]\nlocation='a.b/ok'\n",
		 "a.b/ok/x", "a.b/ok/x"},
		{"[[registry]]\nprefix='*.b.c'\nlocation='d.e'\n", "x.y.b.c/z", "d.e/z"},
		{"[[registry]]\nprefix='*.b.c'\ninsecure=true\n", "x.b.c/z", "x.b.c/z!"},
		{"[[registry]]\nprefix='*.b.c'\ninsecure=true\n", "b.c/z", "b.c/z"},
		{"[[registry]]\r\nlocation = \"\\u0061.b\"\r\n", "a.b/x", "a.b/x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		print_message("%s\n", rows[i].conf);
		assert_string_equal(places(rows[i].conf, rows[i].name, true), rows[i].want);
	}
	assert_string_equal(places(rows[4].conf, "a.b/x", false), "a.b/x");
}

static void what_is_blocked_is_refused(void **state)
{
	static const struct {
		const char *conf, *name;
	} rows[] = {
		{"[[registry]]\nlocation='a.b'\nblocked=true\n", "a.b/x"},
		{"[[registry]]\nlocation='a.b'\nblocked=true\n", "a.b/x" SUM},
		{"[[registry]]\nlocation='docker.io'\nblocked=true\n", "debian"},
		{"[[registry]]\nprefix='*.b.c'\nblocked=true\n", "a.b.c/x"},
		{"[[registry]]\nprefix='a.b/x:1'\nblocked=true\n", "a.b/x:1"},
		{"[[registry]]\nprefix='a.b'\nlocation='c.d'\nblocked=true\n[[registry.mirror]]\n"
		 "location='e.f'\n",
		 "a.b/x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_non_null(strstr(places(rows[i].conf, rows[i].name, true), "blocked"));
	assert_string_equal(places(rows[4].conf, "a.b/x:2", true), "a.b/x");
}

static void what_is_not_understood_is_refused(void **state)
{
	static const struct {
		const char *conf, *words;
	} rows[] = {
		{"[registries.search]\nregistries = ['a']\n", "version 1"},
		{"\n\nblocked = true\n", "line 3"},
		{"[[registry]]\nlocation='a.b'\nbloked=true\n", "bloked"},
		{"[[registry]]\nlocation='a.b'\nblocked='true'\n", "true or false"},
		{"[[registry]]\nlocation='a.b'\nblocked=yes\n", "string"},
		{"[[registry]]\nblocked=true\n", "without prefix"},
		{"[[registry]]\nlocation='https://a.b'\n", "no place"},
		{"[[registry]]\nlocation='a.b'\n[[registry]]\nlocation='a.b'\n", "twice"},
		{"[[registry]]\nlocation='a.b'\nlocation='c.d'\n", "twice"},
		{"[[registry.mirror]]\nlocation='a.b'\n", "no registry"},
		{"[[registry]]\nlocation='a.b'\n[[registry.mirror]]\ninsecure=true\n",
		 "without location"},
		{"[x]\n", "not known"},
		{"[[registry]\n", "name of a table"},
		{"a", "followed by"},
		{"short-name-mode = \"sometimes\"\n", "sometimes"},
		{"unqualified-search-registries = ['a', 1]\n", "anything but strings"},
		{"unqualified-search-registries = ['a'\n", "does not end"},
		{"short-name-mode = \"\"\"x\"\"\"\n", "several lines"},
		{"short-name-mode = \"x\n", "does not end"},
		{"short-name-mode = \"\\q\"\n", "escape"},
		{"short-name-mode = \"\\ud800\"\n", "no character"},
		{"short-name-mode = \"permissive\" x\n", "follows the end"},
		{"credential-helpers = [\"secretservice\"]\n", "helper"},
		{"a.b = true\n", "several parts"},
		{"a = {b = true}\n", "inline"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct registries c = {0};
		struct err e = ERR_INIT;

		print_message("%s", rows[i].conf);
		assert_true(add(&c, rows[i].conf, &e) < 0);
		print_message("%s\n", e.text);
		assert_non_null(strstr(e.text, rows[i].words));
		assert_non_null(strstr(e.text, "line ") ?: strstr(e.text, "prefix") ?: strstr(e.text, "mirror"));
		registries_done(&c);
	}
}

/* The later file has the word, per prefix. */
static void files_add_up(void **state)
{
	struct registries c = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(add(&c,
			     "[[registry]]\nlocation='a.b'\nblocked=true\n[[registry]]\n"
			     "location='c.d'\ninsecure=true\n",
			     &e),
			 0);
	assert_int_equal(add(&c, "[[registry]]\nlocation='a.b'\n", &e), 0);
	assert_int_equal(c.n_rules, 2);
	for (size_t i = 0; i < 2; i++)
		assert_false(c.rules[i].blocked);
	registries_done(&c);
}

static const char *candidates(const char *conf, const char *name)
{
	static char out[4096];
	struct registries c = {0};
	struct img_reference r = {0};
	struct err e = ERR_INIT;
	char **v = NULL;

	assert_int_equal(add(&c, conf, &e), 0);
	assert_int_equal(img_reference_parse(name, &r, &e), 0);
	*out = '\0';
	if (registries_candidates(&c, &r, &v, &e) < 0)
		snprintf(out, sizeof(out), "%s", e.text);
	for (char **p = v; p && *p; p++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", p == v ? "" : " ",
			 *p);
	strv_free(v);
	registries_done(&c);
	img_reference_done(&r);
	return out;
}

static void short_names(void **state)
{
	(void)state;
	assert_string_equal(candidates("", "debian"), "docker.io/library/debian");
	assert_string_equal(candidates("unqualified-search-registries=[\"quay.io\"]\n", "a/b:1"),
			    "quay.io/a/b");
	assert_string_equal(candidates("unqualified-search-registries=['quay.io']", "docker.io/b"),
			    "docker.io/library/b");
	assert_string_equal(
		candidates("short-name-mode='permissive'\nunqualified-search-registries = [\n"
			   "  'quay.io', # first\n  'docker.io',\n]\n",
			   "b"),
		"quay.io/b docker.io/library/b");
	assert_non_null(strstr(candidates("unqualified-search-registries=['a.b','c.d']\n", "b"),
			       "several registries"));
	assert_non_null(
		strstr(candidates("unqualified-search-registries=[]\n", "b"), "none to search"));
	assert_string_equal(candidates("unqualified-search-registries=['a.b','c.d']\n[aliases]\n"
				       "\"b\" = \"e.f/g\"\n",
				       "b"),
			    "e.f/g");
	assert_non_null(strstr(candidates("[aliases]\nb = 'c'\n", "b"), "no full name"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lead_to_places),
		cmocka_unit_test(what_is_blocked_is_refused),
		cmocka_unit_test(what_is_not_understood_is_refused),
		cmocka_unit_test(files_add_up),
		cmocka_unit_test(short_names),
	};

	return cmocka_run_group_tests_name("registries", tests, NULL, NULL);
}
