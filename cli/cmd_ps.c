/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula ps: the sandboxes of both kinds, as a table, as JSON, or by a template.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "output.h"
#include "people.h"
#include "ps_filter.h"
#include "sandbox_json.h"
#include "template.h"

struct ps_opts {
	bool all, quiet, no_trunc, latest;
	int64_t last; /* -1: all */
	const char *format;
	char **filters;
};

static const struct opt ps_opts[] = {
	{"all", 'a', OPT_FLAG, NULL, "also those that have ended", offsetof(struct ps_opts, all)},
	{"quiet", 'q', OPT_FLAG, NULL, "only the ids", offsetof(struct ps_opts, quiet)},
	{"no-trunc", 0, OPT_FLAG, NULL, "do not cut long commands",
	 offsetof(struct ps_opts, no_trunc)},
	{"filter", 'f', OPT_LIST, "KEY=VALUE",
	 "only those; keys: id, name, status, exited, label, ancestor, kind",
	 offsetof(struct ps_opts, filters)},
	{"format", 0, OPT_STRING, "FORMAT",
	 "json, table, 'table TEMPLATE' or a template of {{.ID}}, {{.Names}}, {{.Kind}}, "
	 "{{.Image}}, {{.Command}}, {{.CreatedAt}}, {{.RunningFor}}, {{.Status}}, {{.State}}, "
	 "{{.ExitCode}}, {{.Pid}}, {{.Labels}}",
	 offsetof(struct ps_opts, format)},
	{"last", 'n', OPT_SIGNED, "N", "the N that were created last, in every state",
	 offsetof(struct ps_opts, last)},
	{"latest", 'l', OPT_FLAG, NULL, "the one that was created last",
	 offsetof(struct ps_opts, latest)},
	{"size", 's', OPT_REFUSED, NULL, "sizes are not counted", 0},
};
const struct opt_table cmd_ps_options = OPT_TABLE(ps_opts);

/* One that is shown. */
struct item {
	char *id;
	struct sandbox *s; /* NULL: broken */
	enum rt_status status;
	int64_t created;
};

struct items {
	struct item *v;
	size_t n;
};

static void items_done(struct items *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].id);
		rt_close(l->v[i].s);
	}
	free(l->v);
}

static bool is_shown(const struct ps_opts *o, bool every_status, const struct item *i)
{
	if (i->s && i->status == RT_STOPPED && !o->all && !every_status && o->last < 0)
		return false;
	return ps_filter_fits(o->filters, i->s, i->id, i->status);
}

/* They are held until they are printed, and there may be more of them than descriptors. */
static int take_item(struct cli *cli, const struct ps_opts *o, bool every_status, const char *id,
		     struct items *l, struct err *e)
{
	struct item i = {.status = RT_STOPPED};
	struct err why = ERR_INIT;
	int r = rt_open(&cli->ctx, id, false, &i.s, &why);

	if (r < 0 && why.kind == ERR_NOT_FOUND)
		return 0; /* removed meanwhile */
	if (r == 0) {
		i.status = rt_status(i.s);
		i.created = i.s->state.created_unix_nsec;
		rt_close_descriptors(i.s);
	}
	i.id = strdup(id);
	if (!i.id) {
		rt_close(i.s);
		return err_nomem(e);
	}
	if (!is_shown(o, every_status, &i)) {
		free(i.id);
		rt_close(i.s);
		return 0;
	}
	l->v[l->n++] = i;
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->created < y->created ? 1 : x->created > y->created ? -1 : 0;
}

static int collect(struct cli *cli, struct ps_opts *o, struct items *l, struct err *e)
{
	_cleanup_strv_ char **ids = NULL;
	bool every_status;
	int r = ps_filter_check(o->filters, &every_status, e);

	if (r >= 0)
		r = state_list(cli->ctx.root, &ids, e);
	if (r < 0)
		return r;
	l->v = calloc(strv_len(ids) + 1, sizeof(*l->v));
	if (!l->v)
		return err_nomem(e);
	for (char **id = ids; id && *id && r >= 0; id++)
		r = take_item(cli, o, every_status, *id, l, e);
	if (r < 0)
		return r;
	qsort(l->v, l->n, sizeof(*l->v), newest_first);
	for (; o->last >= 0 && l->n > (size_t)o->last; l->n--) {
		free(l->v[l->n - 1].id);
		rt_close(l->v[l->n - 1].s);
	}
	return 0;
}

/* ---- forms -------------------------------------------------------------------------------- */

static int print_json(const struct items *l, struct err *e)
{
	_cleanup_json_ struct json *array = json_new_array();
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; array && i < l->n; i++)
		if (json_push(array,
			      sandbox_row_json(l->v[i].s, l->v[i].id, l->v[i].status, false)) < 0)
			return err_nomem(e);
	if (!array || json_to_text(array, true, &text, NULL) < 0)
		return err_nomem(e);
	printf("%s\n", text);
	return 0;
}

static int render(const char *template, const struct item *i, bool no_trunc, char **ret,
		  struct err *e)
{
	_cleanup_json_ struct json *row = sandbox_row_json(i->s, i->id, i->status, !no_trunc);
	struct strbuf out = {0};
	int r = row ? template_render(template, row, &out, e) : err_nomem(e);

	if (r < 0) {
		strbuf_done(&out);
		return r;
	}
	return strbuf_take(&out, ret) < 0 ? err_nomem(e) : 0;
}

/* A wrong template is an error even when there is nothing to print. */
static int check_template(const char *template, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	const struct item none = {.id = (char *)""};

	return render(template, &none, true, &text, e);
}

static int print_lines(const struct items *l, const struct ps_opts *o, struct err *e)
{
	int r = check_template(o->format, e);

	for (size_t i = 0; i < l->n && r >= 0; i++) {
		_cleanup_free_ char *text = NULL;

		r = render(o->format, &l->v[i], o->no_trunc, &text, e);
		if (r >= 0)
			printf("%s\n", text);
	}
	return r;
}

static int add_line(struct out_table *t, const char *line, struct err *e)
{
	_cleanup_strv_ char **cells = NULL;

	if (strv_split(line, '\t', &cells) < 0)
		return err_nomem(e);
	if (!t->n_columns) {
		if (strv_len(cells) > OUT_COLUMNS_MAX)
			return err_invalid(e, "--format: more than %d columns", OUT_COLUMNS_MAX);
		out_table_init(t, (const char *const *)cells, strv_len(cells));
		return 0;
	}
	/* A tab in a value. */
	while (strv_len(cells) < t->n_columns)
		if (strv_push(&cells, "") < 0)
			return err_nomem(e);
	out_table_add(t, (const char *const *)cells);
	return 0;
}

static int print_table(const struct items *l, const char *template, bool no_trunc, struct err *e)
{
	_cleanup_free_ char *head = NULL;
	struct strbuf out = {0};
	struct out_table t = {0};
	int r = check_template(template, e);

	if (r >= 0)
		r = template_heading(template, &out, e);
	if (r < 0 || strbuf_take(&out, &head) < 0) {
		strbuf_done(&out);
		return r < 0 ? r : err_nomem(e);
	}
	r = add_line(&t, head, e);
	for (size_t i = 0; i < l->n && r >= 0; i++) {
		_cleanup_free_ char *line = NULL;

		r = render(template, &l->v[i], no_trunc, &line, e);
		if (r >= 0)
			r = add_line(&t, line, e);
	}
	if (r >= 0)
		return out_table_print(&t, e);
	out_table_done(&t);
	return r;
}

/* The ordinary table's headings are not its members' names. */
static int print_default(const struct items *l, bool no_trunc, struct err *e)
{
	static const char *const head[] = {"SANDBOX", "KIND",   "IMAGE", "COMMAND",
					   "CREATED", "STATUS", "NAMES"};
	static const char row[] = "{{.ID}}\t{{.Kind}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t"
				  "{{.Status}}\t{{.Names}}";
	struct out_table t = {0};
	int r = 0;

	out_table_init(&t, head, ARRAY_SIZE(head));
	for (size_t i = 0; i < l->n && r >= 0; i++) {
		_cleanup_free_ char *line = NULL;

		r = render(row, &l->v[i], no_trunc, &line, e);
		if (r >= 0)
			r = add_line(&t, line, e);
	}
	if (r >= 0)
		return out_table_print(&t, e);
	out_table_done(&t);
	return r;
}

static int print_items(const struct items *l, const struct ps_opts *o, struct err *e)
{
	if (o->quiet) {
		for (size_t i = 0; i < l->n; i++)
			printf("%s\n", l->v[i].id);
		return 0;
	}
	if (!o->format || STREQ(o->format, "table"))
		return print_default(l, o->no_trunc, e);
	if (STREQ(o->format, "json"))
		return print_json(l, e);
	if (str_has_prefix(o->format, "table "))
		return print_table(l, o->format + strlen("table "), o->no_trunc, e);
	return print_lines(l, o, e);
}

int cmd_ps(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct ps_opts o = {.last = -1};
	struct items l = {0};
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 0, 0, e);
	if (o.latest)
		o.last = 1;
	if (r >= 0)
		r = collect(cli, &o, &l, e);
	if (r >= 0)
		r = print_items(&l, &o, e);
	items_done(&l);
	strv_free(o.filters);
	return r;
}
