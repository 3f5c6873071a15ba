/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/self/mountinfo as a table. Read only where there is no other way: it costs as much as the
 * host has mounts. Internal to this folder. Source: proc_pid_mountinfo(5).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct mountinfo_entry {
	uint64_t id, parent;
	uint64_t attrs;   /* MOUNT_ATTR_*, of the mount */
	char *mountpoint; /* owned; unescaped, as seen from our root */
	char *fstype;     /* owned */
};

struct mountinfo {
	struct mountinfo_entry *v; /* owned; in the kernel's order: a later one covers an earlier */
	size_t n;
};

void mountinfo_done(struct mountinfo *info);
static inline void mountinfo_donep(struct mountinfo *info)
{
	mountinfo_done(info);
}
#define _cleanup_mountinfo_ __attribute__((cleanup(mountinfo_donep)))

/* Of this process; *ret must be zeroed. */
int mountinfo_read(struct mountinfo *ret, struct err *e);
/* The same from text, which is taken apart in place. */
int mountinfo_parse(char *text, struct mountinfo *ret, struct err *e);

/* NULL if it is not in the table. */
const struct mountinfo_entry *mountinfo_by_id(const struct mountinfo *info, uint64_t id);
