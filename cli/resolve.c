/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the word a person typed to a sandbox: a named sandbox has its name as id, so that making the state
 * directory is also what keeps names unique.
 */
#include "people.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

int resolve_sandbox(const struct rt_ctx *ctx, const char *word, char **ret_id, struct err *e)
{
	_cleanup_strv_ char **ids = NULL;
	const char *found = NULL;
	int r = state_list(ctx->root, &ids, e);

	if (r < 0)
		return r;
	for (char **id = ids; id && *id && !found; id++)
		if (STREQ(*id, word))
			found = *id;
	for (char **id = found ? NULL : ids; id && *id; id++) {
		if (!*word || !str_has_prefix(*id, word))
			continue;
		if (found) {
			err_invalid(e, "'%s' is the beginning of '%s' and of '%s'", word, found,
				    *id);
			return err_hint(e, "give more of it");
		}
		found = *id;
	}
	if (!found) {
		err_set(e, ERR_NOT_FOUND, ENOENT, "no sandbox '%s'", word);
		return err_hint(e, "insula ps -a lists them");
	}
	*ret_id = strdup(found);
	return *ret_id ? 0 : err_nomem(e);
}
