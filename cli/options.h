/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options as a table. The same table parses, prints `--help`, the man page's option list and
 * the shell completion, so that none of them can be forgotten. An option that is known from docker, podman or runc
 * and not done yet stands in the table too, with the reason: it is refused by name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum opt_kind {
	OPT_FLAG,          /* bool; --x, --x=true, --x=false */
	OPT_STRING,        /* const char *, borrowed from argv */
	OPT_LIST,          /* char **, strv; each occurrence is appended; owned by the command */
	OPT_SIZE,          /* int64_t bytes, "512m" */
	OPT_CPUS,          /* int64_t millionths of a CPU, "0.5" */
	OPT_NUMBER,        /* int64_t ≥ 0 */
	OPT_SIGNED,        /* int64_t; -1 is no limit */
	OPT_INTEGER,       /* int64_t of either sign */
	OPT_SIZE_SIGNED,   /* int64_t bytes; -1 is no limit */
	OPT_REFUSED,       /* known, takes no value, not done: `help` says why */
	OPT_REFUSED_VALUE, /* the same for an option with a value */
	OPT_HARMLESS,      /* accepted because it asks for what we do anyway: `help` says what */
	OPT_HEADING,       /* no option: `name` is a heading of the help for what follows */
};

struct opt {
	const char *name;
	char letter; /* 0: none */
	enum opt_kind kind;
	const char *value; /* name of the value in help, NULL for flags */
	const char *help;
	size_t offset; /* in the command's option struct */
};

struct opt_table {
	const struct opt *v;
	size_t n;
};
#define OPT_TABLE(array)                   \
	{                                  \
		(array), ARRAY_SIZE(array) \
	}

/*
 * Parse argv[1..argc-1] into target. Parsing stops at the first word that is no option (when
 * `stop_at_word`, as for `run`, whose command has options of its own) or at "--"; otherwise words and options may
 * mix, and words are moved to the end. *ret_first is the index of the first word. "--help"/"-h" gives -ECANCELED without
 * an error text. An unknown option is ERR_INVALID and names the nearest known one.
 */
int opt_parse(const struct opt_table *table, int argc, char **argv, bool stop_at_word, void *target,
	      int *ret_first, struct err *e);

/* The name of the nearest known word for a mistyped one, or NULL when nothing is near. */
const char *opt_nearest(const char *word, const char *const *known, size_t n);

/* Is the word ("--rm", "--name=x", "-it") an option of the table? */
bool opt_is_known(const struct opt_table *table, const char *word);
