/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context of all verbs: where states live, where log lines go, the host's cgroups.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/runtime.h"

#define ROOT_OF_ROOT "/run/insula"

/* Root of the host, not only of a user namespace: the map of the first one is the identity over
 * all ids. */
static bool is_real_root(void)
{
	_cleanup_free_ char *map = NULL;
	unsigned inside, outside, count;

	if (geteuid() != 0)
		return false;
	if (path_read_file_at(AT_FDCWD, "/proc/self/uid_map", 4096, &map, NULL, NULL) < 0)
		return true;
	return sscanf(map, "%u %u %u", &inside, &outside, &count) != 3 ||
	       (inside == 0 && outside == 0 && count == UINT32_MAX);
}

static int default_root(char **ret, struct err *e)
{
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (run && run[0] == '\0')
		run = NULL;
	/* The map matters only where there is a choice: one file less to read otherwise. */
	if (geteuid() == 0 && (!run || is_real_root())) {
		*ret = strdup(ROOT_OF_ROOT);
		return *ret ? 0 : err_nomem(e);
	}
	if (!run) {
		err_invalid(e, "no directory for the state: XDG_RUNTIME_DIR is not set");
		return err_hint(e, "log in through a session that sets it, or give --root");
	}
	if (run[0] != '/')
		return err_invalid(e, "XDG_RUNTIME_DIR '%s' is not an absolute path", run);
	return str_printf(ret, "%s/insula", run) < 0 ? err_nomem(e) : 0;
}

/* An absolute form, since hooks and later commands may have another working directory. */
static int absolute_root(const char *root, char **ret, struct err *e)
{
	_cleanup_free_ char *cwd = NULL, *joined = NULL;

	if (root[0] == '\0')
		return err_invalid(e, "--root: an empty path");
	if (root[0] == '/')
		return path_normalize(root, ret) < 0 ? err_nomem(e) : 0;
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return err_sys(e, errno, "--root '%s': working directory", root);
	if (str_printf(&joined, "%s/%s", cwd, root) < 0 || path_normalize(joined, ret) < 0)
		return err_nomem(e);
	return 0;
}

int rt_ctx_init(struct rt_ctx *ctx, const char *root, char **argv, struct err *e)
{
	struct rt_ctx c = {.argv = argv, .log = {.fd = -1}};
	int r = root ? absolute_root(root, &c.owned_root, e) : default_root(&c.owned_root, e);

	if (r < 0)
		return r;
	c.root = c.owned_root;
	*ctx = c;
	return 0;
}

void rt_ctx_done(struct rt_ctx *ctx)
{
	cg_host_free(ctx->cgroups);
	free(ctx->owned_root);
	ctx->cgroups = NULL;
	ctx->owned_root = NULL;
	ctx->root = NULL;
}

int rt_cgroups(struct rt_ctx *ctx, struct cg_host **ret, struct err *e)
{
	int r = 0;

	if (!ctx->cgroups)
		r = cg_host_open(&ctx->cgroups, e);
	if (r < 0)
		return r;
	*ret = ctx->cgroups;
	return 0;
}
