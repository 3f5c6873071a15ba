/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a guest kernel: bzImage or ELF vmlinux, into guest memory. The file is somebody's input:
 * every number in it is checked against the file and against the memory before it is used.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "guest_memory.h"

enum kernel_entry {
	KERNEL_ENTRY_LINUX64, /* 64-bit mode, paging on, RSI the zero page */
	KERNEL_ENTRY_PVH,     /* 32-bit protected mode, no paging, EBX the start_info */
};

enum kernel_entry_choice {
	KERNEL_ENTRY_AUTO, /* PVH for an ELF kernel that has its note, else 64-bit */
	KERNEL_ENTRY_ONLY_LINUX64,
	KERNEL_ENTRY_ONLY_PVH,
};

/* The setup header of the boot protocol, as in the file: from offset 0x1f1 on. */
#define SETUP_HEADER_AT  0x1f1u
#define SETUP_HEADER_MAX 0x8fu /* up to the end of protocol 2.15, 0x280 */

struct loaded_kernel {
	enum kernel_entry entry;
	uint64_t rip;
	uint64_t end;             /* what is below belongs to the kernel while it starts */
	uint64_t initrd_addr_max; /* highest address an initrd may occupy */
	uint32_t cmdline_max;     /* bytes without the terminator */
	bool has_setup;           /* bzImage */
	uint8_t setup[SETUP_HEADER_MAX];
};

/* Load what fd (a regular file or memfd, read by offset) holds. -EINVAL/-ENOTSUP with a text that names the file's
 * fault; -ENOMEM-like shortage of guest memory is ERR_LIMIT. */
int kernel_image_load(int fd, enum kernel_entry_choice choice, const struct guest_memory *m,
		      struct loaded_kernel *ret, struct err *e);

/* Load an initrd at the top of low memory, above the kernel. *ret_at is a page's start; an empty file gives
 * 0 bytes. */
int initrd_load(int fd, const struct loaded_kernel *k, const struct guest_memory *m,
		uint64_t *ret_at, uint64_t *ret_bytes, struct err *e);
