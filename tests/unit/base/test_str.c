/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings, vectors and environments.
 */
#include "check.h"

#include "base/cleanup.h"
#include "base/str.h"

static void strbuf_grows_and_terminates(void **state)
{
	_cleanup_free_ char *s = NULL;
	struct strbuf b = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		strbuf_addf(&b, "%d,", i);
		assert_int_equal(strlen(b.data), b.len);
	}
	strbuf_add_len(&b, "a\0b", 3);
	strbuf_add(&b, "");
	assert_int_equal(b.len, 3890 + 3);
	assert_int_equal(strbuf_take(&b, &s), 0);
	assert_memory_equal(s + 3890, "a\0b", 4);
	assert_null(b.data);
}

static void empty_strbuf_is_an_empty_string(void **state)
{
	_cleanup_free_ char *s = NULL;
	struct strbuf b = {0};

	(void)state;
	assert_int_equal(strbuf_take(&b, &s), 0);
	assert_string_equal(s, "");
}

static void failed_strbuf_is_told_once_at_the_end(void **state)
{
	struct strbuf b = {0};
	char *s = (char *)"untouched";

	(void)state;
	strbuf_add(&b, "x");
	b.failed = true; /* as after a failed realloc() */
	strbuf_add(&b, "y");
	assert_int_equal(strbuf_take(&b, &s), -ENOMEM);
	assert_string_equal(s, "untouched");
	assert_null(b.data);
}

static void prefixes_and_suffixes(void **state)
{
	(void)state;
	assert_true(str_has_prefix("abc", "ab"));
	assert_true(str_has_prefix("abc", ""));
	assert_false(str_has_prefix("ab", "abc"));
	assert_true(str_has_suffix("abc", "bc"));
	assert_true(str_has_suffix("abc", ""));
	assert_false(str_has_suffix("bc", "abc"));
}

static void distance_counts_typing_mistakes(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned want;
	} rows[] = {
		{"", "", 0},
		{"run", "run", 0},
		{"rn", "run", 1},
		{"urn", "run", 1},
		{"rum", "run", 1},
		{"", "abc", 3},
		{"abc", "", 3},
		{"exce", "exec", 1},
		{"kitten", "sitting", 3},
		{"delete", "dlete", 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(str_distance(rows[i].a, rows[i].b), rows[i].want);
		assert_int_equal(str_distance(rows[i].b, rows[i].a), rows[i].want);
	}
	/* 40 characters count as 32. */
	assert_int_equal(str_distance("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
				      "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
			 32);
}

static void vectors_grow_from_any_allocation(void **state)
{
	_cleanup_strv_ char **v = calloc(4, sizeof(char *)), **copy = NULL;

	(void)state;
	for (int i = 0; i < 3; i++)
		v[i] = strdup("x");
	for (int i = 0; i < 100; i++)
		assert_int_equal(strv_push(&v, "y"), 0);
	assert_int_equal(strv_len(v), 103);
	assert_null(v[103]);
	assert_int_equal(strv_copy(v, &copy), 0);
	assert_int_equal(strv_len(copy), 103);
	assert_ptr_not_equal(copy[0], v[0]);
	assert_string_equal(copy[102], "y");
	assert_int_equal(strv_push(&copy, "z"), 0);
}

static void null_is_an_empty_vector(void **state)
{
	_cleanup_strv_ char **copy = NULL;

	(void)state;
	strv_free(NULL);
	assert_int_equal(strv_len(NULL), 0);
	assert_int_equal(strv_copy(NULL, &copy), 0);
	assert_int_equal(strv_len(copy), 0);
	assert_null(strv_env_get(NULL, "A"));
}

static void consume_of_nothing_is_out_of_memory(void **state)
{
	char **v = NULL;

	(void)state;
	assert_int_equal(strv_consume(&v, NULL), -ENOMEM); /* strdup() failed in the argument */
	assert_null(v);
}

static void split_keeps_empty_fields(void **state)
{
	static const struct {
		const char *s;
		size_t n;
		const char *parts[4];
	} rows[] = {
		{"a,,b", 3, {"a", "", "b"}},
		{"", 1, {""}},
		{",", 2, {"", ""}},
		{"abc", 1, {"abc"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_strv_ char **v = NULL;

		assert_int_equal(strv_split(rows[i].s, ',', &v), 0);
		assert_int_equal(strv_len(v), rows[i].n);
		for (size_t k = 0; k < rows[i].n; k++)
			assert_string_equal(v[k], rows[i].parts[k]);
	}
}

static void environment_names_match_whole(void **state)
{
	_cleanup_strv_ char **env = NULL;

	(void)state;
	assert_int_equal(strv_env_set(&env, "PATH=/bin"), 0);
	assert_int_equal(strv_env_set(&env, "PATHS=x"), 0);
	assert_int_equal(strv_env_set(&env, "EMPTY="), 0);
	assert_string_equal(strv_env_get(env, "PATH"), "/bin");
	assert_string_equal(strv_env_get(env, "EMPTY"), "");
	assert_null(strv_env_get(env, "PAT"));
	assert_int_equal(strv_env_set(&env, "PATH=a=b"), 0);
	assert_string_equal(strv_env_get(env, "PATH"), "a=b");
	assert_string_equal(env[0], "PATH=a=b"); /* in its old place */
	assert_int_equal(strv_len(env), 3);
	assert_int_equal(strv_env_set(&env, "novalue"), -EINVAL);
	assert_int_equal(strv_env_set(&env, "=x"), -EINVAL);
	assert_int_equal(strv_len(env), 3);
}

static void names_are_safe_as_path_components(void **state)
{
	static const char *const good[] = {"a", "0", "Web.1", "a_b+c-d", "c1."};
	static const char *const bad[] = {"",    ".",   "..",   "-a",   "_a",       "+a", ".a",
					  "a/b", "a b", "a\nb", "a\tb", "\xc3\xa4", "a*", "a\x7f"};
	char longest[130];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(str_is_name(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(str_is_name(bad[i]));
	memset(longest, 'a', sizeof(longest));
	longest[128] = '\0';
	assert_true(str_is_name(longest));
	longest[128] = 'a';
	longest[129] = '\0';
	assert_false(str_is_name(longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strbuf_grows_and_terminates),
		cmocka_unit_test(empty_strbuf_is_an_empty_string),
		cmocka_unit_test(failed_strbuf_is_told_once_at_the_end),
		cmocka_unit_test(prefixes_and_suffixes),
		cmocka_unit_test(distance_counts_typing_mistakes),
		cmocka_unit_test(vectors_grow_from_any_allocation),
		cmocka_unit_test(null_is_an_empty_vector),
		cmocka_unit_test(consume_of_nothing_is_out_of_memory),
		cmocka_unit_test(split_keeps_empty_fields),
		cmocka_unit_test(environment_names_match_whole),
		cmocka_unit_test(names_are_safe_as_path_components),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
