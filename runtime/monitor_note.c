/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a monitor writes into the state of its sandbox. It holds the directory from the creation on, so a
 * sandbox that was removed and one that got the same name since cannot be confused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "monitor.h"

/* Of a log that fills the disk; more than a state takes. */
#define ROOM_BYTES 65536u

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

/* The log may be what fills the disk that the state is on: the end of the sandbox is worth more than the oldest of its
 * output. A record that is cut in two is left out by who reads it. */
static bool make_room(struct monitor *m)
{
	char name[LOG_NAME_MAX];

	if (m->log.dirfd < 0)
		return false;
	for (unsigned n = m->log.max_files; n-- > 1;)
		if (faccessat(m->log.dirfd, log_name(n, name), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return path_unlink_at(m->log.dirfd, name, NULL) == 0;
	if (m->log.fd < 0 || m->log.size == 0)
		return false;
	m->log.size -= m->log.size > ROOM_BYTES ? ROOM_BYTES : m->log.size;
	return ftruncate(m->log.fd, (off_t)m->log.size) == 0;
}

/* 1: it is to be removed. */
int monitor_note_end(struct monitor *m, int *ret_exit_code, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int r = open_own(m, &s, e);

	if (r < 0 || m->wait_status == -1)
		return r;
	do {
		err_clear(e);
		r = rt_finish(s, m->wait_status, e);
	} while ((r == -ENOSPC || r == -EDQUOT) && make_room(m));
	if (r < 0)
		return r;
	*ret_exit_code = s->state.exit_code;
	return s->state.ephemeral;
}

void monitor_note_loss(struct monitor *m)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	struct err e = ERR_INIT; /* its number is what counts */
	char *text;
	int r;

	if (open_own(m, &s, NULL) < 0 || sandbox_lock(s, NULL) < 0)
		return;
	if (str_printf(&text, "%llu bytes of output are not in the log: %s",
		       (unsigned long long)m->log.lost_bytes, strerror(m->log.lost_errno)) == 0) {
		free(s->state.log_error);
		s->state.log_error = text;
		do
			r = sandbox_save(s, s->state.saved, &e);
		while ((r == -ENOSPC || r == -EDQUOT) && make_room(m));
	}
	sandbox_unlock(s);
}
