/* SPDX-License-Identifier: Apache-2.0 */
/* Subordinate ids: what /etc/subuid and /etc/subgid grant. Internal to this folder. Spec: subuid(5), subgid(5). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct subid_range {
	uint32_t first, count;
};

struct subids {
	struct subid_range *v; /* owned; in the file's order */
	size_t n;
};

void subids_done(struct subids *s);

/* The ranges of user `uid`, whose lines have that number or `name` (NULL: only the number) in front.
 * Lines of others are not looked at; a wrong one of his own is an error that names `file` and the line: a range that is
 * empty, overflows, or meets another. The text is taken apart in place. *ret must be zeroed. */
int subids_parse(char *text, const char *file, const char *name, uint32_t uid, struct subids *ret,
		 struct err *e);

/* The same from the file; a missing file grants nothing. */
int subids_read(const char *file, const char *name, uint32_t uid, struct subids *ret,
		struct err *e);

/* The login name of uid in passwd-like text, which is taken apart in place; NULL when nobody has it. Borrowed from
 * the text. */
const char *subids_login(char *passwd_text, uint32_t uid);
