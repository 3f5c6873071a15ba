/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula images, rmi, tag: what is in the store.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "images/image.h"
#include "output.h"
#include "people.h"
#include "template.h"

#define ID_DIGITS 12

struct images_opts {
	bool quiet, no_trunc;
	const char *format;
};

static const struct opt images_opts[] = {
	{"quiet", 'q', OPT_FLAG, NULL, "only the ids", offsetof(struct images_opts, quiet)},
	{"no-trunc", 0, OPT_FLAG, NULL, "whole ids", offsetof(struct images_opts, no_trunc)},
	{"format", 0, OPT_STRING, "FORMAT",
	 "json, table, 'table TEMPLATE' or a template of {{.ID}}, {{.Repository}}, {{.Tag}}, "
	 "{{.CreatedAt}}, {{.CreatedSince}}, {{.Size}}",
	 offsetof(struct images_opts, format)},
	{"all", 'a', OPT_HARMLESS, NULL, "all are shown anyway", 0},
	{"filter", 'f', OPT_REFUSED_VALUE, "KEY=VALUE", "name the image in place of it", 0},
	{"digests", 0, OPT_REFUSED, NULL, "digests are not listed", 0},
};
const struct opt_table cmd_images_options = OPT_TABLE(images_opts);

/* An image as the templates and columns have it. */
static struct json *entry_json(const struct images_opts *o, const struct img_entry *i)
{
	_cleanup_json_ struct json *v = json_new_object();
	char id[72], created[OUT_TIME_MAX], age[OUT_TIME_MAX], since[OUT_TIME_MAX + 8],
		size[STR_SIZE_MAX];
	int64_t nsec = i->created_unix_sec * INT64_C(1000000000);

	snprintf(id, sizeof(id), "%.*s", o->no_trunc ? 64 : ID_DIGITS, i->id);
	snprintf(since, sizeof(since), "%s%s", out_age(nsec, age), nsec ? " ago" : "");
	if (!v || json_set(v, "ID", json_new_string(id)) < 0 ||
	    json_set(v, "Repository", json_new_string(i->name ?: "<none>")) < 0 ||
	    json_set(v, "Tag", json_new_string(i->tag ?: "<none>")) < 0 ||
	    json_set(v, "CreatedAt", json_new_string(out_time(nsec, created))) < 0 ||
	    json_set(v, "CreatedSince", json_new_string(since)) < 0 ||
	    json_set(v, "Size", json_new_string(str_size(i->size_bytes, size))) < 0 ||
	    json_set(v, "SizeBytes", json_new_u64(i->size_bytes)) < 0)
		return NULL;
	return TAKE_PTR(v);
}

static const char *text_of(const struct json *v, const char *key)
{
	struct json_at top = json_top(v), member;

	return json_member(&top, key, &member) ? json_peek_string(&member) : NULL;
}

static int print_table(const struct images_opts *o, const struct img_entry *v, size_t n,
		       struct err *e)
{
	static const char *const head[] = {"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"};
	struct out_table t;

	out_table_init(&t, head, ARRAY_SIZE(head));
	for (size_t i = 0; i < n; i++) {
		_cleanup_json_ struct json *one = entry_json(o, &v[i]);

		if (!one) {
			out_table_done(&t);
			return err_nomem(e);
		}
		out_table_row(&t, text_of(one, "Repository"), text_of(one, "Tag"),
			      text_of(one, "ID"), text_of(one, "CreatedSince"),
			      text_of(one, "Size"));
	}
	return out_table_print(&t, e);
}

static int print_json(const struct images_opts *o, const struct img_entry *v, size_t n,
		      struct err *e)
{
	_cleanup_json_ struct json *all = json_new_array();
	_cleanup_free_ char *text = NULL;
	size_t len;

	for (size_t i = 0; i < n; i++)
		if (!all || json_push(all, entry_json(o, &v[i])) < 0)
			return err_nomem(e);
	if (!all || json_to_text(all, true, &text, &len) < 0)
		return err_nomem(e);
	puts(text);
	return 0;
}

static int print_template(const struct images_opts *o, const char *format, bool heading,
			  const struct img_entry *v, size_t n, struct err *e)
{
	struct strbuf out = {0};
	int r = heading ? template_heading(format, &out, e) : 0;

	if (r == 0 && heading)
		strbuf_add(&out, "\n");
	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_json_ struct json *one = entry_json(o, &v[i]);

		r = one ? template_render(format, one, &out, e) : err_nomem(e);
		strbuf_add(&out, "\n");
	}
	if (r == 0 && out.failed)
		r = err_nomem(e);
	if (r == 0 && out.data)
		fputs(out.data, stdout);
	strbuf_done(&out);
	return r;
}

/* An image of several names has one id. */
static bool was_shown(const struct img_entry *v, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (STREQ(v[k].id, v[i].id))
			return true;
	return false;
}

static int print(const struct images_opts *o, const struct img_entry *v, size_t n, struct err *e)
{
	const char *format = o->format;

	if (o->quiet) {
		for (size_t i = 0; i < n; i++)
			if (!was_shown(v, i))
				printf("%.*s\n", o->no_trunc ? 64 : ID_DIGITS, v[i].id);
		return 0;
	}
	if (!format || STREQ(format, "table"))
		return print_table(o, v, n, e);
	if (STREQ(format, "json"))
		return print_json(o, v, n, e);
	if (str_has_prefix(format, "table "))
		return print_template(o, format + strlen("table "), true, v, n, e);
	return print_template(o, format, false, v, n, e);
}

/* insula images NAME: only those. */
static size_t keep_named(struct img_entry *v, size_t n, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *full = NULL;
		bool same = v[i].name &&
			    (STREQ(v[i].name, name) ||
			     (v[i].tag && str_printf(&full, "%s:%s", v[i].name, v[i].tag) == 0 &&
			      STREQ(full, name)));

		if (same) {
			struct img_entry keep = v[i];

			v[i] = v[kept];
			v[kept++] = keep;
		}
	}
	return kept;
}

int cmd_images(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct images_opts o = {0};
	struct img_store *store;
	struct img_entry *v = NULL;
	size_t n = 0;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 0, 1, e);
	if (r >= 0)
		r = rt_images(&cli->ctx, &store, e);
	if (r >= 0)
		r = img_list(store, &v, &n, e);
	if (r < 0)
		return r;
	r = print(&o, v, first < argc ? keep_named(v, n, argv[first]) : n, e);
	img_list_free(v, n);
	return r;
}

/* ---- rmi --------------------------------------------------------------------------------------------- */

struct rmi_opts {
	bool force;
};

static const struct opt rmi_opts[] = {
	{"force", 'f', OPT_FLAG, NULL, "no error where there is no such image",
	 offsetof(struct rmi_opts, force)},
	{"all", 'a', OPT_REFUSED, NULL, "insula rmi $(insula images -q)", 0},
	{"no-prune", 0, OPT_REFUSED, NULL, "layers that no image uses go with the last that did",
	 0},
};
const struct opt_table cmd_rmi_options = OPT_TABLE(rmi_opts);

static int remove_one(struct img_store *store, const char *word, bool force, char *const *in_use,
		      struct err *e)
{
	struct img_reference reference = {0};
	struct err why = ERR_INIT;
	int r = img_reference_parse(word, &reference, &why);

	if (r == 0)
		r = img_remove(store, &reference, in_use, &why);
	img_reference_done(&reference);
	if (r < 0 && force && why.kind == ERR_NOT_FOUND)
		return 0;
	if (r < 0) {
		*e = why;
		return r;
	}
	printf("%s\n", word);
	return 0;
}

int cmd_rmi(struct cli *cli, int argc, char **argv, struct err *e)
{
	_cleanup_strv_ char **in_use = NULL;
	struct rmi_opts o = {0};
	struct img_store *store;
	int first, failed = 0, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, INT32_MAX, e);
	if (r >= 0)
		r = rt_images(&cli->ctx, &store, e);
	if (r >= 0)
		r = rt_images_in_use(&cli->ctx, &in_use, e);
	/* All are tried; the first failure is told last, the others as they come. */
	for (int i = first; r >= 0 && i < argc; i++) {
		struct err one = ERR_INIT;
		int x = remove_one(store, argv[i], o.force, in_use, &one);

		if (x < 0 && failed < 0)
			log_error_value(&cli->ctx.log, &one);
		if (x < 0 && failed == 0) {
			failed = x;
			*e = one;
		}
	}
	return r < 0 ? r : failed;
}

/* ---- tag --------------------------------------------------------------------------------------------- */

int cmd_tag(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct img_reference image = {0};
	struct img_store *store;
	char none;
	int first, r = command_parse(cli, argc, argv, false, &none, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 2, INT32_MAX, e);
	if (r >= 0)
		r = img_reference_parse(argv[first], &image, e);
	if (r >= 0)
		r = rt_images(&cli->ctx, &store, e);
	for (int i = first + 1; r >= 0 && i < argc; i++)
		r = img_tag(store, &image, argv[i], e);
	img_reference_done(&image);
	return r;
}
