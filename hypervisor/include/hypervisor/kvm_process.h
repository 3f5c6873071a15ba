/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of our own VMM (program insula-kvm), one per VM, started by the engine `kvm` with everything
 * it needs as descriptors. It opens nothing by itself, so it can be jailed before it looks at a single byte of
 * the guest's: the program brings the jail, since that is made of parts that this folder does not know.
 */
#pragma once

#include "base/err.h"

/* Descriptor numbers in the process; which of the optional ones are there says its configuration. */
enum kvm_process_fd {
	KVM_PROCESS_FD_CONTROL = 3, /* SEQPACKET, the engine's */
	KVM_PROCESS_FD_KVM,
	KVM_PROCESS_FD_KERNEL,
	KVM_PROCESS_FD_INITRAMFS,
	KVM_PROCESS_FD_CONSOLE, /* the serial port */
	KVM_PROCESS_FD_AGENT,   /* optional: a stream socket */
	KVM_PROCESS_FD_SHARE,   /* optional: a connection to a vhost-user file server */
	KVM_PROCESS_FD_TAP,     /* optional */
	KVM_PROCESS_FD_VSOCK, /* optional: a listening Unix socket, for connections of the host's */
	KVM_PROCESS_FD_VSOCK_BROKER, /* with it: SEQPACKET, where the guest's connections are asked for */
	KVM_PROCESS_FD_DISK,         /* the first of up to KVM_PROCESS_DISKS_MAX */
	KVM_PROCESS_FD_OVERLAY = KVM_PROCESS_FD_DISK + 4, /* optional, as many again */
	KVM_PROCESS_FD_END = KVM_PROCESS_FD_OVERLAY + 4,
};

#define KVM_PROCESS_DISKS_MAX (KVM_PROCESS_FD_OVERLAY - KVM_PROCESS_FD_DISK)

struct kvm_process_jail {
	/* The whole process: user, namespaces, root. Called first, with one thread. May be NULL. */
	int (*enter)(void *arg, struct err *e);
	/* System call filters: first one over all threads (there are workers and vCPUs' by then), then, in each vCPU's
	 * thread, a narrower one on top. 0 or -errno. May be NULL. */
	int (*filter_all)(void *arg);
	int (*filter_vcpu)(void *arg);
	void *arg;
};

/* True when the control socket is where it should be: a person who calls the program has none. */
int kvm_process_has_control(void);

/* Take the configuration, build the machine, run it to its end, telling the engine what happens. 0, or
 * the failure that the engine was told as well. -ENOTSUP where there is no such engine. */
int kvm_process_run(const struct kvm_process_jail *jail, struct err *e);
