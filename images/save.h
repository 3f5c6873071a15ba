/* SPDX-License-Identifier: Apache-2.0 */
/* Where a saved image goes: files by name, into a tar or a directory. Internal to this folder. */
#pragma once

#include "store.h"

struct save_target {
	bool is_tar;
	int fd;     /* of the tar, or of the directory */
	char **has; /* strv: names that were written */
};
void save_target_done(struct save_target *t); /* not the descriptor */

/* A name that is there already is passed over by both. */
int save_text(struct save_target *t, const char *name, const char *text, size_t len, struct err *e);
/* size_bytes of `from`, whose bytes must have `digest`. */
int save_stream(struct save_target *t, const char *name, int from, uint64_t size_bytes,
		const char *digest, struct err *e);
bool save_has(const struct save_target *t, const char *name);
