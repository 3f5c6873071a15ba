/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading values into C types and structs, with errors that name the place (base/json.h).
 */
#include "json_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/utf8.h"

/* ---- places ---- */

static bool is_simple_key(const char *key)
{
	const char *p = key;

	while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
	       *p == '_' || *p == '-')
		p++;
	return *p == '\0' && p > key;
}

static void add_place(struct strbuf *b, const struct json_at *at)
{
	if (!at->up)
		return;
	add_place(b, at->up);
	if (!at->key) {
		strbuf_addf(b, "[%zu]", at->index);
	} else if (is_simple_key(at->key)) {
		strbuf_addf(b, "%s%s", b->len ? "." : "", at->key);
	} else {
		strbuf_add(b, "[\"");
		for (const char *p = at->key; *p; p++)
			strbuf_add_len(b, utf8_is_control(*p) ? "?" : p, 1);
		strbuf_add(b, "\"]");
	}
}

char *json_path(const struct json_at *at)
{
	struct strbuf b = {0};
	char *path = NULL;

	add_place(&b, at);
	return strbuf_take(&b, &path) < 0 ? NULL : path;
}

int json_error(const struct json_at *at, struct err *e, const char *fmt, ...)
{
	_cleanup_free_ char *path = NULL, *why = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&why, fmt, ap);
	va_end(ap);
	if (n < 0) {
		why = NULL;
		return err_nomem(e);
	}
	path = json_path(at);
	if (!path || !*path)
		return err_invalid(e, "%s", why);
	return err_invalid(e, "%s: %s", path, why);
}

const char *json_type_text(enum json_type type)
{
	switch (type) {
	case JSON_NULL:
		return "null";
	case JSON_BOOL:
		return "a boolean";
	case JSON_INT:
		return "an integer";
	case JSON_DOUBLE:
		return "a number with a fraction or exponent";
	case JSON_STRING:
		return "a string";
	case JSON_ARRAY:
		return "an array";
	case JSON_OBJECT:
		return "an object";
	}
	return "nothing known";
}

static int expect(const struct json_at *at, enum json_type type, struct err *e)
{
	enum json_type found = json_type_of(at->value);

	if (found == type)
		return 0;
	return json_error(at, e, "expected %s, found %s", json_type_text(type),
			  json_type_text(found));
}

/* ---- getters ---- */

int json_get_bool(const struct json_at *at, bool *ret, struct err *e)
{
	int r = expect(at, JSON_BOOL, e);

	if (r == 0)
		*ret = json_bool_of(at->value);
	return r;
}

static int get_unsigned(const struct json_at *at, uint64_t max, uint64_t *ret, struct err *e)
{
	struct json_integer i = {0};
	int r = expect(at, JSON_INT, e);

	if (r < 0)
		return r;
	json_integer_of(at->value, &i);
	if (i.negative || i.magnitude > max)
		return json_error(at, e, "%s%" PRIu64 " is outside 0 to %" PRIu64,
				  i.negative ? "-" : "", i.magnitude, max);
	*ret = i.magnitude;
	return 0;
}

/* max is 2^n - 1; the smallest is one further from zero. */
static int get_signed(const struct json_at *at, uint64_t max, int64_t *ret, struct err *e)
{
	struct json_integer i = {0};
	int r = expect(at, JSON_INT, e);

	if (r < 0)
		return r;
	json_integer_of(at->value, &i);
	if (i.magnitude > max + i.negative)
		return json_error(at, e, "%s%" PRIu64 " is outside -%" PRIu64 " to %" PRIu64,
				  i.negative ? "-" : "", i.magnitude, max + 1, max);
	*ret = i.negative ? (int64_t)(0 - i.magnitude) : (int64_t)i.magnitude;
	return 0;
}

int json_get_u64(const struct json_at *at, uint64_t *ret, struct err *e)
{
	return get_unsigned(at, UINT64_MAX, ret, e);
}

int json_get_i64(const struct json_at *at, int64_t *ret, struct err *e)
{
	return get_signed(at, INT64_MAX, ret, e);
}

int json_get_u32(const struct json_at *at, uint32_t *ret, struct err *e)
{
	uint64_t v = 0;
	int r = get_unsigned(at, UINT32_MAX, &v, e);

	if (r == 0)
		*ret = (uint32_t)v;
	return r;
}

int json_get_i32(const struct json_at *at, int32_t *ret, struct err *e)
{
	int64_t v = 0;
	int r = get_signed(at, INT32_MAX, &v, e);

	if (r == 0)
		*ret = (int32_t)v;
	return r;
}

int json_get_u16(const struct json_at *at, uint16_t *ret, struct err *e)
{
	uint64_t v = 0;
	int r = get_unsigned(at, UINT16_MAX, &v, e);

	if (r == 0)
		*ret = (uint16_t)v;
	return r;
}

int json_get_string(const struct json_at *at, char **ret, struct err *e)
{
	int r = expect(at, JSON_STRING, e);
	char *copy;

	if (r < 0)
		return r;
	copy = strdup(json_string_of(at->value));
	if (!copy)
		return err_nomem(e);
	*ret = copy;
	return 0;
}

const char *json_peek_string(const struct json_at *at)
{
	return json_string_of(at->value);
}

int json_get_strv(const struct json_at *at, char ***ret, struct err *e)
{
	_cleanup_strv_ char **v = NULL;
	size_t n = json_array_len(at);
	int r = expect(at, JSON_ARRAY, e);

	if (r < 0)
		return r;
	v = calloc(n + 1, sizeof(char *));
	if (!v)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++) {
		struct json_at child = json_array_at(at, i);

		r = json_get_string(&child, &v[i], e);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(v);
	return 0;
}

/* ---- tables ---- */

static int read_field(const struct json_at *at, const struct json_field *f, char *target,
		      struct err *e)
{
	struct json_at child;
	int r;

	if (!json_member(at, f->name, &child)) {
		if (f->required)
			return json_error(at, e, "member '%s' is missing", f->name);
		return 0;
	}
	r = f->read(&child, target + f->offset, e);
	if (r < 0)
		return r;
	if (f->presence >= 0)
		*(bool *)(target + f->presence) = true;
	return 0;
}

int json_read_object(const struct json_at *at, const struct json_field *fields, size_t n,
		     void *target, struct err *e)
{
	int r = expect(at, JSON_OBJECT, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = read_field(at, &fields[i], target, e);
	return r;
}

int json_read_array(const struct json_at *at, size_t element_size, json_read_fn read, void **ret,
		    size_t *ret_n, struct err *e)
{
	size_t n = json_array_len(at);
	int r = expect(at, JSON_ARRAY, e);
	char *elements = NULL;

	if (r < 0)
		return r;
	if (n > 0) {
		elements = calloc(n, element_size);
		if (!elements)
			return err_nomem(e);
	}
	*ret = elements;
	*ret_n = 0;
	for (size_t i = 0; i < n; i++) {
		struct json_at child = json_array_at(at, i);

		*ret_n = i + 1; /* first, so that a half-read one is released, too */
		r = read(&child, elements + i * element_size, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int json_read_bool(const struct json_at *at, void *target, struct err *e)
{
	return json_get_bool(at, target, e);
}

int json_read_u64(const struct json_at *at, void *target, struct err *e)
{
	return json_get_u64(at, target, e);
}

int json_read_i64(const struct json_at *at, void *target, struct err *e)
{
	return json_get_i64(at, target, e);
}

int json_read_u32(const struct json_at *at, void *target, struct err *e)
{
	return json_get_u32(at, target, e);
}

int json_read_i32(const struct json_at *at, void *target, struct err *e)
{
	return json_get_i32(at, target, e);
}

int json_read_u16(const struct json_at *at, void *target, struct err *e)
{
	return json_get_u16(at, target, e);
}

/* A target that was filled before (a default) is released. */
int json_read_string(const struct json_at *at, void *target, struct err *e)
{
	char *s = NULL;
	int r = json_get_string(at, &s, e);

	if (r == 0) {
		free(*(char **)target);
		*(char **)target = s;
	}
	return r;
}

int json_read_strv(const struct json_at *at, void *target, struct err *e)
{
	char **v = NULL;
	int r = json_get_strv(at, &v, e);

	if (r == 0) {
		strv_free(*(char ***)target);
		*(char ***)target = v;
	}
	return r;
}
