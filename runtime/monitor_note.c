/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a monitor writes into the state of its sandbox. It holds the directory from the creation on, so a
 * sandbox that was removed and one that got the same name since cannot be confused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "monitor.h"

/* A handle of our sandbox, with descriptors of its own. */
static int open_own(struct monitor *m, struct sandbox **ret, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = sandbox_new(m->ctx);

	if (!s)
		return err_nomem(e);
	s->dir.fd = fd_dup_above_stdio(m->dir.fd);
	s->dir.rootfd = fd_dup_above_stdio(m->dir.rootfd);
	s->dir.id = strdup(m->id);
	if (!s->dir.id || s->dir.fd < 0 || s->dir.rootfd < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(s);
	return 0;
}

/* 1: it is to be removed. */
int monitor_note_end(struct monitor *m, int *ret_exit_code, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int r = open_own(m, &s, e);

	if (r < 0 || m->wait_status == -1)
		return r;
	r = rt_finish(s, m->wait_status, e);
	if (r < 0)
		return r;
	*ret_exit_code = s->state.exit_code;
	return s->state.ephemeral;
}

void monitor_note_loss(struct monitor *m)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	char *text;

	if (open_own(m, &s, NULL) < 0 || sandbox_lock(s, NULL) < 0)
		return;
	if (str_printf(&text, "%llu bytes of output are not in the log: %s",
		       (unsigned long long)m->log.lost_bytes, strerror(m->log.lost_errno)) == 0) {
		free(s->state.log_error);
		s->state.log_error = text;
		/* On the same full disk this may fail too; it is tried again at the end. */
		(void)sandbox_save(s, s->state.saved, NULL);
	}
	sandbox_unlock(s);
}
