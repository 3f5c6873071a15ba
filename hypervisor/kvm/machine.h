/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine on KVM: the VM's descriptor, its memory, interrupt controllers, interrupt lines and the vCPUs'
 * threads. What devices are on its buses, and what a guest is booted from, is the caller's.
 *
 * Life: machine_new(), devices and kernel, machine_create_vcpus(), machine_run(), pauses, the end,
 * machine_free(). The vCPUs' threads exist from machine_create_vcpus() on and wait; in machine_run() each calls
 * `enter` (a system call filter of its own, after one that the caller laid over all threads), and only when
 * all have, the guest runs. The first cause of the end wins.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bus.h"
#include "guest_memory.h"
#include "x86_cpu.h"

enum machine_end {
	MACHINE_RUNS,
	MACHINE_POWERED_OFF,
	MACHINE_RESTARTED,
	MACHINE_CRASHED, /* triple fault */
	MACHINE_FAILED,  /* KVM or a device of ours could not go on */
	MACHINE_STOPPED, /* by the host */
};

struct machine_setup {
	int kvm_fd; /* /dev/kvm; borrowed */
	uint64_t memory_bytes;
	unsigned vcpus;
	int (*enter)(void *arg); /* in each vCPU's thread; 0 or -errno; NULL: nothing */
	void *enter_arg;
};

struct machine;

int machine_new(const struct machine_setup *s, struct machine **ret, struct err *e);
/* End it (if nothing has) and join the vCPUs' threads: nobody touches the buses any more. */
void machine_stop(struct machine *m);
/* Stops first. What uses its memory or interrupt lines must be gone. NULL-safe. */
void machine_free(struct machine *m);

struct guest_memory *machine_memory(struct machine *m);
/* Filled before machine_create_vcpus(), and then left alone. */
struct bus *machine_ports(struct machine *m);
struct bus *machine_mmio(struct machine *m);

/* A line to that pin of the I/O APIC; its descriptor is the machine's. */
int machine_irq(struct machine *m, unsigned gsi, struct irq_line *ret, struct err *e);
/* A 4-byte write of `value` at that address ends in the eventfd, without an exit. */
int machine_notify(struct machine *m, uint64_t at, uint32_t value, int event_fd, struct err *e);

int machine_create_vcpus(struct machine *m, const struct x86_start *start, struct err *e);
/* Let each thread call `enter` and tell how it went; they stand at the gate then, as in a pause. */
int machine_enter(struct machine *m, struct err *e);
/* The same, and let them run. */
int machine_run(struct machine *m, struct err *e);
/* On return no vCPU is in the guest or in a device of ours. */
void machine_pause(struct machine *m);
void machine_resume(struct machine *m);

/* From any thread; never blocks. The text is one line for people. */
void machine_end(struct machine *m, enum machine_end end, const char *fmt, ...) _printf_(3, 4);
/* Readable once the end came. Borrowed. */
int machine_end_fd(const struct machine *m);
/* MACHINE_RUNS, or how it ended and the text. */
enum machine_end machine_ended(struct machine *m, char *text, size_t cap);

/* Exits of all vCPUs so far, by what they wanted. */
struct machine_counts {
	uint64_t exits, ports, mmio;
};
void machine_counts(const struct machine *m, struct machine_counts *ret);
