/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trial guest for KVM. Some hosts offer a /dev/kvm that runs guest kernel code by emulating
 * instructions one by one; it gets through a few lines of assembly and stops at the first
 * instruction which the emulator does not know, long before a Linux kernel is up. So the trial
 * executes the ones that Linux executes early and that are known to fail there, in the mode where
 * Linux runs: 64-bit, paging on, with an interrupt handler.
 *
 * The guest has 64 KiB at physical address 0:
 *
 *	0x1000  PML4, 0x2000 PDPT, 0x3000 PD: the first 2 MiB, identity
 *	0x4000  GDT, 0x4800 IDT
 *	0x5000  XSAVE area
 *	0x6000  operand of cmpxchg16b
 *	0x8000  code
 *	0xa000  top of the stack
 *
 * On other architectures nothing like it is known to exist in the field: there a VM and a vCPU that
 * can be created are taken for a KVM that works, which is a weaker promise.
 */
#include "kvm_probe.h"

#include <errno.h>
#include <stdint.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static int create_vm(int kvm_fd)
{
	if (ioctl(kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return -1;
	return ioctl(kvm_fd, KVM_CREATE_VM, 0);
}

#if defined(__x86_64__)

#define GUEST_BYTES 0x10000u
#define PML4        0x1000u
#define PDPT        0x2000u
#define PD          0x3000u
#define GDT         0x4000u
#define IDT         0x4800u
#define CODE        0x8000u
#define STACK       0xa000u

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10

#define PORT      0xf4
#define ANSWER    0x5a
#define EXITS_MAX 1000

#define VECTOR_BREAKPOINT 3

/* CR0 PE, MP, ET, NE, PG; CR4 PAE, OSFXSR, OSXSAVE; EFER LME, LMA (Intel SDM volume 3, 2.5). */
#define CR0_VALUE         0x80000033u
#define CR4_PAE           0x20u
#define CR4_OSFXSR        0x200u
#define CR4_OSXSAVE       0x40000u
#define EFER_VALUE        0x500u
#define PTE_PRESENT_WRITE 0x3u
#define PTE_LARGE         0x80u

#define CPUID_1_ECX_XSAVE (1u << 26)

/* The guest's program. r9 is 1 if the processor has XSAVE. It ends with `out` of ANSWER, or of
 * something else. */
__asm__(".pushsection .rodata\n"
	"kvm_trial_code:\n"
	"	movl $0x6000, %edi\n" /* 0:0 is there; put rcx:rbx */
	"	xorl %eax, %eax\n"
	"	xorl %edx, %edx\n"
	"	movl $0x11111111, %ebx\n"
	"	movl $0x22222222, %ecx\n"
	"	lock cmpxchg16b (%rdi)\n"
	"	jnz 1f\n"
	"	cmpq %rbx, (%rdi)\n"
	"	jne 1f\n"
	"	cmpq %rcx, 8(%rdi)\n"
	"	jne 1f\n"
	"	testl %r9d, %r9d\n"
	"	jz 2f\n"
	"	movl $0x5000, %esi\n" /* x87 and SSE state out and in again */
	"	movl $3, %eax\n"
	"	xorl %edx, %edx\n"
	"	xsave (%rsi)\n"
	"	xrstor (%rsi)\n"
	"2:	xorl %r8d, %r8d\n"
	"	int3\n"
	"	cmpl $0x33, %r8d\n"
	"	jne 1f\n"
	"	movb $0x5a, %al\n"
	"	outb %al, $0xf4\n"
	"1:	movb $0xff, %al\n"
	"	outb %al, $0xf4\n"
	"	hlt\n"
	"kvm_trial_handler:\n"
	"	movl $0x33, %r8d\n"
	"	iretq\n"
	"kvm_trial_code_end:\n"
	".popsection\n");

extern const uint8_t kvm_trial_code[] __attribute__((visibility("hidden")));
extern const uint8_t kvm_trial_handler[] __attribute__((visibility("hidden")));
extern const uint8_t kvm_trial_code_end[] __attribute__((visibility("hidden")));

static void put64(uint8_t *ram, uint32_t at, uint64_t value)
{
	memcpy(ram + at, &value, sizeof(value));
}

static void fill_memory(uint8_t *ram)
{
	uint32_t handler = CODE + (uint32_t)(kvm_trial_handler - kvm_trial_code);

	put64(ram, PML4, PDPT | PTE_PRESENT_WRITE);
	put64(ram, PDPT, PD | PTE_PRESENT_WRITE);
	put64(ram, PD, PTE_PRESENT_WRITE | PTE_LARGE);
	/* Flat 64-bit code and flat data, both accessed already. */
	put64(ram, GDT + SELECTOR_CODE, 0x00af9b000000ffff);
	put64(ram, GDT + SELECTOR_DATA, 0x00cf93000000ffff);
	/* Interrupt gate, present: offset 15..0, selector, type, offset 31..16; upper half 0. */
	put64(ram, IDT + VECTOR_BREAKPOINT * 16,
	      (handler & 0xffff) | (uint64_t)SELECTOR_CODE << 16 | 0x8e0000000000 |
		      (uint64_t)(handler >> 16) << 48);
	memcpy(ram + CODE, kvm_trial_code, (size_t)(kvm_trial_code_end - kvm_trial_code));
}

/* Give the vCPU all that this host can; *ret_xsave tells of XSAVE. */
static int set_cpuid(int kvm_fd, int vcpu, uint64_t *ret_xsave)
{
	enum { ENTRIES = 256 };
	union {
		struct kvm_cpuid2 head;
		char room[sizeof(struct kvm_cpuid2) + ENTRIES * sizeof(struct kvm_cpuid_entry2)];
	} c = {.head.nent = ENTRIES};

	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, &c.head) < 0)
		return -1;
	for (uint32_t i = 0; i < c.head.nent && i < ENTRIES; i++)
		if (c.head.entries[i].function == 1)
			*ret_xsave = (c.head.entries[i].ecx & CPUID_1_ECX_XSAVE) != 0;
	return ioctl(vcpu, KVM_SET_CPUID2, &c.head);
}

static int set_registers(int vcpu, uint64_t xsave)
{
	struct kvm_segment code = {.limit = 0xffffffff,
				   .selector = SELECTOR_CODE,
				   .type = 11,
				   .present = 1,
				   .s = 1,
				   .l = 1,
				   .g = 1};
	struct kvm_segment data = {.limit = 0xffffffff,
				   .selector = SELECTOR_DATA,
				   .type = 3,
				   .present = 1,
				   .db = 1,
				   .s = 1,
				   .g = 1};
	struct kvm_regs regs = {.rip = CODE, .rsp = STACK, .rflags = 2, .r9 = xsave};
	struct kvm_sregs s;

	if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		return -1;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.gdt.base = GDT;
	s.gdt.limit = 3 * 8 - 1;
	s.idt.base = IDT;
	s.idt.limit = (VECTOR_BREAKPOINT + 1) * 16 - 1;
	s.cr0 = CR0_VALUE;
	s.cr3 = PML4;
	s.cr4 = CR4_PAE | CR4_OSFXSR | (xsave ? CR4_OSXSAVE : 0);
	s.efer = EFER_VALUE;
	if (ioctl(vcpu, KVM_SET_SREGS, &s) < 0)
		return -1;
	return ioctl(vcpu, KVM_SET_REGS, &regs);
}

static enum kvm_trial run(int vcpu, const volatile struct kvm_run *state, size_t state_len)
{
	for (unsigned i = 0; i < EXITS_MAX; i++) {
		uint64_t offset;

		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return KVM_TRIAL_STRANGE;
		}
		switch (state->exit_reason) {
		case KVM_EXIT_IO:
			offset = state->io.data_offset;
			if (state->io.port != PORT || offset >= state_len)
				return KVM_TRIAL_WRONG;
			return ((const volatile uint8_t *)state)[offset] == ANSWER
				       ? KVM_TRIAL_WORKS
				       : KVM_TRIAL_WRONG;
		case KVM_EXIT_INTR:
			continue;
		case KVM_EXIT_INTERNAL_ERROR:
			return KVM_TRIAL_EMULATION;
		case KVM_EXIT_SHUTDOWN:
			return KVM_TRIAL_CRASH;
		default: /* the kernel's list of reasons, open-ended */
			return KVM_TRIAL_STRANGE;
		}
	}
	return KVM_TRIAL_STRANGE;
}

enum kvm_trial kvm_trial_run(int kvm_fd)
{
	struct kvm_userspace_memory_region slot = {.memory_size = GUEST_BYTES};
	uint64_t xsave = 0;
	int vm, vcpu, state_len;
	void *ram, *state;

	vm = create_vm(kvm_fd);
	if (vm < 0)
		return KVM_TRIAL_NO_VM;
	/* Intel without unrestricted guests wants it; the others do not mind. */
	ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	ram = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		return KVM_TRIAL_NO_VCPU;
	fill_memory(ram);
	slot.userspace_addr = (uintptr_t)ram;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return KVM_TRIAL_NO_VCPU;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	state_len = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || state_len < (int)sizeof(struct kvm_run))
		return KVM_TRIAL_NO_VCPU;
	state = mmap(NULL, (size_t)state_len, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (state == MAP_FAILED)
		return KVM_TRIAL_NO_VCPU;
	if (set_cpuid(kvm_fd, vcpu, &xsave) < 0 || set_registers(vcpu, xsave) < 0)
		return KVM_TRIAL_NO_SETUP;
	return run(vcpu, state, (size_t)state_len);
}

#else

enum kvm_trial kvm_trial_run(int kvm_fd)
{
	int vm = create_vm(kvm_fd);

	if (vm < 0)
		return KVM_TRIAL_NO_VM;
	return ioctl(vm, KVM_CREATE_VCPU, 0) < 0 ? KVM_TRIAL_NO_VCPU : KVM_TRIAL_WORKS;
}

#endif
