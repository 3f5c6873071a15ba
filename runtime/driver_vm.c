/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM driver: the host process is the monitor process insula-vmm (runtime/vmm.h), which speaks
 * the same synchronisation protocol as a container's init and waits at the same gate. Later
 * operations go to it by its control socket, but SIGKILL: that is the host process's own, and ends
 * the machine.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/sync.h"
#include "driver_vm.h"
#include "sandbox.h"
#include "vm_control.h"

static const char peer[] = "the microVM's monitor process";

/* ---- creation --------------------------------------------------------------------------- */

static int params_text(struct sandbox *s, char **ret, size_t *ret_len, struct err *e)
{
	const struct vm_private *p = s->priv;
	const struct vmm_params params = {
		.id = s->state.id,
		.bundle = s->state.bundle,
		.guest_dir = p->guest_dir,
		.rootfs = s->config.isolation.rootfs.path ? s->config.isolation.rootfs.path
							  : (char *)"",
		.storage = s->state.storage ? s->state.storage : (char *)"",
		.memory_bytes = s->plan.guest_memory_bytes,
		.throwaway_bytes = s->config.isolation.rootfs.throwaway_bytes
					   ? s->config.isolation.rootfs.throwaway_bytes
					   : p->throwaway_bytes,
		.vcpus = s->plan.vcpus,
		.boot_timeout_sec = p->boot_timeout_sec,
		.accel = p->accel,
		.engine = p->engine,
		.log_level = s->ctx->log.level,
		.log_json = s->ctx->log.json,
		.config = s->config.document,
	};

	return vmm_params_to_text(&params, ret, ret_len, e);
}

/* Where it was not born in all its groups (v1). It waits for us, and has not begun. */
static int place(struct sandbox *s, pid_t pid, struct err *e)
{
	if (!s->cgroup || cg_is_null(s->cgroup) || cg_clone_fd(s->cgroup) >= 0)
		return 0;
	return cg_attach(s->cgroup, pid, e);
}

/* It waits in a user namespace without ids. */
static int write_maps(struct sandbox *s, pid_t pid, struct err *e)
{
	const struct iso_config *c = &s->config.isolation;
	int r;

	if (c->ns[ISO_NS_USER].mode != ISO_NS_NEW)
		return 0;
	r = sync_expect(s->sync_fd, peer, SYNC_PID, NULL, NULL, e);
	if (r == 0)
		r = iso_id_maps_write(pid, &c->uid_maps, &c->gid_maps, e);
	return r < 0 ? r : sync_send(s->sync_fd, SYNC_PID, 0, -1, e);
}

static int vm_create_host(struct sandbox *s, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	struct vm_spawn v = {
		.io = s->config.process.terminal ? NULL : &s->io,
		.statefd = s->dir.fd,
		.rootfd = s->dir.rootfd,
		.logfd = s->ctx->log.fd,
		.cgroup_fd = cg_is_null(s->cgroup) ? -1 : cg_clone_fd(s->cgroup),
	};
	pid_t pid;
	int r = params_text(s, &text, &v.document_len, e);

	if (r < 0)
		return r;
	v.document = text;
	r = vm_spawn(&v, &pid, &s->pidfd, &s->sync_fd, e);
	if (r < 0)
		return r;
	s->state.host.pid = pid;
	r = proc_id_of(pid, &s->state.host, e);
	if (r == 0)
		r = write_maps(s, pid, e);
	if (r == 0)
		r = sync_expect(s->sync_fd, peer, SYNC_HOST_READY, NULL, NULL, e);
	return r < 0 ? r : place(s, pid, e);
}

static int vm_create_inner(struct sandbox *s, struct err *e)
{
	int r = sync_send(s->sync_fd, SYNC_GO, 0, -1, e);

	while (r == 0) {
		_cleanup_close_ int fd = -EBADF;
		enum sync_type type;

		r = sync_recv(s->sync_fd, peer, &type, NULL, &fd, e);
		if (r < 0)
			break;
		if (type == SYNC_READY)
			return 0;
		if (type != SYNC_CONSOLE || fd < 0 || s->console_fd >= 0)
			return err_set(e, ERR_INTERNAL, EPROTO, "%s sent message %d", peer,
				       (int)type);
		s->console_fd = TAKE_FD(fd);
	}
	return r;
}

static int vm_commit(struct sandbox *s, struct err *e)
{
	return sync_send(s->sync_fd, SYNC_COMMIT, 0, -1, e);
}

static int vm_start_workload(struct sandbox *s, struct err *e)
{
	int r;

	if (s->sync_fd < 0)
		return gate_open(s->dir.fd, e);
	r = sync_send(s->sync_fd, SYNC_START, 0, -1, e);
	if (r == 0 || r == -EPIPE)
		r = sync_expect(s->sync_fd, peer, SYNC_STARTED, NULL, NULL, e);
	s->sync_fd = fd_close(s->sync_fd);
	return r;
}

/* ---- a further process ------------------------------------------------------------------ */

static int await_exec(int sync, int *ret_console, struct err *e)
{
	_cleanup_close_ int console = -EBADF;

	for (;;) {
		_cleanup_close_ int fd = -EBADF;
		enum sync_type type;
		int r = sync_recv(sync, "the host process of the exec", &type, NULL, &fd, e);

		if (r < 0)
			return r;
		if (type == SYNC_CONSOLE && fd >= 0 && console < 0) {
			console = TAKE_FD(fd);
			continue;
		}
		if (type != SYNC_STARTED)
			return err_set(e, ERR_INTERNAL, EPROTO, "exec: unexpected message %d",
				       (int)type);
		*ret_console = console >= 0 ? TAKE_FD(console) : -1;
		return 0;
	}
}

static int vm_exec(struct sandbox *s, const struct rt_exec_request *q, pid_t *ret_pid,
		   int *ret_console, struct err *e)
{
	_cleanup_json_ struct json *doc = oci_process_to_json(q->process);
	_cleanup_close_ int pidfd = -EBADF, sync = -EBADF;
	_cleanup_free_ char *text = NULL;
	struct vm_spawn v = {
		.argument = "--exec",
		.io = q->process->terminal ? NULL : &q->io,
		.statefd = s->dir.fd,
		.rootfd = -1,
		.logfd = -1,
		.cgroup_fd = -1,
	};
	pid_t pid;
	int r;

	if (q->io.preserve_fds)
		return err_unsupported(e, "preserved descriptors cannot be handed to a microVM");
	if (!doc || json_to_text(doc, false, &text, &v.document_len) < 0)
		return err_nomem(e);
	v.document = text;
	r = sandbox_need_cgroup(s, e);
	if (r < 0)
		return r;
	if (s->cgroup && !cg_is_null(s->cgroup))
		v.cgroup_fd = cg_clone_fd(s->cgroup);
	r = vm_spawn(&v, &pid, &pidfd, &sync, e);
	if (r < 0)
		return r;
	r = place(s, pid, e);
	if (r == 0)
		r = await_exec(sync, ret_console, e);
	if (r < 0) {
		int status;

		(void)proc_signal(pidfd, SIGKILL, NULL);
		(void)proc_reap(pid, &status, NULL);
		return r;
	}
	*ret_pid = pid;
	return 0;
}

/* ---- signals, pausing ------------------------------------------------------------------- */

static int vm_signal(struct sandbox *s, int sig, bool all, struct err *e)
{
	uint32_t flags = all ? CONTROL_ALL : 0;

	if (sig == SIGKILL)
		return proc_signal(s->pidfd, SIGKILL, e);
	/* In a paused sandbox a signal waits until it goes on, as for a frozen container. */
	if (sandbox_need_cgroup(s, NULL) == 0 && s->cgroup && !cg_is_null(s->cgroup) &&
	    cg_is_frozen(s->cgroup))
		return control_post(s->dir.fd, CONTROL_SIGNAL, sig, flags, e);
	return control_request(s->dir.fd, CONTROL_SIGNAL, sig, flags, e);
}

static int freeze(struct sandbox *s, bool frozen, struct err *e)
{
	int r = sandbox_need_cgroup(s, e);

	if (r < 0)
		return r;
	if (!s->cgroup || cg_is_null(s->cgroup)) {
		err_unsupported(e, "%s: the sandbox has no cgroup of its own",
				frozen ? "pause" : "resume");
		return err_hint(e, "have the cgroup controllers delegated to this user");
	}
	return cg_freeze(s->cgroup, frozen, e);
}

/* The vCPUs stop first, in order; the group then shows engines what they look for, and the monitor
 * answers nobody until it is thawed. */
static int vm_pause_sandbox(struct sandbox *s, struct err *e)
{
	int r = control_request(s->dir.fd, CONTROL_PAUSE, 0, 0, e);

	if (r < 0)
		return r;
	r = freeze(s, true, e);
	if (r < 0)
		(void)control_request(s->dir.fd, CONTROL_RESUME, 0, 0, NULL);
	return r;
}

static int vm_resume_sandbox(struct sandbox *s, struct err *e)
{
	int r = freeze(s, false, e);

	return r < 0 ? r : control_request(s->dir.fd, CONTROL_RESUME, 0, 0, e);
}

/* What the guest limits was told to it at its start, and its memory is fixed. */
static int vm_update(struct sandbox *s, const struct cg_limits *l, struct err *e)
{
	const struct {
		const char *name;
		bool given;
	} fixed[] = {
		{"memory", l->memory_bytes != CG_UNSET},
		{"pids", l->pids_max != CG_UNSET},
		{"devices", l->n_devices > 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (fixed[i].given)
			return err_unsupported(
				e, "the limit of %s is the guest's own, fixed at its start",
				fixed[i].name);
	return cg_set_limits(s->cgroup, l, e);
}

/* ---- the end ---------------------------------------------------------------------------- */

/* The tree and the run directory went with the monitor's mount namespace; its sockets lie in the
 * state directory. */
static int vm_delete(struct sandbox *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static void vm_close(struct sandbox *s)
{
	vm_private_free(s->priv);
	s->priv = NULL;
}

const struct driver driver_vm = {
	.name = "vm",
	.id = DRIVER_VM,
	.plan = vm_plan,
	.create_host = vm_create_host,
	.create_inner = vm_create_inner,
	.commit = vm_commit,
	.start = vm_start_workload,
	.exec = vm_exec,
	.signal = vm_signal,
	.pause = vm_pause_sandbox,
	.resume = vm_resume_sandbox,
	.update = vm_update,
	.delete = vm_delete,
	.close = vm_close,
};
