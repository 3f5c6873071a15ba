/* SPDX-License-Identifier: Apache-2.0 */
/* The document of a full guest system (insula run --vm DISK). */
#pragma once

#include "runtime/runtime.h"

struct rt_system_disk {
	char *path; /* absolute */
	bool read_only;
};

/* NULL, -1, false: not asked for. Paths are absolute; all is borrowed. */
struct rt_system {
	const char *image, *format, *boot, *kernel, *initrd, *append, *cloud_init;
	int64_t root_partition;
	const struct rt_system_disk *disks;
	size_t n_disks;
	bool persist, tty;
};

/* Limits, labels and annotations are the request's; what else of it has a meaning only for images is not looked at. What lies
 * on the disk is looked at by rt_create(). */
int rt_system_document(const struct rt_run_request *r, const struct rt_system *system,
		       struct json **ret, struct err *e);
