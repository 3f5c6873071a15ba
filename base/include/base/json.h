/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON. base/json.c is the only file that includes json-c; what json-c lets pass is refused
 * by our own look at the raw text first: duplicate keys, integers outside -2^63..2^64-1, bytes that
 * are not UTF-8, NUL in strings, depth over 64, size over the caller's cap, trailing text.
 *
 * Reading goes through a cursor, `struct json_at`, which lives on the stack and knows its way up;
 * so every error names the place: "linux.resources.memory.limit: expected an integer, found a
 * string". What has a fixed shape is read by a table of fields into a struct.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct json; /* a value, reference counted by its document */

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_INT, /* no fraction, no exponent */
	JSON_DOUBLE,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* A value and how we came to it. `up` is NULL at the top; key is set in objects, index in arrays.
 */
struct json_at {
	const struct json *value;
	const struct json_at *up;
	const char *key;
	size_t index;
};

/* Parse text (len bytes). `what` names the document in errors ("config.json"). The caller owns
 * *ret. */
int json_parse(const char *text, size_t len, const char *what, struct json **ret, struct err *e);

/* Read and parse a file, at most max_bytes (else -EFBIG). */
#define JSON_FILE_MAX (4u << 20)
int json_parse_file_at(int dirfd, const char *path, size_t max_bytes, struct json **ret,
		       struct err *e);

void json_free(struct json *doc);
static inline void json_freep(struct json **p)
{
	json_free(*p);
}
#define _cleanup_json_ __attribute__((cleanup(json_freep)))

struct json_at json_top(const struct json *doc);
enum json_type json_type_of(const struct json *v);

/* Iterate: child cursors. `child->up` points to `at`, which must outlive it. */
size_t json_array_len(const struct json_at *at);
struct json_at json_array_at(const struct json_at *at, size_t i);
/* False if the member is absent or null. */
bool json_member(const struct json_at *at, const char *key, struct json_at *ret_child);
/* Members in document order: call with *pos 0 first; false at the end. */
bool json_next_member(const struct json_at *at, size_t *pos, struct json_at *ret_child);

/* "linux.resources.devices[2].type" into a fresh string, or NULL. */
char *json_path(const struct json_at *at);

/* ERR_INVALID with the place in front. Returns -EINVAL. */
int json_error(const struct json_at *at, struct err *e, const char *fmt, ...) _printf_(3, 4);

/* Checked getters: a wrong type or range is a json_error(). Strings are copied; a caller frees. */
int json_get_bool(const struct json_at *at, bool *ret, struct err *e);
int json_get_u64(const struct json_at *at, uint64_t *ret, struct err *e);
int json_get_i64(const struct json_at *at, int64_t *ret, struct err *e);
int json_get_u32(const struct json_at *at, uint32_t *ret, struct err *e);
int json_get_i32(const struct json_at *at, int32_t *ret, struct err *e);
int json_get_u16(const struct json_at *at, uint16_t *ret, struct err *e);
int json_get_string(const struct json_at *at, char **ret, struct err *e);
const char *json_peek_string(const struct json_at *at); /* borrowed; NULL if not a string */
int json_get_strv(const struct json_at *at, char ***ret, struct err *e);

/* The table: `read` is called with the member's cursor and target + offset. A member that is
 * absent or null is skipped unless `required`. Members without a row are left alone (OCI
 * runtime-spec, "Extensibility"). `presence` ≥ 0 is the offset of a bool set to true when the
 * member was there. */
typedef int (*json_read_fn)(const struct json_at *at, void *target, struct err *e);
struct json_field {
	const char *name;
	json_read_fn read;
	size_t offset;
	bool required;
	ptrdiff_t presence; /* -1: none */
};
#define JSON_FIELD(type, member, name, read)                      \
	{                                                         \
		(name), (read), offsetof(type, member), false, -1 \
	}
#define JSON_REQUIRED(type, member, name, read)                  \
	{                                                        \
		(name), (read), offsetof(type, member), true, -1 \
	}
#define JSON_OPTIONAL(type, member, has, name, read)                                          \
	{                                                                                     \
		(name), (read), offsetof(type, member), false, (ptrdiff_t)offsetof(type, has) \
	}
int json_read_object(const struct json_at *at, const struct json_field *fields, size_t n,
		     void *target, struct err *e);

/* Read an array into a fresh zeroed array of elements; on failure whatever was read is left in
 * *ret / *ret_n for the owner's destructor. */
int json_read_array(const struct json_at *at, size_t element_size, json_read_fn read, void **ret,
		    size_t *ret_n, struct err *e);

/* Ready-made readers for tables (target types as in the getters above). */
int json_read_bool(const struct json_at *at, void *target, struct err *e);
int json_read_u64(const struct json_at *at, void *target, struct err *e);
int json_read_i64(const struct json_at *at, void *target, struct err *e);
int json_read_u32(const struct json_at *at, void *target, struct err *e);
int json_read_i32(const struct json_at *at, void *target, struct err *e);
int json_read_u16(const struct json_at *at, void *target, struct err *e);
int json_read_string(const struct json_at *at, void *target, struct err *e); /* char * */
int json_read_strv(const struct json_at *at, void *target, struct err *e);   /* char ** */

/* Building. The constructors return NULL when out of memory; json_set()/json_push() take the
 * value in every case, accept NULL and then return -ENOMEM. So a whole document can be built and
 * checked at the places that matter. */
struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_string(const char *s);
struct json *json_new_i64(int64_t v);
struct json *json_new_u64(uint64_t v);
struct json *json_new_bool(bool v);
struct json *json_new_strv(char *const *v);
struct json *json_copy(const struct json *v);                           /* deep */
int json_set(struct json *object, const char *key, struct json *value); /* replaces */
int json_push(struct json *array, struct json *value);
void json_remove(struct json *object, const char *key);
/* Borrowed, mutable: member of an object (made as an empty object if `create`), or NULL. */
struct json *json_object_member(struct json *object, const char *key, bool create);
struct json *json_array_member(struct json *array, size_t i);

/* Text without escaped slashes; `pretty` with two blanks. Caller frees. */
int json_to_text(const struct json *v, bool pretty, char **ret, size_t *ret_len);
