/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings and string vectors (base/str.h). Every growth is checked; a failed allocation leaves what
 * was there before as it was.
 */
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* ---- growing buffer ---- */

void strbuf_done(struct strbuf *b)
{
	free(b->data);
	*b = (struct strbuf){0};
}

/* Room for `more` bytes and the terminator. */
static bool reserve(struct strbuf *b, size_t more)
{
	size_t want, cap;
	char *p;

	if (b->failed)
		return false;
	if (more < b->cap - b->len && b->data)
		return true;
	if (more > SIZE_MAX / 4 - b->len) {
		b->failed = true;
		return false;
	}
	want = b->len + more + 1;
	cap = b->cap ? b->cap : 64;
	while (cap < want)
		cap *= 2;
	p = realloc(b->data, cap);
	if (!p) {
		b->failed = true;
		return false;
	}
	b->data = p;
	b->cap = cap;
	b->data[b->len] = '\0';
	return true;
}

void strbuf_add_len(struct strbuf *b, const void *data, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void strbuf_add(struct strbuf *b, const char *s)
{
	strbuf_add_len(b, s, strlen(s));
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	else if (reserve(b, (size_t)n))
		b->len += (size_t)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
	va_end(again);
}

int strbuf_take(struct strbuf *b, char **ret)
{
	if (!b->data)
		reserve(b, 0);
	if (b->failed) {
		strbuf_done(b);
		return -ENOMEM;
	}
	*ret = b->data;
	*b = (struct strbuf){0};
	return 0;
}

/* ---- single strings ---- */

int str_printf(char **ret, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	*ret = s;
	return 0;
}

bool str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

#define DISTANCE_MAX 32

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Rows of the usual matrix; the one before the last is kept for transpositions. */
unsigned str_distance(const char *a, const char *b)
{
	size_t n = strnlen(a, DISTANCE_MAX), m = strnlen(b, DISTANCE_MAX);
	unsigned rows[3][DISTANCE_MAX + 1] = {{0}};

	for (size_t j = 0; j <= m; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			row[j] =
				min3(up[j] + 1, row[j - 1] + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    up2[j - 2] + 1 < row[j])
				row[j] = up2[j - 2] + 1;
		}
	}
	return rows[n % 3][m];
}

/* ---- vectors ---- */

void strv_free(char **v)
{
	if (!v)
		return;
	for (char **p = v; *p; p++)
		free(*p);
	free(v);
}

size_t strv_len(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

int strv_consume(char ***v, char *s)
{
	size_t n = strv_len(*v);
	char **grown;

	if (!s)
		return -ENOMEM;
	/* To the exact size: a vector may come from anybody's calloc(), so no spare room is known. */
	grown = reallocarray(*v, n + 2, sizeof(char *));
	if (!grown) {
		free(s);
		return -ENOMEM;
	}
	*v = grown;
	(*v)[n] = s;
	(*v)[n + 1] = NULL;
	return 0;
}

int strv_push(char ***v, const char *s)
{
	return strv_consume(v, strdup(s));
}

int strv_copy(char *const *v, char ***ret)
{
	_cleanup_strv_ char **copy = NULL;
	size_t n = strv_len(v);

	copy = calloc(n + 1, sizeof(char *));
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		copy[i] = strdup(v[i]);
		if (!copy[i])
			return -ENOMEM;
	}
	*ret = TAKE_PTR(copy);
	return 0;
}

int strv_split(const char *s, char sep, char ***ret)
{
	_cleanup_strv_ char **v = NULL;

	for (;;) {
		const char *end = strchrnul(s, sep);
		int r = strv_consume(&v, strndup(s, (size_t)(end - s)));

		if (r < 0)
			return r;
		if (*end == '\0')
			break;
		s = end + 1;
	}
	*ret = TAKE_PTR(v);
	return 0;
}

/* ---- environments ---- */

static bool is_assignment_of(const char *assignment, const char *name, size_t name_len)
{
	return strncmp(assignment, name, name_len) == 0 && assignment[name_len] == '=';
}

const char *strv_env_get(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; env && env[i]; i++)
		if (is_assignment_of(env[i], name, n))
			return env[i] + n + 1;
	return NULL;
}

int strv_env_set(char ***env, const char *assignment)
{
	const char *eq = strchr(assignment, '=');
	size_t n;
	char *copy;

	if (!eq || eq == assignment)
		return -EINVAL;
	n = (size_t)(eq - assignment);
	for (size_t i = 0; *env && (*env)[i]; i++) {
		if (!is_assignment_of((*env)[i], assignment, n))
			continue;
		copy = strdup(assignment);
		if (!copy)
			return -ENOMEM;
		free((*env)[i]);
		(*env)[i] = copy;
		return 0;
	}
	return strv_push(env, assignment);
}

/* ---- names ---- */

#define NAME_MAX_BYTES 128

static bool is_alnum_ascii(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool str_is_name(const char *s)
{
	size_t n = strnlen(s, NAME_MAX_BYTES + 1);

	if (n == 0 || n > NAME_MAX_BYTES || !is_alnum_ascii(s[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!is_alnum_ascii(s[i]) && !strchr("_.+-", s[i]))
			return false;
	return true;
}
