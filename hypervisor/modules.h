/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel modules of an unpacked kernel package: which files, and in which order they load.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct kernel_module {
	char *name; /* as in the kernel: '-' written as '_' */
	char *path; /* below the modules directory, as found ("kernel/…/fuse.ko.xz") */
	char *data; /* the plain .ko */
	size_t len;
};

struct kernel_modules {
	struct kernel_module *v;
	size_t n;
};
void kernel_modules_done(struct kernel_modules *m);

struct kernel_module_want {
	const char *name;
	bool optional; /* a kernel without it will do */
};

/* Collect the wanted modules and all that they depend on, each after what it depends on. dirfd is
 * lib/modules/RELEASE. What is built into the kernel is left out; what is missing and not optional
 * is ERR_NOT_FOUND. */
int kernel_modules_collect(int dirfd, const struct kernel_module_want *want, size_t n,
			   struct kernel_modules *ret, struct err *e);

/* The `depends` line of a .ko ("virtio,virtio_ring", "" for none) into a fresh string. -EBADMSG if
 * it is not a module for a 64-bit little-endian machine. */
int kernel_module_depends(const char *ko, size_t len, char **ret, struct err *e);
