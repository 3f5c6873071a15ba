/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading TOML. A cursor over the text; each step takes what it expects or tells the line. The text ends with a NUL, and NULs
 * inside are refused first, so the cursor never runs past the end.
 */
#include "toml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define BARE    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
#define STRINGS 4096 /* of one array */

struct cursor {
	const char *at;
	unsigned line;
};

static void skip_blanks(struct cursor *c)
{
	c->at += strspn(c->at, " \t");
}

/* Blanks, line ends and comments, as they may stand between lines and inside arrays. */
static void skip_lines(struct cursor *c)
{
	for (;;) {
		skip_blanks(c);
		if (*c->at == '#')
			c->at += strcspn(c->at, "\n");
		if (*c->at == '\r' && c->at[1] == '\n')
			c->at++;
		if (*c->at != '\n')
			return;
		c->at++;
		c->line++;
	}
}

static int end_of_line(struct cursor *c, struct err *e)
{
	skip_blanks(c);
	if (*c->at == '#')
		c->at += strcspn(c->at, "\n");
	if (*c->at == '\r' && c->at[1] == '\n')
		c->at++;
	if (*c->at != '\n' && *c->at != '\0')
		return err_invalid(e, "something follows the end of what was expected");
	return 0;
}

/* ---- strings ------------------------------------------------------------------------------------------ */

static void add_rune(struct strbuf *b, uint32_t u)
{
	char out[4];
	size_t n = 0;

	if (u < 0x80) {
		out[n++] = (char)u;
	} else if (u < 0x800) {
		out[n++] = (char)(0xc0 | u >> 6);
	} else if (u < 0x10000) {
		out[n++] = (char)(0xe0 | u >> 12);
		out[n++] = (char)(0x80 | (u >> 6 & 0x3f));
	} else {
		out[n++] = (char)(0xf0 | u >> 18);
		out[n++] = (char)(0x80 | (u >> 12 & 0x3f));
		out[n++] = (char)(0x80 | (u >> 6 & 0x3f));
	}
	if (u >= 0x80)
		out[n++] = (char)(0x80 | (u & 0x3f));
	strbuf_add_len(b, out, n);
}

static int take_rune(struct cursor *c, size_t digits, struct strbuf *b, struct err *e)
{
	char text[9] = {0}, *end;
	uint32_t u;

	if (strnlen(c->at, digits) < digits)
		return err_invalid(e, "an escape that is cut off");
	memcpy(text, c->at, digits);
	u = (uint32_t)strtoul(text, &end, 16);
	if (strspn(text, "0123456789abcdefABCDEF") != digits || u == 0 || u > 0x10ffff ||
	    (u >= 0xd800 && u < 0xe000))
		return err_invalid(e, "'%s' is no character", text);
	c->at += digits;
	add_rune(b, u);
	return 0;
}

static int take_escape(struct cursor *c, struct strbuf *b, struct err *e)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	const char *known;

	if (*c->at == 'u' || *c->at == 'U')
		return take_rune(c, *c->at++ == 'u' ? 4 : 8, b, e);
	known = *c->at ? strchr(from, *c->at) : NULL;
	if (!known)
		return err_invalid(e, "an unknown escape in a string");
	strbuf_add_len(b, &to[known - from], 1);
	c->at++;
	return 0;
}

/* A string in " or '. */
static int take_string(struct cursor *c, char **ret, struct err *e)
{
	const char quote = *c->at++;
	struct strbuf b = {0};
	int r = 0;

	if (c->at[0] == quote && c->at[1] == quote)
		return err_unsupported(e, "a string of several lines");
	while (r == 0 && *c->at != quote) {
		size_t n = strcspn(c->at, quote == '"' ? "\"\\\n" : "'\n");

		strbuf_add_len(&b, c->at, n);
		c->at += n;
		if (*c->at == '\\') {
			c->at++;
			r = take_escape(c, &b, e);
		} else if (*c->at != quote) {
			r = err_invalid(e, "a string does not end");
		}
	}
	if (r == 0) {
		c->at++;
		strbuf_add(&b, "");
		return strbuf_take(&b, ret) < 0 ? err_nomem(e) : 0;
	}
	strbuf_done(&b);
	return r;
}

/* ---- values --------------------------------------------------------------------------------------------- */

static int take_strings(struct cursor *c, char ***ret, struct err *e)
{
	_cleanup_strv_ char **v = NULL;
	size_t n = 0;

	c->at++;
	for (;; n++) {
		char *one;
		int r;

		skip_lines(c);
		if (*c->at == ']')
			break;
		if (*c->at != '"' && *c->at != '\'')
			return err_unsupported(e, "an array of anything but strings");
		if (n == STRINGS)
			return err_invalid(e, "an array of more than %d strings", STRINGS);
		r = take_string(c, &one, e);
		if (r < 0)
			return r;
		if (strv_consume(&v, one) < 0)
			return err_nomem(e);
		skip_lines(c);
		if (*c->at == ',')
			c->at++;
		else if (*c->at != ']')
			return err_invalid(e, "an array does not end");
	}
	c->at++;
	*ret = TAKE_PTR(v);
	return 0;
}

static bool take_word(struct cursor *c, const char *word)
{
	if (!str_has_prefix(c->at, word) || strspn(c->at, BARE) != strlen(word))
		return false;
	c->at += strlen(word);
	return true;
}

static int take_value(struct cursor *c, struct toml_value *v, struct err *e)
{
	switch (*c->at) {
	case '"':
	case '\'':
		v->type = TOML_STRING;
		return take_string(c, &v->string, e);
	case '[':
		v->type = TOML_STRINGS;
		return take_strings(c, &v->strings, e);
	case '{':
		return err_unsupported(e, "an inline table");
	}
	v->type = TOML_BOOL;
	v->flag = take_word(c, "true");
	if (v->flag || take_word(c, "false"))
		return 0;
	return err_unsupported(e, "a value that is no string, array of strings, true or false");
}

/* ---- lines ------------------------------------------------------------------------------------------------ */

static int take_key(struct cursor *c, char **ret, struct err *e)
{
	size_t n = strspn(c->at, BARE);

	if (*c->at == '"' || *c->at == '\'')
		return take_string(c, ret, e);
	if (n == 0)
		return err_invalid(e, "expected a key");
	*ret = strndup(c->at, n);
	c->at += n;
	return *ret ? 0 : err_nomem(e);
}

static int take_pair(struct cursor *c, const struct toml_handler *h, struct err *e)
{
	_cleanup_free_ char *key = NULL;
	struct toml_value v = {0};
	int r = take_key(c, &key, e);

	if (r < 0)
		return r;
	skip_blanks(c);
	if (*c->at == '.')
		return err_unsupported(e, "a key of several parts");
	if (*c->at++ != '=')
		return err_invalid(e, "'%.64s' is not followed by '='", key);
	skip_blanks(c);
	r = take_value(c, &v, e);
	if (r == 0)
		r = end_of_line(c, e);
	if (r == 0)
		r = h->pair(h->arg, key, &v, e);
	free(v.string);
	strv_free(v.strings);
	return r < 0 ? err_wrap(e, "'%.64s'", key) : 0;
}

static int take_table(struct cursor *c, const struct toml_handler *h, struct err *e)
{
	const bool array = c->at[1] == '[';
	struct strbuf b = {0};
	_cleanup_free_ char *name = NULL;

	c->at += array ? 2 : 1;
	for (;;) {
		size_t n;

		skip_blanks(c);
		n = strspn(c->at, BARE);
		strbuf_add_len(&b, c->at, n);
		c->at += n;
		skip_blanks(c);
		if (n == 0 || *c->at != '.')
			break;
		strbuf_add(&b, ".");
		c->at++;
	}
	if (strbuf_take(&b, &name) < 0)
		return err_nomem(e);
	if (!*name || str_has_suffix(name, ".") || *c->at != ']' || (array && c->at[1] != ']'))
		return err_invalid(e, "the name of a table is not what can be read here");
	c->at += array ? 2 : 1;
	return end_of_line(c, e) < 0 ? -EINVAL : h->table(h->arg, name, array, e);
}

int toml_parse(const char *text, size_t len, const struct toml_handler *h, struct err *e)
{
	struct cursor c = {.at = text, .line = 1};
	int r = 0;

	if (strlen(text) != len)
		return err_invalid(e, "it is not text");
	for (;;) {
		skip_lines(&c);
		if (*c.at == '\0')
			return 0;
		r = *c.at == '[' ? take_table(&c, h, e) : take_pair(&c, h, e);
		if (r < 0)
			return err_wrap(e, "line %u", c.line);
	}
}
