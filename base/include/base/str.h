/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings, string vectors ("strv": NULL-terminated array of owned strings; NULL is an empty
 * one) and the strict parsers of what people and configurations write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A growing buffer; data is NUL-terminated once anything was added. Zero-initialise. */
struct strbuf {
	char *data;
	size_t len, cap;
	bool failed; /* an allocation failed: checked once, by strbuf_take() */
};
void strbuf_done(struct strbuf *b);
void strbuf_add(struct strbuf *b, const char *s);
void strbuf_add_len(struct strbuf *b, const void *data, size_t len);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) _printf_(2, 3);
int strbuf_take(struct strbuf *b, char **ret); /* 0 or -ENOMEM; never NULL on success */

/* asprintf with -ENOMEM. *ret is untouched on failure. */
int str_printf(char **ret, const char *fmt, ...) _printf_(2, 3);
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);

/* Levenshtein distance with transpositions, for "did you mean". Capped at 32 characters. */
unsigned str_distance(const char *a, const char *b);

void strv_free(char **v);
static inline void strv_freep(char ***p)
{
	strv_free(*p);
}
#define _cleanup_strv_ __attribute__((cleanup(strv_freep)))
size_t strv_len(char *const *v);
int strv_push(char ***v, const char *s); /* copies s; 0 or -ENOMEM, vector intact */
int strv_consume(char ***v, char *s);    /* takes s in every case */
int strv_copy(char *const *v, char ***ret);
int strv_split(const char *s, char sep, char ***ret); /* "a,,b" gives three */
/* The value of NAME in an environment vector of "NAME=value", or NULL. Borrowed. */
const char *strv_env_get(char *const *env, const char *name);
int strv_env_set(char ***env, const char *assignment); /* replaces a former one in place */

/* Numbers: the whole string, no sign where unsigned, no white space, range checked.
 * -EINVAL or -ERANGE; no error text, since only the caller knows the name of the field. */
int parse_u64(const char *s, uint64_t *ret);
int parse_u32(const char *s, uint32_t *ret);
int parse_i64(const char *s, int64_t *ret);
int parse_octal(const char *s, uint32_t *ret);

/* Bytes: "512", "64k", "1.5g", "10MiB" (b k m g t, powers of 1024, any case). -EINVAL, -ERANGE. */
int parse_size(const char *s, uint64_t *ret_bytes);

/* CPUs: "0.5", "2", "1.25" to millionths of a CPU; 0 is -ERANGE. */
int parse_cpus(const char *s, uint64_t *ret_microcpus);

/* Durations: "10", "10s", "1m30s", "250ms" to microseconds; a bare number is seconds. */
int parse_duration(const char *s, uint64_t *ret_usec);

/* "1.5 GiB", for people. buf of STR_SIZE_MAX bytes. */
#define STR_SIZE_MAX 24
const char *str_size(uint64_t bytes, char buf[STR_SIZE_MAX]);

/* A sandbox name: [A-Za-z0-9][A-Za-z0-9_.+-]*, at most 128 bytes, so it is safe as a path
 * component. Spec: OCI runtime-spec leaves the ID to the runtime; this is runc's set. */
bool str_is_name(const char *s);
