/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel finds in memory when it starts: memory map, command line, zero page or PVH start_info,
 * descriptor table and page tables.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "guest_memory.h"
#include "kernel_image.h"

/* Longest command line for this kernel is checked: -EINVAL. The start registers that go with it: x86_cpu.h. */
int boot_data_write(const struct guest_memory *m, const struct loaded_kernel *k,
		    const char *cmdline, uint64_t initrd_at, uint64_t initrd_bytes, struct err *e);
