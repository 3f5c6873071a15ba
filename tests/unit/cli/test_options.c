/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options by table: what each kind takes and refuses, and what a typing error is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/str.h"

#include "../../../cli/options.h"
#include "../../../cli/people.h"

struct target {
	bool flag;
	const char *string;
	char **list;
	int64_t size, swap, number, any;
};

#define FIELD(m) offsetof(struct target, m)

static const struct opt options[] = {
	{"Heading", 0, OPT_HEADING, NULL, NULL, 0},
	{"flag", 'f', OPT_FLAG, NULL, "", FIELD(flag)},
	{"env", 'e', OPT_LIST, "X", "", FIELD(list)},
	{"string", 's', OPT_STRING, "X", "", FIELD(string)},
	{"size", 0, OPT_SIZE, "X", "", FIELD(size)},
	{"swap", 0, OPT_SIZE_SIGNED, "X", "", FIELD(swap)},
	{"number", 0, OPT_SIGNED, "X", "", FIELD(number)},
	{"any", 0, OPT_INTEGER, "X", "", FIELD(any)},
	{"later", 0, OPT_REFUSED, NULL, "not yet", 0},
	{"moot", 0, OPT_HARMLESS, NULL, "done anyway", 0},
};
static const struct opt_table table = OPT_TABLE(options);

static int parse(struct target *t, struct err *e, int n, const char *const *words)
{
	char *argv[8] = {(char *)"run"};
	int first;

	*t = (struct target){0};
	for (int i = 0; i < n; i++)
		argv[i + 1] = (char *)words[i];
	return opt_parse(&table, n + 1, argv, true, t, &first, e);
}

#define WORDS(...)                                                                                \
	(int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)), (const char *const[]) \
	{                                                                                         \
		__VA_ARGS__                                                                       \
	}

static void test_values(void **state)
{
	struct target t;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(parse(&t, &e, WORDS("--size", "2k", "--swap=-1", "--any", "-500")), 0);
	assert_int_equal(t.size, 2048);
	assert_int_equal(t.swap, -1);
	assert_int_equal(t.any, -500);
	assert_int_equal(parse(&t, &e, WORDS("--swap", "1m", "--number=-1", "--moot", "-f")), 0);
	assert_int_equal(t.swap, 1 << 20);
	assert_int_equal(t.number, -1);
	assert_true(t.flag);
	assert_int_equal(parse(&t, &e, WORDS("-ea=1", "-e", "b=2")), 0);
	assert_int_equal(strv_len(t.list), 2);
	assert_string_equal(t.list[0], "a=1");
	strv_free(t.list);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *word, *value, *text, *hint;
	} bad[] = {
		{"--swap", "-2", "'-2'", ""},
		{"--size", "-1", "'-1'", ""},
		{"--any", "x", "'x'", ""},
		{"--number", "-2", "'-2'", ""},
		{"--later", NULL, "not yet", ""},
		{"--Heading", NULL, "unknown flag", ""},
		{"--strin", "x", "unknown", "--string"},
		{"-flag", NULL, "two dashes", "--flag"},
		{"-env", "A=1", "two dashes", "--env"},
		{"-string=x", NULL, "two dashes", "--string=x"},
		{"-x", NULL, "unknown flag -x", "--help"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *words[] = {bad[i].word, bad[i].value};
		struct err e = ERR_INIT;
		struct target t;

		assert_true(parse(&t, &e, bad[i].value ? 2 : 1, words) < 0);
		if (!strstr(e.text, bad[i].text) || !strstr(e.hint, bad[i].hint))
			fail_msg("%s: '%s', '%s'", bad[i].word, e.text, e.hint);
		strv_free(t.list);
	}
}

/* A letter is one flag's; a name, too; and each has a help text. */
static void test_table_of_run(void **state)
{
	const struct opt_table *t = &cmd_run_options;

	(void)state;
	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].kind == OPT_HEADING)
			continue;
		assert_non_null(t->v[i].help);
		for (size_t k = i + 1; k < t->n; k++) {
			assert_string_not_equal(t->v[i].name, t->v[k].name);
			assert_true(!t->v[i].letter || t->v[i].letter != t->v[k].letter);
		}
	}
	assert_true(opt_is_known(t, "--rm"));
	assert_true(opt_is_known(t, "--name=x"));
	assert_true(opt_is_known(t, "-it"));
	assert_false(opt_is_known(t, "--What it may"));
	assert_false(opt_is_known(t, "sh"));
	assert_false(opt_is_known(t, "-"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_table_of_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
