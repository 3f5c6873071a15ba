/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the default system call filter (seccomp_default_table.c), for what is made of it: the filter, its document,
 * its tests. Internal to this folder.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum call_decision {
	CALL_ALLOWED,
	CALL_REFUSED,     /* EPERM */
	CALL_ABSENT,      /* ENOSYS: as a kernel without it, so that programs take the older way */
	CALL_CONDITIONAL, /* by arguments: seccomp_default.c */
	CALL_DECISION_COUNT,
};

struct call_group {
	enum call_decision decision;
	const char *title;
	const char *names; /* separated by blanks; also those that this architecture has not */
	uint64_t
		unless; /* any of these capabilities (bit n: number n) allows a refused or absent group */
	const char *reason; /* what they are for, or why not */
};

extern const struct call_group call_groups[];
extern const size_t call_groups_len;
