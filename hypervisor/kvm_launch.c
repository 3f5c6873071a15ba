/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Everything is opened here, by the monitor and with its rights; the process opens nothing.
 *
 * A guest system's disks are virtio disks, in order /dev/vda, vdb, …. What describes the system names the root as
 * QEMU's NVMe namespaces are called, which is translated: the same words then mean the same disk on both engines. Debian's
 * cloud kernel has virtio disks as a module, so our own kernel starts with our initramfs, whose init mounts the root
 * (`insula.root=`) and gives way to the system's. A caller's kernel gets his initrd or none, and finds its root itself.
 */
#include "kvm_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "hypervisor/agent.h"
#include "virtiofsd.h"

_Static_assert(VM_DISKS_MAX == KVM_PROCESS_DISKS_MAX, "a descriptor for each");

/* ---- the program -------------------------------------------------------------------------------- */

/* 1 and *ret if it is there. */
static int try_program(const char *dir, char **ret)
{
	_cleanup_free_ char *path = NULL;

	if (str_printf(&path, "%s/" KVM_LAUNCH_PROGRAM, dir) < 0)
		return -ENOMEM;
	if (access(path, X_OK) < 0)
		return 0;
	*ret = TAKE_PTR(path);
	return 1;
}

int kvm_launch_find(const struct vm_config *c, char **ret, struct err *e)
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
	err_set(e, ERR_NOT_FOUND, ENOENT, "engine kvm: no " KVM_LAUNCH_PROGRAM " in '%s'%s",
		c->helper_dir ? c->helper_dir : beside,
		c->helper_dir ? "" : " nor in '" INSULA_PREFIX "/libexec/insula'");
	return err_hint(e, "use --engine qemu");
}

/* ---- the configuration -------------------------------------------------------------------------- */

/*
 * The kernel's own words. `quiet` keeps the console's last lines for what matters; panic=-1 with ACPI's reset
 * register ends the VM at once (reboot=acpi, since Linux takes a hardware-reduced machine for one with EFI);
 * cryptomgr.notests spares tests of ciphers that nobody uses yet. There is no keyboard controller to keep away from: the
 * FADT says so. A whole system's console is for people, and a panic there stops with its reason on the screen.
 */
#define WORDS        "console=ttyS0 reboot=acpi cryptomgr.notests"
#define WORDS_AGENT  WORDS " quiet panic=-1"
#define WORDS_SYSTEM WORDS " loglevel=4"

#define NVME_NAME "/dev/nvme0n"

/* "/dev/nvme0n2p1" is "/dev/vdb1" here; other names stay as they are. */
static int translate_root(const char *root, char **ret)
{
	unsigned disk = 0, partition = 0;
	int n = 0;

	if (sscanf(root, NVME_NAME "%1u%n", &disk, &n) == 1 && disk >= 1 && disk <= VM_DISKS_MAX) {
		if (!root[n])
			return str_printf(ret, "/dev/vd%c", 'a' + (char)disk - 1);
		if (sscanf(root + n, "p%3u%n", &partition, &n) == 1)
			return str_printf(ret, "/dev/vd%c%u", 'a' + (char)disk - 1, partition);
	}
	return str_printf(ret, "%s", root);
}

static bool has_our_init(const struct vm_config *c)
{
	return c->kernel->initramfs && !(c->system && c->system->initrd);
}

static int make_cmdline(const struct vm_config *c, char *to, size_t cap, struct err *e)
{
	const char *extra = c->cmdline ? c->cmdline : "";
	const char *root = c->system ? c->system->root : NULL;
	_cleanup_free_ char *device = NULL;
	int n;

	if (root && translate_root(root, &device) < 0)
		return err_nomem(e);
	n = snprintf(to, cap, "%s%s%s%s%s%s", c->system ? WORDS_SYSTEM : WORDS_AGENT,
		     device ? (has_our_init(c) ? " insula.root=" : " root=") : "",
		     device ? device : "", device ? " rw" : "", extra[0] ? " " : "", extra);
	if (n < 0 || (size_t)n >= cap)
		return err_invalid(e, "kernel command line: longer than %zu bytes", cap - 1);
	return 0;
}

static int make_config(const struct vm_config *c, bool share, struct wire_config *ret,
		       struct err *e)
{
	struct wire_config m = {
		.version = WIRE_VERSION,
		.type = WIRE_CONFIG,
		.memory_bytes = c->memory_bytes,
		.vcpus = c->vcpus,
		.has = (c->system ? WIRE_STARTS_PAUSED : WIRE_HAS_AGENT) |
		       (share ? WIRE_HAS_SHARE : 0) | (c->net_tap_fd >= 0 ? WIRE_HAS_TAP : 0) |
		       (c->vsock ? WIRE_HAS_VSOCK : 0),
		.vsock_cid = c->vsock ? c->vsock->guest_cid : 0,
		.n_disks = c->n_disks,
	};
	int r;

	for (unsigned i = 0; i < c->n_disks; i++) {
		m.read_only_disks |= (uint32_t)c->disks[i].read_only << i;
		m.overlay_disks |= (uint32_t)c->disks[i].has_overlay << i;
	}
	if (getrandom(m.mac, sizeof(m.mac), 0) != sizeof(m.mac))
		return err_sys(e, errno, "choose a network address");
	m.mac[0] = (m.mac[0] & 0xfc) | 2; /* one station, locally administered */
	r = make_cmdline(c, m.cmdline, sizeof(m.cmdline), e);
	if (r < 0)
		return r;
	snprintf(m.name, sizeof(m.name), "%s", c->name);
	snprintf(m.agent_port, sizeof(m.agent_port), "%s", AGENT_PORT_NAME);
	snprintf(m.share_tag, sizeof(m.share_tag), "%s", VIRTIOFS_TAG);
	*ret = m;
	return 0;
}

/* ---- descriptors -------------------------------------------------------------------------------- */

static int open_file(struct kvm_launch *l, enum kvm_process_fd number, const char *path, int flags,
		     const char *what, struct err *e)
{
	l->fd[number] = open(path, flags | O_CLOEXEC | O_NOCTTY);
	return l->fd[number] < 0 ? err_sys(e, errno, "open %s '%s'", what, path) : 0;
}

static int open_initramfs(struct kvm_launch *l, const struct vm_config *c, struct err *e)
{
	const char *path =
		c->system && c->system->initrd ? c->system->initrd : c->kernel->initramfs;

	if (path)
		return open_file(l, KVM_PROCESS_FD_INITRAMFS, path, O_RDONLY, "initramfs", e);
	/* None is an empty one. */
	l->fd[KVM_PROCESS_FD_INITRAMFS] = memfd_create("no initramfs", MFD_CLOEXEC);
	return l->fd[KVM_PROCESS_FD_INITRAMFS] < 0 ? err_sys(e, errno, "memfd_create") : 0;
}

static int hold(struct kvm_launch *l, int number, int fd, struct err *e)
{
	if (fd < 0)
		return 0;
	l->fd[number] = fd_dup_above_stdio(fd);
	return l->fd[number] < 0 ? err_sys(e, l->fd[number], "hold descriptor %d", number) : 0;
}

static int hold_disks(struct kvm_launch *l, const struct vm_config *c, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < c->n_disks; i++) {
		r = hold(l, KVM_PROCESS_FD_DISK + (int)i, c->disks[i].fd, e);
		if (r == 0 && c->disks[i].has_overlay)
			r = hold(l, KVM_PROCESS_FD_OVERLAY + (int)i, c->disks[i].overlay_fd, e);
	}
	return r;
}

static int hold_vsock(struct kvm_launch *l, int listen_fd, int *ret_broker, struct err *e)
{
	int pair[2];

	if (listen_fd < 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	*ret_broker = pair[0];
	l->fd[KVM_PROCESS_FD_VSOCK_BROKER] = pair[1];
	return hold(l, KVM_PROCESS_FD_VSOCK, listen_fd, e);
}

int kvm_launch_prepare(const struct vm_config *c, int vsock_fd, int share_fd, int agent_end,
		       int console_end, struct kvm_launch *ret, int *ret_broker, struct err *e)
{
	_cleanup_close_ int broker = -EBADF;
	struct kvm_launch l = {0};
	int r;

	for (int i = 0; i < KVM_PROCESS_FD_END; i++)
		l.fd[i] = -1;
	if ((r = make_config(c, share_fd >= 0, &l.config, e)) < 0 ||
	    (r = kvm_launch_find(c, &l.program, e)) < 0 ||
	    (r = open_file(&l, KVM_PROCESS_FD_KVM, "/dev/kvm", O_RDWR, "KVM", e)) < 0 ||
	    (r = open_file(&l, KVM_PROCESS_FD_KERNEL, c->kernel->image, O_RDONLY, "guest kernel",
			   e)) < 0 ||
	    (r = open_initramfs(&l, c, e)) < 0 ||
	    (r = hold(&l, KVM_PROCESS_FD_CONSOLE, console_end, e)) < 0 ||
	    (!c->system && (r = hold(&l, KVM_PROCESS_FD_AGENT, agent_end, e)) < 0) ||
	    (r = hold(&l, KVM_PROCESS_FD_SHARE, share_fd, e)) < 0 ||
	    (r = hold(&l, KVM_PROCESS_FD_TAP, c->net_tap_fd, e)) < 0 ||
	    (r = hold_disks(&l, c, e)) < 0 || (r = hold_vsock(&l, vsock_fd, &broker, e)) < 0) {
		kvm_launch_done(&l);
		return r;
	}
	*ret_broker = TAKE_FD(broker);
	*ret = l;
	return 0;
}

int kvm_launch_start(const struct kvm_launch *l, struct vm_child *child, int *ret_control,
		     struct err *e)
{
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF;
	struct proc_fd_map fds[KVM_PROCESS_FD_END];
	char *const argv[] = {l->program, NULL};
	int pair[2], r;
	size_t n = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	ours = pair[0];
	theirs = pair[1];
	fds[n++] = (struct proc_fd_map){theirs, KVM_PROCESS_FD_CONTROL};
	for (int i = KVM_PROCESS_FD_CONTROL + 1; i < KVM_PROCESS_FD_END; i++)
		if (l->fd[i] >= 0)
			fds[n++] = (struct proc_fd_map){l->fd[i], i};
	r = vm_child_start(child, argv, fds, n, e);
	if (r == 0)
		r = wire_send(ours, &l->config, sizeof(l->config), e);
	if (r == 0)
		*ret_control = TAKE_FD(ours);
	return r;
}

void kvm_launch_done(struct kvm_launch *l)
{
	/* The first are the standard streams, and the control socket, which is another for each process. */
	for (int i = KVM_PROCESS_FD_KVM; i < KVM_PROCESS_FD_END; i++)
		l->fd[i] = fd_close(l->fd[i]);
	free(l->program);
	l->program = NULL;
}
