/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals: a configuration or a verb against the support table. The rows that a driver does not do
 * are looked up in the document, rather than each of its values in the table: a document holds
 * hundreds of values (a seccomp profile), a driver refuses some dozens of fields, and this runs
 * before every creation.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/driver.h"
#include "runtime/support.h"

const struct support_row *support_find(const char *name)
{
	for (size_t i = 0; i < support_table_len; i++)
		if (STREQ(support_table[i].name, name))
			return &support_table[i];
	return NULL;
}

bool support_by_any(const char *name)
{
	const struct support_row *row = support_find(name);

	for (size_t d = 0; row && d < DRIVER_COUNT; d++)
		if (row->by_driver[d].level == SUPPORT_YES)
			return true;
	return false;
}

const struct support_row *support_covering(const char *path)
{
	const struct support_row *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; i < support_table_len; i++) {
		const char *name = support_table[i].name;
		size_t len = strlen(name);

		if (strncmp(path, name, len) != 0 || (path[len] && !strchr(".[", path[len])))
			continue;
		if (!best || len > best_len) {
			best = &support_table[i];
			best_len = len;
		}
	}
	return best;
}

/* ---- what asks for something ------------------------------------------------------------ */

enum ask {
	ASK_BUT_WORD,   /* this word (or number) too asks for nothing: it is the default's name */
	ASK_ANY_MEMBER, /* a map whose keys ask, whatever they hold */
	ASK_EVEN_ZERO,  /* 0 is a wish of its own */
};

static const struct {
	const char *row;
	enum ask ask;
	const char *word;
} exceptions[] = {
	{"linux.memoryPolicy.mode", ASK_BUT_WORD, "MPOL_DEFAULT"},
	{"linux.resources.memory.kernel", ASK_BUT_WORD, "-1"},
	{"linux.resources.memory.kernelTCP", ASK_BUT_WORD, "-1"},
	{"linux.netDevices", ASK_ANY_MEMBER, NULL},
	{"linux.resources.memory.swappiness", ASK_EVEN_ZERO, NULL},
};

static bool value_is_word(const struct json_at *at, const char *word)
{
	const char *s = json_peek_string(at);
	int64_t number, v;

	if (s)
		return STREQ(s, word);
	return json_type_of(at->value) == JSON_INT && parse_i64(word, &number) == 0 &&
	       json_get_i64(at, &v, NULL) == 0 && v == number;
}

/* An absent value, whatever the row: an object counts by its members. */
static bool asks(const struct json_at *at)
{
	struct json_at member;
	size_t pos = 0;
	bool flag = false;
	int64_t number = 1;

	switch (json_type_of(at->value)) {
	case JSON_NULL:
		return false;
	case JSON_BOOL:
		return json_get_bool(at, &flag, NULL) < 0 || flag;
	case JSON_INT:
		return json_get_i64(at, &number, NULL) < 0 || number != 0;
	case JSON_DOUBLE:
		return true;
	case JSON_STRING:
		return *json_peek_string(at) != '\0';
	case JSON_ARRAY:
		return json_array_len(at) > 0;
	case JSON_OBJECT:
		while (json_next_member(at, &pos, &member))
			if (asks(&member))
				return true;
		return false;
	}
	return true;
}

bool support_value_asks(const char *row, const struct json_at *at)
{
	struct json_at member;
	size_t pos = 0;

	for (size_t i = 0; i < ARRAY_SIZE(exceptions); i++) {
		if (!STREQ(exceptions[i].row, row))
			continue;
		switch (exceptions[i].ask) {
		case ASK_BUT_WORD:
			return !value_is_word(at, exceptions[i].word) && asks(at);
		case ASK_ANY_MEMBER:
			if (json_type_of(at->value) == JSON_OBJECT)
				return json_next_member(at, &pos, &member);
			return asks(at);
		case ASK_EVEN_ZERO:
			return json_type_of(at->value) != JSON_NULL;
		}
	}
	return asks(at);
}

/* ---- looking a row up in a document ----------------------------------------------------- */

struct search {
	const struct driver *driver;
	const struct support_row *row;
};

static int refuse(const struct search *s, const struct json_at *at, struct err *e)
{
	_cleanup_free_ char *place = json_path(at);
	const char *how = s->row->by_driver[s->driver->id].how;

	return err_unsupported(e, "%s: not supported by the %s driver%s%s",
			       place ? place : s->row->name, s->driver->name, how ? ": " : "",
			       how ? how : "");
}

static int search_at(const struct search *s, const struct json_at *at, const char *rest,
		     struct err *e);

/* rest is "[]…" or "[word]…" */
static int search_elements(const struct search *s, const struct json_at *at, const char *rest,
			   struct err *e)
{
	const char *end = strchr(rest, ']');
	size_t len = (size_t)(end - rest) - 1;

	if (json_type_of(at->value) != JSON_ARRAY)
		return 0;
	for (size_t i = 0; i < json_array_len(at); i++) {
		struct json_at item = json_array_at(at, i), type;
		const char *word = NULL;
		int r;

		if (len) {
			if (json_type_of(item.value) == JSON_OBJECT &&
			    json_member(&item, "type", &type))
				word = json_peek_string(&type);
			if (!word || strlen(word) != len || strncmp(word, rest + 1, len) != 0)
				continue;
		}
		r = search_at(s, &item, end + 1, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int search_at(const struct search *s, const struct json_at *at, const char *rest,
		     struct err *e)
{
	struct json_at member;
	char key[64];
	size_t len;

	if (*rest == '\0')
		return support_value_asks(s->row->name, at) ? refuse(s, at, e) : 0;
	if (*rest == '=')
		return value_is_word(at, rest + 1) ? refuse(s, at, e) : 0;
	if (*rest == '[')
		return search_elements(s, at, rest, e);

	if (*rest == '.')
		rest++;
	len = strcspn(rest, ".[=");
	if (len >= sizeof(key))
		return err_set(e, ERR_INTERNAL, ENAMETOOLONG, "support table: row '%s'",
			       s->row->name);
	memcpy(key, rest, len);
	key[len] = '\0';
	if (json_type_of(at->value) != JSON_OBJECT || !json_member(at, key, &member))
		return 0;
	return search_at(s, &member, rest + len, e);
}

int driver_check_config(const struct driver *d, const struct oci_config *c, struct err *e)
{
	struct json_at top = json_top(c->document);
	int r;

	for (size_t i = 0; i < support_table_len; i++) {
		struct search s = {.driver = d, .row = &support_table[i]};

		if (s.row->by_driver[d->id].level != SUPPORT_NO ||
		    str_has_prefix(s.row->name, "verb:"))
			continue;
		r = search_at(&s, &top, s.row->name, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int driver_check_verb(const struct driver *d, const char *verb, struct err *e)
{
	const struct support_row *row = NULL;
	_cleanup_free_ char *name = NULL;
	const char *how;

	if (str_printf(&name, "verb:%s", verb) < 0)
		return err_nomem(e);
	row = support_find(name);
	if (!row)
		return err_invalid(e, "unknown verb '%s'", verb);
	how = row->by_driver[d->id].how;
	if (row->by_driver[d->id].level != SUPPORT_NO)
		return 0;
	return err_unsupported(e, "%s: not supported by the %s driver%s%s", verb, d->name,
			       how ? ": " : "", how ? how : "");
}
