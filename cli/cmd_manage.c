/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula ps, kill, stop, rm, inspect: for the sandboxes that are there.
 */
#include "people.h"

#include <signal.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "output.h"

/* ---- ps ----------------------------------------------------------------------------------- */

struct ps_opts {
	bool all, quiet, no_trunc;
};

static const struct opt ps_opts[] = {
	{"all", 'a', OPT_FLAG, NULL, "also those that have ended", offsetof(struct ps_opts, all)},
	{"quiet", 'q', OPT_FLAG, NULL, "only the ids", offsetof(struct ps_opts, quiet)},
	{"no-trunc", 0, OPT_FLAG, NULL, "do not cut long commands",
	 offsetof(struct ps_opts, no_trunc)},
	{"filter", 'f', OPT_REFUSED_VALUE, "FILTER", "use grep", 0},
	{"format", 0, OPT_REFUSED_VALUE, "FORMAT", "use insula-oci list --format json", 0},
};
const struct opt_table cmd_ps_options = OPT_TABLE(ps_opts);

static void describe_status(const struct sandbox *s, enum rt_status status, char *buf, size_t size)
{
	char age[OUT_TIME_MAX];

	if (status == RT_STOPPED && s->state.exit_code >= 0)
		snprintf(buf, size, "exited (%d)", s->state.exit_code);
	else if (status == RT_STOPPED)
		snprintf(buf, size, "exited (unknown)");
	else if (status == RT_RUNNING)
		snprintf(buf, size, "up %s", out_age(s->state.started_unix_nsec, age));
	else
		snprintf(buf, size, "%s", rt_status_name(status));
}

static void ps_row(struct out_table *t, const struct ps_opts *o, const struct sandbox *s,
		   enum rt_status status)
{
	char state[64], age[OUT_TIME_MAX + 8], command[28], buf[OUT_TIME_MAX];
	const char *full = s->state.command ? s->state.command : "";

	describe_status(s, status, state, sizeof(state));
	snprintf(age, sizeof(age), "%s ago", out_age(s->state.created_unix_nsec, buf));
	if (snprintf(command, sizeof(command), "%s", full) >= (int)sizeof(command))
		snprintf(command + sizeof(command) - 4, 4, "...");
	out_table_row(t, s->state.id, s->state.driver, o->no_trunc ? full : command, age, state);
}

int cmd_ps(struct cli *cli, int argc, char **argv, struct err *e)
{
	static const char *const head[] = {"SANDBOX", "KIND", "COMMAND", "CREATED", "STATUS"};
	struct ps_opts o = {0};
	_cleanup_strv_ char **ids = NULL;
	struct out_table t;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 0, 0, e);
	if (r >= 0)
		r = state_list(cli->ctx.root, &ids, e);
	if (r < 0)
		return r;
	out_table_init(&t, head, ARRAY_SIZE(head));
	for (char **id = ids; id && *id; id++) {
		_cleanup_sandbox_ struct sandbox *s = NULL;

		if (rt_open(&cli->ctx, *id, false, &s, NULL) < 0)
			continue;
		enum rt_status status = state_status(&s->dir, &s->state);

		if (status == RT_STOPPED && !o.all)
			continue;
		if (o.quiet)
			printf("%s\n", *id);
		else
			ps_row(&t, &o, s, status);
	}
	if (!o.quiet)
		return out_table_print(&t, e);
	out_table_done(&t);
	return 0;
}

/* ---- commands on several sandboxes -------------------------------------------------------- */

/* Do `one` to each named sandbox and print its name; go on after a failure, and return the first. */
static int for_each(struct cli *cli, int argc, char **argv, int first, bool missing_ok,
		    int (*one)(struct cli *cli, const char *id, const void *arg, struct err *e),
		    const void *arg, struct err *e)
{
	int result = command_words(cli, argc, first, 1, -1, e);

	if (result < 0)
		return result;
	for (int i = first; i < argc; i++) {
		_cleanup_free_ char *id = NULL;
		struct err one_error = ERR_INIT;
		int r = resolve_sandbox(&cli->ctx, argv[i], &id, &one_error);

		if (r < 0 && missing_ok && one_error.kind == ERR_NOT_FOUND)
			continue;
		if (r >= 0)
			r = one(cli, id, arg, &one_error);
		if (r >= 0) {
			printf("%s\n", argv[i]);
			continue;
		}
		if (result >= 0) {
			result = r;
			*e = one_error;
		} else {
			log_error_value(&cli->ctx.log, &one_error);
		}
	}
	return result;
}

struct kill_opts {
	const char *signal;
};

static const struct opt kill_opts[] = {
	{"signal", 's', OPT_STRING, "SIGNAL", "name or number; default: KILL",
	 offsetof(struct kill_opts, signal)},
};
const struct opt_table cmd_kill_options = OPT_TABLE(kill_opts);

static int kill_one(struct cli *cli, const char *id, const void *sig, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int r = rt_open(&cli->ctx, id, false, &s, e);

	return r < 0 ? r : rt_kill(s, *(const int *)sig, false, e);
}

int cmd_kill(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct kill_opts o = {0};
	int sig = SIGKILL, first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r < 0)
		return r;
	if (o.signal && signal_parse(o.signal, &sig) < 0)
		return err_invalid(e, "--signal: '%s' is not a signal", o.signal);
	return for_each(cli, argc, argv, first, false, kill_one, &sig, e);
}

struct stop_opts {
	int64_t seconds;
};

static const struct opt stop_opts[] = {
	{"time", 't', OPT_NUMBER, "SECONDS", "wait so long before KILL; default: 10",
	 offsetof(struct stop_opts, seconds)},
};
const struct opt_table cmd_stop_options = OPT_TABLE(stop_opts);

static int stop_one(struct cli *cli, const char *id, const void *arg, struct err *e)
{
	const struct stop_opts *o = arg;
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int r = rt_open(&cli->ctx, id, false, &s, e);

	if (r < 0)
		return r;
	if (s->pidfd < 0 || state_status(&s->dir, &s->state) == RT_STOPPED)
		return 0;
	r = rt_kill(s, SIGTERM, false, e);
	if (r < 0 && r != -ESRCH)
		return r;
	if (proc_wait_exit(s->pidfd, (int)o->seconds * 1000, NULL) == 0)
		return 0;
	r = rt_kill(s, SIGKILL, false, e);
	if (r < 0 && r != -ESRCH)
		return r;
	return proc_wait_exit(s->pidfd, -1, e);
}

int cmd_stop(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct stop_opts o = {.seconds = 10};
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r < 0)
		return r;
	if (o.seconds > 86400)
		return err_invalid(e, "--time: at most a day (86400)");
	return for_each(cli, argc, argv, first, false, stop_one, &o, e);
}

struct rm_opts {
	bool force;
};

static const struct opt rm_opts[] = {
	{"force", 'f', OPT_FLAG, NULL, "kill it first; a missing one is no error",
	 offsetof(struct rm_opts, force)},
};
const struct opt_table cmd_rm_options = OPT_TABLE(rm_opts);

static int rm_one(struct cli *cli, const char *id, const void *arg, struct err *e)
{
	const struct rm_opts *o = arg;
	int r = rt_delete(&cli->ctx, id, o->force, e);

	if (r < 0 && e->kind == ERR_STATE)
		err_hint(e, "stop it first, or remove it with -f");
	return r;
}

int cmd_rm(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct rm_opts o = {0};
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	return r < 0 ? r : for_each(cli, argc, argv, first, o.force, rm_one, &o, e);
}

/* ---- inspect ------------------------------------------------------------------------------ */

int cmd_inspect(struct cli *cli, int argc, char **argv, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_free_ char *id = NULL, *state = NULL, *config = NULL;
	char none;
	int first, r = command_parse(cli, argc, argv, false, &none, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, 1, e);
	if (r >= 0)
		r = resolve_sandbox(&cli->ctx, argv[first], &id, e);
	if (r >= 0)
		r = rt_open(&cli->ctx, id, true, &s, e);
	if (r >= 0)
		r = rt_state_json(s, &state, e);
	if (r < 0)
		return r;
	if (json_to_text(s->config.document, true, &config, NULL) < 0)
		return err_nomem(e);
	printf("{\"state\": %s,\n\"config\": %s}\n", state, config);
	return 0;
}
