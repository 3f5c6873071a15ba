/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a guest, and the only way to it. The guest changes it while we look: what matters is read
 * once into a copy of our own, then checked, then used. A range counts only when it lies wholly in one
 * region; sums are checked for overflow.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A guest-physical address: a type of its own, so that it is never taken for one of ours. */
typedef struct {
	uint64_t v;
} gpa_t;
#define GPA(x) ((gpa_t){(x)})

#define GUEST_REGIONS_MAX 2 /* below and above the MMIO gap */

struct guest_region {
	uint64_t start, bytes;
	uint8_t *host; /* where it is mapped here */
	uint64_t file_offset;
};

struct guest_memory {
	int fd; /* owned memfd, sealed in size, shared with file servers that need it; -1 in tests */
	struct guest_region region[GUEST_REGIONS_MAX];
	unsigned n_regions;
};

/* Make and map `bytes` (whole pages), split around the MMIO gap. */
int guest_memory_create(uint64_t bytes, struct guest_memory *ret, struct err *e);
void guest_memory_done(struct guest_memory *m);

/* Where [at, at + bytes) is mapped, or NULL when it is not wholly in one region. bytes 0 is NULL. */
void *guest_range(const struct guest_memory *m, gpa_t at, uint64_t bytes);

/* Copy out of, into the guest: 0 or -EFAULT. */
int guest_read(const struct guest_memory *m, gpa_t at, void *to, size_t bytes);
int guest_write(const struct guest_memory *m, gpa_t at, const void *from, size_t bytes);
