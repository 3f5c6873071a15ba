/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole system on QEMU. All its files are descriptors of ours in sets of QEMU's (-add-fd), so it opens none by name but
 * kernel and firmware. Each layer of a disk is a block node with a stated format, and no image's own word about a backing
 * file is followed:
 *
 *	fileI -> baseI			the disk itself; read-only under an overlay
 *	overfileI -> overI (qcow2)	the overlay, whose backing is the node baseI
 *
 * With a kernel of ours disks are the namespaces of one NVMe controller, which Debian's cloud kernel has built in and names
 * in order (/dev/nvme0n1, n2, …). With firmware they are virtio disks, which every system's boot loader and initramfs know.
 */
#include "qemu_system.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define UEFI_PACKAGE "ovmf"

static const char *const uefi_files[][2] = {
	{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
	{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
	{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
};

static int disk_fd(unsigned i)
{
	return QEMU_FD_SYSTEM + 2 * (int)i;
}

static int overlay_fd(unsigned i)
{
	return disk_fd(i) + 1;
}

static int vars_fd(void)
{
	return QEMU_FD_SYSTEM + 2 * VM_DISKS_MAX;
}

static const char *const *find_uefi(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(uefi_files); i++)
		if (access(uefi_files[i][0], R_OK) == 0 && access(uefi_files[i][1], R_OK) == 0)
			return uefi_files[i];
	return NULL;
}

int vm_uefi_vars_path(const char **ret, struct err *e)
{
	const char *const *files = find_uefi();

	if (!files) {
		err_set(e, ERR_NOT_FOUND, ENOENT,
			"UEFI firmware for virtual machines: not "
			"installed");
		return err_hint(e, "install " UEFI_PACKAGE
				   ", or start the disk otherwise: --boot bios");
	}
	*ret = files[1];
	return 0;
}

int qemu_system_check(const struct vm_config *c, struct err *e)
{
	const char *vars;

#ifndef __x86_64__
	return err_unsupported(e, "full guest systems: on x86-64 only");
#endif
	if (c->n_disks < 1 || c->n_disks > VM_DISKS_MAX)
		return err_invalid(e, "disks: %u is not in 1..%d (a cloud-init seed is one)",
				   c->n_disks, VM_DISKS_MAX);
	return c->system->boot == VM_BOOT_UEFI ? vm_uefi_vars_path(&vars, e) : 0;
}

int qemu_system_prepare(const struct vm_config *c, struct err *e)
{
	for (unsigned i = 0; i < c->n_disks; i++) {
		const struct vm_disk *d = &c->disks[i];
		uint64_t bytes;
		struct stat st;
		int r;

		if (!d->has_overlay)
			continue;
		if (fstat(d->overlay_fd, &st) < 0)
			return err_sys(e, errno, "overlay of disk %u", i + 1);
		if (st.st_size)
			continue;
		r = vm_disk_check(d->fd, d->format, &bytes, e);
		if (r == 0)
			r = vm_disk_overlay_write(d->overlay_fd, bytes, e);
		if (r < 0)
			return err_wrap(e, "overlay of disk %u", i + 1);
	}
	return 0;
}

size_t qemu_system_fds(const struct vm_config *c, struct proc_fd_map *ret)
{
	size_t n = 0;

	for (unsigned i = 0; i < c->n_disks; i++) {
		const struct vm_disk *d = &c->disks[i];

		ret[n++] = (struct proc_fd_map){d->fd, disk_fd(i)};
		if (d->has_overlay)
			ret[n++] = (struct proc_fd_map){d->overlay_fd, overlay_fd(i)};
	}
	if (c->system->boot == VM_BOOT_UEFI)
		ret[n++] = (struct proc_fd_map){c->system->uefi_vars_fd, vars_fd()};
	return n;
}

/* ---- arguments -------------------------------------------------------------------------- */

/* An option and its value; the vector remembers its first failure. */
struct args {
	char **v;
	int r;
};

static void add(struct args *a, const char *option, const char *fmt, ...) _printf_(3, 4);
static void add(struct args *a, const char *option, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	if (a->r < 0)
		return;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	a->r = s ? strv_push(&a->v, option) : -ENOMEM;
	if (a->r < 0)
		free(s);
	else
		a->r = strv_consume(&a->v, s);
}

/* A node of the protocol `file` over a descriptor; its set has the descriptor's number. */
static void add_file(struct args *a, const char *kind, unsigned i, int fd, bool read_only)
{
	add(a, "-add-fd", "fd=%d,set=%d", fd, fd);
	add(a, "-blockdev",
	    "{\"driver\":\"file\",\"node-name\":\"%s%u\",\"filename\":\"/dev/fdset/%d\","
	    "\"read-only\":%s,\"discard\":\"unmap\"}",
	    kind, i, fd, read_only ? "true" : "false");
}

static void add_disk(struct args *a, const struct vm_disk *d, unsigned i, bool nvme)
{
	bool read_only = d->read_only || d->has_overlay;
	const char *top = d->has_overlay ? "over" : "base";

	add_file(a, "file", i, disk_fd(i), read_only);
	add(a, "-blockdev",
	    "{\"driver\":\"%s\",\"node-name\":\"base%u\",\"file\":\"file%u\",\"read-only\":%s,"
	    "\"discard\":\"unmap\"%s}",
	    vm_disk_format_name(d->format), i, i, read_only ? "true" : "false",
	    d->format == VM_DISK_QCOW2 ? ",\"backing\":null" : "");
	if (d->has_overlay) {
		add_file(a, "overfile", i, overlay_fd(i), false);
		add(a, "-blockdev",
		    "{\"driver\":\"qcow2\",\"node-name\":\"over%u\",\"file\":\"overfile%u\","
		    "\"backing\":\"base%u\",\"discard\":\"unmap\"}",
		    i, i, i);
	}
	if (nvme)
		add(a, "-device", "nvme-ns,drive=%s%u,bus=disks,nsid=%u", top, i, i + 1);
	else
		add(a, "-device", "virtio-blk-pci,drive=%s%u,serial=disk%u,bootindex=%u", top, i, i,
		    i + 1);
}

static void add_uefi(struct args *a)
{
	const char *const *files = find_uefi();

	if (!files)
		return; /* it was there when it was checked; QEMU without it says so on its screen */
	add(a, "-blockdev",
	    "{\"driver\":\"file\",\"node-name\":\"uefi-code\",\"filename\":\"%s\","
	    "\"read-only\":true}",
	    files[0]);
	add_file(a, "uefi-vars", 0, vars_fd(), false);
	add(a, "-machine", "pflash0=uefi-code,pflash1=uefi-vars0");
}

/*
 * Other than for a guest with our agent, the console is for people (so it is not quiet), and there is no panic=: a kernel
 * that finds no root would restart for ever, where this one stops with its reason on the screen.
 */
static void add_kernel(struct args *a, const struct vm_config *c, const char *console,
		       const char *words)
{
	const char *extra = c->cmdline ? c->cmdline : "", *root = c->system->root;

	add(a, "-kernel", "%s", c->kernel->image);
	if (c->system->initrd)
		add(a, "-initrd", "%s", c->system->initrd);
	add(a, "-append", "console=%s loglevel=4 cryptomgr.notests no_timer_check %s%s%s%s%s%s",
	    console, words, root ? " root=" : "", root ? root : "", root ? " rw" : "",
	    extra[0] ? " " : "", extra);
}

int qemu_system_args(const struct vm_config *c, const char *console, const char *words,
		     char ***args)
{
	bool nvme = c->system->boot == VM_BOOT_KERNEL;
	struct args a = {.v = *args};

	if (nvme)
		add(&a, "-device", "nvme,id=disks,serial=insula");
	for (unsigned i = 0; i < c->n_disks; i++)
		add_disk(&a, &c->disks[i], i, nvme);
	switch (c->system->boot) {
	case VM_BOOT_KERNEL:
		add_kernel(&a, c, console, words);
		break;
	case VM_BOOT_UEFI:
		add_uefi(&a);
		break;
	case VM_BOOT_BIOS:
		break;
	}
	/* Started as it is made, it would run before anybody listens. */
	if (a.r == 0)
		a.r = strv_push(&a.v, "-S");
	*args = a.v;
	return a.r;
}
