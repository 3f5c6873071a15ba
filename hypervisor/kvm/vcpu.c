/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vCPU: a thread that runs the guest until it exits, serves the exit, and goes on.
 *
 * Out of the guest: whoever wants that sets the machine's state under its lock, then kvm_run's immediate_exit,
 * then sends a signal whose handler does nothing. Is the thread in the guest, the signal ends KVM_RUN with EINTR;
 * is it on its way there, immediate_exit does. Then it goes to the gate, which looks at the state under the lock
 * and puts immediate_exit back, so no kick is lost. Exits themselves never take the lock.
 *
 * The kernel completes an access (the value of a read) at the next KVM_RUN, which immediate_exit allows.
 *
 * Source: kernel Documentation/virt/kvm/api.rst, 5 (kvm_run).
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/fd.h"
#include "machine_internal.h"

#define KICK_SIGNAL  SIGUSR1
#define STACK_BYTES  (256u << 10)
#define IO_ITEMS_MAX GUEST_PAGE_BYTES /* a string instruction's items lie in one page */

int vcpu_create(struct vcpu *v, const struct x86_cpuid *cpuid, const struct x86_start *start,
		struct err *e)
{
	struct machine *m = v->machine;
	void *run;
	int r;

	v->fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, (unsigned long)v->index);
	if (v->fd < 0)
		return err_sys(e, errno, "vCPU %u: KVM_CREATE_VCPU", v->index);
	fd_set_cloexec(v->fd, true);
	run = mmap(NULL, m->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (run == MAP_FAILED)
		return err_sys(e, errno, "vCPU %u: map its state", v->index);
	v->run = run;
	r = x86_cpu_setup(v->fd, cpuid, v->index, m->n_vcpus, start, e);
	return r < 0 ? err_wrap(e, "vCPU %u", v->index) : 0;
}

/* ---- exits -------------------------------------------------------------------------------------- */

/* Accesses of a string instruction come as several items in a row. */
static void serve_port(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	unsigned size = run->io.size;
	uint64_t offset = run->io.data_offset, bytes = (uint64_t)size * run->io.count;
	uint8_t *data = (uint8_t *)v->run + offset;

	if (offset > v->machine->run_bytes || bytes > v->machine->run_bytes - offset) {
		machine_end(v->machine, MACHINE_FAILED, "KVM's data of a port access lies outside");
		return;
	}
	for (uint32_t i = 0; i < run->io.count && i < IO_ITEMS_MAX; i++, data += size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(&v->machine->port_bus, run->io.port, data, size);
		else
			bus_read(&v->machine->port_bus, run->io.port, data, size);
	}
}

static void serve_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	if (run->mmio.len > sizeof(run->mmio.data)) {
		machine_end(v->machine, MACHINE_FAILED, "KVM's MMIO access is %u bytes long",
			    run->mmio.len);
		return;
	}
	if (run->mmio.is_write)
		bus_write(&v->machine->mmio_bus, run->mmio.phys_addr, run->mmio.data,
			  run->mmio.len);
	else
		bus_read(&v->machine->mmio_bus, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
}

static uint64_t instruction_pointer(const struct vcpu *v)
{
	struct kvm_regs regs;

	return ioctl(v->fd, KVM_GET_REGS, &regs) < 0 ? 0 : regs.rip;
}

static void tell_internal_error(struct vcpu *v)
{
	uint64_t rip = instruction_pointer(v);

	if (v->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
		machine_end(v->machine, MACHINE_FAILED,
			    "vCPU %u: this host's KVM cannot run the instruction at 0x%jx",
			    v->index, (uintmax_t)rip);
	else
		machine_end(v->machine, MACHINE_FAILED, "vCPU %u: KVM internal error %u at 0x%jx",
			    v->index, v->run->internal.suberror, (uintmax_t)rip);
}

/* Before it is served: what is told of the end counts all that led to it. */
static void count(atomic_ullong *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

static void serve_exit(struct vcpu *v)
{
	count(&v->exits);
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		count(&v->ports);
		serve_port(v);
		break;
	case KVM_EXIT_MMIO:
		count(&v->mmio);
		serve_mmio(v);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SHUTDOWN:
		machine_end(v->machine, MACHINE_CRASHED,
			    "the guest crashed (triple fault on vCPU %u)", v->index);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		machine_end(v->machine, MACHINE_FAILED,
			    "vCPU %u: the processor refused to enter the guest (reason 0x%jx)",
			    v->index, (uintmax_t)v->run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		tell_internal_error(v);
		break;
	default: /* the kernel's list of reasons, open-ended */
		machine_end(v->machine, MACHINE_FAILED, "vCPU %u: unknown exit %u from KVM",
			    v->index, v->run->exit_reason);
		break;
	}
}

/* ---- the thread --------------------------------------------------------------------------------- */

static bool kicked(const struct vcpu *v)
{
	return __atomic_load_n(&v->run->immediate_exit, __ATOMIC_ACQUIRE) != 0;
}

/* Wait until the machine runs. False: it ended. */
static bool pass_gate(struct vcpu *v)
{
	struct machine *m = v->machine;
	bool waited = false, go;

	pthread_mutex_lock(&m->lock);
	while (m->state == STATE_WAITING) {
		v->parked = waited = true;
		pthread_cond_broadcast(&m->changed);
		pthread_cond_wait(&m->changed, &m->lock);
	}
	v->parked = false;
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_RELEASE);
	go = m->state == STATE_RUNNING;
	pthread_mutex_unlock(&m->lock);
	/* The guest's clock jumps: its watchdog is told not to bark. Fails where kvmclock is not used. */
	if (go && waited)
		ioctl(v->fd, KVM_KVMCLOCK_CTRL, 0);
	return go;
}

static void run_guest(struct vcpu *v)
{
	if (!pass_gate(v))
		return;
	for (;;) {
		int r = ioctl(v->fd, KVM_RUN, 0), saved = errno;

		if (r < 0 && saved != EINTR && saved != EAGAIN)
			machine_end(v->machine, MACHINE_FAILED, "vCPU %u: KVM_RUN: %s", v->index,
				    strerror(saved));
		else if (r == 0)
			serve_exit(v);
		if (kicked(v) && !pass_gate(v))
			return;
	}
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	struct machine *m = v->machine;
	int r;

	pthread_mutex_lock(&m->lock);
	while (!m->may_enter && m->state != STATE_ENDED)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
	r = m->enter ? m->enter(m->enter_arg) : 0;
	pthread_mutex_lock(&m->lock);
	v->entered = r;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	if (r == 0)
		run_guest(v);
	pthread_mutex_lock(&m->lock);
	v->parked = true;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

static void on_kick(int sig)
{
	(void)sig;
}

/* The thread gets no signal but the kick; the kernel picks others' receivers among all threads. */
static int start_masked(struct vcpu *v, const pthread_attr_t *attr)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	sigdelset(&all, KICK_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&v->thread, attr, vcpu_main, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

int vcpu_start_thread(struct vcpu *v, struct err *e)
{
	struct sigaction sa = {.sa_handler = on_kick};
	pthread_attr_t attr;
	int r;

	v->entered = 1;
	if (sigaction(KICK_SIGNAL, &sa, NULL) < 0)
		return err_sys(e, errno, "vCPU %u: sigaction", v->index);
	r = pthread_attr_init(&attr);
	if (r == 0) {
		r = pthread_attr_setstacksize(&attr, STACK_BYTES);
		if (r == 0)
			r = start_masked(v, &attr);
		pthread_attr_destroy(&attr);
	}
	if (r != 0)
		return err_sys(e, r, "vCPU %u: start its thread", v->index);
	v->has_thread = true;
	return 0;
}

void vcpu_kick(struct vcpu *v)
{
	if (!v->has_thread)
		return;
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(v->thread, KICK_SIGNAL);
}

void vcpu_join(struct vcpu *v)
{
	if (v->has_thread)
		pthread_join(v->thread, NULL);
	v->has_thread = false;
}

void vcpu_destroy(struct vcpu *v)
{
	if (v->run)
		munmap(v->run, v->machine->run_bytes);
	v->run = NULL;
	v->fd = fd_close(v->fd);
}
