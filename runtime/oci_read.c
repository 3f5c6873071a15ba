/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small readers that several parts of the OCI configuration share: paths, ids, lists of CPUs, maps
 * of strings. Each refuses with the place in the document in front.
 */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

int oci_read_word(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (s && !*s)
		return json_error(at, e, "must not be empty");
	return json_read_string(at, target, e);
}

int oci_read_string_or_none(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	return s && !*s ? 0 : json_read_string(at, target, e);
}

int oci_read_absolute_path(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (s && *s != '/')
		return json_error(at, e, "'%s' is not an absolute path", s);
	return json_read_string(at, target, e);
}

/* Source: sethostname(2), setdomainname(2): HOST_NAME_MAX. */
int oci_read_hostname(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	if (s && strlen(s) > 64)
		return json_error(at, e, "is longer than 64 bytes");
	return oci_read_string_or_none(at, target, e);
}

int oci_read_absolute_paths(const struct json_at *at, void *target, struct err *e)
{
	char ***v = target;
	int r;

	r = json_read_strv(at, v, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < strv_len(*v); i++) {
		struct json_at item = json_array_at(at, i);

		if ((*v)[i][0] != '/')
			return json_error(&item, e, "'%s' is not an absolute path", (*v)[i]);
	}
	return 0;
}

int oci_read_id(const struct json_at *at, void *target, struct err *e)
{
	uint32_t id;
	int r;

	r = json_get_u32(at, &id, e);
	if (r < 0)
		return r;
	if (id == UINT32_MAX)
		return json_error(at, e, "%u is not a valid id", id);
	*(uint32_t *)target = id;
	return 0;
}

int oci_read_string_map(const struct json_at *at,
			int (*take)(const struct json_at *at, const char *key, const char *value,
				    void *target, struct err *e),
			void *target, struct err *e)
{
	struct json_at member;
	size_t pos = 0;
	int r;

	if (json_type_of(at->value) != JSON_OBJECT)
		return json_error(at, e, "expected an object of strings");
	while (json_next_member(at, &pos, &member)) {
		const char *value = json_peek_string(&member);

		if (!value)
			return json_error(&member, e, "expected a string");
		if (!*member.key)
			return json_error(at, e, "has a member without a name");
		r = take(&member, member.key, value, target, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int oci_read_flags(const struct json_at *at, int (*parse)(const char *word, uint32_t *ret),
		   const char *what, uint32_t *flags, struct err *e)
{
	if (json_type_of(at->value) != JSON_ARRAY)
		return json_error(at, e, "expected an array of strings");
	for (size_t i = 0; i < json_array_len(at); i++) {
		struct json_at item = json_array_at(at, i);
		const char *s = json_peek_string(&item);
		uint32_t flag;

		if (!s)
			return json_error(&item, e, "expected a string");
		if (parse(s, &flag) < 0)
			return json_error(&item, e, "unknown %s '%s'", what, s);
		*flags |= flag;
	}
	return 0;
}

/* One "N" or "N-M" of a list; *p is left behind it. */
static bool take_range(const char **p)
{
	uint32_t bounds[2] = {0, 0};

	for (size_t i = 0; i < 2; i++) {
		if (!isdigit((unsigned char)**p))
			return false;
		for (; isdigit((unsigned char)**p); (*p)++) {
			/* Far above any machine, far below an overflow. */
			if (bounds[i] > 1u << 20)
				return false;
			bounds[i] = bounds[i] * 10 + (uint32_t)(**p - '0');
		}
		if (i == 1)
			return bounds[0] <= bounds[1];
		if (**p != '-')
			return true;
		(*p)++;
	}
	return false;
}

int oci_read_cpu_list(const struct json_at *at, void *target, struct err *e)
{
	const char *s = json_peek_string(at);

	/* Empty means "not given": engines send it so. */
	if (s && !*s)
		return 0;
	for (const char *p = s; p;) {
		if (!take_range(&p))
			return json_error(at, e, "'%s' is not a list like '0-3,7'", s);
		if (!*p)
			break;
		if (*p++ != ',')
			return json_error(at, e, "'%s' is not a list like '0-3,7'", s);
	}
	return json_read_string(at, target, e);
}
