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
#include "hypervisor/kvm_process.h"
#include "kvm/wire.h"
#include "kvm/layout.h"
#include "kvm/machine.h"
#include "virtiofsd.h"

_Static_assert(VM_DISKS_MAX == KVM_PROCESS_DISKS_MAX, "a descriptor for each");

#define PROGRAM "insula-kvm"

/* From exec to the guest's first instruction takes 50 ms on an idle host, most of it reading the kernel. */
#define START_TIMEOUT_MSEC   30000
#define COMMAND_TIMEOUT_MSEC 10000
#define END_TIMEOUT_MSEC     1000

struct kvm {
	struct vm_child child;
	int control_fd;
	bool paused;
	bool ended;
	bool failed; /* it could not go on, and why may be somebody else */
	bool gone;   /* the control socket is at its end */
	char why[WIRE_TEXT_MAX];
};

/* ---- before the start --------------------------------------------------------------------------- */

/* 1 and *ret if it is there. */
static int try_program(const char *dir, char **ret)
{
	_cleanup_free_ char *path = NULL;

	if (str_printf(&path, "%s/" PROGRAM, dir) < 0)
		return -ENOMEM;
	if (access(path, X_OK) < 0)
		return 0;
	*ret = TAKE_PTR(path);
	return 1;
}

static int find_program(const struct vm_config *c, char **ret, struct err *e)
{
	_cleanup_free_ char *beside = NULL;
	int r;

	if (!c->helper_dir && (r = path_program_dir(&beside, e)) < 0)
		return r;
	r = try_program(c->helper_dir ? c->helper_dir : beside, ret);
	if (r == 0 && !c->helper_dir)
		r = try_program(INSULA_PREFIX "/libexec/insula", ret);
	if (r < 0)
		return err_nomem(e);
	if (r > 0)
		return 0;
	err_set(e, ERR_NOT_FOUND, ENOENT, "engine kvm: no " PROGRAM " in '%s'%s",
		c->helper_dir ? c->helper_dir : beside,
		c->helper_dir ? "" : " nor in '" INSULA_PREFIX "/libexec/insula'");
	return err_hint(e, "use --engine qemu");
}

#if defined(__x86_64__)
static int kvm_check(const struct vm_config *c, struct err *e)
{
	_cleanup_free_ char *program = NULL;

	if (c->accel == VM_ACCEL_TCG)
		return err_unsupported(e, "engine kvm: has no software emulation");
	if (c->system) {
		err_unsupported(e, "full guest systems: not with the engine kvm yet");
		return err_hint(e, "use --engine qemu");
	}
	if (c->vcpus < 1 || c->vcpus > VCPUS_MAX)
		return err_invalid(e, "vCPUs: %u is not in 1..%u", c->vcpus, VCPUS_MAX);
	if (c->n_disks > VM_DISKS_MAX)
		return err_invalid(e, "disks: %u are more than %d", c->n_disks, VM_DISKS_MAX);
	return find_program(c, &program, e);
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

/*
 * The kernel's own words. `quiet` keeps the console's last lines for what matters; panic=-1 with ACPI's reset
 * register ends the VM at once (reboot=acpi, since Linux takes a hardware-reduced machine for one with EFI);
 * cryptomgr.notests spares tests of ciphers that nobody uses yet. There is no keyboard controller to keep away from: the
 * FADT says so.
 */
#define KERNEL_WORDS "console=ttyS0 quiet panic=-1 reboot=acpi cryptomgr.notests"

static int make_config(const struct vm_config *c, bool share, struct wire_config *ret,
		       struct err *e)
{
	const char *extra = c->cmdline ? c->cmdline : "";
	struct wire_config m = {
		.version = WIRE_VERSION,
		.type = WIRE_CONFIG,
		.memory_bytes = c->memory_bytes,
		.vcpus = c->vcpus,
		.has = WIRE_HAS_AGENT | (share ? WIRE_HAS_SHARE : 0) |
		       (c->net_tap_fd >= 0 ? WIRE_HAS_TAP : 0),
		.n_disks = c->n_disks,
	};
	int n;

	for (unsigned i = 0; i < c->n_disks; i++)
		m.read_only_disks |= (uint32_t)c->disks[i].read_only << i;
	if (getrandom(m.mac, sizeof(m.mac), 0) != sizeof(m.mac))
		return err_sys(e, errno, "choose a network address");
	m.mac[0] = (m.mac[0] & 0xfc) | 2; /* one station, locally administered */

	n = snprintf(m.cmdline, sizeof(m.cmdline), "%s%s%s", KERNEL_WORDS, extra[0] ? " " : "",
		     extra);
	if (n < 0 || (size_t)n >= sizeof(m.cmdline))
		return err_invalid(e, "kernel command line: longer than %zu bytes",
				   sizeof(m.cmdline) - 1);
	snprintf(m.name, sizeof(m.name), "%s", c->name);
	snprintf(m.agent_port, sizeof(m.agent_port), "%s", AGENT_PORT_NAME);
	snprintf(m.share_tag, sizeof(m.share_tag), "%s", VIRTIOFS_TAG);
	*ret = m;
	return 0;
}

/* ---- starting ----------------------------------------------------------------------------------- */

static int open_file(const char *path, int flags, const char *what, struct err *e)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? err_sys(e, errno, "open %s '%s'", what, path) : fd;
}

static int spawn(struct kvm *k, const struct vm_config *c, int share_fd, int agent_end,
		 int console_end, struct err *e)
{
	_cleanup_close_ int control_end = -EBADF, kvm = -EBADF, kernel = -EBADF, initramfs = -EBADF;
	_cleanup_free_ char *program = NULL;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	k->control_fd = pair[0];
	control_end = pair[1];
	if ((r = find_program(c, &program, e)) < 0 ||
	    (r = kvm = open_file("/dev/kvm", O_RDWR, "KVM", e)) < 0 ||
	    (r = kernel = open_file(c->kernel->image, O_RDONLY, "guest kernel", e)) < 0 ||
	    (r = initramfs = open_file(c->kernel->initramfs, O_RDONLY, "initramfs", e)) < 0)
		return r;

	char *const argv[] = {program, NULL};
	struct proc_fd_map fds[KVM_PROCESS_FD_END] = {
		{control_end, KVM_PROCESS_FD_CONTROL}, {kvm, KVM_PROCESS_FD_KVM},
		{kernel, KVM_PROCESS_FD_KERNEL},       {initramfs, KVM_PROCESS_FD_INITRAMFS},
		{console_end, KVM_PROCESS_FD_CONSOLE}, {agent_end, KVM_PROCESS_FD_AGENT},
	};
	size_t n = 6;

	if (share_fd >= 0)
		fds[n++] = (struct proc_fd_map){share_fd, KVM_PROCESS_FD_SHARE};
	if (c->net_tap_fd >= 0)
		fds[n++] = (struct proc_fd_map){c->net_tap_fd, KVM_PROCESS_FD_TAP};
	for (unsigned i = 0; i < c->n_disks; i++)
		fds[n++] = (struct proc_fd_map){c->disks[i].fd, KVM_PROCESS_FD_DISK + (int)i};
	return vm_child_start(&k->child, argv, fds, n, e);
}

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
	k->failed = m->value[0] == MACHINE_FAILED;
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

static void kvm_kill(struct vm *vm)
{
	struct kvm *k = vm->priv;

	if (!k)
		return;
	vm_unwatch(vm, k->child.pidfd);
	vm_unwatch(vm, k->child.stderr_fd);
	vm_unwatch(vm, k->control_fd);
	vm_child_kill(&k->child);
	fd_close(k->control_fd);
	free(k);
	vm->priv = NULL;
}

static int kvm_start(struct vm *vm, const struct vm_config *c, int share_fd, int agent_end,
		     int console_end, struct err *e)
{
	struct wire_message answer;
	struct wire_config config;
	struct kvm *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return err_nomem(e);
	k->child = VM_CHILD_INIT(PROGRAM);
	k->child.keep_caps = true; /* its jail is made with them, and gives them up */
	k->control_fd = -EBADF;
	vm->priv = k;
	if ((r = make_config(c, share_fd >= 0, &config, e)) < 0 ||
	    (r = spawn(k, c, share_fd, agent_end, console_end, e)) < 0 ||
	    (r = wire_send(k->control_fd, &config, sizeof(config), e)) < 0 ||
	    (r = wait_answer(k, WIRE_READY, START_TIMEOUT_MSEC, &answer, e)) < 0 ||
	    (r = vm_watch(vm, k->child.pidfd, e)) < 0 ||
	    (r = vm_watch(vm, k->child.stderr_fd, e)) < 0 ||
	    (r = vm_watch(vm, k->control_fd, e)) < 0)
		kvm_kill(vm);
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

/* A file server that was killed is the cause of a machine that lost it: its own words tell more. One that follows
 * the machine ends well. */
static int tell_end(struct vm *vm, struct kvm *k, char **ret)
{
	if (k->failed && vm->files.pid > 0)
		proc_wait_exit(vm->files.pidfd, END_TIMEOUT_MSEC, NULL);
	if (k->failed && vm_child_check(&vm->files) && vm->files.status != 0)
		return vm_child_epitaph(&vm->files, ret);
	return str_printf(ret, "%s", k->why);
}

static int kvm_handle(struct vm *vm, char **ret_why)
{
	struct kvm *k = vm->priv;
	bool dead;

	if (!vm_child_listen(&k->child))
		vm_unwatch(vm, k->child.stderr_fd);
	dead = vm_child_check(&k->child); /* before we listen: its last words are in the socket */
	listen_control(vm, k);
	if (k->ended) {
		if (tell_end(vm, k, ret_why) < 0)
			*ret_why = NULL;
		return -ECHILD;
	}
	if (!dead)
		return 0;
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

static int order(struct kvm *k, enum wire_type type, struct err *e)
{
	struct wire_message m = {.version = WIRE_VERSION, .type = type};
	int r = wire_send(k->control_fd, &m, sizeof(m), e);

	return r < 0 ? r : wait_answer(k, WIRE_DONE, COMMAND_TIMEOUT_MSEC, &m, e);
}

static int kvm_pause(struct vm *vm, struct err *e)
{
	struct kvm *k = vm->priv;
	int r = k->paused ? 0 : order(k, WIRE_PAUSE, e);

	if (r == 0)
		k->paused = true;
	return r;
}

static int kvm_resume(struct vm *vm, struct err *e)
{
	struct kvm *k = vm->priv;
	int r = k->paused ? order(k, WIRE_RESUME, e) : 0;

	if (r == 0)
		k->paused = false;
	return r;
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
	.describe = kvm_describe,
};
