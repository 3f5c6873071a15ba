/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process of our own VMM is started from: the program, its configuration and the descriptors that it is handed. All
 * are held, so that a guest system that restarts can be given a new machine with the same parts.
 */
#pragma once

#include "child.h"
#include "hypervisor/kvm_process.h"
#include "hypervisor/vm.h"
#include "kvm/wire.h"

struct kvm_launch {
	char *program;
	struct wire_config config;
	int fd[KVM_PROCESS_FD_END]; /* owned; by their number in the process, -1: none */
};

#define KVM_LAUNCH_PROGRAM "insula-kvm"

/* The program, or ERR_NOT_FOUND with the way out. Caller frees. */
int kvm_launch_find(const struct vm_config *c, char **ret, struct err *e);

/* Open all and make the configuration. vsock_fd and share_fd -1: none. What is given stays the caller's. *ret_broker: our end
 * of the broker's socket, with a vsock. */
int kvm_launch_prepare(const struct vm_config *c, int vsock_fd, int share_fd, int agent_end,
		       int console_end, struct kvm_launch *ret, int *ret_broker, struct err *e);
/* Start a process and tell it its configuration. *ret_control: our end of its control socket. */
int kvm_launch_start(const struct kvm_launch *l, struct vm_child *child, int *ret_control,
		     struct err *e);
void kvm_launch_done(struct kvm_launch *l);
