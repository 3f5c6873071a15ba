/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From main() to a command and back to an exit code. Errors are printed here and nowhere else.
 */
#include "command.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/self.h"
#include "help.h"

int command_parse(const struct cli *cli, int argc, char **argv, bool stop_at_word, void *target,
		  int *ret_first, struct err *e)
{
	static const struct opt_table none;
	const struct opt_table *table = cli->command->opts ? cli->command->opts : &none;

	return opt_parse(table, argc, argv, stop_at_word, target, ret_first, e);
}

int command_words(const struct cli *cli, int argc, int first, int min, int max, struct err *e)
{
	int n = argc - first;

	if (n >= min && (max < 0 || n <= max))
		return 0;
	err_invalid(e, "%s", n < min ? "a word is missing" : "too many words");
	return err_hint(e, "usage: %s %s %s", cli->program->name, cli->command->name,
			cli->command->args);
}

static const struct command *find_command(const struct program *p, const char *name)
{
	for (size_t i = 0; i < p->n_commands; i++)
		if (STREQ(p->commands[i].name, name))
			return &p->commands[i];
	return NULL;
}

static int unknown_command(const struct program *p, const char *name, struct err *e)
{
	const char *known[64];
	size_t n = 0;

	for (size_t i = 0; i < p->n_commands && n < ARRAY_SIZE(known); i++)
		if (p->commands[i].run)
			known[n++] = p->commands[i].name;
	const char *near = opt_nearest(name, known, n);

	err_invalid(e, "unknown command '%s'", name);
	return near ? err_hint(e, "did you mean '%s %s'?", p->name, near)
		    : err_hint(e, "see %s --help", p->name);
}

/* Where errors and warnings go: the engine's file, or the terminal. */
static int open_log(struct cli *cli, struct log_sink *sink, struct err *e)
{
	const char *format = cli->global.log_format;

	*sink = (struct log_sink){.fd = 2, .level = LOG_LEVEL_WARNING};
	if (cli->global.debug)
		sink->level = LOG_LEVEL_DEBUG;
	if (format && !STREQ(format, "text") && !STREQ(format, "json"))
		return err_invalid(e, "--log-format: '%s' is not text or json", format);
	sink->json = format && STREQ(format, "json");
	if (!cli->global.log || !*cli->global.log)
		return 0;
	int fd = path_open_log(cli->global.log, e);

	if (fd < 0)
		return fd;
	sink->fd = fd;
	return 0;
}

static int pick_cgroup_manager(struct cli *cli, struct err *e)
{
	const char *name = cli->global.cgroup_manager;
	int r = 0;

	if (cli->global.systemd_cgroup)
		cli->ctx.cgroup_manager = RT_CGROUP_SYSTEMD;
	if (!name)
		return 0;
	r = rt_cgroup_manager_parse(name, &cli->ctx.cgroup_manager, e);
	if (r == 0 && cli->global.systemd_cgroup && cli->ctx.cgroup_manager != RT_CGROUP_SYSTEMD)
		return err_invalid(e, "--systemd-cgroup with --cgroup-manager %s", name);
	return r < 0 ? err_wrap(e, "--cgroup-manager") : 0;
}

static int run_command(struct cli *cli, const struct log_sink *sink, int argc, char **argv,
		       struct err *e)
{
	const struct command *c = cli->command;
	int r;

	if (c->refusal)
		return err_unsupported(e, "'%s' is not supported yet: %s", c->name, c->refusal);
	if (cli->global.rootless && !STREQ(cli->global.rootless, "auto") &&
	    !STREQ(cli->global.rootless, "false"))
		return err_unsupported(e, "--rootless %s: only auto and false are supported yet",
				       cli->global.rootless);
	if (!c->no_runtime) {
		r = rt_ctx_init(&cli->ctx, cli->global.root, cli->argv, e);
		if (r == 0 && cli->global.store)
			r = rt_store_set(&cli->ctx, cli->global.store, e);
		if (r < 0)
			return r;
	}
	cli->ctx.log = *sink;
	r = pick_cgroup_manager(cli, e);
	if (r == 0)
		r = c->run(cli, argc, argv, e);
	if (!c->no_runtime)
		rt_ctx_done(&cli->ctx);
	if (r == -ECANCELED && (!e->kind)) {
		help_print_command(cli->program, c);
		return 0;
	}
	return r;
}

/* 126 and 127 are for a command that could not be run, and only people are told so by exit code. */
static int exit_code_of(const struct program *p, const struct err *e)
{
	if (p->exit_error == 125 && e->kind == ERR_CMD_NOT_FOUND)
		return 127;
	if (p->exit_error == 125 && e->kind == ERR_CMD_NOT_EXEC)
		return 126;
	return p->exit_error;
}

static void print_error(const struct cli *cli, const struct log_sink *sink, const struct err *e)
{
	/* With a log file the engine reads that; a person at the terminal wants to see it too. */
	if (sink->fd != 2)
		log_error_value(sink, e);
	fprintf(stderr, "%s: %s\n", cli->program->name, e->text);
	if (e->hint[0])
		fprintf(stderr, "%s: %s\n", cli->program->name, e->hint);
}

static bool answered_without_command(const struct program *p, const struct cli *cli)
{
	if (cli->global.version)
		help_print_version(p);
	else if (cli->global.man)
		help_print_man(p);
	else if (cli->global.completion)
		help_print_completion(p);
	else
		return false;
	return true;
}

static int dispatch(struct cli *cli, struct log_sink *sink, int argc, char **argv, struct err *e)
{
	const struct program *p = cli->program;
	int first, r;

	r = opt_parse(p->opts, argc, argv, true, &cli->global, &first, e);
	if (r == -ECANCELED || (r == 0 && first >= argc && !cli->global.version &&
				!cli->global.man && !cli->global.completion)) {
		help_print_program(p);
		return r == 0 ? p->exit_error : 0;
	}
	if (r < 0)
		return r;
	if (answered_without_command(p, cli))
		return 0;
	if (STREQ(argv[first], "help")) {
		cli->command = first + 1 < argc ? find_command(p, argv[first + 1]) : NULL;
		if (first + 1 < argc && !cli->command)
			return unknown_command(p, argv[first + 1], e);
		cli->command ? help_print_command(p, cli->command) : help_print_program(p);
		return 0;
	}
	cli->command = find_command(p, argv[first]);
	if (!cli->command)
		return unknown_command(p, argv[first], e);
	r = open_log(cli, sink, e);
	if (r < 0)
		return r;
	if (cli->command->seal) {
		r = self_seal(cli->argv, e);
		if (r < 0)
			return r;
	}
	return run_command(cli, sink, argc - first, argv + first, e);
}

int program_main(const struct program *p, int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct log_sink sink = {.fd = 2};
	struct cli cli = {.program = p, .argv = argv};
	_cleanup_free_ char **words = calloc((size_t)argc + 1, sizeof(*words));
	int r = fd_sanitize_stdio(&e);

	/* Option parsing reorders words; a re-execution needs the original order. */
	if (!words)
		return p->exit_error;
	memcpy(words, argv, sizeof(*words) * (size_t)argc);
	if (r >= 0)
		r = dispatch(&cli, &sink, argc, words, &e);
	if (r < 0) {
		print_error(&cli, &sink, &e);
		r = exit_code_of(p, &e);
	}
	if (sink.fd > 2)
		fd_close(sink.fd);
	if (fflush(stdout) != 0 && r == 0)
		r = p->exit_error;
	return r;
}
