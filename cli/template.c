/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --format templates (template.h).
 */
#include "template.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

/* One part in braces. */
struct part {
	bool as_json;
	char path[256]; /* "Member.Member", "" for the whole */
	char key[128];  /* of index, or "" */
	bool has_key;
};

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

static int refuse(const char *at, size_t len, struct err *e)
{
	err_unsupported(e, "--format: '{{%.*s}}'", (int)(len > 60 ? 60 : len), at);
	return err_hint(e, "{{.Member}}, {{json .Member}} and {{index .Member \"key\"}} are there");
}

/* ".A.B" into "A.B". Returns what is behind it, or NULL. */
static const char *take_path(const char *s, const char *end, char *buf, size_t size)
{
	size_t n = 0;

	if (s >= end || *s != '.')
		return NULL;
	for (s++; s < end && (isalnum((unsigned char)*s) || strchr("._-", *s)); s++) {
		if (n + 1 >= size || (*s == '.' && (n == 0 || buf[n - 1] == '.')))
			return NULL;
		buf[n++] = *s;
	}
	if (n > 0 && buf[n - 1] == '.')
		return NULL;
	buf[n] = '\0';
	return s;
}

static const char *take_quoted(const char *s, const char *end, char *buf, size_t size)
{
	const char *close;

	s = skip_blanks(s);
	if (s >= end || *s != '"')
		return NULL;
	close = memchr(s + 1, '"', (size_t)(end - s - 1));
	if (!close || (size_t)(close - s) > size)
		return NULL;
	memcpy(buf, s + 1, (size_t)(close - s - 1));
	buf[close - s - 1] = '\0';
	return close + 1;
}

static bool take_word(const char **s, const char *end, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(end - *s) <= len || strncmp(*s, word, len) != 0 ||
	    ((*s)[len] != ' ' && (*s)[len] != '\t'))
		return false;
	*s = skip_blanks(*s + len);
	return true;
}

/* Between the braces. */
static int parse_part(const char *start, const char *end, struct part *ret, struct err *e)
{
	const char *s = skip_blanks(start);
	struct part p = {.as_json = take_word(&s, end, "json")};

	p.has_key = take_word(&s, end, "index");
	s = take_path(s, end, p.path, sizeof(p.path));
	if (s && p.has_key)
		s = take_quoted(s, end, p.key, sizeof(p.key));
	if (!s || skip_blanks(s) != end)
		return refuse(start, (size_t)(end - start), e);
	*ret = p;
	return 0;
}

/* ---- values ------------------------------------------------------------------------------ */

static bool find_member(const struct json_at *at, const char *name, size_t len, struct json_at *ret)
{
	struct json_at child;
	size_t pos = 0;

	if (json_type_of(at->value) != JSON_OBJECT)
		return false;
	while (json_next_member(at, &pos, &child))
		if (strlen(child.key) == len && strncasecmp(child.key, name, len) == 0) {
			*ret = child;
			return true;
		}
	return false;
}

static int unknown_member(const struct json_at *at, const char *name, struct err *e)
{
	struct strbuf names = {0};
	struct json_at child;
	size_t pos = 0;
	_cleanup_free_ char *text = NULL;

	if (json_type_of(at->value) == JSON_OBJECT)
		while (json_next_member(at, &pos, &child))
			strbuf_addf(&names, "%s%s", names.len ? ", " : "", child.key);
	strbuf_add(&names, "");
	err_invalid(e, "--format: there is no member '%s'", name);
	if (strbuf_take(&names, &text) == 0 && *text)
		err_hint(e, "there are: %s", text);
	return -EINVAL;
}

static void add_value(struct strbuf *out, const struct json *v, bool as_json, bool *failed)
{
	_cleanup_free_ char *text = NULL;
	struct json_at at = json_top(v);
	const char *s = json_peek_string(&at);

	if (s && !as_json) {
		strbuf_add(out, s);
		return;
	}
	if (!v)
		strbuf_add(out, "null");
	else if (json_to_text(v, false, &text, NULL) < 0)
		*failed = true;
	else
		strbuf_add(out, text);
}

static int render_part(const struct part *p, const struct json *value, struct strbuf *out,
		       struct err *e)
{
	/* Each level's cursor must outlive the next one. */
	struct json_at levels[32] = {json_top(value)};
	size_t depth = 0;
	bool failed = false;

	for (const char *name = p->path; *name;) {
		size_t len = strcspn(name, ".");

		if (depth + 1 >= ARRAY_SIZE(levels) ||
		    !find_member(&levels[depth], name, len, &levels[depth + 1]))
			return unknown_member(&levels[depth], p->path, e);
		depth++;
		name += len + (name[len] == '.');
	}
	if (p->has_key) {
		struct json_at child;

		/* As in Go, a key that is not there is empty. */
		if (!json_member(&levels[depth], p->key, &child))
			return 0;
		add_value(out, child.value, p->as_json, &failed);
	} else {
		add_value(out, levels[depth].value, p->as_json, &failed);
	}
	return failed ? err_nomem(e) : 0;
}

/* "STATUS" of "State.Status". */
static void add_heading(const struct part *p, struct strbuf *out)
{
	const char *dot = strrchr(p->path, '.'), *name = dot ? dot + 1 : p->path;

	for (const char *c = p->has_key ? p->key : name; *c; c++)
		strbuf_addf(out, "%c", toupper((unsigned char)*c));
}

/* ---- the whole --------------------------------------------------------------------------- */

/* A byte of text outside of braces. */
static const char *add_plain(const char *s, struct strbuf *out)
{
	if (s[0] == '\\' && (s[1] == 't' || s[1] == 'n')) {
		strbuf_add(out, s[1] == 't' ? "\t" : "\n");
		return s + 2;
	}
	strbuf_add_len(out, s, 1);
	return s + 1;
}

static int walk(const char *format, const struct json *value, bool heading, struct strbuf *out,
		struct err *e)
{
	for (const char *s = format; *s;) {
		const char *end;
		struct part p;
		int r;

		if (strncmp(s, "{{", 2) != 0) {
			s = add_plain(s, out);
			continue;
		}
		end = strstr(s, "}}");
		if (!end)
			return err_invalid(e, "--format: '{{' without '}}'");
		r = parse_part(s + 2, end, &p, e);
		if (r < 0)
			return r;
		if (heading)
			add_heading(&p, out);
		else
			r = render_part(&p, value, out, e);
		if (r < 0)
			return r;
		s = end + 2;
	}
	strbuf_add(out, "");
	return out->failed ? err_nomem(e) : 0;
}

int template_render(const char *format, const struct json *value, struct strbuf *out, struct err *e)
{
	return walk(format, value, false, out, e);
}

int template_heading(const char *format, struct strbuf *out, struct err *e)
{
	return walk(format, NULL, true, out, e);
}
