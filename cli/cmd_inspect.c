/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula inspect: what there is to know of sandboxes, as a JSON array or by a template.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "people.h"
#include "sandbox_json.h"
#include "several.h"
#include "template.h"

struct inspect_opts {
	const char *format;
};

static const struct opt inspect_opts[] = {
	{"format", 'f', OPT_STRING, "TEMPLATE", "such as {{.State.ExitCode}}; default: json",
	 offsetof(struct inspect_opts, format)},
	{"type", 0, OPT_REFUSED_VALUE, "TYPE", "only sandboxes can be inspected", 0},
	{"size", 's', OPT_REFUSED, NULL, "sizes are not counted", 0},
};
const struct opt_table cmd_inspect_options = OPT_TABLE(inspect_opts);

static int inspect_one(struct cli *cli, const char *word, const char *format, struct json *array,
		       struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_json_ struct json *o = NULL;
	_cleanup_free_ char *id = NULL, *text = NULL;
	struct strbuf out = {0};
	int r = resolve_sandbox(&cli->ctx, word, &id, e);

	if (r >= 0)
		r = rt_open(&cli->ctx, id, true, &s, e);
	if (r >= 0)
		r = sandbox_inspect_json(s, &o, e);
	if (r < 0)
		return r;
	if (!format)
		return json_push(array, TAKE_PTR(o)) < 0 ? err_nomem(e) : 0;
	r = template_render(format, o, &out, e);
	if (r < 0) {
		strbuf_done(&out);
		return r;
	}
	if (strbuf_take(&out, &text) < 0)
		return err_nomem(e);
	printf("%s\n", text);
	return 0;
}

int cmd_inspect(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct inspect_opts o = {0};
	_cleanup_strv_ char **words = NULL;
	_cleanup_json_ struct json *array = json_new_array();
	_cleanup_free_ char *text = NULL;
	int first, result = 0, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = several_words(cli, argc, argv, first, false, NULL, &words, e);
	if (r < 0)
		return r;
	if (!array)
		return err_nomem(e);
	if (o.format && STREQ(o.format, "json"))
		o.format = NULL;
	for (char **word = words; *word; word++) {
		struct err one = ERR_INIT;

		several_note(cli, inspect_one(cli, *word, o.format, array, &one), &one, &result, e);
	}
	if (o.format || (result < 0 && !words[1]))
		return result;
	if (json_to_text(array, true, &text, NULL) < 0)
		return err_nomem(e);
	printf("%s\n", text);
	return result;
}
