/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula kill, pause, unpause, start: an order to each of several sandboxes.
 */
#include <signal.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "people.h"
#include "several.h"

/* ---- kill --------------------------------------------------------------------------------- */

struct kill_opts {
	const char *signal;
	bool all;
};

static const struct opt kill_opts[] = {
	{"signal", 's', OPT_STRING, "SIGNAL", "name or number; default: KILL",
	 offsetof(struct kill_opts, signal)},
	{"all", 'a', OPT_FLAG, NULL, "all that run", offsetof(struct kill_opts, all)},
};
const struct opt_table cmd_kill_options = OPT_TABLE(kill_opts);

static int kill_one(struct cli *cli, const char *id, const void *sig, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int r = rt_open(&cli->ctx, id, false, &s, e);

	return r < 0 ? r : rt_kill(s, *(const int *)sig, false, e);
}

static bool runs(enum rt_status status)
{
	return status == RT_RUNNING || status == RT_PAUSED;
}

int cmd_kill(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct kill_opts o = {0};
	_cleanup_strv_ char **words = NULL;
	int sig = SIGKILL, first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r < 0)
		return r;
	if (o.signal && signal_parse(o.signal, &sig) < 0)
		return err_invalid(e, "--signal: '%s' is not a signal", o.signal);
	r = several_words(cli, argc, argv, first, o.all, runs, &words, e);
	return r < 0 ? r : several_each(cli, words, false, kill_one, &sig, e);
}

/* ---- pause, unpause ----------------------------------------------------------------------- */

struct pause_opts {
	bool all;
};

static const struct opt pause_opts[] = {
	{"all", 'a', OPT_FLAG, NULL, "all that can be", offsetof(struct pause_opts, all)},
};
const struct opt_table cmd_pause_options = OPT_TABLE(pause_opts);

static int pause_one(struct cli *cli, const char *id, const void *arg, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int (*const *verb)(struct sandbox * s, struct err * e) = arg;
	int r = rt_open(&cli->ctx, id, false, &s, e);

	return r < 0 ? r : (*verb)(s, e);
}

static bool is_running(enum rt_status status)
{
	return status == RT_RUNNING;
}

static bool is_paused(enum rt_status status)
{
	return status == RT_PAUSED;
}

static int freeze(struct cli *cli, int argc, char **argv, bool (*wanted)(enum rt_status status),
		  int (*verb)(struct sandbox *s, struct err *e), struct err *e)
{
	struct pause_opts o = {0};
	_cleanup_strv_ char **words = NULL;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = several_words(cli, argc, argv, first, o.all, wanted, &words, e);
	return r < 0 ? r : several_each(cli, words, false, pause_one, &verb, e);
}

int cmd_pause(struct cli *cli, int argc, char **argv, struct err *e)
{
	return freeze(cli, argc, argv, is_running, rt_pause, e);
}

int cmd_unpause(struct cli *cli, int argc, char **argv, struct err *e)
{
	return freeze(cli, argc, argv, is_paused, rt_resume, e);
}

/* ---- start -------------------------------------------------------------------------------- */

static const struct opt start_opts[] = {
	{"attach", 'a', OPT_REFUSED, NULL, "use insula attach, then start it from elsewhere", 0},
	{"interactive", 'i', OPT_REFUSED, NULL, "use insula create -i, then insula attach", 0},
};
const struct opt_table cmd_start_options = OPT_TABLE(start_opts);

static int start_one(struct cli *cli, const char *id, const void *arg, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int r = rt_open(&cli->ctx, id, false, &s, e);

	(void)arg;
	if (r < 0)
		return r;
	switch (state_status(&s->dir, &s->state)) {
	case RT_RUNNING:
		return 0; /* as docker has it */
	case RT_STOPPED:
		err_unsupported(e, "'%s' has ended, and is not started a second time", id);
		return err_hint(e, "insula rm %s, then run it anew", id);
	case RT_CREATING:
	case RT_CREATED:
	case RT_PAUSED:
	case RT_STATUS_COUNT:
		break;
	}
	return rt_start(s, e);
}

int cmd_start(struct cli *cli, int argc, char **argv, struct err *e)
{
	char none;
	_cleanup_strv_ char **words = NULL;
	int first, r = command_parse(cli, argc, argv, false, &none, &first, e);

	if (r >= 0)
		r = several_words(cli, argc, argv, first, false, NULL, &words, e);
	return r < 0 ? r : several_each(cli, words, false, start_one, NULL, e);
}
