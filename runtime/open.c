/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handle of a sandbox: opening an existing one by its id, and the questions and steps that
 * several verbs share (sandbox.h).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "sandbox.h"
#include "state_internal.h"
#include "systemd_client.h"

/* A process that got SIGKILL ends at once, unless the kernel keeps it in an uninterruptible wait. */
#define KILL_WAIT_MSEC 10000

int64_t now_unix_nsec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct sandbox *sandbox_new(struct rt_ctx *ctx)
{
	struct sandbox *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ctx = ctx;
	s->dir.rootfd = s->dir.fd = -1;
	s->pidfd = s->sync_fd = s->console_fd = s->scope.fd = -1;
	s->io = (struct rt_io){.fds = {-1, -1, -1}, .console_socket = -1};
	s->config.isolation.rootfs.fd = -1;
	state_init(&s->state);
	cg_limits_init(&s->plan.limits);
	cg_limits_init(&s->config.limits);
	return s;
}

void rt_close(struct sandbox *s)
{
	if (!s)
		return;
	if (s->driver)
		s->driver->close(s);
	scope_leave(s);
	cg_free(s->cgroup);
	fd_close(s->pidfd);
	fd_close(s->sync_fd);
	fd_close(s->console_fd);
	oci_config_done(&s->config);
	cg_limits_done(&s->plan.limits);
	state_dir_done(&s->dir);
	state_done(&s->state);
	free(s);
}

int sandbox_load(struct sandbox *s, struct err *e)
{
	struct err local = ERR_INIT;
	struct state fresh;
	int r;

	e = e ? e : &local;
	r = state_load(&s->dir, &fresh, e);
	if (r < 0 && r != -ENOENT)
		return r;
	err_clear(e);
	state_done(&s->state);
	s->state = fresh;
	if (!s->driver) {
		r = driver_find(fresh.driver, &s->driver, e);
		if (r < 0)
			return err_wrap(e, "state of '%s'", s->dir.id);
	}
	if (s->pidfd < 0 && s->state.host.pid > 0) {
		r = proc_open(&s->state.host, e);
		if (r < 0 && r != -ESRCH)
			return r;
		err_clear(e);
		s->pidfd = r < 0 ? -1 : r;
	}
	return 0;
}

int sandbox_lock(struct sandbox *s, struct err *e)
{
	int r = state_dir_lock(&s->dir, e);

	if (r == 0)
		r = sandbox_load(s, e);
	if (r < 0)
		sandbox_unlock(s);
	return r;
}

void sandbox_unlock(struct sandbox *s)
{
	state_dir_unlock(&s->dir);
}

int sandbox_need_config(struct sandbox *s, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	struct oci_config config;
	int r;

	if (s->config.document)
		return 0;
	r = json_parse_file_at(s->dir.fd, CONFIG_FILE, JSON_FILE_MAX, &doc, e);
	if (r == 0)
		r = oci_config_read(doc, s->state.bundle ? s->state.bundle : "/", &config, e);
	if (r < 0)
		return err_wrap(e, "saved configuration of '%s'", s->dir.id);
	TAKE_PTR(doc);
	oci_config_done(&s->config);
	s->config = config;
	return 0;
}

int sandbox_save_config(struct sandbox *s, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (json_to_text(s->config.document, false, &text, &len) < 0)
		return err_nomem(e);
	return path_replace_file_at(s->dir.fd, CONFIG_FILE, text, len, 0600, false, e);
}

int sandbox_need_cgroup(struct sandbox *s, struct err *e)
{
	struct cg_host *host;
	int r;

	if (s->cgroup || !s->state.cgroup_path || s->state.cgroup_path[0] == '\0')
		return 0;
	r = rt_cgroups(s->ctx, &host, e);
	if (r == 0)
		r = cg_open(host, s->state.cgroup_path, &s->cgroup, e);
	return r;
}

bool sandbox_has_cgroup(struct sandbox *s)
{
	return sandbox_need_cgroup(s, NULL) == 0 && s->cgroup && !cg_is_null(s->cgroup);
}

static bool is_frozen(struct sandbox *s)
{
	const char *path = s->state.cgroup_path;
	struct cg_host *host;

	if (s->cgroup)
		return !cg_is_null(s->cgroup) && cg_is_frozen(s->cgroup);
	return path && path[0] && rt_cgroups(s->ctx, &host, NULL) == 0 &&
	       cg_path_is_frozen(host, path);
}

enum rt_status sandbox_status(struct sandbox *s)
{
	bool frozen = false;

	if (!pidfd_has_ended(s->pidfd) && s->state.saved != RT_CREATING)
		frozen = is_frozen(s);
	return state_status_by(&s->dir, &s->state, s->pidfd, frozen);
}

int sandbox_save(struct sandbox *s, enum rt_status status, struct err *e)
{
	enum rt_status before = s->state.saved;
	int r;

	s->state.saved = status;
	r = state_save(&s->dir, &s->state, e);
	if (r < 0)
		s->state.saved = before;
	return r;
}

int sandbox_kill(struct sandbox *s, struct err *e)
{
	struct err local = ERR_INIT;
	int r;

	e = e ? e : &local;
	if (s->pidfd < 0)
		return 0;
	r = proc_signal(s->pidfd, SIGKILL, e);
	if (r < 0 && r != -ESRCH)
		return r;
	/* v1 delivers nothing to a frozen process, not even this. */
	if (sandbox_has_cgroup(s) && cg_is_frozen(s->cgroup))
		(void)cg_freeze(s->cgroup, false, NULL);
	r = proc_wait_exit(s->pidfd, KILL_WAIT_MSEC, e);
	if (r < 0)
		return err_wrap(e, "kill host process %d", (int)s->state.host.pid);
	/* Ours to reap when we created it; else this fails and does no harm. */
	(void)waitpid(s->state.host.pid, NULL, WNOHANG);
	err_clear(e);
	return 0;
}

void sandbox_explain_oom(struct sandbox *s, struct err *e)
{
	int64_t limit = s->plan.limits.memory_bytes;
	char text[STR_SIZE_MAX];

	if (limit == CG_UNSET)
		limit = s->config.limits.memory_bytes; /* opened, not created, in this process */
	if (limit < 0 || !sandbox_has_cgroup(s) || cg_oom_kills(s->cgroup) == 0)
		return;
	err_set(e, ERR_LIMIT, ENOMEM, "out of memory during set-up (limit %s)",
		str_size((uint64_t)limit, text));
	err_hint(e, "raise the memory limit (--memory, or linux.resources.memory.limit)");
}

int rt_open(struct rt_ctx *ctx, const char *id, bool with_config, struct sandbox **ret,
	    struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = sandbox_new(ctx);
	int r;

	if (!s)
		return err_nomem(e);
	r = state_dir_open(ctx->root, id, false, &s->dir, e);
	if (r == 0)
		r = sandbox_load(s, e);
	if (r == 0 && with_config)
		r = sandbox_need_config(s, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

enum rt_status rt_status(struct sandbox *s)
{
	return sandbox_status(s);
}

void rt_close_descriptors(struct sandbox *s)
{
	cg_free(s->cgroup);
	s->cgroup = NULL;
	s->pidfd = fd_close(s->pidfd);
	state_dir_unlock(&s->dir);
	s->dir.fd = fd_close(s->dir.fd);
	s->dir.rootfd = fd_close(s->dir.rootfd);
}

int rt_state_json(struct sandbox *s, char **ret, struct err *e)
{
	enum rt_status status = sandbox_status(s);
	/* Spec: the pid is there while created or running; a number that may be somebody else's
	 * by now is never shown. */
	pid_t pid = status == RT_STOPPED ? 0 : s->state.host.pid;

	return state_to_oci_text(&s->state, status, pid, true, ret, e);
}
