/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container driver: the host process is the workload's first process itself, made by isolate/.
 *
 * Between two operations nothing is kept but what the common part owns anyway (pid, pidfd, channel,
 * terminal), so there is no private structure: each operation makes a `struct iso_init` view of
 * it and stores back what changed.
 *
 * Hooks of the container's namespaces run in init, at the stages that isolate/ calls; init runs in
 * a copy of this process, so configuration and state are at hand there.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sync.h"
#include "caller.h"
#include "checkpoint.h"
#include "isolate/sandbox.h"
#include "sandbox.h"
#include "systemd_client.h"

/* ---- the view that isolate/ works on ---------------------------------------------------- */

static struct iso_init init_of(const struct sandbox *s)
{
	return (struct iso_init){.pid = s->state.host.pid,
				 .pidfd = s->pidfd,
				 .sync_fd = s->sync_fd,
				 .console_fd = s->console_fd};
}

static void take_init(struct sandbox *s, const struct iso_init *i)
{
	s->pidfd = i->pidfd;
	s->sync_fd = i->sync_fd;
	s->console_fd = i->console_fd;
}

static struct iso_stdio stdio_of(const struct rt_io *io)
{
	return (struct iso_stdio){.fds = {io->fds[0], io->fds[1], io->fds[2]},
				  .preserve = io->preserve_fds};
}

/* ---- plan, creation --------------------------------------------------------------------- */

/* Spec: config.md "Linux Process", capabilities: what cannot be granted is a warning, no failure. */
static void warn_of_capabilities(const struct sandbox *s)
{
	const struct iso_caps *caps = &s->config.process.caps;
	uint64_t set = iso_caps_ungrantable(caps, s->config.isolation.ns[ISO_NS_USER].mode !=
							  ISO_NS_INHERIT);
	struct strbuf names = {0};
	_cleanup_free_ char *text = NULL;

	for (int cap = 0; cap <= iso_cap_last(); cap++)
		if (set & UINT64_C(1) << cap)
			strbuf_addf(&names, " %s", iso_cap_name(cap) ?: "(unnamed)");
	if (set && strbuf_take(&names, &text) == 0)
		log_to(&s->ctx->log, LOG_LEVEL_WARNING, "'%s': cannot grant%s", s->state.id, text);
}

static int container_plan(struct sandbox *s, struct err *e)
{
	int r = iso_config_check(&s->config.isolation, &s->config.process, e);

	if (r < 0)
		return err_wrap(e, "configuration");
	warn_of_capabilities(s);
	s->plan.rootfs_form = IMG_FORM_DIRECTORY;
	/* As configured. They move: nobody asks the configuration for them again. */
	cg_limits_done(&s->plan.limits);
	s->plan.limits = s->config.limits;
	cg_limits_init(&s->config.limits);
	/* Only the host's root can filter devices. Nobody else's sandbox can make a node of one: what it has
	 * are nodes of the host that the caller may open himself. */
	if (!caller_is_hosts_root())
		s->plan.limits.n_devices = 0;
	return 0;
}

/* Spec: config.md "POSIX-platform Hooks": createContainer and startContainer run in the container's
 * namespaces, and their pid is the one seen there. */
static int container_stage(void *arg, enum iso_stage stage, struct err *e)
{
	struct sandbox *s = arg;

	switch (stage) {
	case ISO_STAGE_CREATE_CONTAINER:
		return sandbox_run_hooks(s, OCI_HOOK_CREATE_CONTAINER, RT_CREATING, getpid(), e);
	case ISO_STAGE_START_CONTAINER:
		return sandbox_run_hooks(s, OCI_HOOK_START_CONTAINER, RT_CREATED, getpid(), e);
	}
	return err_set(e, ERR_INTERNAL, EINVAL, "unknown stage %d", (int)stage);
}

/* What isolate/ needs of the group's hierarchies; it knows no cgroups. Borrowed strings. */
static int cgroup_mounts(struct sandbox *s, struct iso_cgroup_mount **ret, size_t *ret_n,
			 struct err *e)
{
	const struct cg_mount_view *views;
	struct iso_cgroup_mount *mounts;
	size_t n;

	*ret = NULL;
	*ret_n = 0;
	if (cg_is_null(s->cgroup))
		return 0;
	n = cg_mount_views(s->cgroup, &views);
	mounts = calloc(n + 1, sizeof(*mounts));
	if (!mounts)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		mounts[i] = (struct iso_cgroup_mount){.name = (char *)views[i].name,
						      .fstype = (char *)views[i].fstype,
						      .options = (char *)views[i].options,
						      .group_fd = views[i].group_fd};
	*ret = mounts;
	*ret_n = n;
	return 0;
}

static int enter_groups(void *arg, struct err *e)
{
	return cg_enter(arg, e);
}

static int container_create_host(struct sandbox *s, struct err *e)
{
	_cleanup_(iso_bpf_done) struct iso_bpf bpf = {0};
	_cleanup_free_ struct iso_cgroup_mount *mounts = NULL;
	_cleanup_(notify_done) struct notify notify = NOTIFY_NONE;
	_cleanup_close_ int gate = -1;
	struct iso_init init;
	struct iso_init_params p = {
		.config = &s->config.isolation,
		.process = &s->config.process,
		.stdio = stdio_of(&s->io),
		.cgroup_fd = -1,
		.stage = container_stage,
		.stage_arg = s,
		.keep_keyring = s->keep_keyring,
		.no_pivot = s->no_pivot,
	};
	int r = sandbox_filter(s, &bpf, e);

	if (r < 0)
		return r;
	p.bpf = bpf.n > 0 ? &bpf : NULL;
	if (!cg_is_null(s->cgroup)) {
		p.cgroup_fd = cg_birth_fd(s->cgroup);
		p.enter_groups = enter_groups;
		p.enter_arg = s->cgroup;
	}
	r = notify_open(&notify, s, RT_CREATED, &bpf, &p.notify, e);
	if (r < 0)
		return r;
	if (scope_moves(s)) {
		p.cgroup_fd = -1;
		p.enter_groups = scope_enter;
		p.enter_arg = s;
	}
	r = cgroup_mounts(s, &mounts, &p.n_cgroup_mounts, e);
	if (r < 0)
		return r;
	p.cgroup_mounts = mounts;
	gate = gate_listen(s->dir.fd, e);
	if (gate < 0)
		return gate;
	p.gate_fd = gate;
	r = iso_init_spawn(&p, &init, e);
	if (r < 0)
		return r;
	take_init(s, &init);
	s->state.host.pid = init.pid;
	return proc_id_of(init.pid, &s->state.host, e);
}

static int container_create_inner(struct sandbox *s, struct err *e)
{
	struct iso_init init = init_of(s);
	int r = iso_init_prepare(&init, e);

	take_init(s, &init);
	return r;
}

static int container_commit(struct sandbox *s, struct err *e)
{
	struct iso_init init = init_of(s);
	int r = iso_init_commit(&init, e);

	take_init(s, &init);
	return r;
}

/* Who created it still has the channel; everybody else goes through the gate. */
static int container_start(struct sandbox *s, struct err *e)
{
	struct iso_init init = init_of(s);
	int r;

	if (s->sync_fd < 0)
		return gate_open(s->dir.fd, e);
	r = iso_init_start(&init, e);
	take_init(s, &init);
	return r;
}

/* ---- a further process ------------------------------------------------------------------ */

/* The container's own group, and the one below it that an exec asks for. */
struct exec_groups {
	struct cgroup *own, *below;
};

static int enter_exec_groups(void *arg, struct err *e)
{
	const struct exec_groups *g = arg;
	int r = cg_enter(g->own, e);

	/* On v1 it need not be there in each hierarchy. */
	return r < 0 || !g->below ? r : cg_enter(g->below, e);
}

static int open_group_below(struct sandbox *s, const char *below, struct cgroup **ret,
			    struct err *e)
{
	_cleanup_free_ char *path = NULL;
	struct cg_host *host;
	int r;

	if (strchr(below, ':'))
		return err_unsupported(e, "--cgroup '%s': groups of single controllers", below);
	if (!s->cgroup || cg_is_null(s->cgroup))
		return err_set(e, ERR_NOT_FOUND, ENOENT,
			       "--cgroup '%s': the container has no cgroup of its own", below);
	if (str_printf(&path, "%s/%s", s->state.cgroup_path, below) < 0)
		return err_nomem(e);
	r = rt_cgroups(s->ctx, &host, e);
	if (r == 0)
		r = cg_open(host, path, ret, e);
	if (r == -ENOENT)
		err_hint(e, "it must have been made below the container's own");
	return r < 0 ? err_wrap(e, "--cgroup '%s'", below) : 0;
}

static int container_exec(struct sandbox *s, const struct rt_exec_request *r, pid_t *ret_pid,
			  int *ret_console, struct err *e)
{
	_cleanup_(iso_bpf_done) struct iso_bpf bpf = {0};
	_cleanup_(notify_done) struct notify notify = NOTIFY_NONE;
	_cleanup_(cg_freep) struct cgroup *below = NULL;
	struct exec_groups groups = {0};
	struct iso_init init;
	struct iso_exec_params p = {
		.init_pidfd = s->pidfd,
		.init_pid = s->state.host.pid,
		.config = &s->config.isolation,
		.process = r->process,
		.stdio = stdio_of(&r->io),
		.cgroup_fd = -1,
		.keep_keyring = r->keep_keyring,
	};
	int x = sandbox_filter(s, &bpf, e);

	if (x < 0)
		return x;
	p.bpf = bpf.n > 0 ? &bpf : NULL;
	x = notify_open(&notify, s, RT_RUNNING, &bpf, &p.notify, e);
	if (x < 0)
		return x;
	x = sandbox_need_cgroup(s, e);
	if (x == 0 && r->cgroup)
		x = open_group_below(s, r->cgroup, &below, e);
	if (x < 0)
		return x;
	groups.below = below;
	if (s->cgroup && !cg_is_null(s->cgroup)) {
		groups.own = s->cgroup;
		p.cgroup_fd = cg_birth_fd(below ? below : s->cgroup);
		p.enter_groups = enter_exec_groups;
		p.enter_arg = &groups;
	}
	if (scope_moves(s)) {
		if (r->cgroup)
			return err_unsupported(e, "--cgroup '%s': an ordinary user's systemd scope",
					       r->cgroup);
		x = scope_stand_by(s, e);
		if (x < 0)
			return x;
		p.cgroup_fd = -1;
		p.enter_groups = scope_enter;
		p.enter_arg = s;
	}
	x = iso_exec_spawn(&p, &init, e);
	scope_leave(s);
	if (x < 0)
		return x;
	*ret_pid = init.pid;
	*ret_console = TAKE_FD(init.console_fd);
	fd_close(init.pidfd);
	fd_close(init.sync_fd);
	return 0;
}

/* ---- signals, freezing ------------------------------------------------------------------ */

static int need_real_cgroup(struct sandbox *s, const char *what, struct err *e)
{
	int r = sandbox_need_cgroup(s, e);

	if (r < 0)
		return r;
	if (!s->cgroup || cg_is_null(s->cgroup)) {
		err_unsupported(e, "%s: the container has no cgroup of its own", what);
		return err_hint(e, "have the cgroup controllers delegated to this user");
	}
	return 0;
}

static int container_signal(struct sandbox *s, int sig, bool all, struct err *e)
{
	int r;

	if (!all)
		return proc_signal(s->pidfd, sig, e);
	/* SIGKILL for the first process takes its whole pid namespace along, where it has one of
	 * its own; that part needs no cgroup. */
	if (sig == SIGKILL) {
		r = proc_signal(s->pidfd, sig, e);
		if (r < 0 && r != -ESRCH)
			return r;
		if (s->state.cgroup_path && s->state.cgroup_path[0] == '\0')
			return r;
	}
	r = need_real_cgroup(s, "signal all processes", e);
	return r < 0 ? r : cg_signal_all(s->cgroup, sig, e);
}

static int container_freeze(struct sandbox *s, bool frozen, const char *what, struct err *e)
{
	int r = need_real_cgroup(s, what, e);

	return r < 0 ? r : cg_freeze(s->cgroup, frozen, e);
}

static int container_pause(struct sandbox *s, struct err *e)
{
	return container_freeze(s, true, "pause", e);
}

static int container_resume(struct sandbox *s, struct err *e)
{
	return container_freeze(s, false, "resume", e);
}

static int container_update(struct sandbox *s, const struct cg_limits *l, struct err *e)
{
	return cg_set_limits(s->cgroup, l, e);
}

/* ---- mounts of one that lives --------------------------------------------------------------- */

static struct iso_live live_of(const struct sandbox *s, const struct iso_config *config)
{
	return (struct iso_live){
		.init_pidfd = s->pidfd, .init_pid = s->state.host.pid, .config = config};
}

static int container_mounts_add(struct sandbox *s, const struct iso_config *added,
				iso_live_keep_fn keep, void *arg, struct err *e)
{
	struct iso_live live = live_of(s, added);

	return iso_live_mounts_add(&live, keep, arg, e);
}

static int container_mounts_remove(struct sandbox *s, const uint64_t *ids, size_t n, struct err *e)
{
	struct iso_live live = live_of(s, &s->config.isolation);

	return iso_live_mounts_remove(&live, ids, n, e);
}

/* ---- the end ---------------------------------------------------------------------------- */

/* Mounts and namespaces went with the last process; the rest is the common part's. */
static int container_delete(struct sandbox *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static void container_close(struct sandbox *s)
{
	(void)s;
}

const struct driver driver_container = {
	.name = "container",
	.id = DRIVER_CONTAINER,
	.plan = container_plan,
	.create_host = container_create_host,
	.create_inner = container_create_inner,
	.commit = container_commit,
	.start = container_start,
	.exec = container_exec,
	.signal = container_signal,
	.pause = container_pause,
	.resume = container_resume,
	.update = container_update,
	.mounts_add = container_mounts_add,
	.mounts_remove = container_mounts_remove,
	.checkpoint = container_checkpoint,
	.restore = container_restore,
	.delete = container_delete,
	.close = container_close,
};
