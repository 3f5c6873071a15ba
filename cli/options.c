/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing by table. getopt_long() cannot refuse by name, suggest, or append to lists, and abbreviates
 * long options, which scripts come to rely on.
 */
#include "options.h"

#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

struct parser {
	const struct opt_table *table;
	void *target;
	struct err *e;
};

static void *field(const struct parser *p, const struct opt *o)
{
	return (char *)p->target + o->offset;
}

static bool takes_value(const struct opt *o)
{
	switch (o->kind) {
	case OPT_FLAG:
	case OPT_REFUSED:
	case OPT_HARMLESS:
	case OPT_HEADING:
		return false;
	case OPT_STRING:
	case OPT_LIST:
	case OPT_SIZE:
	case OPT_CPUS:
	case OPT_NUMBER:
	case OPT_SIGNED:
	case OPT_INTEGER:
	case OPT_SIZE_SIGNED:
	case OPT_REFUSED_VALUE:
		return true;
	}
	return false;
}

static int bad_value(const struct parser *p, const struct opt *o, const char *value,
		     const char *expected)
{
	return err_invalid(p->e, "--%s: '%s' is not %s", o->name, value, expected);
}

static int store_flag(const struct parser *p, const struct opt *o, const char *value)
{
	if (!value || STREQ(value, "true"))
		*(bool *)field(p, o) = true;
	else if (STREQ(value, "false"))
		*(bool *)field(p, o) = false;
	else
		return bad_value(p, o, value, "true or false");
	return 0;
}

static int store_number(const struct parser *p, const struct opt *o, const char *value)
{
	int64_t *out = field(p, o);
	uint64_t u = 0;
	int64_t i = 0;

	if (o->kind == OPT_SIZE_SIGNED && STREQ(value, "-1")) {
		*out = -1;
		return 0;
	}
	switch (o->kind) {
	case OPT_SIZE_SIGNED:
	case OPT_SIZE:
		if (parse_size(value, &u) < 0 || u > INT64_MAX || u == 0)
			return bad_value(p, o, value, "a size such as 512m or 2g");
		break;
	case OPT_CPUS:
		if (parse_cpus(value, &u) < 0 || u > INT64_MAX)
			return bad_value(p, o, value, "a number of CPUs such as 0.5 or 2");
		break;
	case OPT_NUMBER:
		if (parse_u64(value, &u) < 0 || u > INT64_MAX)
			return bad_value(p, o, value, "a number");
		break;
	case OPT_SIGNED:
		if (parse_i64(value, &i) < 0 || i < -1)
			return bad_value(p, o, value, "a number (-1: no limit)");
		*out = i;
		return 0;
	case OPT_INTEGER:
		if (parse_i64(value, &i) < 0)
			return bad_value(p, o, value, "a number");
		*out = i;
		return 0;
	case OPT_FLAG:
	case OPT_STRING:
	case OPT_LIST:
	case OPT_REFUSED:
	case OPT_REFUSED_VALUE:
	case OPT_HARMLESS:
	case OPT_HEADING:
		return -EINVAL;
	}
	*out = (int64_t)u;
	return 0;
}

static int store(const struct parser *p, const struct opt *o, const char *value)
{
	switch (o->kind) {
	case OPT_FLAG:
		return store_flag(p, o, value);
	case OPT_STRING:
		*(const char **)field(p, o) = value;
		return 0;
	case OPT_LIST:
		return strv_push(field(p, o), value) < 0 ? err_nomem(p->e) : 0;
	case OPT_SIZE:
	case OPT_CPUS:
	case OPT_NUMBER:
	case OPT_SIGNED:
	case OPT_INTEGER:
	case OPT_SIZE_SIGNED:
		return store_number(p, o, value);
	case OPT_REFUSED:
	case OPT_REFUSED_VALUE:
		return err_unsupported(p->e, "--%s is not supported yet: %s", o->name, o->help);
	case OPT_HARMLESS:
		return 0;
	case OPT_HEADING:
		break;
	}
	return -EINVAL;
}

const char *opt_nearest(const char *word, const char *const *known, size_t n)
{
	const char *best = NULL;
	unsigned best_distance = 3; /* more than two typing errors is another word */

	for (size_t i = 0; i < n; i++) {
		unsigned d = str_distance(word, known[i]);

		if (d < best_distance && d < strlen(word)) {
			best_distance = d;
			best = known[i];
		}
	}
	return best;
}

static int unknown_long(const struct parser *p, const char *name)
{
	const char *known[256];
	size_t n = 0;

	for (size_t i = 0; i < p->table->n && n < ARRAY_SIZE(known); i++)
		if (p->table->v[i].kind != OPT_HEADING)
			known[n++] = p->table->v[i].name;
	const char *near = opt_nearest(name, known, n);

	err_invalid(p->e, "unknown flag --%s", name);
	return near ? err_hint(p->e, "did you mean --%s?", near)
		    : err_hint(p->e, "see --help for all flags");
}

static const struct opt *find_long(const struct opt_table *t, const char *name, size_t len)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].kind != OPT_HEADING && strlen(t->v[i].name) == len &&
		    memcmp(t->v[i].name, name, len) == 0)
			return &t->v[i];
	return NULL;
}

static const struct opt *find_letter(const struct opt_table *t, char letter)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].letter == letter)
			return &t->v[i];
	return NULL;
}

/* "--name", "--name=value" or "--name value". *i moves past a value that is a word of its own. */
static int take_long(const struct parser *p, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2;
	const char *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const struct opt *o = find_long(p->table, name, len);
	_cleanup_free_ char *copy = NULL;

	if (!o) {
		copy = strndup(name, len);
		return copy ? unknown_long(p, copy) : err_nomem(p->e);
	}
	if (eq && !takes_value(o) && o->kind != OPT_FLAG)
		return err_invalid(p->e, "--%s takes no value", o->name);
	if (eq || !takes_value(o))
		return store(p, o, eq ? eq + 1 : NULL);
	if (*i + 1 >= argc && o->kind != OPT_REFUSED_VALUE)
		return err_invalid(p->e, "--%s needs a value: %s", o->name, o->value);
	return store(p, o, argv[++*i]);
}

bool opt_is_known(const struct opt_table *table, const char *word)
{
	if (word[0] != '-' || word[1] == '\0')
		return false;
	if (word[1] != '-')
		return find_letter(table, word[1]) != NULL;
	return find_long(table, word + 2, strcspn(word + 2, "="));
}

/* "-rm" is hardly -r and -m, nor is "-env" a variable called "nv". */
static int check_dash(const struct parser *p, const char *word, struct err *e)
{
	size_t n = strcspn(word + 1, "=");

	if (n < 2 || !find_long(p->table, word + 1, n))
		return 0;
	err_invalid(e, "'%s': a flag of more than a letter takes two dashes", word);
	return err_hint(e, "did you mean -%s?", word);
}

/* "-it", "-m64m", "-m 64m". */
static int take_letters(const struct parser *p, int argc, char **argv, int *i)
{
	if (check_dash(p, argv[*i], p->e) < 0)
		return -EINVAL;
	for (const char *c = argv[*i] + 1; *c; c++) {
		const struct opt *o = find_letter(p->table, *c);
		int r;

		if (!o) {
			err_invalid(p->e, "unknown flag -%c in '%s'", *c, argv[*i]);
			return err_hint(p->e, "see --help for all flags");
		}
		if (!takes_value(o)) {
			r = store(p, o, NULL);
			if (r < 0)
				return r;
			continue;
		}
		if (c[1])
			return store(p, o, c[1] == '=' ? c + 2 : c + 1);
		if (*i + 1 >= argc && o->kind != OPT_REFUSED_VALUE)
			return err_invalid(p->e, "-%c needs a value: %s", *c, o->value);
		return store(p, o, argv[++*i]);
	}
	return 0;
}

static bool asks_for_help(const struct opt_table *t, const char *word)
{
	return STREQ(word, "--help") || (STREQ(word, "-h") && !find_letter(t, 'h'));
}

int opt_parse(const struct opt_table *table, int argc, char **argv, bool stop_at_word, void *target,
	      int *ret_first, struct err *e)
{
	struct parser p = {table, target, e};
	_cleanup_free_ char **words = calloc((size_t)argc + 1, sizeof(*words));
	int n_words = 0, i;

	if (!words)
		return err_nomem(e);
	for (i = 1; i < argc; i++) {
		int r;

		if (STREQ(argv[i], "--")) {
			i++;
			break;
		}
		if (argv[i][0] != '-' || argv[i][1] == '\0') {
			if (stop_at_word)
				break;
			words[n_words++] = argv[i];
			continue;
		}
		if (asks_for_help(table, argv[i]))
			return -ECANCELED;
		r = argv[i][1] == '-' ? take_long(&p, argc, argv, &i)
				      : take_letters(&p, argc, argv, &i);
		if (r < 0)
			return r;
	}
	/* Words seen between options move in front of the rest. */
	i -= n_words;
	memcpy(&argv[i], words, sizeof(*words) * (size_t)n_words);
	*ret_first = i;
	return 0;
}
