/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs and their commands as tables: dispatch, help, man page sections, completion.
 */
#pragma once

#include "options.h"
#include "runtime/runtime.h"

struct cli;

struct command {
	const char *name;
	const char *args;             /* "[flags] CONTAINER [SIGNAL]" */
	const char *summary;          /* one line, no full stop */
	const char *details;          /* paragraphs for --help and the man page, or NULL */
	const struct opt_table *opts; /* NULL: none */
	/* argv[0] is the command's name. Returns the exit code, or a negative errno with e set. */
	int (*run)(struct cli *cli, int argc, char **argv, struct err *e);
	bool seal;       /* enters a container: run from a sealed copy of ourselves (base/self.h) */
	bool no_runtime; /* needs no state root */
	const char *refusal; /* known elsewhere, not done here: says why; run is NULL */
};

/* Options in front of the command's name. */
struct cli_global {
	const char *root, *log, *log_format, *rootless, *isolation, *store, *cgroup_manager;
	bool debug, systemd_cgroup, version, man, completion;
};

struct program {
	const char *name, *summary, *description;
	const struct opt_table *opts; /* into struct cli_global */
	const struct command *commands;
	size_t n_commands;
	int exit_error; /* 125 for people, 1 for engines */
};

/* What a command gets. */
struct cli {
	const struct program *program;
	const struct command *command;
	struct cli_global global;
	struct rt_ctx ctx;
	char **argv; /* of main */
};

/* The whole of main(). Returns the exit code. */
int program_main(const struct program *p, int argc, char **argv);

/* For a command: parse its options. -ECANCELED: help was asked for (the dispatcher prints it). */
int command_parse(const struct cli *cli, int argc, char **argv, bool stop_at_word, void *target,
		  int *ret_first, struct err *e);

/* Exactly `want` words (or up to `max`) must follow; the error shows the usage. */
int command_words(const struct cli *cli, int argc, int first, int min, int max, struct err *e);
