/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's processor is the host's as far as KVM can show it, with these differences: it is told that it
 * is a guest and has the TSC deadline timer (there is no other timer in our machine), it sees one package of
 * `vcpus` cores with one thread each, and no performance counters.
 *
 * Sources: Intel SDM volume 2, CPUID, and volume 3, 9.9.5 (topology); AMD APM volume 3, appendix E; kernel
 * Documentation/virt/kvm/x86/cpuid.rst.
 */
#include "x86_cpuid.h"

#include <stdbool.h>
#include <string.h>

/* The first four letters of the vendor's name. */
#define VENDOR_AMD   0x68747541u
#define VENDOR_HYGON 0x6f677948u

#define LEAF1_ECX_PDCM         (1u << 15)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR   (1u << 31)
#define LEAF1_EDX_HTT          (1u << 28)
#define LEAF6_ECX_EPB          (1u << 3)
#define AMD1_ECX_CMP_LEGACY    (1u << 1)

#define TOPOLOGY_INVALID 0u
#define TOPOLOGY_THREAD  1u
#define TOPOLOGY_CORE    2u

/* Bits of an APIC id that number the cores: at least one, so that the levels differ. */
static unsigned core_bits(unsigned vcpus)
{
	unsigned bits = 1;

	while (1u << bits < vcpus)
		bits++;
	return bits;
}

static void leaf_1(struct kvm_cpuid_entry2 *l, unsigned index, unsigned vcpus)
{
	unsigned ids = vcpus > 1 ? 1u << core_bits(vcpus) : 1;

	if (ids > 0xff)
		ids = 0xff; /* of eight bits */
	l->ebx = (l->ebx & 0x0000ffff) | ids << 16 | index << 24;
	l->ecx = (l->ecx & ~LEAF1_ECX_PDCM) | LEAF1_ECX_TSC_DEADLINE | LEAF1_ECX_HYPERVISOR;
	l->edx &= ~LEAF1_EDX_HTT;
	if (vcpus > 1)
		l->edx |= LEAF1_EDX_HTT;
}

/* Intel's caches: the last level is shared by all cores, the others are each core's own. */
static void leaf_4(struct kvm_cpuid_entry2 *l, unsigned vcpus)
{
	unsigned level = l->eax >> 5 & 7, ids = vcpus > 1 ? (1u << core_bits(vcpus)) - 1 : 0;

	if ((l->eax & 0x1f) == 0) /* no more caches */
		return;
	l->eax = (l->eax & 0x3fff) | (level >= 3 ? ids : 0) << 14 | (ids & 0x3f) << 26;
}

/* The x2APIC topology: threads, cores, end. */
static void leaf_b(struct kvm_cpuid_entry2 *l, unsigned index, unsigned vcpus)
{
	static const unsigned types[] = {TOPOLOGY_THREAD, TOPOLOGY_CORE};
	unsigned type = l->index < 2 ? types[l->index] : TOPOLOGY_INVALID;

	l->eax = type == TOPOLOGY_CORE ? core_bits(vcpus) : 0;
	l->ebx = type == TOPOLOGY_CORE ? vcpus : type == TOPOLOGY_THREAD ? 1 : 0;
	l->ecx = (l->index & 0xff) | type << 8;
	l->edx = index;
}

static void leaf_amd_size(struct kvm_cpuid_entry2 *l, unsigned vcpus)
{
	unsigned bits = vcpus > 1 ? core_bits(vcpus) : 0;

	l->ecx = (l->ecx & ~0xf0ffu) | bits << 12 | (vcpus - 1);
}

static void leaf_amd_cache(struct kvm_cpuid_entry2 *l, unsigned vcpus)
{
	unsigned level = l->eax >> 5 & 7;

	if ((l->eax & 0x1f) == 0)
		return;
	l->eax = (l->eax & ~0x03ffc000u) | (level >= 3 ? vcpus - 1 : 0) << 14;
}

static void adjust(struct kvm_cpuid_entry2 *l, bool amd, unsigned index, unsigned vcpus)
{
	switch (l->function) {
	case 0x1:
		leaf_1(l, index, vcpus);
		break;
	case 0x4:
		leaf_4(l, vcpus);
		break;
	case 0x6:
		l->ecx &= ~LEAF6_ECX_EPB; /* its MSR is not there */
		break;
	case 0xa: /* performance counters */
		l->eax = l->ebx = l->ecx = l->edx = 0;
		break;
	case 0x80000001:
		l->ecx &= ~AMD1_ECX_CMP_LEGACY;
		break;
	case 0x80000008:
		if (amd)
			leaf_amd_size(l, vcpus);
		break;
	case 0x8000001d:
		leaf_amd_cache(l, vcpus);
		break;
	case 0x8000001e: /* extended APIC id, core id, one node */
		l->eax = index;
		l->ebx = index & 0xff;
		l->ecx = 0;
		break;
	default: /* a number, not an enum: as the host says */
		break;
	}
}

static void append(struct x86_cpuid *c, uint32_t function, uint32_t index, uint32_t flags)
{
	if (c->n < X86_CPUID_ENTRIES)
		c->entry[c->n++] = (struct kvm_cpuid_entry2){
			.function = function, .index = index, .flags = flags};
}

void x86_cpuid_for(const struct x86_cpuid *host, unsigned index, unsigned vcpus,
		   struct x86_cpuid *ret)
{
	uint32_t highest = 0;
	bool amd = false;

	*ret = (struct x86_cpuid){.n = 0};
	for (uint32_t i = 0; i < host->n && i < X86_CPUID_ENTRIES; i++) {
		const struct kvm_cpuid_entry2 *l = &host->entry[i];

		if (l->function == 0) {
			highest = l->eax;
			amd = l->ebx == VENDOR_AMD || l->ebx == VENDOR_HYGON;
		}
		/* The host's topology is not the guest's: 0xb is made anew, 0x1f (its later form) left out. */
		if (l->function == 0xb || l->function == 0x1f)
			continue;
		ret->entry[ret->n] = *l;
		adjust(&ret->entry[ret->n++], amd, index, vcpus);
	}
	for (uint32_t i = 0; highest >= 0xb && i < 3; i++) {
		append(ret, 0xb, i, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
		leaf_b(&ret->entry[ret->n - 1], index, vcpus);
	}
}
