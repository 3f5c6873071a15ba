/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating a sandbox, up to its start gate.
 *
 * The steps are a table, in the order of the way of a command. What must hold at every moment,
 * since this process can be killed at any:
 *
 *	- The state is saved, with the path of the cgroup, before anything else exists. So whatever
 *	  is left behind can be listed, and `delete --force` finds it: the directory, the cgroup,
 *	  and with the cgroup every process.
 *	- Until commit, the host process ends by itself when we do (base/sync.h).
 *	- The lock is held but while hooks run; createContainer hooks run inside create_inner. If
 *	  somebody deletes the sandbox in that time, we notice when we lock again, and then take back
 *	  only our process: directory and cgroup of that name may be another's by now.
 *
 * When a step fails, what was made is taken back in reverse order: process, driver's own, cgroup,
 * then the poststop hooks if hooks had begun (Spec: runtime.md "Lifecycle", steps 3 to 5 go on
 * with 12 and 13), then the directory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "cgroup_manager.h"
#include "run_files.h"
#include "sandbox.h"
#include "sd_notify.h"
#include "state_internal.h"

/* ---- taking back ------------------------------------------------------------------------ */

static void undo_state(void *arg)
{
	struct creation *c = arg;

	if (c->dir_made)
		(void)state_dir_remove(&c->s->dir, NULL);
}

static void undo_storage(void *arg)
{
	struct creation *c = arg;
	struct err failure = ERR_INIT;

	if (c->dir_made && rt_storage_remove(c->ctx, c->s->state.storage, &failure) < 0)
		log_error_value(&c->ctx->log, &failure);
}

static void undo_hooks(void *arg)
{
	struct creation *c = arg;
	struct sandbox *s = c->s;
	struct err failure = ERR_INIT;

	if (!c->hooks_began || !c->dir_made || s->config.hooks[OCI_HOOK_POSTSTOP].n == 0)
		return;
	sandbox_unlock(s);
	if (sandbox_run_hooks(s, OCI_HOOK_POSTSTOP, RT_STOPPED, 0, &failure) < 0)
		log_error_value(&c->ctx->log, &failure);
	c->dir_made = state_dir_lock(&s->dir, NULL) == 0;
}

static void undo_cgroup(void *arg)
{
	struct creation *c = arg;
	struct err failure = ERR_INIT;

	if (c->dir_made && sandbox_remove_group(c->s, c->s->state.cgroup_path, &failure) < 0)
		log_error_value(&c->ctx->log, &failure);
}

static void undo_host(void *arg)
{
	struct creation *c = arg;
	struct err failure = ERR_INIT;

	if (sandbox_kill(c->s, &failure) < 0 || c->s->driver->delete (c->s, &failure) < 0)
		log_error_value(&c->ctx->log, &failure);
}

static void undo_pid_file(void *arg)
{
	struct creation *c = arg;

	if (c->pid_file_made)
		pid_file_remove(c->request->pid_file);
}

/* ---- the steps -------------------------------------------------------------------------- */

/* Once the state names a cgroup, a cleanup after our death empties that group. So a group that
 * somebody lives in must be refused before, although cg_create() would refuse it too. */
static int check_group_is_free(struct creation *c, struct err *e)
{
	_cleanup_(cg_freep) struct cgroup *g = NULL;
	_cleanup_free_ pid_t *pids = NULL;
	const char *path = c->s->state.cgroup_path;
	struct cg_host *host;
	size_t n = 0;
	int r = rt_cgroups(c->ctx, &host, e);

	if (r < 0)
		return r;
	if (path[0] == '\0' || cg_open(host, path, &g, NULL) < 0 || cg_is_null(g) ||
	    cg_pids(g, &pids, &n, NULL) < 0 || n == 0)
		return 0;
	/* Most often the id is in use, and that group is its. */
	r = state_dir_check_free(c->ctx->root, c->request->id, e);
	if (r < 0)
		return r;
	err_set(e, ERR_EXISTS, EEXIST, "cgroup '%s' exists and has %zu process%s in it", path, n,
		n == 1 ? "" : "es");
	return err_hint(e, "another sandbox uses this cgroup path");
}

static int step_state(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	int r = check_group_is_free(c, e);

	if (r == 0)
		r = state_dir_create(c->ctx->root, c->request->id, &s->dir, e);
	if (r < 0)
		return r;
	c->dir_made = true;
	undo_push(&s->undo, undo_state, c);
	undo_push(&s->undo, undo_hooks, c);
	r = sandbox_save_config(s, e);
	if (r < 0)
		return err_wrap(e, "save the configuration");
	r = sd_notify_make_directory(s, e);
	if (r < 0)
		return err_wrap(e, "the directory of the notification socket");
	r = sandbox_save(s, RT_CREATING, e);
	if (r == 0 && s->state.storage) {
		undo_push(&s->undo, undo_storage, c);
		r = rt_storage_create(c->ctx, s->state.storage, e);
	}
	return r < 0 ? r : run_files_make(c->request->files, c->request->n_files, e);
}

/* Only a look: the host process opens it again in its own mount namespace, where a descriptor of
 * ours could not be mounted. */
static int step_rootfs(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	struct img_rootfs rootfs;
	const struct img_source from = {.directory = s->config.isolation.rootfs.path};
	int r;

	/* A guest system's is on its disk. */
	if (!s->config.isolation.rootfs.path)
		return 0;
	r = img_rootfs_open(&from, s->plan.rootfs_form, &rootfs, e);
	if (r < 0)
		return r;
	free(s->config.isolation.rootfs.path);
	s->config.isolation.rootfs.path = TAKE_PTR(rootfs.path);
	img_rootfs_done(&rootfs);
	return 0;
}

/* Try once more without the limit of memory, where that is no more than a second fence? Swapping beyond it is asked for on its
 * own, and stays so. */
static bool can_do_without_memory(struct sandbox *s, struct err *e)
{
	struct cg_limits *l = &s->plan.limits;

	if (!s->plan.memory_limit_optional || e->kind != ERR_UNSUPPORTED || l->memory_bytes <= 0 ||
	    (l->memory_swap_bytes > 0 && l->memory_swap_bytes != l->memory_bytes))
		return false;
	l->memory_swap_bytes = CG_UNSET;
	l->memory_bytes = CG_UNSET;
	err_clear(e);
	return true;
}

static int step_cgroup(struct creation *c, struct err *e)
{
	const struct cgroup_manager *m = cgroup_manager_of(c->ctx);
	struct sandbox *s = c->s;
	int r;

	/* A scope is looked at before it is stopped; a directory that we could not make is another's. */
	if (s->state.scope)
		undo_push(&s->undo, undo_cgroup, c);
	r = m->make(c, e);
	if (r < 0 && !s->state.scope && can_do_without_memory(s, e))
		r = m->make(c, e);
	if (r < 0)
		return err_wrap(e, "cgroup");
	if (cg_is_null(s->cgroup)) {
		/* Nothing was made, and no later command shall look for it. */
		s->state.cgroup_path[0] = '\0';
		return 0;
	}
	if (!s->state.scope)
		undo_push(&s->undo, undo_cgroup, c);
	if (m->settle)
		return 0;
	r = cg_set_limits(s->cgroup, &s->plan.limits, e);
	return r < 0 ? err_wrap(e, "cgroup '%s'", s->state.cgroup_path) : 0;
}

static int step_host(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	int r;

	undo_push(&s->undo, undo_host, c);
	r = s->driver->create_host(s, e);
	if (r == 0 && cgroup_manager_of(c->ctx)->settle)
		r = cgroup_manager_of(c->ctx)->settle(c, e);
	if (r < 0)
		return r;
	return sandbox_save(s, RT_CREATING, e);
}

static int step_hooks(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	pid_t pid = s->state.host.pid;
	int r;

	c->hooks_began = true;
	sandbox_unlock(s);
	r = sandbox_run_hooks(s, OCI_HOOK_PRESTART, RT_CREATING, pid, e);
	if (r == 0)
		r = sandbox_run_hooks(s, OCI_HOOK_CREATE_RUNTIME, RT_CREATING, pid, e);
	return r;
}

static int step_inner(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	int r = s->driver->create_inner(s, e);

	if (r < 0 || s->io.console_socket < 0 || s->console_fd < 0)
		return r;
	r = console_send(s->io.console_socket, s->console_fd, e);
	s->console_fd = fd_close(s->console_fd);
	return r;
}

static int step_created(struct creation *c, struct err *e)
{
	int r = state_dir_lock(&c->s->dir, e);

	return r < 0 ? r : sandbox_save(c->s, RT_CREATED, e);
}

/* The processes of a checkpoint are there, and none runs yet: the moment for the hooks of the host. */
static int on_restored(void *arg, pid_t pid, struct err *e)
{
	struct creation *c = arg;
	struct sandbox *s = c->s;
	int r = proc_id_of(pid, &s->state.host, e);

	if (r < 0)
		return r;
	s->pidfd = proc_open(&s->state.host, e);
	if (s->pidfd < 0)
		return s->pidfd;
	r = sandbox_save(s, RT_CREATING, e);
	if (r == 0)
		r = step_hooks(c, e);
	return r < 0 ? r : state_dir_lock(&s->dir, e);
}

static int step_restore(struct creation *c, struct err *e)
{
	if (cgroup_manager_of(c->ctx)->settle)
		return err_unsupported(e, "restore into a systemd scope");
	undo_push(&c->s->undo, undo_host, c);
	return c->s->driver->restore(c->s, c->request->restore, on_restored, c, e);
}

static int step_restored(struct creation *c, struct err *e)
{
	c->s->state.started_unix_nsec = now_unix_nsec();
	return sandbox_save(c->s, RT_RUNNING, e);
}

static int step_pid_file(struct creation *c, struct err *e)
{
	int r;

	if (!c->request->pid_file)
		return 0;
	r = pid_file_write(c->request->pid_file, c->s->state.host.pid, e);
	if (r < 0)
		return r;
	c->pid_file_made = true;
	undo_push(&c->s->undo, undo_pid_file, c);
	return 0;
}

/* The host process may hold a copy of our descriptors until its exec, and with them the lock, so
 * that must be gone before it can outlive us. A start that comes at once waits at the gate for the
 * commit. */
static int step_commit(struct creation *c, struct err *e)
{
	struct sandbox *s = c->s;
	int r;

	sandbox_unlock(s);
	/* Nor may it have the lock that a start of ours takes, if we are killed in that. */
	r = state_dir_reopen(&s->dir, e);
	return r < 0 ? r : s->driver->commit(s, e);
}

/* The names are the fault points of test builds; each lies behind its step. */
struct step {
	const char *name;
	int (*run)(struct creation *c, struct err *e);
};

static const struct step steps[] = {
	{"load", creation_load},     {"plan", creation_plan}, {"state", step_state},
	{"rootfs", step_rootfs},     {"cgroup", step_cgroup}, {"host", step_host},
	{"hooks", step_hooks},       {"inner", step_inner},   {"created", step_created},
	{"pid-file", step_pid_file}, {"commit", step_commit},
};

static const struct step restore_steps[] = {
	{"load", creation_load},     {"plan", creation_plan},     {"state", step_state},
	{"rootfs", step_rootfs},     {"cgroup", step_cgroup},     {"restore", step_restore},
	{"restored", step_restored}, {"pid-file", step_pid_file},
};

static int run_steps(struct creation *c, struct err *e)
{
	const struct step *v = c->request->restore ? restore_steps : steps;
	size_t n = c->request->restore ? ARRAY_SIZE(restore_steps) : ARRAY_SIZE(steps);

	for (size_t i = 0; i < n; i++) {
		int r = v[i].run(c, e);

		if (r == 0)
			r = FAULT(v[i].name, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Is what we made still ours? A delete while the lock was dropped killed the host process, which is
 * what the failed step saw; the reason is this. */
static void lock_for_undo(struct creation *c, struct err *e)
{
	struct err why = ERR_INIT;

	if (!c->dir_made || c->s->dir.locked || state_dir_lock(&c->s->dir, &why) == 0)
		return;
	c->dir_made = false;
	if (why.kind == ERR_NOT_FOUND)
		err_set(e, ERR_STATE, ECANCELED, "deleted by another process meanwhile");
}

int rt_create(struct rt_ctx *ctx, struct rt_create_request *r, struct sandbox **ret, struct err *e)
{
	struct creation c = {.ctx = ctx, .request = r, .s = sandbox_new(ctx)};
	struct err local = ERR_INIT;
	int x;

	if (!e)
		e = &local;
	if (!c.s) {
		json_free(TAKE_PTR(r->document));
		return err_nomem(e);
	}
	x = run_steps(&c, e);
	free(c.slice);
	if (x == 0) {
		sandbox_unlock(c.s);
		undo_forget(&c.s->undo);
		*ret = c.s;
		return 0;
	}
	/* Before we made it, a group of that name is another's, and so is what happened in it. */
	if (c.s->cgroup)
		sandbox_explain_oom(c.s, e);
	lock_for_undo(&c, e);
	undo_run(&c.s->undo);
	rt_close(c.s);
	return err_wrap(e, "create '%s'", r->id ? r->id : "");
}
