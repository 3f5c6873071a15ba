/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading /etc/subuid and /etc/subgid: lines "NAME-OR-UID:FIRST:COUNT". newuidmap reads them again and decides; we read
 * them to know what to ask for, and so that what is wrong in them can be named with its line.
 */
#include "subids.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

/* A site that gives ranges to each of a hundred thousand people has some 3 MB. */
#define SUBIDS_BYTES_MAX (16u << 20)

void subids_done(struct subids *s)
{
	free(s->v);
	*s = (struct subids){0};
}

/* Is the first field that user? A login name of digits only would be ambiguous; the number wins, as for
 * newuidmap. */
static bool is_his(const char *field, const char *name, uint32_t uid)
{
	uint32_t number;

	if (parse_u32(field, &number) == 0)
		return number == uid;
	return name && STREQ(field, name);
}

static int add_range(struct subids *s, struct subid_range add)
{
	struct subid_range *v;

	for (size_t i = 0; i < s->n; i++)
		if ((uint64_t)add.first < (uint64_t)s->v[i].first + s->v[i].count &&
		    (uint64_t)s->v[i].first < (uint64_t)add.first + add.count)
			return -EEXIST;
	v = reallocarray(s->v, s->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	s->v = v;
	s->v[s->n++] = add;
	return 0;
}

/* His line, without the first field. */
static int take_range(struct subids *s, char *first, const char *file, size_t line, struct err *e)
{
	char *count = first ? strchr(first, ':') : NULL;
	struct subid_range range;
	int r;

	if (count)
		*count++ = '\0';
	if (!count || parse_u32(first, &range.first) < 0 || parse_u32(count, &range.count) < 0)
		return err_invalid(e, "%s, line %zu: not of the form USER:FIRST:COUNT", file, line);
	if (range.count == 0)
		return err_invalid(e, "%s, line %zu: an empty range", file, line);
	if ((uint64_t)range.first + range.count > UINT32_MAX)
		return err_invalid(e, "%s, line %zu: the range ends beyond the last id", file,
				   line);
	r = add_range(s, range);
	if (r == -EEXIST)
		return err_invalid(e, "%s, line %zu: the range overlaps an earlier one", file,
				   line);
	return r < 0 ? err_nomem(e) : 0;
}

int subids_parse(char *text, const char *file, const char *name, uint32_t uid, struct subids *ret,
		 struct err *e)
{
	struct subids s = {0};
	size_t number = 0;
	char *next;

	for (char *line = text; line; line = next) {
		char *rest;

		number++;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		rest = strchr(line, ':');
		if (rest)
			*rest++ = '\0';
		if (!is_his(line, name, uid))
			continue;
		if (take_range(&s, rest, file, number, e) < 0) {
			subids_done(&s);
			return e ? -e->errnum : -EINVAL;
		}
	}
	*ret = s;
	return 0;
}

int subids_read(const char *file, const char *name, uint32_t uid, struct subids *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	struct err local = ERR_INIT;
	int r;

	e = e ? e : &local;
	r = path_read_file_at(AT_FDCWD, file, SUBIDS_BYTES_MAX, &text, NULL, e);
	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	return r < 0 ? r : subids_parse(text, file, name, uid, ret, e);
}

const char *subids_login(char *passwd_text, uint32_t uid)
{
	char *next;

	for (char *line = passwd_text; line; line = next) {
		char *field[3] = {line, NULL, NULL};
		uint32_t number;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		for (int i = 1; i < 3 && field[i - 1]; i++) {
			field[i] = strchr(field[i - 1], ':');
			if (field[i])
				*field[i]++ = '\0';
		}
		if (!field[2] || !*line)
			continue;
		field[2][strcspn(field[2], ":")] = '\0';
		if (parse_u32(field[2], &number) == 0 && number == uid)
			return line;
	}
	return NULL;
}
