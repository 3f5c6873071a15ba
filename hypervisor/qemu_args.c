/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of the `qemu` engine. It is a row of what the architecture wants and a list of
 * what every guest gets: RAM in a shared memfd (vhost-user needs it), a serial console for kernel
 * messages, the agent's port, randomness, the shared tree, perhaps a network device; nothing else,
 * no defaults, no configuration files.
 */
#include "qemu_args.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "hypervisor/agent.h"
#include "qemu_system.h"
#include "virtiofsd.h"

struct arch {
	const char *name, *package;
	const char *programs[3]; /* never from PATH: a caller's environment is not to be trusted */
	const char *machine;
	const char *console;
	const char *cmdline;
	unsigned vcpus_max;
};

static const struct arch arch = {
#if defined(__x86_64__)
	.name = "qemu-system-x86_64",
	.package = "qemu-system-x86",
	.programs = {"/usr/bin/qemu-system-x86_64", "/usr/local/bin/qemu-system-x86_64"},
	.machine = "q35,i8042=off,vmport=off,smbus=off,sata=off,usb=off,hpet=off",
	.console = "ttyS0",
	.cmdline = "i8042.noaux i8042.nokbd reboot=t",
	.vcpus_max = 255, /* more need an interrupt-remapping IOMMU */
#elif defined(__aarch64__)
	.name = "qemu-system-aarch64",
	.package = "qemu-system-arm",
	.programs = {"/usr/bin/qemu-system-aarch64", "/usr/local/bin/qemu-system-aarch64"},
	.machine = "virt,gic-version=max",
	.console = "ttyAMA0",
	.cmdline = "",
	.vcpus_max = 255,
#else
	.name = "qemu-system",
	.package = "qemu-system",
	.vcpus_max = 0, /* nothing known about this architecture: vm_config_check() refuses */
#endif
};

const char *qemu_program(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(arch.programs) && arch.programs[i]; i++)
		if (access(arch.programs[i], X_OK) == 0)
			return arch.programs[i];
	return NULL;
}

const char *qemu_program_name(void)
{
	return arch.name;
}

const char *qemu_package_name(void)
{
	return arch.package;
}

unsigned qemu_vcpus_max(void)
{
	return arch.vcpus_max;
}

/* A vector that remembers its first failure. */
struct args {
	char **v;
	int r;
};

static void add(struct args *a, const char *fmt, ...) _printf_(2, 3);
static void add(struct args *a, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	if (a->r < 0)
		return;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	a->r = s ? strv_consume(&a->v, s) : -ENOMEM;
}

/* An option and its value. */
#define add2(a, option, ...)            \
	do {                            \
		add((a), "%s", option); \
		add((a), __VA_ARGS__);  \
	} while (0)

static void add_machine(struct args *a, const struct vm_config *c, enum vm_accel accel)
{
	add2(a, "-name", "%s,process=insula-qemu,debug-threads=on", c->name);
	add2(a, "-machine", "%s,memory-backend=ram", arch.machine);
	switch (accel) {
	case VM_ACCEL_KVM:
		add2(a, "-accel", "kvm");
		add2(a, "-cpu", "host");
		break;
	case VM_ACCEL_TCG:
	case VM_ACCEL_AUTO:
		/* Before 8.1 QEMU's threads race when a guest kernel patches its own code while another vCPU
		 * runs it: the breakpoint, gone from memory, stays in a translated block, and that vCPU takes it
		 * for ever. One thread for all is slower and right. */
		add2(a, "-accel", "tcg,thread=%s,tb-size=%u", c->vcpus > 1 ? "single" : "multi",
		     QEMU_TB_BYTES >> 20);
		add2(a, "-cpu", "max");
		break;
	}
	add2(a, "-smp", "%u", c->vcpus);
	add2(a, "-m", "%juM", (uintmax_t)(c->memory_bytes >> 20));
	add2(a, "-object", "memory-backend-memfd,id=ram,share=on,size=%juM",
	     (uintmax_t)(c->memory_bytes >> 20));
}

static void add_isolation(struct args *a, const struct vm_config *c)
{
	add(a, "-nodefaults");
	add(a, "-no-user-config");
	add2(a, "-display", "none");
	add2(a, "-vga", "none");
	/* A system restarts by itself. */
	if (!c->system)
		add(a, "-no-reboot");
	add2(a, "-sandbox",
	     "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

static void add_devices(struct args *a, const struct vm_config *c)
{
	add2(a, "-chardev", "socket,id=monitor,fd=%d", QEMU_FD_MONITOR);
	add2(a, "-mon", "chardev=monitor,mode=control");
	add2(a, "-chardev", "socket,id=console,fd=%d", QEMU_FD_CONSOLE);
	add2(a, "-serial", "chardev:console");
	if (!c->system) {
		add2(a, "-chardev", "socket,id=agent,fd=%d", QEMU_FD_AGENT);
		add2(a, "-device", "virtio-serial-pci,max_ports=2");
		add2(a, "-device", "virtserialport,nr=1,chardev=agent,name=%s", AGENT_PORT_NAME);
	}
	add2(a, "-object", "rng-random,id=rng,filename=/dev/urandom");
	add2(a, "-device", "virtio-rng-pci,rng=rng");
	if (c->share_dir) {
		add2(a, "-chardev", "socket,id=share,fd=%d", QEMU_FD_SHARE);
		add2(a, "-device", "vhost-user-fs-pci,chardev=share,tag=%s", VIRTIOFS_TAG);
	}
	if (c->net_tap_fd >= 0) {
		/* No boot ROM: this machine does not boot from the network. */
		add2(a, "-netdev", "tap,id=net,fd=%d", QEMU_FD_TAP);
		add2(a, "-device", "virtio-net-pci,netdev=net,romfile=");
	}
}

/*
 * The kernel's command line. Mitigations stay at their defaults: the guest's own users are to be
 * kept apart as on any machine. What a word brings was measured by instructions executed from the
 * reset to init under software emulation (-icount, one vCPU; all in all 0.54 s at 1 ns each):
 *
 *	quiet               0.002 s; it keeps the console's last lines for what matters
 *	cryptomgr.notests   0.88 s: no self-tests of ciphers that nobody uses yet
 *	no_timer_check      0.01 s, and a busy host cannot make the timer test fail, which is a panic
 *	i8042.no…           0.01 s: there is no keyboard controller
 *	reboot=t            the reset needs no keyboard controller either
 *	panic=-1            with -no-reboot a panic ends the VM at once, its message on the console
 *
 * Without effect there, and so left out: random.trust_cpu, rcupdate.rcu_expedited, tsc=reliable,
 * tsc_early_khz, lpj, nokaslr, 8250.nr_uarts, edd=off. Of the machine, hpet=off brings 0.14 s;
 * smaller processor models than `max` bring 0.02 s and cost workloads their instructions; pc and
 * q35 are equal. In time on a clock, of 1.4 s: the ELF kernel instead of the bzImage 0.3 s,
 * cryptomgr.notests 0.2 s, a second vCPU costs nothing, two more 0.3 s; the rest is within noise.
 */
static void add_kernel(struct args *a, const struct vm_config *c)
{
	const char *extra = c->cmdline ? c->cmdline : "";

	add2(a, "-kernel", "%s", c->kernel->image);
	add2(a, "-initrd", "%s", c->kernel->initramfs);
	add2(a, "-append", "console=%s quiet panic=-1 cryptomgr.notests no_timer_check%s%s%s%s",
	     arch.console, arch.cmdline[0] ? " " : "", arch.cmdline, extra[0] ? " " : "", extra);
}

int qemu_args_build(const struct vm_config *c, enum vm_accel accel, char ***ret, struct err *e)
{
	struct args a = {0};

	add(&a, "%s", qemu_program());
	add_isolation(&a, c);
	add_machine(&a, c, accel);
	add_devices(&a, c);
	if (c->system && a.r == 0)
		a.r = qemu_system_args(c, arch.console, arch.cmdline, &a.v);
	else
		add_kernel(&a, c);
	if (a.r < 0) {
		strv_free(a.v);
		return err_nomem(e);
	}
	*ret = a.v;
	return 0;
}
