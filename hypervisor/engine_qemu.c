/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine `qemu`: the installed QEMU as a child process, told what to do over QMP on an
 * inherited descriptor. It runs where KVM works and where it does not (software emulation).
 *
 * QEMU exits when the guest powers off, resets or panics (-no-reboot, panic=-1); the SHUTDOWN event
 * that comes before tells which. All its descriptors are connections made by us, so nothing is left
 * in the file system whatever way it ends.
 */
#include "engine.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "qemu_args.h"
#include "qemu_system.h"
#include "qmp.h"

/* From exec to a finished machine takes 0.1 s on an idle host; an overloaded one gets its time. */
#define QEMU_START_TIMEOUT_MSEC   30000
#define QEMU_COMMAND_TIMEOUT_MSEC 10000
#define QEMU_END_TIMEOUT_MSEC     1000

/* It works with descriptors that it is given. By name it opens /dev/kvm, which it must be allowed as any other program, and
 * the guest's kernel, which may lie in a build tree that root's user id alone does not open. */
#define QEMU_CAPS (UINT64_C(1) << CAP_DAC_READ_SEARCH)

struct qemu {
	struct vm_child child;
	int monitor_fd;
	bool paused;
	struct qmp qmp;
};

static int qemu_check(const struct vm_config *c, struct err *e)
{
	unsigned max = qemu_vcpus_max();

	if (max == 0)
		return err_unsupported(e, "virtual machines: not known for this processor type");
	if (!qemu_program()) {
		err_set(e, ERR_NOT_FOUND, ENOENT, "find %s: not installed", qemu_program_name());
		return err_hint(e, "install %s", qemu_package_name());
	}
	if (c->n_disks && !c->system)
		return err_unsupported(e, "disks: not with the engine qemu yet");
	if (c->vsock)
		return err_unsupported(e, "vsock: not with the engine qemu, which needs the "
					  "host's vhost-vsock for it");
	if (c->system && qemu_system_check(c, e) < 0)
		return e ? -e->errnum : -EINVAL;
	if (c->vcpus < 1 || c->vcpus > max)
		return err_invalid(e, "vCPUs: %u is not in 1..%u", c->vcpus, max);
	return 0;
}

/*
 * Measured as anonymous memory of QEMU 7.2 (RssAnon in /proc/PID/status; the guest's RAM is in
 * RssShmem) when the guest's init ran, RAM of 128 to 512 MiB: 61 MiB with one vCPU and a
 * translation buffer bounded to 128 MiB, 67 with two vCPUs; 25 with a buffer bounded to 8. So QEMU
 * itself takes some 20 MiB and 5 per vCPU, and the buffer may fill up to its bound. Added to that:
 * 24 MiB of program text that must stay in memory (RssFile shows 70, of which 50 are the kernel's
 * file, read once), 4 MiB of virtiofsd and its tables, 16 MiB to breathe, and two sets of page
 * tables for the RAM. The figure for KVM is the same without the buffer; it is derived, not
 * measured.
 */
#define OVERHEAD_FIXED_BYTES ((20ull + 24 + 4 + 16) << 20)
#define OVERHEAD_VCPU_BYTES  (5ull << 20)
#define PAGE_TABLE_SHARE     512 /* 8 bytes of table per page of 4 KiB */

static uint64_t qemu_overhead_bytes(const struct vm_config *c)
{
	uint64_t n = OVERHEAD_FIXED_BYTES + c->vcpus * OVERHEAD_VCPU_BYTES +
		     2 * (c->memory_bytes / PAGE_TABLE_SHARE);
	enum vm_accel accel;

	/* Not knowing is no reason for a limit that is too low. */
	if (vm_accel_resolve(c, &accel, NULL) < 0 || accel != VM_ACCEL_KVM)
		n += QEMU_TB_BYTES;
	return n;
}

static void qemu_kill(struct vm *vm)
{
	struct qemu *q = vm->priv;

	if (!q)
		return;
	vm_unwatch(vm, q->child.pidfd);
	vm_unwatch(vm, q->child.stderr_fd);
	vm_unwatch(vm, q->monitor_fd);
	vm_child_kill(&q->child);
	fd_close(q->monitor_fd);
	free(q);
	vm->priv = NULL;
}

/* QEMU went away while it was starting: what it said tells more than a closed connection. */
static int start_failure(struct qemu *q, struct err *e)
{
	_cleanup_free_ char *epitaph = NULL;
	bool gone = e && e->errnum == EPIPE;

	/* The end of the connection precedes the end of the process by moments. */
	if (gone && q->child.pidfd >= 0)
		proc_wait_exit(q->child.pidfd, 2000, NULL);
	if (vm_child_check(&q->child) && vm_child_epitaph(&q->child, &epitaph) == 0)
		err_set(e, ERR_INTERNAL, ECHILD, "%s", epitaph);
	return e ? -e->errnum : -EIO;
}

static int spawn_qemu(struct qemu *q, const struct vm_config *c, enum vm_accel accel, int share_fd,
		      int agent_end, int console_end, struct err *e)
{
	_cleanup_strv_ char **argv = NULL;
	_cleanup_close_ int monitor_end = -EBADF;
	struct proc_fd_map fds[5 + QEMU_SYSTEM_FDS];
	size_t n = 0;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	q->monitor_fd = pair[0];
	monitor_end = pair[1];
	r = fd_set_nonblock(q->monitor_fd, true);
	if (r < 0)
		return err_sys(e, r, "qmp: set non-blocking");
	r = qemu_args_build(c, accel, &argv, e);
	if (r < 0)
		return r;
	fds[n++] = (struct proc_fd_map){monitor_end, QEMU_FD_MONITOR};
	if (!c->system)
		fds[n++] = (struct proc_fd_map){agent_end, QEMU_FD_AGENT};
	fds[n++] = (struct proc_fd_map){console_end, QEMU_FD_CONSOLE};
	if (share_fd >= 0)
		fds[n++] = (struct proc_fd_map){share_fd, QEMU_FD_SHARE};
	if (c->net_tap_fd >= 0)
		fds[n++] = (struct proc_fd_map){c->net_tap_fd, QEMU_FD_TAP};
	if (c->system) {
		n += qemu_system_fds(c, fds + n);
		q->paused = true;
	}
	return vm_child_start(&q->child, argv, fds, n, e);
}

static int qemu_start(struct vm *vm, const struct vm_config *c, int share_fd, int agent_end,
		      int console_end, struct err *e)
{
	struct err scratch = ERR_INIT;
	struct qemu *q;
	int r;

	if (!e)
		e = &scratch; /* start_failure() looks at it */
	q = calloc(1, sizeof(*q));
	if (!q)
		return err_nomem(e);
	q->child = VM_CHILD_INIT("qemu");
	q->child.caps = QEMU_CAPS;
	q->monitor_fd = -EBADF;
	vm->priv = q;
	r = c->system ? qemu_system_prepare(c, e) : 0;
	if (r == 0)
		r = spawn_qemu(q, c, vm->accel, share_fd, agent_end, console_end, e);
	if (r < 0)
		goto fail;
	qmp_init(&q->qmp, q->monitor_fd);
	r = qmp_negotiate(&q->qmp, QEMU_START_TIMEOUT_MSEC, e);
	if (r < 0) {
		r = start_failure(q, e);
		goto fail;
	}
	if ((r = vm_watch(vm, q->child.pidfd, e)) < 0 ||
	    (r = vm_watch(vm, q->child.stderr_fd, e)) < 0 ||
	    (r = vm_watch(vm, q->monitor_fd, e)) < 0)
		goto fail;
	return 0;
fail:
	qemu_kill(vm);
	return r;
}

/* Why QEMU ended. Source of the reasons: QEMU qapi/run-state.json, ShutdownCause. */
static int tell_end(struct qemu *q, char **ret)
{
	static const struct {
		const char *reason, *text;
	} reasons[] = {
		{"guest-shutdown", "the guest powered off"},
		{"guest-reset", "the guest restarted (its kernel may have panicked)"},
		{"guest-panic", "the guest's kernel panicked"},
		{"host-qmp-quit", "the machine was told to quit"},
		{"host-signal", "qemu was told to end by a signal"},
	};

	if (q->qmp.panicked)
		return str_printf(ret, "the guest's kernel panicked");
	if (WIFEXITED(q->child.status) && WEXITSTATUS(q->child.status) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
			if (STREQ(q->qmp.shutdown_reason, reasons[i].reason))
				return str_printf(ret, "%s", reasons[i].text);
	return vm_child_epitaph(&q->child, ret);
}

static int qemu_handle(struct vm *vm, char **ret_why)
{
	struct qemu *q = vm->priv;
	int r = 0;

	if (!vm_child_listen(&q->child))
		vm_unwatch(vm, q->child.stderr_fd);
	if (!q->qmp.eof && (r = qmp_handle(&q->qmp, NULL)) < 0)
		vm_unwatch(vm, q->monitor_fd);
	if (!vm_child_check(&q->child)) {
		if (r != -EPROTO)
			return 0;
		/* Only a QEMU that is no longer itself talks nonsense. */
		if (str_printf(ret_why, "qemu broke its own protocol") < 0)
			*ret_why = NULL;
		return -ECHILD;
	}
	vm_child_listen(&q->child);
	if (!q->qmp.eof)
		qmp_handle(&q->qmp, NULL);
	vm->powered_off = WIFEXITED(q->child.status) && WEXITSTATUS(q->child.status) == 0 &&
			  STREQ(q->qmp.shutdown_reason, "guest-shutdown");
	if (tell_end(q, ret_why) < 0)
		*ret_why = NULL;
	return -ECHILD;
}

static int qemu_power_button(struct vm *vm, struct err *e)
{
	struct qemu *q = vm->priv;

	return qmp_execute(&q->qmp, "system_powerdown", QEMU_COMMAND_TIMEOUT_MSEC, e);
}

static bool qemu_is_ending(struct vm *vm)
{
	struct qemu *q = vm->priv;

	/* An exiting process closes its descriptors in no order to rely on, and is reaped later
	 * still: wait for one that lets go of the file server. */
	if (!q->qmp.eof)
		qmp_handle(&q->qmp, NULL);
	if (!q->qmp.eof && !q->qmp.shutdown_reason[0] && !q->child.ended)
		return proc_wait_exit(q->child.pidfd, QEMU_END_TIMEOUT_MSEC, NULL) == 0;
	return true;
}

static int qemu_pause(struct vm *vm, struct err *e)
{
	struct qemu *q = vm->priv;
	int r;

	if (q->paused)
		return 0;
	r = qmp_execute(&q->qmp, "stop", QEMU_COMMAND_TIMEOUT_MSEC, e);
	if (r == 0)
		q->paused = true;
	return r;
}

static int qemu_resume(struct vm *vm, struct err *e)
{
	struct qemu *q = vm->priv;
	int r;

	if (!q->paused)
		return 0;
	r = qmp_execute(&q->qmp, "cont", QEMU_COMMAND_TIMEOUT_MSEC, e);
	if (r == 0)
		q->paused = false;
	return r;
}

static const char *qemu_describe(const struct vm *vm)
{
	return vm->accel == VM_ACCEL_KVM ? "qemu (kvm)" : "qemu (tcg)";
}

const struct vm_engine vm_engine_qemu = {
	.name = "qemu",
	.check = qemu_check,
	.overhead_bytes = qemu_overhead_bytes,
	.start = qemu_start,
	.handle = qemu_handle,
	.is_ending = qemu_is_ending,
	.pause = qemu_pause,
	.resume = qemu_resume,
	.kill = qemu_kill,
	.describe = qemu_describe,
	.power_button = qemu_power_button,
};
