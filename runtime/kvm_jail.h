/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail of our own VMM's process (program insula-kvm): hypervisor/kvm_process.h calls these.
 */
#pragma once

#include "base/err.h"
#include "isolate/seccomp.h"

/* A user of its own without capabilities, namespaces of its own, an empty read-only root. One thread. */
int kvm_jail_enter(struct err *e);

/* System call filters: everything that is not named ends the process. */
struct kvm_filters {
	struct iso_bpf all, vcpu; /* vcpu comes on top of all */
};
int kvm_filters_compile(struct kvm_filters *ret, struct err *e);
void kvm_filters_done(struct kvm_filters *f);
