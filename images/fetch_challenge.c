/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading challenges, token answers and error answers of registries.
 *
 * A list of challenges and the parameters of each are both separated by commas, so what follows a comma is a parameter when
 * "=" stands behind its first word, and the next scheme when not. Quoted strings may hold commas, quotes and backslashes.
 */
#include "fetch_challenge.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"

#define TOKEN_TEXT_MAX  (64u << 10)
#define EXPIRES_MAX_SEC (24u * 3600)

void challenge_done(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	free(c->error);
	*c = (struct challenge){0};
}

/* RFC 9110 section 5.6.2 "token", and token68's further characters. */
static size_t word_len(const char *s, bool token68)
{
	const char *more = token68 ? "/" : "";
	size_t n = 0;

	for (; s[n]; n++)
		if (!((s[n] >= '0' && s[n] <= '9') || (s[n] >= 'a' && s[n] <= 'z') ||
		      (s[n] >= 'A' && s[n] <= 'Z') || strchr("!#$%&'*+-.^_`|~", s[n]) ||
		      strchr(more, s[n])))
			break;
	return n;
}

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* After the opening quote. */
static int quoted(const char **at, char **ret, struct err *e)
{
	struct strbuf b = {0};
	const char *p = *at;

	strbuf_add(&b, "");
	for (; *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		if ((unsigned char)*p < 0x20 && *p != '\t') {
			strbuf_done(&b);
			return err_invalid(e, *p ? "a control character in a quoted string"
						 : "a quoted string without its end");
		}
		strbuf_add_len(&b, p, 1);
	}
	*at = p + 1;
	return strbuf_take(&b, ret) < 0 ? err_nomem(e) : 0;
}

static int value_of(const char **at, char **ret, struct err *e)
{
	size_t n;

	if (**at == '"') {
		(*at)++;
		return quoted(at, ret, e);
	}
	/* Some registries leave the quotes out of URLs. */
	n = strcspn(*at, " \t,\"");
	*ret = strndup(*at, n);
	*at += n;
	return *ret ? 0 : err_nomem(e);
}

static int keep(struct challenge *c, const char *name, size_t len, char *value, struct err *e)
{
	const struct {
		const char *name;
		char **to;
	} known[] = {
		{"realm", &c->realm},
		{"service", &c->service},
		{"scope", &c->scope},
		{"error", &c->error},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i].name) != len || strncasecmp(known[i].name, name, len) != 0)
			continue;
		if (*known[i].to) {
			free(value);
			return err_invalid(e, "'%s' twice", known[i].name);
		}
		*known[i].to = value;
		return 0;
	}
	free(value);
	return 0;
}

/* The parameters of one challenge, up to the next scheme or the end. */
static int parameters(const char **at, struct challenge *c, struct err *e)
{
	const char *p = *at;

	for (;;) {
		const char *name, *after;
		char *value;
		size_t len;
		int r;

		p += strspn(p, " \t,");
		len = word_len(p, false);
		name = p;
		after = skip_blanks(p + len);
		if (!*p || (len > 0 && *after != '=')) {
			*at = p;
			return 0;
		}
		if (len == 0)
			return err_invalid(e, "no parameter where one was expected");
		p = skip_blanks(after + 1);
		r = value_of(&p, &value, e);
		if (r == 0)
			r = keep(c, name, len, value, e);
		if (r < 0)
			return r;
		p = skip_blanks(p);
		if (*p && *p != ',')
			return err_invalid(e, "no comma behind a parameter");
	}
}

static enum challenge_scheme scheme_of(const char *s, size_t len)
{
	if (len == 6 && strncasecmp(s, "bearer", len) == 0)
		return CHALLENGE_BEARER;
	return len == 5 && strncasecmp(s, "basic", len) == 0 ? CHALLENGE_BASIC : CHALLENGE_NONE;
}

/* "Negotiate abc==": one word in the place of parameters. */
static const char *skip_token68(const char *p)
{
	const char *q = p + word_len(p, true);

	if (q == p)
		return p;
	q += strspn(q, "=");
	q = skip_blanks(q);
	return !*q || *q == ',' ? q : p;
}

static int one(const char **at, struct challenge *c, struct err *e)
{
	size_t len = word_len(*at, false);
	const char *behind = *at + len;

	if (len == 0)
		return err_invalid(e, "no scheme where one was expected");
	c->scheme = scheme_of(*at, len);
	*at = skip_blanks(behind);
	if (*at == behind && **at && **at != ',')
		return err_invalid(e, "the scheme's name does not end");
	if (c->scheme == CHALLENGE_NONE)
		*at = skip_token68(*at);
	return **at == ',' || !**at ? 0 : parameters(at, c, e);
}

static int parse(const char *p, struct challenge *best, struct err *e)
{
	for (;;) {
		struct challenge c = {0};
		int r;

		p += strspn(p, " \t,");
		if (!*p)
			return 0;
		r = one(&p, &c, e);
		if (r < 0) {
			challenge_done(&c);
			return r;
		}
		if (c.scheme == CHALLENGE_BEARER && !c.realm)
			c.scheme = CHALLENGE_NONE;
		if (c.scheme > best->scheme) {
			challenge_done(best);
			*best = c;
		} else {
			challenge_done(&c);
		}
	}
}

int challenge_parse(const char *value, struct challenge *ret, struct err *e)
{
	struct challenge c = {0};
	int r = parse(value, &c, e);

	if (r < 0) {
		challenge_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}

/* ---- tokens -------------------------------------------------------------------------------------- */

/* It goes into a header. */
static bool is_token(const char *s)
{
	size_t n = 0;

	for (; s[n]; n++)
		if ((unsigned char)s[n] <= 0x20 || (unsigned char)s[n] >= 0x7f)
			return false;
	return n > 0 && n <= TOKEN_TEXT_MAX;
}

int token_parse(const char *json, size_t len, struct token *ret, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top, member;
	const char *text = NULL;
	uint64_t sec = TOKEN_DEFAULT_SEC;
	int r = json_parse(json, len, "token", &doc, e);

	if (r < 0)
		return r;
	top = json_top(doc);
	if (json_type_of(top.value) != JSON_OBJECT)
		return json_error(&top, e, "the answer is no object");
	if (json_member(&top, "token", &member) || json_member(&top, "access_token", &member))
		text = json_peek_string(&member);
	if (!text || !is_token(text))
		return err_invalid(e, "the answer has no usable token");
	if (json_member(&top, "expires_in", &member) &&
	    (json_get_u64(&member, &sec, NULL) < 0 || sec < TOKEN_DEFAULT_SEC))
		sec = TOKEN_DEFAULT_SEC; /* the specification's least */
	ret->text = strdup(text);
	if (!ret->text)
		return err_nomem(e);
	ret->expires_sec = sec > EXPIRES_MAX_SEC ? EXPIRES_MAX_SEC : (unsigned)sec;
	return 0;
}

/* ---- errors -------------------------------------------------------------------------------------- */

static const char *text_of(const struct json_at *at, const char *key)
{
	struct json_at member;

	return json_member(at, key, &member) ? json_peek_string(&member) : NULL;
}

void registry_error(const char *json, size_t len, char *buf, size_t size)
{
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top, list, first;
	const char *code, *message;

	*buf = '\0';
	if (json_parse(json, len, "answer", &doc, NULL) < 0)
		return;
	top = json_top(doc);
	if (json_type_of(top.value) != JSON_OBJECT)
		return;
	if (json_member(&top, "errors", &list) && json_type_of(list.value) == JSON_ARRAY &&
	    json_array_len(&list) > 0)
		first = json_array_at(&list, 0);
	else
		first = top;
	if (json_type_of(first.value) != JSON_OBJECT)
		return;
	code = text_of(&first, "code");
	message = text_of(&first, "message") ?: text_of(&first, "details");
	snprintf(buf, size, "%.64s%s%.200s", code ?: "", code && message ? ": " : "",
		 message ?: "");
	for (char *p = buf; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}
