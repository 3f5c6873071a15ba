/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting: what is left of a process, what the driver left, the cgroup, the poststop hooks, the
 * directory, in this order. Each part may be missing already, since an earlier delete may have been
 * killed at any point; the directory goes last, so whatever remains can be found again.
 *
 * Poststop hooks run without the lock. So that a second delete does not run them again meanwhile,
 * the first one leaves a note with its own identity in the directory; the second waits for that
 * process to end and then looks again. A note of a dead process means nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/path.h"
#include "base/proc.h"
#include "cgroup_manager.h"
#include "monitor.h"
#include "sandbox.h"
#include "state_internal.h"

/* For the hooks of a delete that somebody else is in; longer ones are theirs to speak about. */
#define OTHER_DELETE_MSEC 60000
/* For a monitor to see that its sandbox is gone: at most the time it grants somebody attached who takes no output. */
#define MONITOR_END_MSEC 15000
/* As many new files may come while we remove. */
#define WRITTEN_ATTEMPTS 200

/* ---- two deletes at once ---------------------------------------------------------------- */

static int leave_note(const struct state_dir *d, struct err *e)
{
	struct proc_id self;
	char text[64];
	int n, r = proc_id_of(getpid(), &self, e);

	if (r < 0)
		return r;
	n = snprintf(text, sizeof(text), "%d %llu\n", (int)self.pid,
		     (unsigned long long)self.start_ticks);
	return path_replace_file_at(d->fd, DELETING_FILE, text, (size_t)n, 0600, false, e);
}

/* The process that deletes it right now, or -1. */
static int open_deleter(const struct state_dir *d)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long ticks;
	struct proc_id id;
	int pid, fd;

	if (path_read_file_at(d->fd, DELETING_FILE, 64, &text, NULL, NULL) < 0 ||
	    sscanf(text, "%d %llu", &pid, &ticks) != 2 || pid <= 0 || pid == getpid())
		return -1;
	id = (struct proc_id){.pid = pid, .start_ticks = ticks};
	fd = proc_open(&id, NULL);
	return fd < 0 ? -1 : fd;
}

static bool same_directory(const struct state_dir *a, const struct state_dir *b)
{
	struct stat x, y;

	return fstat(a->fd, &x) == 0 && fstat(b->fd, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* Open it locked, with nobody else deleting; with `only`, if it is that directory. -ENOENT when another delete finished the work;
 * *ret_seen tells whether it was ever there. */
static int open_alone(struct rt_ctx *ctx, const char *id, const struct state_dir *only,
		      struct state_dir *ret, bool *ret_seen, struct err *e)
{
	*ret_seen = false;
	for (;;) {
		_cleanup_(state_dir_done) struct state_dir d = {.rootfd = -1, .fd = -1};
		_cleanup_close_ int other = -1;
		int r = state_dir_open(ctx->root, id, false, &d, e);

		if (r < 0)
			return r;
		*ret_seen = true;
		if (only && !same_directory(only, &d))
			return -ENOENT;
		r = state_dir_lock(&d, e);
		if (r < 0)
			return r;
		other = open_deleter(&d);
		if (other < 0) {
			*ret = d;
			d = (struct state_dir){.rootfd = -1, .fd = -1};
			return 0;
		}
		state_dir_unlock(&d);
		r = proc_wait_exit(other, OTHER_DELETE_MSEC, e);
		if (r == -ETIMEDOUT)
			return err_set(e, ERR_STATE, EBUSY,
				       "another process is deleting it, and its hooks still run");
		if (r < 0)
			return r;
	}
}

/* ---- the parts -------------------------------------------------------------------------- */

static int check_status(struct sandbox *s, bool force, struct err *e)
{
	enum rt_status status = sandbox_status(s);

	/* One that waits at its gate never ran: runc deletes it too. */
	if (force || status == RT_STOPPED || status == RT_CREATED)
		return 0;
	err_set(e, ERR_STATE, EBUSY, "cannot delete a container that is not stopped: %s",
		rt_status_name(status));
	return err_hint(e, "stop it first, or use --force");
}

static int remove_cgroup(struct sandbox *s, struct err *e)
{
	_cleanup_free_ char *fallback = NULL;
	const char *path = s->state.cgroup_path;
	struct cg_host *host;
	int r;

	if (!path) {
		r = rt_cgroups(s->ctx, &host, e);
		if (r < 0)
			return r;
		/* The state is unreadable. The one path that can only be this sandbox's is the
		 * default one. */
		if (cg_path_resolve(host, NULL, CGROUP_PREFIX, s->dir.id, &fallback, NULL) < 0)
			return 0;
		path = fallback;
	}
	cg_free(s->cgroup);
	s->cgroup = NULL;
	return sandbox_remove_group(s, path, e);
}

/* Parsing a large configuration again costs as much as all the rest of a delete, and few have such
 * hooks. What is saved is our own text, without needless escapes: a key that does not stand there is
 * not in it. */
static bool mentions_poststop(const struct sandbox *s)
{
	_cleanup_free_ char *text = NULL;

	return s->config.document ||
	       path_read_file_at(s->dir.fd, CONFIG_FILE, JSON_FILE_MAX, &text, NULL, NULL) < 0 ||
	       strstr(text, "\"poststop\"") != NULL;
}

/* Without the lock. -ENOENT: gone meanwhile. */
static int run_poststop(struct sandbox *s, struct err *e)
{
	struct err failure = ERR_INIT;
	int r;

	if (!s->state.version)
		return 0; /* never got as far as hooks */
	if (!mentions_poststop(s))
		return 0;
	if (sandbox_need_config(s, &failure) < 0) {
		log_error_value(&s->ctx->log, &failure);
		return 0;
	}
	if (s->config.hooks[OCI_HOOK_POSTSTOP].n == 0)
		return 0;
	r = leave_note(&s->dir, e);
	if (r < 0)
		return r;
	sandbox_unlock(s);
	if (sandbox_run_hooks(s, OCI_HOOK_POSTSTOP, RT_STOPPED, 0, &failure) < 0)
		log_error_value(&s->ctx->log, &failure);
	return state_dir_lock(&s->dir, e);
}

static int save_stopped(struct sandbox *s, struct err *e)
{
	if (!s->state.version || s->state.saved == RT_STOPPED)
		return 0;
	s->state.finished_unix_nsec = now_unix_nsec();
	return sandbox_save(s, RT_STOPPED, e);
}

/* A monitor may still be writing what its dead sandbox left in the pipe, and begin a new file of the log between
 * the last unlink and the rmdir. What there is to write is finite. */
static int remove_files(struct sandbox *s, struct err *e)
{
	int r = -ENOTEMPTY;

	for (int attempt = 0; r == -ENOTEMPTY && attempt < WRITTEN_ATTEMPTS; attempt++) {
		err_clear(e);
		r = s->state.storage ? rt_storage_remove(s->ctx, s->state.storage, e) : 0;
		if (r == 0)
			r = state_dir_remove(&s->dir, e);
	}
	return r;
}

static int remove_all(struct sandbox *s, struct err *e)
{
	int r = sandbox_kill(s, e);

	if (r == 0)
		r = FAULT("delete-killed", e);
	if (r == 0 && s->driver)
		r = s->driver->delete (s, e);
	if (r == 0)
		r = save_stopped(s, e);
	if (r == 0)
		r = remove_cgroup(s, e);
	if (r == 0)
		r = FAULT("delete-cgroup", e);
	if (r < 0)
		return r;
	r = run_poststop(s, e);
	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	if (r == 0)
		r = FAULT("delete-hooks", e);
	return r < 0 ? r : remove_files(s, e);
}

/* It sees the end of its sandbox, tells those who wait, and goes; when we return, nothing is left of either. */
static void await_monitor(struct sandbox *s)
{
	_cleanup_close_ int pidfd = -EBADF;

	if (s->state.monitor.pid <= 0 || s->state.monitor.pid == getpid())
		return;
	pidfd = proc_open(&s->state.monitor, NULL);
	if (pidfd >= 0)
		(void)proc_wait_exit(pidfd, MONITOR_END_MSEC, NULL);
}

static int delete_it(struct rt_ctx *ctx, const char *id, const struct state_dir *only, bool force,
		     struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = sandbox_new(ctx);
	bool seen;
	int r;

	if (!s)
		return err_nomem(e);
	r = open_alone(ctx, id, only, &s->dir, &seen, e);
	if (r == -ENOENT && (force || seen)) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return r;
	r = sandbox_load(s, e);
	if (r < 0 && force) {
		/* Unreadable: what can be found without it is removed. */
		err_clear(e);
		return remove_all(s, e);
	}
	if (r == 0)
		r = check_status(s, force, e);
	if (r == 0)
		r = remove_all(s, e);
	if (r == 0)
		await_monitor(s);
	return r;
}

int rt_delete(struct rt_ctx *ctx, const char *id, bool force, struct err *e)
{
	struct err local = ERR_INIT;
	int r;

	e = e ? e : &local;
	r = delete_it(ctx, id, NULL, force, e);
	return r < 0 ? err_wrap(e, "delete '%s'", id ? id : "") : 0;
}

int sandbox_delete_exactly(struct rt_ctx *ctx, const struct state_dir *dir, struct err *e)
{
	struct err local = ERR_INIT;
	int r;

	e = e ? e : &local;
	r = delete_it(ctx, dir->id, dir, true, e);
	return r < 0 ? err_wrap(e, "delete '%s'", dir->id) : 0;
}
