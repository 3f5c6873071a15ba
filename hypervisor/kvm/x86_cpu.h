/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a vCPU before its first instruction: what CPUID says, MSRs, FPU, local APIC, and for the first one
 * the registers that the boot protocol wants. The others wait for INIT and SIPI, as KVM makes them.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "kernel_image.h"

struct x86_start {
	enum kernel_entry entry;
	uint64_t rip;
};

struct x86_cpuid; /* what this host's KVM offers, read once per VM */
int x86_cpuid_read(int kvm_fd, struct x86_cpuid **ret, struct err *e);
void x86_cpuid_free(struct x86_cpuid *c); /* NULL-safe */

/* index counts from 0 and is the APIC id; `start` only for index 0. */
int x86_cpu_setup(int vcpu_fd, const struct x86_cpuid *host, unsigned index, unsigned vcpus,
		  const struct x86_start *start, struct err *e);
