/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper process of a VM (engine, file server) whose last words are kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/proc.h"
#include "console_ring.h"

struct vm_child {
	const char *what; /* "qemu", for messages; static */
	bool keep_caps;   /* it starts with all capabilities of its user */
	uint64_t caps;    /* otherwise with these alone */
	pid_t pid;        /* 0: never started, or reaped */
	int pidfd;        /* readable once it ended */
	int stderr_fd;    /* non-blocking read end */
	bool ended;
	int status; /* as of waitpid, once ended */
	struct console_ring words;
};

#define VM_CHILD_INIT(name) ((struct vm_child){.what = (name), .pidfd = -1, .stderr_fd = -1})

/* Start it in a session and process group of its own, killed when the calling thread ends (the
 * caller therefore starts VMs from a thread that lives as long as they do: prctl(2),
 * PR_SET_PDEATHSIG). fds: further descriptors; stdin and stdout are /dev/null, stderr is kept. */
int vm_child_start(struct vm_child *c, char *const *argv, const struct proc_fd_map *fds,
		   size_t n_fds, struct err *e);

/* Read what it said, without blocking, at most some 64 KiB per call. False at the end of the
 * stream. */
bool vm_child_listen(struct vm_child *c);

/* Has it ended? Reaps it then. */
bool vm_child_check(struct vm_child *c);

/* "qemu ended with status 1: <its last words>" into *ret; caller frees. For one that ended. */
int vm_child_epitaph(struct vm_child *c, char **ret);

/* SIGKILL, wait, close. Leaves `words`. */
void vm_child_kill(struct vm_child *c);
