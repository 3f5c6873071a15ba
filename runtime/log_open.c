/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a sandbox to its log: which directory it lies in, and who writes it.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "runtime/logs.h"
#include "sandbox.h"

static int check_kept(const struct state *st, struct err *e)
{
	if (!st->log_driver) {
		err_set(e, ERR_STATE, ENODATA,
			"'%s' has no log: it was not started with -d, and its output went to "
			"whoever "
			"started it",
			st->id);
		return err_hint(e, "insula run -d keeps one");
	}
	if (STREQ(st->log_driver, "none")) {
		err_set(e, ERR_STATE, ENODATA,
			"'%s' has no log: it was started with --log-driver none", st->id);
		return err_hint(e, "insula attach shows what it writes from now on");
	}
	return 0;
}

int rt_log_open(struct rt_ctx *ctx, const char *id, bool follow, struct rt_log **ret, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_close_ int dir = -EBADF, writer = -EBADF;
	int r = rt_open(ctx, id, false, &s, e);

	if (r == 0)
		r = check_kept(&s->state, e);
	if (r < 0)
		return r;
	dir = s->state.storage ? path_open_dir(s->state.storage, e) : fd_dup_above_stdio(s->dir.fd);
	if (dir < 0)
		return s->state.storage ? err_wrap(e, "log of '%s'", id)
					: err_sys(e, dir, "log of '%s'", id);
	writer = proc_open(&s->state.monitor, e);
	if (writer < 0 && writer != -ESRCH)
		return writer;
	err_clear(e);
	r = rt_log_open_dir(dir, writer < 0 ? -1 : writer, follow, ret, e);
	if (r < 0)
		return err_wrap(e, "log of '%s'", id);
	(void)TAKE_FD(dir);
	(void)TAKE_FD(writer);
	return 0;
}
