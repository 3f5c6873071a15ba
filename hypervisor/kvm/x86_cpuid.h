/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID of one vCPU, from what the host's KVM offers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

#define X86_CPUID_ENTRIES 256u

/* struct kvm_cpuid2 with room for its entries. */
struct x86_cpuid {
	uint32_t n, padding;
	struct kvm_cpuid_entry2 entry[X86_CPUID_ENTRIES];
};
_Static_assert(offsetof(struct x86_cpuid, entry) == sizeof(struct kvm_cpuid2), "KVM's layout");

/* A copy for vCPU `index` of `vcpus`: APIC ids, one package of single-threaded cores. */
void x86_cpuid_for(const struct x86_cpuid *host, unsigned index, unsigned vcpus,
		   struct x86_cpuid *ret);
