/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail around helper processes of our own that read what is hostile. The process has been started in namespaces of its own
 * (iso_userns_spawn() with mount, network, IPC, UTS and pid namespaces); this takes away what is left: the file tree, capabilities,
 * limits, system calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "isolate/process.h"

struct iso_jail {
	/* The one directory that is to be reached: it becomes the root directory, and the descriptor is replaced by one of the same
	 * number that ".." leads nowhere from. -1: the root is an empty directory that nothing can be written to. */
	int root_fd;
	/* With root_fd -1: files of the host that are in the empty root at the same paths, as copies made now. What is not there or
	 * cannot be read is left out. */
	const char *const *files;
	size_t n_files;
	/* socket(2) of the Internet's families and of NETLINK_ROUTE's (reading), which else is not allowed at all; others fail. */
	bool internet;
	uint64_t caps;                    /* capabilities to keep; bit n is capability n */
	const struct iso_rlimit *rlimits; /* a hard limit of ours below one of these stays */
	size_t n_rlimits;
	const char *const *
		calls; /* names of the system calls that are allowed; any other kills the process */
	size_t n_calls;
	/* Threads of the process itself are: clone() for a thread, clone3() not (the C library then takes clone()). Memory
	 * is never made executable (mmap, mprotect are allowed without PROT_EXEC; they are not to be named). */
};

/* Enter. On failure the process is somewhere in between and must end. It has one thread, and is root of its user
 * namespace. Children cannot be started, and nothing executed, afterwards. */
int iso_jail_enter(const struct iso_jail *j, struct err *e);
