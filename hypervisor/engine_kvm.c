/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine `kvm`: our own VMM as a child process (program insula-kvm). Everything it needs is opened
 * here, by the monitor, and handed over; it then locks itself in. We speak over a SEQPACKET socket
 * (kvm/wire.h) and believe nothing of what comes from there but numbers and text.
 */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "hypervisor/agent.h"
#include "kvm_launch.h"
#include "kvm/layout.h"
#include "kvm/machine.h"
#include "virtiofsd.h"

#define PROGRAM KVM_LAUNCH_PROGRAM

/* From exec to the guest's first instruction takes 50 ms on an idle host, most of it reading the kernel. */
#define START_TIMEOUT_MSEC   30000
#define COMMAND_TIMEOUT_MSEC 10000
#define END_TIMEOUT_MSEC     1000

struct kvm {
	struct vm_child child;
	struct kvm_launch parts; /* of a system, for its next start */
	bool restarts;
	int broker_fd;    /* where it asks for the guest's connections; -1: no vsock */
	char *vsock_path; /* of those */
	int control_fd;
	bool paused;
	bool ended;
	enum machine_end end;
	bool gone; /* the control socket is at its end */
	char why[WIRE_TEXT_MAX];
};

/* ---- before the start --------------------------------------------------------------------------- */

#if defined(__x86_64__)
static int check_system(const struct vm_config *c, struct err *e)
{
	if (c->system->boot != VM_BOOT_KERNEL) {
		err_unsupported(e, "engine kvm: has no firmware (BIOS, UEFI) that could start the "
				   "disk's boot loader");
		return err_hint(e, "use --engine qemu, or start our kernel: --boot kernel "
				   "--root-partition N");
	}
	if (c->n_disks < 1)
		return err_invalid(e, "disks: a guest system needs one");
	for (unsigned i = 0; i < c->n_disks; i++)
		if (c->disks[i].format != VM_DISK_RAW) {
			err_unsupported(e, "engine kvm: disk %u is %s, and it takes raw disks only",
					i + 1, vm_disk_format_name(c->disks[i].format));
			return err_hint(e, "use --engine qemu");
		}
	return 0;
}

static int kvm_check(const struct vm_config *c, struct err *e)
{
	_cleanup_free_ char *program = NULL;

	if (c->accel == VM_ACCEL_TCG)
		return err_unsupported(e, "engine kvm: has no software emulation");
	if (c->vcpus < 1 || c->vcpus > VCPUS_MAX)
		return err_invalid(e, "vCPUs: %u is not in 1..%u", c->vcpus, VCPUS_MAX);
	if (c->n_disks > VM_DISKS_MAX)
		return err_invalid(e, "disks: %u are more than %d", c->n_disks, VM_DISKS_MAX);
	if (c->system && check_system(c, e) < 0)
		return e ? -e->errnum : -ENOTSUP;
	return kvm_launch_find(c, &program, e);
}
#else
static int kvm_check(const struct vm_config *c, struct err *e)
{
	(void)c;
	err_unsupported(e, "engine kvm: there is one for x86-64 only");
	return err_hint(e, "use --engine qemu");
}
#endif

/* The process itself has 2 MiB of its own when the guest's init runs, whatever the number of vCPUs; its threads'
 * kernel stacks, KVM's shadow of memory, the file server and room to breathe come on top, and two sets of page
 * tables for the RAM. */
#define OVERHEAD_FIXED_BYTES ((4ull + 12 + 8) << 20)
#define OVERHEAD_VCPU_BYTES  (1ull << 20)
#define PAGE_TABLE_SHARE     512 /* 8 bytes of table per page of 4 KiB */

static uint64_t kvm_overhead_bytes(const struct vm_config *c)
{
	return OVERHEAD_FIXED_BYTES + c->vcpus * OVERHEAD_VCPU_BYTES +
	       2 * (c->memory_bytes / PAGE_TABLE_SHARE);
}

/* ---- starting ----------------------------------------------------------------------------------- */

/* It went away without a word of its own. */
static int tell_silence(struct kvm *k, struct err *e)
{
	_cleanup_free_ char *epitaph = NULL;

	if (k->child.pidfd >= 0)
		proc_wait_exit(k->child.pidfd, END_TIMEOUT_MSEC, NULL);
	if (vm_child_check(&k->child) && vm_child_epitaph(&k->child, &epitaph) == 0)
		return err_set(e, ERR_INTERNAL, ECHILD, "%s", epitaph);
	return err_set(e, ERR_INTERNAL, ECHILD, PROGRAM " closed its control socket");
}

static void keep_end(struct kvm *k, const struct wire_message *m)
{
	k->ended = true;
	/* What it says is a number. */
	k->end = m->value[0] > MACHINE_RUNS && m->value[0] <= MACHINE_STOPPED
			 ? (enum machine_end)m->value[0]
			 : MACHINE_FAILED;
	snprintf(k->why, sizeof(k->why), "%s", m->text);
}

/* The answer to what was sent. ENDED on the way is kept. */
static int wait_answer(struct kvm *k, enum wire_type want, int timeout_msec,
		       struct wire_message *ret, struct err *e)
{
	for (;;) {
		int r = wire_receive(k->control_fd, ret, timeout_msec, e);

		if (r < 0)
			return r;
		if (r == 0) {
			k->gone = true;
			return tell_silence(k, e);
		}
		if (ret->type == want)
			return 0;
		if (ret->type == WIRE_REFUSED || ret->type == WIRE_FAILED)
			return wire_to_error(ret, e);
		if (ret->type != WIRE_ENDED)
			return err_set(e, ERR_INTERNAL, EPROTO, PROGRAM " said %u out of turn",
				       ret->type);
		keep_end(k, ret);
		return err_set(e, ERR_STATE, ESRCH, "the machine ended: %s", k->why);
	}
}

/* End the process, if it has not, and forget it. */
static void drop_process(struct vm *vm, struct kvm *k)
{
	vm_unwatch(vm, k->child.pidfd);
	vm_unwatch(vm, k->child.stderr_fd);
	vm_unwatch(vm, k->control_fd);
	vm_child_kill(&k->child);
	k->control_fd = fd_close(k->control_fd);
}

static void kvm_kill(struct vm *vm)
{
	struct kvm *k = vm->priv;

	if (!k)
		return;
	drop_process(vm, k);
	kvm_launch_done(&k->parts);
	vm_unwatch(vm, k->broker_fd);
	fd_close(k->broker_fd);
	free(k->vsock_path);
	free(k);
	vm->priv = NULL;
}

/* A machine, up to its first instruction. */
static int start_process(struct vm *vm, struct kvm *k, struct err *e)
{
	struct wire_message answer;
	int r;

	k->child = VM_CHILD_INIT(PROGRAM);
	k->child.keep_caps = true; /* its jail is made with them, and gives them up */
	k->ended = k->gone = false;
	k->end = MACHINE_RUNS;
	k->paused = k->parts.config.has & WIRE_STARTS_PAUSED;
	if ((r = kvm_launch_start(&k->parts, &k->child, &k->control_fd, e)) < 0 ||
	    (r = wait_answer(k, WIRE_READY, START_TIMEOUT_MSEC, &answer, e)) < 0 ||
	    (r = vm_watch(vm, k->child.pidfd, e)) < 0 ||
	    (r = vm_watch(vm, k->child.stderr_fd, e)) < 0)
		return r;
	return vm_watch(vm, k->control_fd, e);
}

static int kvm_start(struct vm *vm, const struct vm_config *c, int share_fd, int agent_end,
		     int console_end, struct err *e)
{
	struct kvm *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return err_nomem(e);
	k->control_fd = k->broker_fd = -EBADF;
	r = kvm_launch_prepare(c, vm->vsock.fd, share_fd, agent_end, console_end, &k->parts,
			       &k->broker_fd, e);
	if (r < 0) {
		free(k);
		return r;
	}
	vm->priv = k;
	k->restarts = c->system != NULL;
	if (c->vsock) {
		k->vsock_path = strdup(c->vsock->path);
		r = k->vsock_path ? vm_watch(vm, k->broker_fd, e) : err_nomem(e);
	}
	if (r == 0)
		r = start_process(vm, k, e);
	if (r < 0)
		kvm_kill(vm);
	else if (!k->restarts)
		kvm_launch_done(
			&k->parts); /* who holds an end of a channel hears not of the other's end */
	return r;
}

/* ---- while it runs ------------------------------------------------------------------------------ */

static void listen_control(struct vm *vm, struct kvm *k)
{
	struct wire_message m;
	int r;

	while (!k->gone && !k->ended) {
		r = wire_receive(k->control_fd, &m, 0, NULL);
		if (r == -ETIMEDOUT)
			return;
		if (r <= 0)
			k->gone = true;
		else if (m.type == WIRE_ENDED)
			keep_end(k, &m);
	}
	vm_unwatch(vm, k->control_fd);
}

/* ret: its answer; may be NULL. */
static int order(struct kvm *k, enum wire_type type, uint64_t value, struct wire_message *ret,
		 struct err *e)
{
	struct wire_message m = {.version = WIRE_VERSION, .type = type, .value = {value}};
	int r = wire_send(k->control_fd, &m, sizeof(m), e);

	return r < 0 ? r : wait_answer(k, WIRE_DONE, COMMAND_TIMEOUT_MSEC, ret ? ret : &m, e);
}

static int kvm_pause(struct vm *vm, struct err *e)
{
	struct kvm *k = vm->priv;
	int r = k->paused ? 0 : order(k, WIRE_PAUSE, 0, NULL, e);

	if (r == 0)
		k->paused = true;
	return r;
}

static int kvm_resume(struct vm *vm, struct err *e)
{
	struct kvm *k = vm->priv;
	int r = k->paused ? order(k, WIRE_RESUME, 0, NULL, e) : 0;

	if (r == 0)
		k->paused = false;
	return r;
}

/* A file server that was killed is the cause of a machine that lost it: its own words tell more. One that follows
 * the machine ends well. */
static int tell_end(struct vm *vm, struct kvm *k, char **ret)
{
	if (k->end == MACHINE_FAILED && vm->files.pid > 0)
		proc_wait_exit(vm->files.pidfd, END_TIMEOUT_MSEC, NULL);
	if (k->end == MACHINE_FAILED && vm_child_check(&vm->files) && vm->files.status != 0)
		return vm_child_epitaph(&vm->files, ret);
	return str_printf(ret, "%s", k->why);
}

/* A system that restarts is given a new machine, on the same console and the same disks. */
static int restart(struct vm *vm, struct kvm *k, struct err *e)
{
	int r;

	log_to(vm->log, LOG_LEVEL_DEBUG, "VM '%s': restarts", vm->name);
	drop_process(vm, k);
	r = start_process(vm, k, e);
	return r < 0 ? r : kvm_resume(vm, e);
}

/* Its end, if it is one. What is held of the console goes, so that its reader hears of the end. */
static int finish(struct vm *vm, struct kvm *k, char **ret_why)
{
	struct err e = ERR_INIT;
	int r;

	if (k->restarts && k->end == MACHINE_RESTARTED) {
		if (restart(vm, k, &e) == 0)
			return 0;
		r = str_printf(ret_why, "the guest restarted, and could not be started again: %s",
			       e.text);
	} else {
		vm->powered_off = k->end == MACHINE_POWERED_OFF;
		r = tell_end(vm, k, ret_why);
	}
	if (r < 0)
		*ret_why = NULL;
	kvm_launch_done(&k->parts);
	return -ECHILD;
}

static int kvm_handle(struct vm *vm, char **ret_why)
{
	struct kvm *k = vm->priv;
	bool dead;

	if (!vm_child_listen(&k->child))
		vm_unwatch(vm, k->child.stderr_fd);
	dead = vm_child_check(&k->child); /* before we listen: its last words are in the socket */
	listen_control(vm, k);
	if (k->broker_fd >= 0 && !vsock_broker_serve(k->broker_fd, k->vsock_path)) {
		vm_unwatch(vm, k->broker_fd);
		k->broker_fd = fd_close(k->broker_fd);
	}
	if (k->ended)
		return finish(vm, k, ret_why);
	if (!dead)
		return 0;
	kvm_launch_done(&k->parts);
	vm_child_listen(&k->child);
	if (vm_child_epitaph(&k->child, ret_why) < 0)
		*ret_why = NULL;
	return -ECHILD;
}

static bool kvm_is_ending(struct vm *vm)
{
	struct kvm *k = vm->priv;

	listen_control(vm, k);
	if (!k->ended && !k->gone && !k->child.ended)
		return proc_wait_exit(k->child.pidfd, END_TIMEOUT_MSEC, NULL) == 0;
	return true;
}

static int kvm_balloon(struct vm *vm, uint64_t bytes, struct err *e)
{
	return order(vm->priv, WIRE_BALLOON, bytes, NULL, e);
}

static int kvm_stats(struct vm *vm, struct vm_stats *ret, struct err *e)
{
	struct wire_message m;
	int r = order(vm->priv, WIRE_STATS, 0, &m, e);

	if (r < 0)
		return r;
	*ret = (struct vm_stats){
		.exits = m.value[WIRE_STAT_EXITS],
		.port_accesses = m.value[WIRE_STAT_PORTS],
		.mmio_accesses = m.value[WIRE_STAT_MMIO],
		.balloon_bytes = m.value[WIRE_STAT_BALLOON],
		.guest_answers = m.value[WIRE_STAT_ANSWERS],
		.guest_known = (uint32_t)m.value[WIRE_STAT_KNOWN],
	};
	memcpy(ret->guest, m.value + WIRE_STAT_GUEST, sizeof(ret->guest));
	return 0;
}

static const char *kvm_describe(const struct vm *vm)
{
	(void)vm;
	return "kvm";
}

const struct vm_engine vm_engine_kvm = {
	.name = "kvm",
	.check = kvm_check,
	.overhead_bytes = kvm_overhead_bytes,
	.start = kvm_start,
	.handle = kvm_handle,
	.is_ending = kvm_is_ending,
	.pause = kvm_pause,
	.resume = kvm_resume,
	.kill = kvm_kill,
	.balloon = kvm_balloon,
	.stats = kvm_stats,
	.describe = kvm_describe,
};
