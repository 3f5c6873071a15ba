/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of a scope from annotations. The text form is GVariant's, as far as properties of units need it: booleans, numbers with
 * or without their type in front, strings, arrays of strings. Source: GLib, "GVariant Text Format".
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "systemd_unit.h"

#define NAME_LEN_MAX 128

/* ---- strings ------------------------------------------------------------------------------- */

/* 'text' or "text", with \\ \' \" \n \t. Moves *p behind it. */
static int read_string(const char **p, char **ret)
{
	struct strbuf b = {0};
	const char *s = *p;
	char quote = *s++;

	strbuf_add(&b, "");
	while (*s && *s != quote) {
		char c = *s++;

		if (c == '\\') {
			static const char from[] = "\\'\"nt", to[] = "\\'\"\n\t";
			const char *known = *s ? strchr(from, *s) : NULL;

			if (!known) {
				strbuf_done(&b);
				return -EINVAL;
			}
			c = to[known - from];
			s++;
		}
		strbuf_add_len(&b, &c, 1);
	}
	if (!*s) {
		strbuf_done(&b);
		return -EINVAL;
	}
	*p = s + 1;
	return strbuf_take(&b, ret);
}

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

static int read_list(const char *s, struct json *values)
{
	for (s = skip_blanks(s + 1); *s != ']';) {
		_cleanup_free_ char *text = NULL;
		int r;

		if (*s != '\'' && *s != '"')
			return -EINVAL;
		r = read_string(&s, &text);
		if (r == 0)
			r = json_push(values, json_new_string(text));
		if (r < 0)
			return r;
		s = skip_blanks(s);
		if (*s == ',')
			s = skip_blanks(s + 1);
		else if (*s != ']')
			return -EINVAL;
	}
	return *skip_blanks(s + 1) ? -EINVAL : 0;
}

/* ---- numbers ------------------------------------------------------------------------------- */

static const struct number_type {
	const char *word, *signature;
	bool is_signed;
	int64_t min;
	uint64_t max;
} number_types[] = {
	{"byte ", "y", false, 0, UINT8_MAX},
	{"int16 ", "n", true, INT16_MIN, INT16_MAX},
	{"uint16 ", "q", false, 0, UINT16_MAX},
	{"int32 ", "i", true, INT32_MIN, INT32_MAX},
	{"uint32 ", "u", false, 0, UINT32_MAX},
	{"int64 ", "x", true, INT64_MIN, INT64_MAX},
	{"uint64 ", "t", false, 0, UINT64_MAX},
	{"", "i", true, INT32_MIN, INT32_MAX}, /* a bare number; last */
};

static int read_number(const char *s, const char **ret_signature, struct json *values)
{
	const struct number_type *t = number_types;
	uint64_t u;
	int64_t i;

	while (!str_has_prefix(s, t->word))
		t++;
	s = skip_blanks(s + strlen(t->word));
	*ret_signature = t->signature;
	if (t->is_signed ? parse_i64(s, &i) < 0 || i < t->min || (i > 0 && (uint64_t)i > t->max)
			 : parse_u64(s, &u) < 0 || u > t->max)
		return -EINVAL;
	return json_push(values, json_new_string(s));
}

/* ---- one annotation ------------------------------------------------------------------------- */

static int read_value(const char *s, const char **ret_signature, struct json *values)
{
	_cleanup_free_ char *text = NULL;
	int r;

	s = skip_blanks(s);
	if (STREQ(s, "true") || STREQ(s, "false")) {
		*ret_signature = "b";
		return json_push(values, json_new_string(s));
	}
	if (str_has_prefix(s, "@as "))
		s = skip_blanks(s + 4);
	if (*s == '[') {
		*ret_signature = "as";
		return read_list(s, values);
	}
	if (*s != '\'' && *s != '"')
		return read_number(s, ret_signature, values);
	*ret_signature = "s";
	r = read_string(&s, &text);
	if (r == 0 && *skip_blanks(s))
		r = -EINVAL;
	return r < 0 ? r : json_push(values, json_new_string(text));
}

static bool is_property_name(const char *s, size_t len)
{
	if (len < 3 || len > NAME_LEN_MAX || !isupper((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]))
			return false;
	return true;
}

/* These say which process and group the sandbox is, and whose scope it is when it is removed. */
static int check_ours(const char *name, struct err *e)
{
	static const char *const ours[] = {"PIDs", "Slice", "Description", "Delegate",
					   "Controller"};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (STREQ(name, ours[i]))
			return err_unsupported(
				e, "annotation " SYSTEMD_PROPERTY_PREFIX "%s: we set it ourselves",
				name);
	return 0;
}

/* "TimeoutStopSec" in seconds is "TimeoutStopUSec" in microseconds. */
static int convert_seconds(char **name, const char **signature, struct json **values)
{
	struct json_at top = json_top(*values), first = json_array_at(&top, 0);
	const char *text = json_peek_string(&first);
	_cleanup_json_ struct json *fresh = json_new_array();
	_cleanup_free_ char *renamed = NULL;
	char digits[24];
	uint64_t v;

	if (strlen(*signature) != 1 || !strchr("ynqiuxt", **signature) || !text ||
	    parse_u64(text, &v) < 0 || v > UINT64_MAX / 1000000)
		return -EINVAL;
	snprintf(digits, sizeof(digits), "%" PRIu64, v * 1000000);
	if (!fresh || json_push(fresh, json_new_string(digits)) < 0 ||
	    str_printf(&renamed, "%.*sUSec", (int)(strlen(*name) - 3), *name) < 0)
		return -ENOMEM;
	json_free(*values);
	*values = TAKE_PTR(fresh);
	free(*name);
	*name = TAKE_PTR(renamed);
	*signature = "t";
	return 0;
}

static int push_all(struct json *into, const char *name, const char *signature,
		    const struct json *values)
{
	_cleanup_json_ struct json *p = json_new_array();
	struct json_at top = json_top(values);

	if (!p || json_push(p, json_new_string(name)) < 0 ||
	    json_push(p, json_new_string(signature)) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_len(&top); i++) {
		struct json_at v = json_array_at(&top, i);

		if (json_push(p, json_copy(v.value)) < 0)
			return -ENOMEM;
	}
	return json_push(into, TAKE_PTR(p));
}

static bool wants_seconds(const char *name)
{
	size_t len = strlen(name);

	return len > 3 && str_has_suffix(name, "Sec") && islower((unsigned char)name[len - 4]);
}

static int add_annotation(const char *text, struct json *into, struct err *e)
{
	const char *eq = strchr(text, '='), *signature = NULL;
	size_t len = eq ? (size_t)(eq - text) : strlen(text);
	_cleanup_json_ struct json *values = json_new_array();
	_cleanup_free_ char *name = strndup(text, len);
	int r;

	if (!name || !values)
		return err_nomem(e);
	if (!is_property_name(text, len))
		return err_invalid(
			e, "annotation " SYSTEMD_PROPERTY_PREFIX "%s: not the name of a property",
			name);
	r = check_ours(name, e);
	if (r < 0)
		return r;
	r = read_value(eq ? eq + 1 : text + len, &signature, values);
	if (r == 0 && wants_seconds(name))
		r = convert_seconds(&name, &signature, &values);
	if (r == 0)
		r = push_all(into, name, signature, values);
	if (r == -ENOMEM)
		return err_nomem(e);
	if (r == 0)
		return 0;
	err_invalid(e, "annotation " SYSTEMD_PROPERTY_PREFIX "%s: '%s' is not a value", name,
		    eq ? eq + 1 : text + len);
	return err_hint(e, "true, 'text', uint64 5, 5, ['a', 'b'] are values");
}

int systemd_annotation_properties(char *const *annotations, struct json *into, struct err *e)
{
	for (char *const *a = annotations; a && *a; a++) {
		int r;

		if (!str_has_prefix(*a, SYSTEMD_PROPERTY_PREFIX))
			continue;
		r = add_annotation(*a + strlen(SYSTEMD_PROPERTY_PREFIX), into, e);
		if (r < 0)
			return r;
	}
	return 0;
}
