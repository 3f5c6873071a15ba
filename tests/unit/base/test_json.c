/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON: what is refused and where, what values come out, cursors, tables, building.
 */
#include "check.h"

#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"

static struct json *parse(const char *text)
{
	struct json *doc = NULL;
	struct err e = ERR_INIT;

	assert_ok(json_parse(text, strlen(text), "doc", &doc, &e), &e);
	return doc;
}

/* ---- refused text ---- */

static void refused_with_its_place(void **state)
{
	static const struct {
		const char *text;
		size_t len; /* 0: strlen */
		const char *why;
	} rows[] = {
		{"", 0, "the document is empty"},
		{" \n\t ", 0, "the document is empty"},
		{"{", 0, "line 1, column 2: expected a member's name, found the end"},
		{"[1", 0, "line 1, column 3: expected ',' or ']', found the end"},
		{"[1,", 0, "expected a value, found the end"},
		{"[1,]", 0, "column 4: expected a value, found ']'"},
		{"{\"a\":1,}", 0, "expected a member's name, found '}'"},
		{"{\"a\"}", 0, "expected ':', found '}'"},
		{"{\"a\":}", 0, "expected a value, found '}'"},
		{"{a:1}", 0, "expected a member's name, found 'a'"},
		{"{'a':1}", 0, "expected a member's name"},
		{"{\n \"a\": 1\n \"b\": 2\n}", 0, "line 3, column 2: expected ',' or '}'"},
		{"[1] x", 0, "column 5: expected the end, found 'x'"},
		{"{}{}", 0, "column 3: expected the end"},
		{"null", 0, "the document is null"},
		{"nul", 0, "expected a value, found 'n'"},
		{"True", 0, "expected a value"},
		{"NaN", 0, "expected a value"},
		{"Infinity", 0, "expected a value"},
		{"// c\n1", 0, "expected a value, found '/'"},
		{"\xef\xbb\xbf{}", 0, "found byte 0xef"},
		{"[01]", 0, "leading zero"},
		{"[-01]", 0, "leading zero"},
		{"[+1]", 0, "expected a value, found '+'"},
		{"[.5]", 0, "expected a value, found '.'"},
		{"[1.]", 0, "expected a digit"},
		{"[1e]", 0, "expected a digit"},
		{"[-]", 0, "expected a digit"},
		{"[0x10]", 0, "expected ',' or ']', found 'x'"},
		{"[1e999]", 0, "number too large"},
		{"[18446744073709551616]", 0, "column 2: integer outside -2^63 to 2^64-1"},
		{"[-9223372036854775809]", 0, "integer outside"},
		{"[99999999999999999999999999]", 0, "integer outside"},
		{"\"abc", 0, "column 1: string without an end"},
		{"\"a\tb\"", 0, "control character 0x09"},
		{"\"a\nb\"", 0, "control character 0x0a"},
		{"\"\\x\"", 0, "expected an escape, found 'x'"},
		{"\"\\", 0, "expected an escape, found the end"},
		{"\"\\u12\"", 0, "hexadecimal"},
		{"\"\\u12g4\"", 0, "hexadecimal"},
		{"\"\\u0000\"", 0, "NUL in a string"},
		{"\"a\0b\"", 5, "control character 0x00"},
		{"[1]\0", 4, "expected the end, found byte 0x00"},
		{"\0", 1, "found byte 0x00"},
		{"\"\\ud800\"", 0, "surrogate"},
		{"\"\\udc00\"", 0, "surrogate"},
		{"\"\\ud800\\u0041\"", 0, "surrogate"},
		{"\"\\ud800x\"", 0, "surrogate"},
		{"\"\\udc00\\ud800\"", 0, "surrogate"},
		{"\"\x80\"", 0, "byte 0x80 is not UTF-8"},
		{"\"\xc0\xaf\"", 0, "byte 0xc0 is not UTF-8"},
		{"\"\xed\xa0\x80\"", 0, "byte 0xed is not UTF-8"},
		{"\"\xf4\x90\x80\x80\"", 0, "byte 0xf4 is not UTF-8"},
		{"\"\xe2\x82\"", 0, "byte 0xe2 is not UTF-8"},
		{"{\"a\":1,\"b\":2,\"a\":3}", 0, "column 14: member 'a' is there twice"},
		{"{\"a\":1,\"\\u0061\":3}", 0, "column 8: member 'a' is there twice"},
		{"{\"\":1,\"\":3}", 0, "member '' is there twice"},
		{"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":3}", 0, "is there twice"},
		{"{\"x\":{\"a\":1,\"b\":{},\"a\":[]}}", 0, "member 'a' is there twice"},
		{"[{},{\"k\":[{\"z\":1,\"z\":1}]}]", 0, "member 'z' is there twice"},
		/* columns count characters */
		{"[\"\xc3\xa4\xc3\xb6\" x]", 0, "line 1, column 7: expected ',' or ']', found 'x'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *doc = (struct json *)&rows;
		size_t len = rows[i].len ? rows[i].len : strlen(rows[i].text);
		/* Exactly as long as the text, so that a sanitizer sees a step beyond its end. */
		char *copy = malloc(len ? len : 1);
		struct err e = ERR_INIT;

		memcpy(copy, rows[i].text, len);
		if (json_parse(copy, len, "the doc", &doc, &e) != -EINVAL ||
		    e.kind != ERR_INVALID || strncmp(e.text, "the doc: ", 9) != 0 ||
		    !strstr(e.text, rows[i].why) || doc != (struct json *)&rows)
			fail_msg("row %zu '%s': %s", i, rows[i].text, e.text);
		free(copy);
	}
}

static void accepted(void **state)
{
	static const char *const rows[] = {
		"{}",
		"[]",
		" [ ] ",
		"\"\"",
		"0",
		"-0",
		"1",
		"12",
		"true",
		"false",
		"1.5",
		"-1.5e+3",
		"1E3",
		"[9223372036854775808]",
		"[18446744073709551615]",
		"[-9223372036854775808]",
		"{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}",
		"[{\"a\":1},{\"a\":1}]",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\ud83d\\ude00\"",
		"\"\x7f\"",
		"[null]",
		"\r\n{\"a\"\t:\n1 , \"b\":[ ]}\n",
		"{\"A\":1,\"a\":2,\"a \":3}",
		"[0.0000001]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i]);
		char *copy = malloc(len); /* no terminator to lean on */
		struct json *doc = NULL;
		struct err e = ERR_INIT;

		memcpy(copy, rows[i], len);
		if (json_parse(copy, len, "doc", &doc, &e) < 0)
			fail_msg("'%s': %s", rows[i], e.text);
		assert_non_null(doc);
		json_free(doc);
		free(copy);
	}
}

static void every_truncation_is_refused(void **state)
{
	const char *text = "{\"a\":[1,-2.5e3,true,null,\"x\\u00e4\\ud83d\\ude00\xc3\xa4\"],\"b\":{"
			   "\"c\":false}}";

	(void)state;
	for (size_t len = 0; len < strlen(text); len++) {
		struct json *doc = NULL;
		char *copy = malloc(len + 1);

		memcpy(copy, text, len);
		assert_int_equal(json_parse(copy, len, "doc", &doc, NULL), -EINVAL);
		assert_null(doc);
		free(copy);
	}
	json_free(parse(text));
}

static void depth_ends_at_64(void **state)
{
	char text[200];
	struct json *doc = NULL;
	struct err e = ERR_INIT;

	(void)state;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	assert_ok(json_parse(text, 128, "doc", &doc, &e), &e);
	json_free(doc);
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	assert_int_equal(json_parse(text, 130, "doc", &doc, &e), -EINVAL);
	assert_has(e.text, "column 65: nested deeper than 64");
	/* Siblings do not add up. */
	doc = NULL;
	strcpy(text, "[[[]],[[]],{\"a\":[[]]}]");
	assert_ok(json_parse(text, strlen(text), "doc", &doc, &e), &e);
	json_free(doc);
}

static void very_deep_text_does_not_crash(void **state)
{
	size_t n = 1 << 20;
	char *text = malloc(n);
	struct json *doc = NULL;

	(void)state;
	memset(text, '[', n);
	assert_int_equal(json_parse(text, n, "doc", &doc, NULL), -EINVAL);
	free(text);
}

static double seconds_for_members(unsigned n, bool duplicate)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_free_ char *text = NULL;
	struct timespec a, b;
	struct strbuf buf = {0};
	struct err e = ERR_INIT;
	struct json_at top, child;
	size_t pos = 0;
	unsigned seen = 0;

	strbuf_add(&buf, "{");
	for (unsigned i = 0; i < n; i++)
		strbuf_addf(&buf, "\"key%u\":%u,", i, i);
	strbuf_addf(&buf, "\"key%u\":0}", duplicate ? n / 2 : n);
	assert_int_equal(strbuf_take(&buf, &text), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	if (duplicate) {
		assert_int_equal(json_parse(text, strlen(text), "doc", &doc, &e), -EINVAL);
		assert_has(e.text, "is there twice");
		return 0;
	}
	assert_ok(json_parse(text, strlen(text), "doc", &doc, &e), &e);
	top = json_top(doc);
	while (json_next_member(&top, &pos, &child)) {
		uint32_t v = 0;

		if (seen < n) {
			assert_ok(json_get_u32(&child, &v, &e), &e);
			assert_int_equal(v, seen);
		}
		seen++;
	}
	assert_int_equal(seen, n + 1);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

/* 16 times the members must not take anything like 256 times the time. */
static void huge_objects_are_not_quadratic(void **state)
{
	double few, many;

	(void)state;
	seconds_for_members(10000, false); /* warm */
	few = seconds_for_members(10000, false);
	many = seconds_for_members(160000, false);
	seconds_for_members(160000, true);
	if (many > few * 80)
		fail_msg("10000 members: %f s, 160000: %f s", few, many);
}

/* ---- values ---- */

static void integers_keep_every_bit(void **state)
{
	_cleanup_json_ struct json *doc = parse(
		"{\"a\":9223372036854775807,\"b\":9223372036854775808,\"c\":18446744073709551615,"
		"\"d\":-9223372036854775808,\"e\":-1,\"f\":4294967296,\"g\":65536,\"h\":-"
		"2147483649,"
		"\"i\":2147483648,\"z\":-0}");
	struct json_at top = json_top(doc), at;
	struct err e = ERR_INIT;
	uint64_t u = 1;
	int64_t i = 1;
	uint32_t u32 = 7;
	int32_t i32 = 7;
	uint16_t u16 = 7;

	(void)state;
	assert_true(json_member(&top, "a", &at));
	assert_ok(json_get_u64(&at, &u, &e), &e);
	assert_true(u == INT64_MAX);
	assert_ok(json_get_i64(&at, &i, &e), &e);
	assert_true(i == INT64_MAX);
	assert_true(json_member(&top, "b", &at));
	assert_ok(json_get_u64(&at, &u, &e), &e);
	assert_true(u == UINT64_C(1) << 63);
	assert_int_equal(json_get_i64(&at, &i, &e), -EINVAL);
	assert_string_equal(e.text, "b: 9223372036854775808 is outside -9223372036854775808 to "
				    "9223372036854775807");
	assert_true(json_member(&top, "c", &at));
	assert_ok(json_get_u64(&at, &u, &e), &e);
	assert_true(u == UINT64_MAX);
	assert_true(json_member(&top, "d", &at));
	assert_ok(json_get_i64(&at, &i, &e), &e);
	assert_true(i == INT64_MIN);
	assert_true(json_member(&top, "e", &at));
	assert_int_equal(json_get_u64(&at, &u, &e), -EINVAL);
	assert_string_equal(e.text, "e: -1 is outside 0 to 18446744073709551615");
	assert_true(u == UINT64_MAX); /* untouched */
	assert_int_equal(json_get_u32(&at, &u32, &e), -EINVAL);
	assert_int_equal(json_get_u16(&at, &u16, &e), -EINVAL);
	assert_ok(json_get_i32(&at, &i32, &e), &e);
	assert_int_equal(i32, -1);
	assert_true(json_member(&top, "f", &at));
	assert_int_equal(json_get_u32(&at, &u32, &e), -EINVAL);
	assert_has(e.text, "outside 0 to 4294967295");
	assert_int_equal(u32, 7);
	assert_true(json_member(&top, "g", &at));
	assert_int_equal(json_get_u16(&at, &u16, &e), -EINVAL);
	assert_ok(json_get_u32(&at, &u32, &e), &e);
	assert_int_equal(u32, 65536);
	assert_true(json_member(&top, "h", &at));
	assert_int_equal(json_get_i32(&at, &i32, &e), -EINVAL);
	assert_has(e.text, "-2147483649 is outside -2147483648 to 2147483647");
	assert_true(json_member(&top, "i", &at));
	assert_int_equal(json_get_i32(&at, &i32, &e), -EINVAL);
	assert_true(json_member(&top, "z", &at));
	assert_ok(json_get_u64(&at, &u, &e), &e);
	assert_true(u == 0);
}

static void wrong_types_are_named(void **state)
{
	_cleanup_json_ struct json *doc = parse(
		"{\"linux\":{\"res\":[{\"limit\":\"5\"},{\"limit\":1e3}]},\"org.x/y\":1,\"b\":true,"
		"\"s\":[\"a\",2]}");
	struct json_at top = json_top(doc), l, res, el, at;
	_cleanup_strv_ char **v = NULL;
	struct err e = ERR_INIT;
	char *s = NULL;
	bool b = false;
	uint64_t u;

	(void)state;
	assert_true(json_member(&top, "linux", &l));
	assert_true(json_member(&l, "res", &res));
	assert_int_equal(json_array_len(&res), 2);
	el = json_array_at(&res, 0);
	assert_true(json_member(&el, "limit", &at));
	assert_int_equal(json_get_u64(&at, &u, &e), -EINVAL);
	assert_string_equal(e.text, "linux.res[0].limit: expected an integer, found a string");
	assert_int_equal(e.kind, ERR_INVALID);
	el = json_array_at(&res, 1);
	assert_true(json_member(&el, "limit", &at));
	assert_int_equal(json_get_u64(&at, &u, &e), -EINVAL);
	assert_has(e.text, "linux.res[1].limit: expected an integer, found a number");
	assert_true(json_member(&top, "org.x/y", &at));
	assert_int_equal(json_get_string(&at, &s, &e), -EINVAL);
	assert_string_equal(e.text, "[\"org.x/y\"]: expected a string, found an integer");
	assert_int_equal(json_get_bool(&at, &b, &e), -EINVAL);
	assert_true(json_member(&top, "b", &at));
	assert_ok(json_get_bool(&at, &b, &e), &e);
	assert_true(b);
	assert_null(json_peek_string(&at));
	assert_true(json_member(&top, "s", &at));
	assert_int_equal(json_get_strv(&at, &v, &e), -EINVAL);
	assert_string_equal(e.text, "s[1]: expected a string, found an integer");
	assert_null(v);
	assert_int_equal(json_get_bool(&top, &b, &e), -EINVAL);
	assert_string_equal(e.text, "expected a boolean, found an object");
	assert_int_equal(json_get_u64(&top, &u, NULL), -EINVAL);
}

static void null_is_absent(void **state)
{
	_cleanup_json_ struct json *doc = parse("{\"a\":null,\"b\":[null]}");
	struct json_at top = json_top(doc), at;
	size_t pos = 0;

	(void)state;
	assert_false(json_member(&top, "a", &at));
	assert_false(json_member(&top, "x", &at));
	assert_true(json_member(&top, "b", &at));
	assert_false(json_member(&at, "b", &at)); /* an array has none */
	assert_true(json_next_member(&top, &pos, &at));
	assert_string_equal(at.key, "a");
	assert_int_equal(json_type_of(at.value), JSON_NULL);
	assert_true(json_next_member(&top, &pos, &at));
	at = json_array_at(&at, 0);
	assert_int_equal(json_type_of(at.value), JSON_NULL);
	assert_false(json_next_member(&top, &pos, &at));
}

static void strings_are_decoded(void **state)
{
	_cleanup_json_ struct json *doc = parse("[\"\\u00e4\\ud83d\\ude00\\n\\/\", \"x\"]");
	struct json_at top = json_top(doc), at = json_array_at(&top, 0);
	_cleanup_strv_ char **v = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_string_equal(json_peek_string(&at), "\xc3\xa4\xf0\x9f\x98\x80\n/");
	assert_ok(json_get_strv(&top, &v, &e), &e);
	assert_int_equal(strv_len(v), 2);
	assert_string_equal(v[1], "x");
	at = json_array_at(&top, 2); /* beyond the end */
	assert_int_equal(json_type_of(at.value), JSON_NULL);
}

/* ---- tables ---- */

struct point {
	int64_t x, y;
	char *label;
	char **tags;
	bool has_y;
};

static const struct json_field point_fields[] = {
	JSON_REQUIRED(struct point, x, "x", json_read_i64),
	JSON_OPTIONAL(struct point, y, has_y, "y", json_read_i64),
	JSON_FIELD(struct point, label, "label", json_read_string),
	JSON_FIELD(struct point, tags, "tags", json_read_strv),
};

static int read_point(const struct json_at *at, void *target, struct err *e)
{
	return json_read_object(at, point_fields, ARRAY_SIZE(point_fields), target, e);
}

static void point_done(struct point *p)
{
	free(p->label);
	strv_free(p->tags);
}

static void tables_fill_structs(void **state)
{
	_cleanup_json_ struct json *doc =
		parse("[{\"x\":1,\"y\":-2,\"label\":\"l\",\"tags\":[\"t\"],\"unknown\":{}},"
		      "{\"x\":3,\"y\":null}]");
	struct json_at top = json_top(doc);
	struct point *p = NULL;
	struct err e = ERR_INIT;
	size_t n = 0;

	(void)state;
	assert_ok(json_read_array(&top, sizeof(*p), read_point, (void **)&p, &n, &e), &e);
	assert_int_equal(n, 2);
	assert_int_equal(p[0].x, 1);
	assert_int_equal(p[0].y, -2);
	assert_true(p[0].has_y);
	assert_string_equal(p[0].label, "l");
	assert_string_equal(p[0].tags[0], "t");
	assert_int_equal(p[1].x, 3);
	assert_false(p[1].has_y);
	assert_null(p[1].label);
	point_done(&p[0]);
	point_done(&p[1]);
	free(p);
}

static void failing_tables_leave_what_was_read(void **state)
{
	_cleanup_json_ struct json *doc =
		parse("[{\"x\":1,\"label\":\"l\"},{\"label\":\"m\"},{\"x\":3}]");
	struct json_at top = json_top(doc);
	struct point *p = NULL;
	struct err e = ERR_INIT;
	size_t n = 0;

	(void)state;
	assert_int_equal(json_read_array(&top, sizeof(*p), read_point, (void **)&p, &n, &e),
			 -EINVAL);
	assert_string_equal(e.text, "[1]: member 'x' is missing");
	assert_int_equal(n, 2); /* the half-read one, too */
	for (size_t i = 0; i < n; i++)
		point_done(&p[i]);
	free(p);
	assert_int_equal(json_read_object(&top, point_fields, 1, NULL, &e), -EINVAL);
	assert_has(e.text, "expected an object, found an array");
}

static void empty_array_reads_as_none(void **state)
{
	_cleanup_json_ struct json *doc = parse("[]");
	struct json_at top = json_top(doc);
	void *p = (void *)&doc;
	size_t n = 9;

	(void)state;
	assert_int_equal(json_read_array(&top, 8, read_point, &p, &n, NULL), 0);
	assert_null(p);
	assert_int_equal(n, 0);
}

/* A default that was there before is released, not leaked (seen by the sanitizer build). */
static void reading_over_a_default(void **state)
{
	_cleanup_json_ struct json *doc = parse("{\"label\":\"new\",\"tags\":[]}");
	struct json_at top = json_top(doc);
	struct point p = {.label = strdup("old")};
	struct err e = ERR_INIT;

	(void)state;
	strv_push(&p.tags, "old");
	assert_ok(json_read_object(&top, point_fields + 2, 2, &p, &e), &e);
	assert_string_equal(p.label, "new");
	assert_int_equal(strv_len(p.tags), 0);
	point_done(&p);
}

/* ---- building ---- */

static void building_and_text(void **state)
{
	_cleanup_json_ struct json *o = json_new_object(), *copy = NULL;
	_cleanup_free_ char *plain = NULL, *pretty = NULL, *after = NULL;
	static char *const words[] = {"a/b", "c", NULL};
	struct json *a = json_new_array();
	size_t len = 0;

	(void)state;
	assert_int_equal(json_push(a, json_new_i64(-5)), 0);
	assert_int_equal(json_push(a, json_new_u64(UINT64_MAX)), 0);
	assert_int_equal(json_push(a, json_new_bool(true)), 0);
	assert_int_equal(json_set(o, "a", a), 0);
	assert_int_equal(json_set(o, "w", json_new_strv(words)), 0);
	assert_int_equal(json_set(o, "s", json_new_string("old")), 0);
	assert_int_equal(json_set(o, "s", json_new_string("q\"\\\n\x01")), 0);
	assert_int_equal(json_set(json_object_member(o, "sub", true), "x", json_new_i64(1)), 0);
	assert_int_equal(json_to_text(o, false, &plain, &len), 0);
	assert_string_equal(plain, "{\"a\":[-5,18446744073709551615,true],\"w\":[\"a/b\",\"c\"],"
				   "\"s\":\"q\\\"\\\\\\n\\u0001\",\"sub\":{\"x\":1}}");
	assert_int_equal(len, strlen(plain));
	copy = json_copy(o);
	assert_non_null(copy);
	json_remove(o, "a");
	json_remove(o, "not there");
	assert_null(json_object_member(o, "a", false));
	assert_int_equal(json_to_text(copy, false, &after, NULL), 0);
	assert_string_equal(after, plain); /* deep: the original's change does not show */
	assert_int_equal(json_to_text(json_object_member(o, "sub", false), true, &pretty, NULL), 0);
	assert_string_equal(pretty, "{\n  \"x\": 1\n}");
}

static void building_without_memory(void **state)
{
	_cleanup_json_ struct json *o = json_new_object(), *n = json_new_i64(1);

	(void)state;
	assert_int_equal(json_set(o, "a", NULL), -ENOMEM);
	assert_int_equal(json_set(NULL, "a", json_new_i64(1)), -ENOMEM);
	assert_int_equal(json_push(NULL, json_new_i64(1)), -ENOMEM);
	assert_int_equal(json_push(o, json_new_i64(1)), -EINVAL);
	assert_int_equal(json_set(n, "a", json_new_i64(1)), -EINVAL);
	assert_null(json_object_member(n, "a", true));
	assert_null(json_array_member(o, 0));
	json_free(NULL);
}

/* A host name or an argument is bytes; the text must be JSON all the same. */
static void bytes_become_utf8(void **state)
{
	_cleanup_json_ struct json *s = json_new_string("a\xff\xc3\xa4\xed\xa0\x80z"),
				   *again = NULL;
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	assert_int_equal(json_to_text(s, false, &text, &len), 0);
	assert_ok(json_parse(text, len, "doc", &again, &e), &e);
	assert_string_equal(text, "\"a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
}

/* ---- files ---- */

static void files_are_capped(void **state)
{
	_cleanup_json_ struct json *doc = NULL;
	struct scratch s;
	struct err e = ERR_INIT;
	int fd;

	(void)state;
	scratch_make(&s);
	fd = openat(s.fd, "config.json", O_CREAT | O_WRONLY, 0644);
	assert_int_equal(write(fd, "{\"a\" 1}", 7), 7);
	close(fd);
	assert_int_equal(json_parse_file_at(s.fd, "config.json", 7, &doc, &e), -EINVAL);
	assert_string_equal(e.text, "config.json: line 1, column 6: expected ':', found '1'");
	assert_int_equal(json_parse_file_at(s.fd, "config.json", 6, &doc, &e), -EFBIG);
	assert_has(e.text, "config.json");
	assert_int_equal(json_parse_file_at(s.fd, "none.json", 7, &doc, &e), -ENOENT);
	assert_int_equal(json_parse_file_at(AT_FDCWD, "/dev/zero", 100, &doc, &e), -EFBIG);
	assert_int_equal(json_parse_file_at(AT_FDCWD, "/dev/null", 100, &doc, &e), -EINVAL);
	assert_has(e.text, "the document is empty");
	assert_null(doc);
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_with_its_place),
		cmocka_unit_test(accepted),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(depth_ends_at_64),
		cmocka_unit_test(very_deep_text_does_not_crash),
		cmocka_unit_test(huge_objects_are_not_quadratic),
		cmocka_unit_test(integers_keep_every_bit),
		cmocka_unit_test(wrong_types_are_named),
		cmocka_unit_test(null_is_absent),
		cmocka_unit_test(strings_are_decoded),
		cmocka_unit_test(tables_fill_structs),
		cmocka_unit_test(failing_tables_leave_what_was_read),
		cmocka_unit_test(empty_array_reads_as_none),
		cmocka_unit_test(reading_over_a_default),
		cmocka_unit_test(building_and_text),
		cmocka_unit_test(building_without_memory),
		cmocka_unit_test(bytes_become_utf8),
		cmocka_unit_test(files_are_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
