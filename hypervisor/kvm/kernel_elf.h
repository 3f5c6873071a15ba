/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF half of kernel_image.c, and the bounded reads that both use.
 */
#pragma once

#include "kernel_image.h"

struct kernel_file {
	int fd;
	const char *name; /* "guest kernel", for messages */
	uint64_t bytes;
};

/* Read a part of the file that must be wholly there; `what` names it. */
int kernel_read_at(const struct kernel_file *f, uint64_t at, void *to, size_t bytes,
		   const char *what, struct err *e);
/* The same to guest memory from 1 MiB on. */
int kernel_load_at(const struct kernel_file *f, uint64_t from, uint64_t bytes,
		   const struct guest_memory *m, uint64_t to, const char *what, struct err *e);

int kernel_elf_load(const struct kernel_file *f, enum kernel_entry_choice choice,
		    const struct guest_memory *m, struct loaded_kernel *ret, struct err *e);
