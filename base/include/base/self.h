/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running from a private sealed copy of ourselves. A process that enters a container can be reached
 * through /proc/PID/exe from inside; if that is the host's binary, a hostile container can
 * overwrite it (CVE-2019-5736). So programs that enter a container first execute a sealed memfd
 * copy of themselves: no page is shared with the file on disk.
 */
#pragma once

#include "base/err.h"

/* Return 0 if we already run from a sealed copy, else copy and re-execute with the same
 * arguments and environment plus INSULA_SELF=<path of the original>. Returns only on failure or
 * when already sealed. INSULA_SELF stays in our environment for path_program_dir(), which believes
 * it only in a sealed copy; a workload's environment comes from its configuration, never from
 * ours. */
int self_seal(char **argv, struct err *e);

/* Not dumpable: /proc/PID of ours belongs to root and cannot be traced from a container. */
void self_undumpable(void);
