/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of the VM driver. Internal to this folder.
 */
#pragma once

#include "runtime/driver.h"
#include "vmm.h"

/* What of a plan only this driver needs; s->priv. */
struct vm_private {
	char *guest_dir; /* owned; the kernel found */
	uint64_t throwaway_bytes;
	uint32_t boot_timeout_sec;
	uint32_t accel;
	uint32_t engine;
};

/* driver_vm_plan.c */
int vm_plan(struct sandbox *s, struct err *e);
void vm_private_free(struct vm_private *p);
/* The guest kernel that a microVM would get: $INSULA_GUEST_DIR, beside the program, installed. */
int vm_find_guest_kernel(struct vm_kernel *ret, struct err *e);

/* driver_vm_spawn.c: start insula-vmm with the descriptors of enum vmm_fd. document: what it reads
 * on VMM_FD_PARAMS. Fills the caller's end of the channel. */
struct vm_spawn {
	const char *argument; /* "--exec", or NULL */
	const char *document;
	size_t document_len;
	const struct rt_io *io;     /* NULL: /dev/null */
	int statefd, rootfd, logfd; /* -1: none */
	int cgroup_fd;
};
int vm_spawn(const struct vm_spawn *v, pid_t *ret_pid, int *ret_pidfd, int *ret_sync,
	     struct err *e);
