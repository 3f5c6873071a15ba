/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where images and the storage of sandboxes are kept. Apart from images.c, so that programs that run no images do not
 * carry the code that reads them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "caller.h"
#include "storage.h"

#define STORE_OF_ROOT "/var/lib/insula"

static int default_path(char **ret, struct err *e)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

	if (caller_is_hosts_root())
		return str_printf(ret, STORE_OF_ROOT) < 0 ? err_nomem(e) : 0;
	if (data && data[0] == '/')
		return str_printf(ret, "%s/insula", data) < 0 ? err_nomem(e) : 0;
	if (home && home[0] == '/')
		return str_printf(ret, "%s/.local/share/insula", home) < 0 ? err_nomem(e) : 0;
	err_invalid(e, "no directory for images: neither XDG_DATA_HOME nor HOME is set");
	return err_hint(e, "set HOME, or give --store DIR");
}

int rt_store_set(struct rt_ctx *ctx, const char *path, struct err *e)
{
	_cleanup_free_ char *joined = NULL, *flat = NULL, *cwd = NULL;

	if (!*path)
		return err_invalid(e, "--store: an empty path");
	if (*path != '/') {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return err_sys(e, errno, "--store '%s': working directory", path);
	}
	if (str_printf(&joined, "%s%s%s", cwd ?: "", cwd ? "/" : "", path) < 0 ||
	    path_normalize(joined, &flat) < 0)
		return err_nomem(e);
	free(ctx->store_path);
	ctx->store_path = TAKE_PTR(flat);
	return 0;
}

int store_path(struct rt_ctx *ctx, const char **ret, struct err *e)
{
	int r = ctx->store_path ? 0 : default_path(&ctx->store_path, e);

	if (r == 0)
		*ret = ctx->store_path;
	return r;
}

uint64_t store_hash(const char *text)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return h;
}
