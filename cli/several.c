/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that take several sandboxes (several.h).
 */
#include "several.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "people.h"

static int all_words(struct cli *cli, bool (*wanted)(enum rt_status status), char ***ret,
		     struct err *e)
{
	_cleanup_strv_ char **ids = NULL, **words = NULL;
	int r = state_list(cli->ctx.root, &ids, e);

	if (r < 0)
		return r;
	for (char **id = ids; id && *id; id++) {
		_cleanup_sandbox_ struct sandbox *s = NULL;

		if (wanted &&
		    (rt_open(&cli->ctx, *id, false, &s, NULL) < 0 || !wanted(rt_status(s))))
			continue;
		if (strv_push(&words, *id) < 0)
			return err_nomem(e);
	}
	*ret = TAKE_PTR(words);
	return 0;
}

int several_words(struct cli *cli, int argc, char **argv, int first, bool all,
		  bool (*wanted)(enum rt_status status), char ***ret, struct err *e)
{
	_cleanup_strv_ char **words = NULL;
	int r = command_words(cli, argc, first, all ? 0 : 1, all ? 0 : -1, e);

	if (r < 0)
		return r;
	if (all)
		return all_words(cli, wanted, ret, e);
	for (int i = first; i < argc; i++)
		if (strv_push(&words, argv[i]) < 0)
			return err_nomem(e);
	*ret = TAKE_PTR(words);
	return 0;
}

void several_note(struct cli *cli, int r, const struct err *one, int *result, struct err *e)
{
	if (r >= 0)
		return;
	if (*result >= 0) {
		*result = r;
		*e = *one;
	} else {
		log_error_value(&cli->ctx.log, one);
	}
}

int several_each(struct cli *cli, char *const *words, bool missing_ok,
		 int (*one)(struct cli *cli, const char *id, const void *arg, struct err *e),
		 const void *arg, struct err *e)
{
	int result = 0;

	for (char *const *word = words; word && *word; word++) {
		_cleanup_free_ char *id = NULL;
		struct err one_error = ERR_INIT;
		int r = resolve_sandbox(&cli->ctx, *word, &id, &one_error);

		if (r < 0 && missing_ok && one_error.kind == ERR_NOT_FOUND)
			continue;
		if (r >= 0)
			r = one(cli, id, arg, &one_error);
		if (r >= 0)
			printf("%s\n", *word);
		several_note(cli, r, &one_error, &result, e);
	}
	return result;
}
