/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running without a way back to the program on disk. A process that enters a container can be reached
 * through /proc/PID/exe from inside; if that is the host's binary, a hostile container can
 * overwrite it (CVE-2019-5736). So programs that enter a container first leave their file: they copy
 * themselves to memory of their own and have an empty sealed memfd as /proc/PID/exe (self_place.c), or,
 * where the kernel cannot do that, execute a sealed memfd copy of themselves. Either way no page
 * is shared with the file on disk.
 */
#pragma once

#include <linux/prctl.h>
#include <stdint.h>

#include "base/err.h"

/* Leave our file in place; where that cannot be, return 0 if we already run from a sealed copy, else copy and re-execute
 * with the same arguments and environment. INSULA_SELF=<path of the original> is put into our environment for
 * path_program_dir(), which believes it only in a sealed process; a workload's environment comes from its
 * configuration, never from ours. The caller has one thread. Who lacks the privilege keeps the link until it is in
 * the user namespace of a sandbox: struct self_link. */
int self_seal(char **argv, struct err *e);

/* The exchange of the link for a process that comes into a user namespace: prepare while /proc is the host's,
 * exchange after, before anybody else there can see the process. Nothing happens if it was done before, if we run from
 * a copy, or in a program that never went through self_seal(), as one that tests a part of ours. Exchange ends the
 * preparation. */
struct self_link {
	int fd;
	struct prctl_mm_map map;
};
int self_link_prepare(struct self_link *link, struct err *e);
int self_link_exchange(struct self_link *link, struct err *e);

/* Not dumpable: /proc/PID of ours belongs to root and cannot be traced from a container. */
void self_undumpable(void);
