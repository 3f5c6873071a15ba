/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula rm.
 */
#include "base/cleanup.h"
#include "base/str.h"
#include "people.h"
#include "several.h"

struct rm_opts {
	bool force, all, volumes;
};

static const struct opt rm_opts[] = {
	{"force", 'f', OPT_FLAG, NULL, "kill it first; a missing one is no error",
	 offsetof(struct rm_opts, force)},
	{"all", 'a', OPT_FLAG, NULL, "all that have ended; with -f all",
	 offsetof(struct rm_opts, all)},
	{"volumes", 'v', OPT_HARMLESS, NULL, "its own volumes always go with it", 0},
};
const struct opt_table cmd_rm_options = OPT_TABLE(rm_opts);

static int rm_one(struct cli *cli, const char *id, const void *arg, struct err *e)
{
	const struct rm_opts *o = arg;
	int r = rt_delete(&cli->ctx, id, o->force, e);

	/* With --all: another one was quicker. */
	if (r == -ENOENT && o->all) {
		err_clear(e);
		return 0;
	}
	if (r < 0 && e->kind == ERR_STATE)
		err_hint(e, "stop it first, or remove it with -f");
	return r;
}

static bool has_ended(enum rt_status status)
{
	return status == RT_STOPPED;
}

int cmd_rm(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct rm_opts o = {0};
	_cleanup_strv_ char **words = NULL;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = several_words(cli, argc, argv, first, o.all, o.force ? NULL : has_ended, &words,
				  e);
	return r < 0 ? r : several_each(cli, words, o.force, rm_one, &o, e);
}
