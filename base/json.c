/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values (base/json.h) on top of json-c; this is the only file that knows it. `struct json` is its
 * json_object under another name. The text has passed json_scan() when json-c sees it, so what it is
 * lenient about never matters, and integers and strings have one meaning only.
 *
 * json-c represents null by a NULL pointer.
 */
#include "json_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Both have an `enum json_type`. */
#define json_type jsonc_type
#include <json-c/json.h>
#undef json_type

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "base/utf8.h"

/* json-c counts values, our 64 levels of containers need a few more. */
#define TOKENER_DEPTH 80

static struct json_object *raw(const struct json *v)
{
	return (struct json_object *)(uintptr_t)v;
}

static struct json *cooked(struct json_object *o)
{
	return (struct json *)o;
}

/* ---- documents ---- */

int json_parse(const char *text, size_t len, const char *what, struct json **ret, struct err *e)
{
	enum json_tokener_error error;
	struct json_tokener *tokener;
	struct json_object *o;
	int r;

	if (len > INT_MAX - 1)
		return err_set(e, ERR_INVALID, EFBIG, "%s: too large", what);
	r = json_scan(text, len, what, e);
	if (r < 0)
		return r;
	tokener = json_tokener_new_ex(TOKENER_DEPTH);
	if (!tokener)
		return err_nomem(e);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(tokener, text, (int)len);
	error = json_tokener_get_error(tokener);
	if (error == json_tokener_continue) { /* a number at the top ends with the text */
		o = json_tokener_parse_ex(tokener, "", 1);
		error = json_tokener_get_error(tokener);
	}
	json_tokener_free(tokener);
	if (error != json_tokener_success) {
		json_object_put(o);
		return err_set(e, ERR_INTERNAL, EINVAL, "%s: %s", what,
			       json_tokener_error_desc(error));
	}
	if (!o) /* a document that is null: nothing we read is, and NULL means "none" to us */
		return err_invalid(e, "%s: the document is null", what);
	*ret = cooked(o);
	return 0;
}

int json_parse_file_at(int dirfd, const char *path, size_t max_bytes, struct json **ret,
		       struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = path_read_file_at(dirfd, path, max_bytes, &text, &len, e);
	if (r < 0)
		return r;
	return json_parse(text, len, path, ret, e);
}

void json_free(struct json *doc)
{
	if (doc)
		json_object_put(raw(doc));
}

struct json_at json_top(const struct json *doc)
{
	return (struct json_at){.value = doc};
}

/* ---- values ---- */

enum json_type json_type_of(const struct json *v)
{
	switch (json_object_get_type(raw(v))) {
	case json_type_null:
		return JSON_NULL;
	case json_type_boolean:
		return JSON_BOOL;
	case json_type_double:
		return JSON_DOUBLE;
	case json_type_int:
		return JSON_INT;
	case json_type_object:
		return JSON_OBJECT;
	case json_type_array:
		return JSON_ARRAY;
	case json_type_string:
		return JSON_STRING;
	}
	return JSON_NULL;
}

bool json_integer_of(const struct json *v, struct json_integer *ret)
{
	int64_t s;

	if (json_type_of(v) != JSON_INT)
		return false;
	s = json_object_get_int64(raw(v)); /* INT64_MAX for all above it */
	if (s < 0)
		*ret = (struct json_integer){true, 0 - (uint64_t)s};
	else
		*ret = (struct json_integer){false, json_object_get_uint64(raw(v))};
	return true;
}

bool json_bool_of(const struct json *v)
{
	return json_object_get_boolean(raw(v));
}

const char *json_string_of(const struct json *v)
{
	return json_type_of(v) == JSON_STRING ? json_object_get_string(raw(v)) : NULL;
}

/* ---- iteration ---- */

size_t json_array_len(const struct json_at *at)
{
	return json_type_of(at->value) == JSON_ARRAY ? json_object_array_length(raw(at->value)) : 0;
}

struct json_at json_array_at(const struct json_at *at, size_t i)
{
	struct json_at child = {.up = at, .index = i};

	if (i < json_array_len(at))
		child.value = cooked(json_object_array_get_idx(raw(at->value), i));
	return child;
}

bool json_member(const struct json_at *at, const char *key, struct json_at *ret_child)
{
	struct lh_entry *entry;

	if (json_type_of(at->value) != JSON_OBJECT)
		return false;
	entry = lh_table_lookup_entry(json_object_get_object(raw(at->value)), key);
	if (!entry || !lh_entry_v(entry))
		return false;
	*ret_child = (struct json_at){
		.value = lh_entry_v(entry),
		.up = at,
		.key = lh_entry_k(entry), /* lives as long as the document; `key` may not */
	};
	return true;
}

/* *pos is the entry that was returned last: json-c keeps them in a list in document order. */
bool json_next_member(const struct json_at *at, size_t *pos, struct json_at *ret_child)
{
	struct lh_entry *entry;

	if (json_type_of(at->value) != JSON_OBJECT)
		return false;
	if (*pos == 0)
		entry = lh_table_head(json_object_get_object(raw(at->value)));
	else
		entry = lh_entry_next((struct lh_entry *)(uintptr_t)*pos);
	if (!entry)
		return false;
	*pos = (size_t)(uintptr_t)entry;
	*ret_child = (struct json_at){
		.value = lh_entry_v(entry),
		.up = at,
		.key = lh_entry_k(entry),
	};
	return true;
}
_Static_assert(sizeof(size_t) == sizeof(void *), "a position holds a pointer");

/* ---- building ---- */

struct json *json_new_object(void)
{
	return cooked(json_object_new_object());
}

struct json *json_new_array(void)
{
	return cooked(json_object_new_array());
}

/* Names and arguments on a host are bytes; a document is UTF-8. */
static struct json *new_repaired_string(const char *s, size_t len)
{
	_cleanup_free_ char *fixed = NULL;
	struct strbuf b = {0};

	while (len > 0) {
		size_t n = utf8_sequence(s, len);

		if (n > 0)
			strbuf_add_len(&b, s, n);
		else
			strbuf_add(&b, "\xef\xbf\xbd"); /* U+FFFD */
		s += n ? n : 1;
		len -= n ? n : 1;
	}
	if (strbuf_take(&b, &fixed) < 0)
		return NULL;
	return cooked(json_object_new_string(fixed));
}

struct json *json_new_string(const char *s)
{
	size_t len = strlen(s);

	if (len > INT_MAX - 1)
		return NULL;
	if (!utf8_is_valid(s, len))
		return new_repaired_string(s, len);
	return cooked(json_object_new_string(s));
}

struct json *json_new_i64(int64_t v)
{
	return cooked(json_object_new_int64(v));
}

struct json *json_new_u64(uint64_t v)
{
	return cooked(json_object_new_uint64(v));
}

struct json *json_new_bool(bool v)
{
	return cooked(json_object_new_boolean(v));
}

struct json *json_new_strv(char *const *v)
{
	_cleanup_json_ struct json *array = json_new_array();

	for (size_t i = 0; array && v && v[i]; i++)
		if (json_push(array, json_new_string(v[i])) < 0)
			return NULL;
	return TAKE_PTR(array);
}

struct json *json_copy(const struct json *v)
{
	struct json_object *copy = NULL;

	if (!v || json_object_deep_copy(raw(v), &copy, NULL) < 0)
		return NULL;
	return cooked(copy);
}

int json_set(struct json *object, const char *key, struct json *value)
{
	if (!object || !value || json_type_of(object) != JSON_OBJECT) {
		json_free(value);
		return object && value ? -EINVAL : -ENOMEM;
	}
	if (json_object_object_add(raw(object), key, raw(value)) < 0) {
		json_free(value);
		return -ENOMEM;
	}
	return 0;
}

int json_push(struct json *array, struct json *value)
{
	if (!array || !value || json_type_of(array) != JSON_ARRAY) {
		json_free(value);
		return array && value ? -EINVAL : -ENOMEM;
	}
	if (json_object_array_add(raw(array), raw(value)) < 0) {
		json_free(value);
		return -ENOMEM;
	}
	return 0;
}

void json_remove(struct json *object, const char *key)
{
	if (json_type_of(object) == JSON_OBJECT)
		json_object_object_del(raw(object), key);
}

struct json *json_object_member(struct json *object, const char *key, bool create)
{
	struct json_object *o = NULL;

	if (json_type_of(object) != JSON_OBJECT)
		return NULL;
	if (json_object_object_get_ex(raw(object), key, &o) && o)
		return cooked(o);
	if (!create)
		return NULL;
	o = json_object_new_object();
	if (json_set(object, key, cooked(o)) < 0)
		return NULL;
	return cooked(o);
}

struct json *json_array_member(struct json *array, size_t i)
{
	if (json_type_of(array) != JSON_ARRAY)
		return NULL;
	return cooked(json_object_array_get_idx(raw(array), i));
}

int json_to_text(const struct json *v, bool pretty, char **ret, size_t *ret_len)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;
	size_t len;
	char *copy;

	flags |=
		pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_PLAIN;
	/* json-c keeps the text in the object; it is ours only as a copy. */
	text = json_object_to_json_string_length(raw(v), flags, &len);
	if (!text)
		return -ENOMEM;
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*ret = copy;
	if (ret_len)
		*ret_len = len;
	return 0;
}
