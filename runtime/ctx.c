/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context of all verbs: where states live, where log lines go, the host's cgroups.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "caller.h"
#include "runtime/runtime.h"

#define ROOT_OF_ROOT "/run/insula"

/* What others could have put there, or could change, is not taken: with our state they would choose whom we
 * signal. *ret_ok false: it is not there, or not ours alone. */
static void check_private(const char *path, bool *ret_ok)
{
	struct stat st;

	*ret_ok = lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
		  (st.st_mode & 077) == 0;
}

/* Without XDG_RUNTIME_DIR (su, cron, ssh with no login manager): the place that it would name, else a directory of our own in
 * /tmp. That is made here and now: who has it is then settled, and the sticky bit of /tmp keeps it so. */
static int fallback_root(char **ret, struct err *e)
{
	_cleanup_free_ char *run = NULL, *tmp = NULL;
	struct stat st;
	bool ok;
	int r;

	if (str_printf(&run, "/run/user/%u", (unsigned)geteuid()) < 0 ||
	    str_printf(&tmp, "/tmp/insula-%u", (unsigned)geteuid()) < 0)
		return err_nomem(e);
	check_private(run, &ok);
	if (ok)
		return str_printf(ret, "%s/insula", run) < 0 ? err_nomem(e) : 0;
	if (stat("/tmp", &st) < 0 || !S_ISDIR(st.st_mode) ||
	    (st.st_uid != 0 && st.st_uid != geteuid()) ||
	    ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))) {
		err_invalid(e, "no safe directory for the state: XDG_RUNTIME_DIR is not set");
		return err_hint(e, "log in through a session that sets it, or give --root");
	}
	r = path_mkdir_at(AT_FDCWD, tmp, 0700, e);
	if (r < 0 && r != -EEXIST)
		return err_wrap(e, "XDG_RUNTIME_DIR is not set; state directory");
	err_clear(e);
	check_private(tmp, &ok);
	if (!ok) {
		err_invalid(
			e,
			"XDG_RUNTIME_DIR is not set, and '%s' is not a private directory of ours",
			tmp);
		return err_hint(e, "remove it, set XDG_RUNTIME_DIR, or give --root");
	}
	*ret = TAKE_PTR(tmp);
	return 0;
}

static int default_root(char **ret, struct err *e)
{
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (run && run[0] == '\0')
		run = NULL;
	/* The map matters only where there is a choice: one file less to read otherwise. */
	if (geteuid() == 0 && (!run || caller_is_hosts_root())) {
		*ret = strdup(ROOT_OF_ROOT);
		return *ret ? 0 : err_nomem(e);
	}
	if (!run)
		return fallback_root(ret, e);
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
	if (ctx->images_close)
		ctx->images_close(ctx->images);
	free(ctx->store_path);
	free(ctx->owned_root);
	ctx->cgroups = NULL;
	ctx->images = NULL;
	ctx->images_close = NULL;
	ctx->store_path = NULL;
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
