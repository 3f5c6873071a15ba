/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What machine.c and vcpu.c share.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <linux/kvm.h>

#include "layout.h"
#include "machine.h"

#define MACHINE_IRQS_MAX 24 /* pins of the I/O APIC */
#define MACHINE_TEXT_MAX 256

enum machine_state { STATE_WAITING, STATE_RUNNING, STATE_ENDED };

struct vcpu {
	struct machine *machine;
	unsigned index;
	int fd; /* -1: none */
	struct kvm_run *run;
	pthread_t thread;
	bool has_thread;
	bool parked; /* waits at the gate; under the machine's lock */
	int entered; /* what `enter` said; 1 until then */
	atomic_ullong exits, ports, mmio;
};

struct machine {
	int kvm_fd, vm_fd, end_fd;
	size_t run_bytes; /* of each vCPU's struct kvm_run and what follows it */
	struct guest_memory memory;
	struct bus port_bus, mmio_bus;
	int irq_fd[MACHINE_IRQS_MAX]; /* -1: free */
	int (*enter)(void *arg);
	void *enter_arg;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* state, parked, entered */
	bool may_enter;         /* the vCPUs' threads may call `enter` */
	enum machine_state state;
	enum machine_end end;
	char text[MACHINE_TEXT_MAX];

	unsigned n_vcpus;
	struct vcpu *vcpu; /* n_vcpus */
};

int vcpu_create(struct vcpu *v, const struct x86_cpuid *cpuid, const struct x86_start *start,
		struct err *e);
int vcpu_start_thread(struct vcpu *v, struct err *e);
/* Out of the guest, to the gate. With the machine's lock held. */
void vcpu_kick(struct vcpu *v);
void vcpu_join(struct vcpu *v);
void vcpu_destroy(struct vcpu *v); /* after the join */
