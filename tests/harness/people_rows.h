/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of what people do with `insula run`, and expect: root, an ordinary user with subordinate ids and one without must
 * all find each row true. Where they differ by nature the row says so, and how. Rows marked `vm` hold in a microVM of these as
 * well; those of one root file system share a boot there, their flags together, since a boot takes seconds.
 *
 * Nothing is left behind, and all files of the person are as before.
 *
 * TEST_ONLY=text: only tests whose name ("person: row", "person, vm: …") contains it. TEST_KIND=container or vm.
 */
#pragma once

#include "people.h"

/* What one kind of people gets. */
struct answer {
	unsigned who;
	int code;
	/* Exactly; "~PATTERN": as fnmatch(3) has it; NULL: not looked at. */
	const char *out;
	/* NULL: nothing at all; else its words, separated by '|' ("": whatever). With a code from 125 to 127 it is
	 * an error of ours: one or two clear lines. */
	const char *err;
};

enum what {
	WORDS, /* the flags are the whole command line */
	HOST,  /* insula run --rm FLAGS --rootfs / COMMAND */
	DIR,   /* the same of his own root file system */
	IMAGE, /* insula run --rm FLAGS COMMAND; the last flag is the image */
};

struct row {
	const char *name;
	enum what what;
	const char *const flags[8]; /* here and in the answers as told_to() him */
	const char *const command[8];
	struct answer is[3]; /* the first that is about this person; none: the row is not for him */
	const char *input;
	unsigned vm; /* whose */
};

#define SH(script)                 \
	{                          \
		"sh", "-c", script \
	}
#define SAYS(text)                               \
	{                                        \
		{                                \
			EVERYBODY, 0, text, NULL \
		}                                \
	}
#define FAILS(code, words)                         \
	{                                          \
		{                                  \
			EVERYBODY, code, "", words \
		}                                  \
	}

/* The whole of a test program: its exit code. */
int people_rows_main(const char *name, const struct row *rows, size_t n);
