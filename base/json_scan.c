/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict look at JSON text, before json-c builds values from it. Refused, with line and column:
 *
 *  - whatever RFC 8259 does not allow (json-c takes comments, single quotes, NaN, ...);
 *  - an empty document, text behind the value, more than 64 open arrays and objects;
 *  - two members of one name in an object, however their names are escaped (json-c takes the last,
 *    another program that reads the same file may take the first);
 *  - integers outside -2^63..2^64-1 (json-c would clamp them) and doubles that are not finite;
 *  - bytes that are not UTF-8, lone surrogates, and U+0000, at which a C string ends.
 *
 * Recursion is bounded by the depth. Names of the objects that are open are kept decoded, one behind
 * the other; when an object closes, its names are sorted and neighbours compared. So a document of n
 * bytes costs n log n at worst, and there is no hash to be attacked.
 */
#include "json_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/utf8.h"

#define DEPTH_MAX 64

/* A member's name: where it stands decoded in `names`, and in the text for the error. */
struct name {
	const char *base; /* names.data once it no longer moves: set before sorting */
	size_t start, len;
	size_t at;
};

struct scan {
	const char *text, *what;
	size_t len, pos;
	unsigned depth;
	struct strbuf names; /* of all open objects, decoded */
	struct name *list;
	size_t n_list, cap_list;
	struct err *e;
};

static int scan_value(struct scan *s);

/* Line and column (in characters) are only counted when somebody wants to know. */
static int fail_at(struct scan *s, size_t at, const char *fmt, ...) _printf_(3, 4);
static int fail_at(struct scan *s, size_t at, const char *fmt, ...)
{
	size_t line = 1, column = 1;
	char why[512];
	va_list ap;

	for (size_t i = 0; i < at; i++) {
		if (s->text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)s->text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_invalid(s->e, "%s: line %zu, column %zu: %s", s->what, line, column, why);
}

static int fail_unexpected(struct scan *s, const char *expected)
{
	unsigned char c;

	if (s->pos >= s->len)
		return fail_at(s, s->pos, "expected %s, found the end", expected);
	c = (unsigned char)s->text[s->pos];
	if (c > 0x20 && c < 0x7f)
		return fail_at(s, s->pos, "expected %s, found '%c'", expected, c);
	return fail_at(s, s->pos, "expected %s, found byte 0x%02x", expected, c);
}

static void skip_blanks(struct scan *s)
{
	while (s->pos < s->len && (s->text[s->pos] == ' ' || s->text[s->pos] == '\t' ||
				   s->text[s->pos] == '\n' || s->text[s->pos] == '\r'))
		s->pos++;
}

/* The byte here; 0 at the end (a NUL in the text is no token either, so they need no telling apart). */
static char peek(const struct scan *s)
{
	return s->pos < s->len ? s->text[s->pos] : '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ---- strings ---- */

static int take_hex4(struct scan *s, unsigned *ret)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++, s->pos++) {
		char c = peek(s);

		if (is_digit(c))
			v = v * 16 + (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + (unsigned)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			v = v * 16 + (unsigned)(c - 'A') + 10;
		else
			return fail_unexpected(s, "four hexadecimal digits");
	}
	*ret = v;
	return 0;
}

static void add_codepoint(struct strbuf *out, unsigned c)
{
	unsigned char b[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0x00, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; c >>= 6)
		b[i] = (unsigned char)(0x80 | (c & 0x3f));
	b[0] = (unsigned char)(lead[n] | c);
	strbuf_add_len(out, b, n);
}

/* Behind "\u". */
static int scan_unicode_escape(struct scan *s, size_t at, struct strbuf *out)
{
	unsigned c, low;
	int r;

	r = take_hex4(s, &c);
	if (r < 0)
		return r;
	if (c == 0)
		return fail_at(s, at, "NUL in a string");
	if (c >= 0xdc00 && c <= 0xdfff)
		return fail_at(s, at, "a surrogate without its other half");
	if (c >= 0xd800 && c <= 0xdbff) {
		if (s->len - s->pos < 2 || memcmp(s->text + s->pos, "\\u", 2) != 0)
			return fail_at(s, at, "a surrogate without its other half");
		s->pos += 2;
		r = take_hex4(s, &low);
		if (r < 0)
			return r;
		if (low < 0xdc00 || low > 0xdfff)
			return fail_at(s, at, "a surrogate without its other half");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	if (out)
		add_codepoint(out, c);
	return 0;
}

static int scan_escape(struct scan *s, struct strbuf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	size_t at = s->pos++;
	char c = peek(s);
	const char *which;

	if (c == 'u') {
		s->pos++;
		return scan_unicode_escape(s, at, out);
	}
	which = c ? strchr(from, c) : NULL;
	if (!which)
		return fail_unexpected(s, "an escape");
	s->pos++;
	if (out)
		strbuf_add_len(out, &to[which - from], 1);
	return 0;
}

/* From the opening quote to behind the closing one; decoded into out unless NULL. */
static int scan_string(struct scan *s, struct strbuf *out)
{
	size_t open_at = s->pos++;

	while (s->pos < s->len) {
		unsigned char c = (unsigned char)s->text[s->pos];
		size_t n;
		int r;

		if (c == '"') {
			s->pos++;
			return 0;
		}
		if (c == '\\') {
			r = scan_escape(s, out);
			if (r < 0)
				return r;
			continue;
		}
		if (c < 0x20)
			return fail_at(s, s->pos, "control character 0x%02x in a string", c);
		n = utf8_sequence(s->text + s->pos, s->len - s->pos);
		if (n == 0)
			return fail_at(s, s->pos, "byte 0x%02x is not UTF-8", c);
		if (out)
			strbuf_add_len(out, s->text + s->pos, n);
		s->pos += n;
	}
	return fail_at(s, open_at, "string without an end");
}

/* ---- numbers ---- */

/* The digits at [from, to) against 2^64-1, or 2^63 below zero. */
static int check_integer(struct scan *s, size_t from, size_t to, bool negative, size_t at)
{
	uint64_t max = negative ? UINT64_C(1) << 63 : UINT64_MAX, v = 0;

	for (size_t i = from; i < to; i++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s->text[i] - '0'), &v) || v > max)
			return fail_at(s, at, "integer outside -2^63 to 2^64-1");
	return 0;
}

static int check_double(struct scan *s, size_t from)
{
	_cleanup_free_ char *text = strndup(s->text + from, s->pos - from);

	if (!text)
		return err_nomem(s->e);
	/* No program of ours calls setlocale(), so the point is a point. */
	return isfinite(strtod(text, NULL)) ? 0 : fail_at(s, from, "number too large");
}

static int skip_digits(struct scan *s)
{
	if (!is_digit(peek(s)))
		return fail_unexpected(s, "a digit");
	while (is_digit(peek(s)))
		s->pos++;
	return 0;
}

static int scan_number(struct scan *s)
{
	size_t start = s->pos, digits;
	bool negative = peek(s) == '-';
	int r = 0;

	if (negative)
		s->pos++;
	digits = s->pos;
	r = skip_digits(s);
	if (r < 0)
		return r;
	if (s->text[digits] == '0' && s->pos - digits > 1)
		return fail_at(s, start, "number with a leading zero");
	if (peek(s) != '.' && peek(s) != 'e' && peek(s) != 'E')
		return check_integer(s, digits, s->pos, negative, start);
	if (peek(s) == '.') {
		s->pos++;
		r = skip_digits(s);
	}
	if (r == 0 && (peek(s) == 'e' || peek(s) == 'E')) {
		s->pos++;
		if (peek(s) == '+' || peek(s) == '-')
			s->pos++;
		r = skip_digits(s);
	}
	return r < 0 ? r : check_double(s, start);
}

/* ---- names ---- */

static int remember_name(struct scan *s, size_t start, size_t at)
{
	if (s->n_list == s->cap_list) {
		size_t cap = s->cap_list ? s->cap_list * 2 : 64;
		struct name *p = reallocarray(s->list, cap, sizeof(*p));

		if (!p)
			return err_nomem(s->e);
		s->list = p;
		s->cap_list = cap;
	}
	s->list[s->n_list++] = (struct name){.start = start, .len = s->names.len - start, .at = at};
	return 0;
}

/* By bytes, then by place, so that of equal names the later one follows. */
static int compare_names(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int r = n > 0 ? memcmp(x->base + x->start, y->base + y->start, n) : 0;

	if (r != 0)
		return r;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* For the error text: short, and without what would disturb a line. */
static void printable(char *out, size_t size, const char *name, size_t len)
{
	size_t n = len < size - 4 ? len : utf8_cut(name, size - 4);

	for (size_t i = 0; i < n; i++)
		out[i] = utf8_is_control(name[i]) ? '?' : name[i];
	memcpy(out + n, n < len ? "..." : "", n < len ? 4 : 1);
}

/* The names from index `first` are those of the object that closes here. */
static int check_names(struct scan *s, size_t first)
{
	const struct name *again = NULL;
	char shown[96];
	size_t n = s->n_list - first;

	strbuf_add_len(&s->names, "", 0); /* so that there is data, should all names be empty */
	if (s->names.failed)
		return err_nomem(s->e);
	for (size_t i = first; i < s->n_list; i++)
		s->list[i].base = s->names.data;
	qsort(s->list + first, n, sizeof(*s->list), compare_names);
	for (size_t i = first + 1; i < s->n_list; i++) {
		const struct name *a = &s->list[i - 1], *b = &s->list[i];

		if (a->len == b->len &&
		    memcmp(a->base + a->start, b->base + b->start, a->len) == 0 &&
		    (!again || b->at < again->at))
			again = b;
	}
	if (!again)
		return 0;
	printable(shown, sizeof(shown), again->base + again->start, again->len);
	return fail_at(s, again->at, "member '%s' is there twice", shown);
}

/* ---- arrays and objects ---- */

static int enter(struct scan *s)
{
	if (++s->depth > DEPTH_MAX)
		return fail_at(s, s->pos, "nested deeper than %d", DEPTH_MAX);
	s->pos++;
	skip_blanks(s);
	return 0;
}

static int leave(struct scan *s)
{
	s->depth--;
	s->pos++;
	return 0;
}

static int scan_array(struct scan *s)
{
	int r = enter(s);

	if (r < 0)
		return r;
	if (peek(s) == ']')
		return leave(s);
	for (;;) {
		r = scan_value(s);
		if (r < 0)
			return r;
		skip_blanks(s);
		if (peek(s) == ']')
			return leave(s);
		if (peek(s) != ',')
			return fail_unexpected(s, "',' or ']'");
		s->pos++;
		skip_blanks(s);
	}
}

static int scan_member(struct scan *s)
{
	size_t start = s->names.len, at = s->pos;
	int r;

	if (peek(s) != '"')
		return fail_unexpected(s, "a member's name");
	r = scan_string(s, &s->names);
	if (r == 0)
		r = remember_name(s, start, at);
	if (r < 0)
		return r;
	skip_blanks(s);
	if (peek(s) != ':')
		return fail_unexpected(s, "':'");
	s->pos++;
	skip_blanks(s);
	return scan_value(s);
}

static int scan_object(struct scan *s)
{
	size_t first = s->n_list, names_len = s->names.len;
	int r = enter(s);

	if (r < 0)
		return r;
	if (peek(s) == '}')
		return leave(s);
	for (;;) {
		r = scan_member(s);
		if (r < 0)
			return r;
		skip_blanks(s);
		if (peek(s) == '}')
			break;
		if (peek(s) != ',')
			return fail_unexpected(s, "',' or '}'");
		s->pos++;
		skip_blanks(s);
	}
	r = check_names(s, first);
	if (r < 0)
		return r;
	s->n_list = first;
	s->names.len = names_len;
	return leave(s);
}

static int scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if (s->len - s->pos < n || memcmp(s->text + s->pos, word, n) != 0)
		return fail_unexpected(s, "a value");
	s->pos += n;
	return 0;
}

static int scan_value(struct scan *s)
{
	switch (peek(s)) {
	case '{':
		return scan_object(s);
	case '[':
		return scan_array(s);
	case '"':
		return scan_string(s, NULL);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		if (peek(s) == '-' || is_digit(peek(s)))
			return scan_number(s);
		return fail_unexpected(s, "a value");
	}
}

int json_scan(const char *text, size_t len, const char *what, struct err *e)
{
	struct scan s = {.text = text, .what = what, .len = len, .e = e};
	int r;

	skip_blanks(&s);
	if (s.pos == s.len)
		return err_invalid(e, "%s: the document is empty", what);
	r = scan_value(&s);
	skip_blanks(&s);
	if (r == 0 && s.pos < s.len)
		r = fail_unexpected(&s, "the end");
	strbuf_done(&s.names);
	free(s.list);
	return r;
}
