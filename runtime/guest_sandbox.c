/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From documents to processes in the guest, by the same calls that the container driver makes on a
 * host. Only two things differ: the group is always the same one (a guest holds one sandbox), and
 * the standard streams are pipes to the agent.
 */
#include "guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/proc.h"

/* The group of the sandbox below the root of the hierarchy. */
#define GUEST_CGROUP "/insula/sandbox"

static void proc_freep(struct guest_proc **p)
{
	guest_proc_free(*p);
}

static struct guest_proc *proc_new(uint32_t number)
{
	struct guest_proc *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->number = number;
	p->reaped = true; /* nothing to reap until it was spawned */
	p->handle = (struct iso_init){.pid = -1, .pidfd = -1, .sync_fd = -1, .console_fd = -1};
	agent_sink_init(&p->in, -1, number, AGENT_STDIN);
	agent_source_init(&p->out[0], -1, number, AGENT_STDOUT);
	agent_source_init(&p->out[1], -1, number, AGENT_STDERR);
	return p;
}

static void close_three(int (*fds)[3])
{
	for (int i = 0; i < 3; i++)
		fd_close((*fds)[i]);
}

static int make_group(struct guest_sandbox *s, struct err *e)
{
	int r = cg_host_open(&s->cgroups, e);

	if (r < 0)
		return err_wrap(e, "guest's control groups");
	r = cg_create(s->cgroups, GUEST_CGROUP, &s->config.limits, &s->cgroup, e);
	if (r < 0)
		return r;
	return cg_set_limits(s->cgroup, &s->config.limits, e);
}

/* The cgroup folder's view in isolate's words. Strings and descriptors stay the group's. */
static int group_mounts(struct guest_sandbox *s, struct iso_cgroup_mount **ret, size_t *ret_n,
			struct err *e)
{
	const struct cg_mount_view *views = NULL;
	size_t n = cg_mount_views(s->cgroup, &views);
	struct iso_cgroup_mount *m = calloc(n ? n : 1, sizeof(*m));

	if (!m)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		m[i] = (struct iso_cgroup_mount){
			.name = (char *)views[i].name,
			.fstype = (char *)views[i].fstype,
			.options = (char *)views[i].options,
			.group_fd = views[i].group_fd,
		};
	*ret = m;
	*ret_n = n;
	return 0;
}

static int read_config(struct guest_sandbox *s, const char *text, size_t len, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	int r = json_parse(text, len, "the guest's configuration", &doc, e);

	if (r < 0)
		return r;
	r = oci_config_read(doc, "/", &s->config, e);
	if (r < 0)
		return r;
	(void)TAKE_PTR(doc);
	if (!s->config.has_process)
		return err_invalid(e, "process: missing");
	r = iso_config_check(&s->config.isolation, &s->config.process, e);
	if (r < 0)
		return r;
	return iso_seccomp_compile(&s->config.isolation.seccomp, &s->bpf, e);
}

static int enter_groups(void *arg, struct err *e)
{
	return cg_enter(arg, e);
}

static int spawn_init(struct guest_sandbox *s, struct guest_proc *p, struct err *e)
{
	_cleanup_(close_three) int theirs[3] = {-1, -1, -1};
	_cleanup_free_ struct iso_cgroup_mount *mounts = NULL;
	struct iso_init_params params = {
		.config = &s->config.isolation,
		.process = &s->config.process,
		.stdio = {.fds = {-1, -1, -1}},
		.bpf = s->bpf.n ? &s->bpf : NULL,
		.cgroup_fd = cg_birth_fd(s->cgroup),
		.enter_groups = enter_groups,
		.enter_arg = s->cgroup,
		.gate_fd = -1,
	};
	int r = group_mounts(s, &mounts, &params.n_cgroup_mounts, e);

	if (r < 0)
		return r;
	params.cgroup_mounts = mounts;
	if (!s->config.process.terminal) {
		r = guest_proc_pipes(p, &s->config.process, theirs, e);
		if (r < 0)
			return r;
		memcpy(params.stdio.fds, theirs, sizeof(theirs));
	}
	r = iso_init_spawn(&params, &p->handle, e);
	if (r < 0)
		return r;
	p->reaped = false;
	r = iso_init_prepare(&p->handle, e);
	if (r < 0)
		return r;
	if (s->config.process.terminal) {
		r = guest_proc_terminal(p, e);
		if (r < 0)
			return r;
	}
	return iso_init_commit(&p->handle, e);
}

int guest_sandbox_create(struct guest_sandbox *s, const char *text, size_t len,
			 struct guest_proc **ret, struct err *e)
{
	_cleanup_(proc_freep) struct guest_proc *p = proc_new(0);
	int r;

	if (!p)
		return err_nomem(e);
	if (s->exists)
		return err_set(e, ERR_STATE, EEXIST, "the guest already holds a sandbox");
	s->exists = true; /* one attempt: a guest whose creation failed is thrown away */
	r = read_config(s, text, len, e);
	if (r < 0)
		return r;
	r = make_group(s, e);
	if (r < 0)
		return r;
	r = spawn_init(s, p, e);
	if (r < 0)
		return r;
	s->init_pid = p->handle.pid;
	s->init_pidfd = p->handle.pidfd;
	*ret = TAKE_PTR(p);
	return 0;
}

static int spawn_exec(struct guest_sandbox *s, struct guest_proc *p,
		      const struct iso_process *process, struct err *e)
{
	_cleanup_(close_three) int theirs[3] = {-1, -1, -1};
	struct iso_exec_params params = {
		.init_pidfd = s->init_pidfd,
		.init_pid = s->init_pid,
		.config = &s->config.isolation,
		.process = process,
		.stdio = {.fds = {-1, -1, -1}},
		.bpf = s->bpf.n ? &s->bpf : NULL,
		.cgroup_fd = cg_birth_fd(s->cgroup),
		.enter_groups = enter_groups,
		.enter_arg = s->cgroup,
	};
	int r;

	if (!process->terminal) {
		r = guest_proc_pipes(p, process, theirs, e);
		if (r < 0)
			return r;
		memcpy(params.stdio.fds, theirs, sizeof(theirs));
	}
	r = iso_exec_spawn(&params, &p->handle, e);
	if (r < 0)
		return r;
	p->reaped = false;
	return process->terminal ? guest_proc_terminal(p, e) : 0;
}

int guest_sandbox_exec(struct guest_sandbox *s, uint32_t number, const char *text, size_t len,
		       struct guest_proc **ret, struct err *e)
{
	_cleanup_(proc_freep) struct guest_proc *p = proc_new(number);
	_cleanup_(iso_process_done) struct iso_process process = {0};
	_cleanup_json_ struct json *doc = NULL;
	struct json_at top;
	int r;

	if (!p)
		return err_nomem(e);
	if (s->init_pidfd <= 0)
		return err_set(e, ERR_STATE, ESRCH, "the sandbox is not running");
	r = json_parse(text, len, "the process", &doc, e);
	if (r < 0)
		return r;
	top = json_top(doc);
	r = oci_process_read(&top, &process, e);
	if (r < 0)
		return r;
	r = spawn_exec(s, p, &process, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

int guest_sandbox_signal_all(struct guest_sandbox *s, int sig, struct err *e)
{
	if (s->cgroup && !cg_is_null(s->cgroup))
		return cg_signal_all(s->cgroup, sig, e);
	if (s->init_pidfd > 0)
		return proc_signal(s->init_pidfd, sig, e);
	return 0;
}

void guest_sandbox_done(struct guest_sandbox *s)
{
	if (s->cgroups && s->cgroup)
		cg_remove(s->cgroups, GUEST_CGROUP, true, NULL);
	cg_free(s->cgroup);
	cg_host_free(s->cgroups);
	iso_bpf_done(&s->bpf);
	if (s->exists)
		oci_config_done(&s->config);
	*s = (struct guest_sandbox){0};
}
