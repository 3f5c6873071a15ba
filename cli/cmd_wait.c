/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula wait: the exit codes of sandboxes, one line each in the order of the names.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "people.h"
#include "runtime/attach.h"
#include "several.h"

struct wait_opts {
	bool ignore;
};

static const struct opt wait_opts[] = {
	{"ignore", 'i', OPT_FLAG, NULL, "a missing one counts as ended, with code -1",
	 offsetof(struct wait_opts, ignore)},
	{"condition", 0, OPT_REFUSED_VALUE, "STATUS", "it waits for the end", 0},
};
const struct opt_table cmd_wait_options = OPT_TABLE(wait_opts);

/* All are connected to before the first is waited for: each may end, and be removed, meanwhile. */
static int open_waiter(struct cli *cli, const char *word, const struct wait_opts *o,
		       struct rt_waiter **ret, struct err *e)
{
	_cleanup_free_ char *id = NULL;
	int r = resolve_sandbox(&cli->ctx, word, &id, e);

	if (r >= 0)
		r = rt_waiter_open(&cli->ctx, id, ret, e);
	if (r < 0 && o->ignore && e->kind == ERR_NOT_FOUND) {
		err_clear(e);
		return 0;
	}
	return r;
}

static int wait_all(struct cli *cli, const struct wait_opts *o, char **words, struct err *e)
{
	size_t n = strv_len(words);
	struct rt_waiter **v = calloc(n + 1, sizeof(struct rt_waiter *));
	_cleanup_free_ bool *failed = calloc(n + 1, sizeof(*failed));
	int result = 0;

	if (!v || !failed) {
		free(v);
		return err_nomem(e);
	}
	for (size_t i = 0; i < n; i++) {
		struct err one = ERR_INIT;
		int r = open_waiter(cli, words[i], o, &v[i], &one);

		failed[i] = r < 0;
		several_note(cli, r, &one, &result, e);
	}
	for (size_t i = 0; i < n; i++) {
		struct err one = ERR_INIT;
		int code = -1, r = v[i] ? rt_waiter_wait(v[i], -1, &code, &one) : 0;

		several_note(cli, r, &one, &result, e);
		if (r >= 0 && !failed[i])
			printf("%d\n", code);
		fflush(stdout);
		rt_waiter_close(v[i]);
	}
	free(v);
	return result;
}

int cmd_wait(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct wait_opts o = {0};
	_cleanup_strv_ char **words = NULL;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = several_words(cli, argc, argv, first, false, NULL, &words, e);
	return r < 0 ? r : wait_all(cli, &o, words, e);
}
