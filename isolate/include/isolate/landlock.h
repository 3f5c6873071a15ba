/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: a fence of the process's own, beside its mounts. Where a mount was forgotten, or somebody found a way to
 * change it, the kernel still refuses what no rule allows; and who is behind it cannot change mounts at all, nor trace
 * processes outside of it.
 * Spec: Documentation/userspace-api/landlock.rst; landlock_create_ruleset(2), landlock_add_rule(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum iso_landlock_access {
	ISO_LANDLOCK_READ,   /* read files, list directories, execute */
	ISO_LANDLOCK_WRITE,  /* that, and write, truncate, make (no devices), remove, move */
	ISO_LANDLOCK_DEVICE, /* that, and ioctl(2) on devices (without this right: since ABI 5) */
	ISO_LANDLOCK_ACCESS_COUNT,
};

/* For a directory and all below it, or for one file. */
struct iso_landlock_rule {
	char *path; /* owned; absolute, in the sandbox; one that is missing there gives nothing */
	enum iso_landlock_access access;
};

struct iso_landlock {
	bool present;
	struct iso_landlock_rule *rules; /* owned */
	size_t n_rules;
	bool scope_signals;  /* none to processes outside (ABI 6) */
	bool scope_abstract; /* no abstract Unix sockets of processes outside (ABI 6) */
};

void iso_landlock_done(struct iso_landlock *l);

/* "read", "write", "device". -EINVAL for others. */
int iso_landlock_access_parse(const char *word, enum iso_landlock_access *ret);
const char *iso_landlock_access_name(enum iso_landlock_access access);

/* What the running kernel has: 0 for none, or switched off. */
int iso_landlock_abi(void);

/* For people, one line: what an ABI enforces, and what it lacks. "not in this kernel" for 0. Caller frees; -ENOMEM. */
int iso_landlock_describe(int abi, char **ret);
