/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Register state. The order matters to KVM: CPUID comes first, since it decides which MSRs there are.
 *
 * Sources: kernel Documentation/virt/kvm/api.rst; Documentation/arch/x86/boot.rst, "64-bit Boot
 * Protocol"; Xen's docs/misc/pvh.pandoc; Intel SDM volume 3, 2.5 (control registers), 11.5 (local APIC).
 */
#include "x86_cpu.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "layout.h"
#include "x86_cpuid.h"

#define CR0_PE    0x1u
#define CR0_ET    0x10u
#define CR0_PG    0x80000000u
#define CR4_PAE   0x20u
#define EFER_LME  0x100u
#define EFER_LMA  0x400u
#define FLAGS_ONE 0x2u /* always set */

#define MSR_MISC_ENABLE 0x1a0u
#define MSR_MTRR_TYPE   0x2ffu

#define MISC_FAST_STRINGS   1u
#define MTRR_ON_WRITEBACK   0x806u
#define FPU_CONTROL_DEFAULT 0x37fu
#define MXCSR_DEFAULT       0x1f80u

#define APIC_LVT0      0x350u
#define APIC_LVT1      0x360u
#define APIC_MODE_MASK 0x700u
#define APIC_EXTINT    0x700u
#define APIC_NMI       0x400u

int x86_cpuid_read(int kvm_fd, struct x86_cpuid **ret, struct err *e)
{
	struct x86_cpuid *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(e);
	c->n = X86_CPUID_ENTRIES;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, c) < 0) {
		int r = err_sys(e, errno, "KVM_GET_SUPPORTED_CPUID");

		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void x86_cpuid_free(struct x86_cpuid *c)
{
	free(c);
}

static int set_cpuid(int vcpu, const struct x86_cpuid *host, unsigned index, unsigned vcpus,
		     struct err *e)
{
	_cleanup_free_ struct x86_cpuid *c = malloc(sizeof(*c));

	if (!c)
		return err_nomem(e);
	x86_cpuid_for(host, index, vcpus, c);
	if (ioctl(vcpu, KVM_SET_CPUID2, c) < 0)
		return err_sys(e, errno, "KVM_SET_CPUID2");
	return 0;
}

static int set_msrs(int vcpu, struct err *e)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} values[] = {
		{MSR_MISC_ENABLE, MISC_FAST_STRINGS},
		{MSR_MTRR_TYPE, MTRR_ON_WRITEBACK},
	};
	struct {
		uint32_t n, padding; /* struct kvm_msrs with room for its entries */
		struct kvm_msr_entry entry[ARRAY_SIZE(values)];
	} m = {.n = ARRAY_SIZE(values)};
	int n;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		m.entry[i] =
			(struct kvm_msr_entry){.index = values[i].index, .data = values[i].value};
	n = ioctl(vcpu, KVM_SET_MSRS, &m);
	if (n < 0)
		return err_sys(e, errno, "KVM_SET_MSRS");
	if ((size_t)n < ARRAY_SIZE(values))
		return err_set(e, ERR_SYSTEM, EINVAL, "KVM_SET_MSRS: MSR 0x%x is refused",
			       values[n].index);
	return 0;
}

static int set_fpu(int vcpu, struct err *e)
{
	struct kvm_fpu fpu = {.fcw = FPU_CONTROL_DEFAULT, .mxcsr = MXCSR_DEFAULT};

	return ioctl(vcpu, KVM_SET_FPU, &fpu) < 0 ? err_sys(e, errno, "KVM_SET_FPU") : 0;
}

static void set_lvt(struct kvm_lapic_state *s, unsigned reg, uint32_t mode)
{
	uint32_t value;

	memcpy(&value, s->regs + reg, sizeof(value));
	value = (value & ~APIC_MODE_MASK) | mode;
	memcpy(s->regs + reg, &value, sizeof(value));
}

static int set_lapic(int vcpu, struct err *e)
{
	struct kvm_lapic_state s;

	if (ioctl(vcpu, KVM_GET_LAPIC, &s) < 0)
		return err_sys(e, errno, "KVM_GET_LAPIC");
	set_lvt(&s, APIC_LVT0, APIC_EXTINT);
	set_lvt(&s, APIC_LVT1, APIC_NMI);
	return ioctl(vcpu, KVM_SET_LAPIC, &s) < 0 ? err_sys(e, errno, "KVM_SET_LAPIC") : 0;
}

static struct kvm_segment code_segment(enum kernel_entry entry)
{
	bool wide = entry == KERNEL_ENTRY_LINUX64;

	return (struct kvm_segment){.limit = 0xffffffff,
				    .selector = wide ? 0x10 : 0x08,
				    .type = 11,
				    .present = 1,
				    .s = 1,
				    .l = wide,
				    .db = !wide,
				    .g = 1};
}

static struct kvm_segment data_segment(enum kernel_entry entry)
{
	return (struct kvm_segment){.limit = 0xffffffff,
				    .selector = entry == KERNEL_ENTRY_LINUX64 ? 0x18 : 0x10,
				    .type = 3,
				    .present = 1,
				    .s = 1,
				    .db = 1,
				    .g = 1};
}

static int set_sregs(int vcpu, enum kernel_entry entry, struct err *e)
{
	struct kvm_sregs s;

	if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		return err_sys(e, errno, "KVM_GET_SREGS");
	s.cs = code_segment(entry);
	s.ds = s.es = s.fs = s.gs = s.ss = data_segment(entry);
	/* A 32-bit busy TSS at 0, of the least size: Intel's entry checks want one. */
	s.tr = (struct kvm_segment){.limit = 0x67, .type = 11, .present = 1};
	s.gdt.base = BOOT_GDT;
	s.gdt.limit = 4 * 8 - 1;
	s.idt.base = BOOT_IDT;
	s.idt.limit = 7;
	s.cr0 = CR0_PE | CR0_ET;
	if (entry == KERNEL_ENTRY_LINUX64) {
		s.cr0 |= CR0_PG;
		s.cr3 = BOOT_PML4;
		s.cr4 = CR4_PAE;
		s.efer = EFER_LME | EFER_LMA;
	}
	return ioctl(vcpu, KVM_SET_SREGS, &s) < 0 ? err_sys(e, errno, "KVM_SET_SREGS") : 0;
}

static int set_regs(int vcpu, const struct x86_start *start, struct err *e)
{
	struct kvm_regs r = {.rflags = FLAGS_ONE, .rip = start->rip};

	switch (start->entry) {
	case KERNEL_ENTRY_LINUX64:
		r.rsi = BOOT_ZERO_PAGE;
		r.rsp = r.rbp = BOOT_STACK;
		break;
	case KERNEL_ENTRY_PVH:
		r.rbx = BOOT_PVH_INFO;
		break;
	}
	return ioctl(vcpu, KVM_SET_REGS, &r) < 0 ? err_sys(e, errno, "KVM_SET_REGS") : 0;
}

int x86_cpu_setup(int vcpu_fd, const struct x86_cpuid *host, unsigned index, unsigned vcpus,
		  const struct x86_start *start, struct err *e)
{
	int r;

	if ((r = set_cpuid(vcpu_fd, host, index, vcpus, e)) < 0 || (r = set_msrs(vcpu_fd, e)) < 0 ||
	    (r = set_fpu(vcpu_fd, e)) < 0 || (r = set_lapic(vcpu_fd, e)) < 0)
		return r;
	if (!start)
		return 0;
	r = set_sregs(vcpu_fd, start->entry, e);
	return r < 0 ? r : set_regs(vcpu_fd, start, e);
}
