/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting a machine up in the order that KVM wants, and its states: waiting (also: paused), running, ended.
 * The end is final; the threads leave and the loop that watches machine_end_fd() hears of it.
 *
 * Source: kernel Documentation/virt/kvm/api.rst.
 */
#include "machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "machine_internal.h"

static const struct {
	int cap;
	const char *name;
} needed[] = {
	{KVM_CAP_IRQCHIP, "interrupt controllers"},
	{KVM_CAP_PIT2, "a timer"},
	{KVM_CAP_IRQFD, "interrupts by descriptor"},
	{KVM_CAP_IOEVENTFD, "notifications by descriptor"},
	{KVM_CAP_USER_MEMORY, "memory slots"},
	{KVM_CAP_IMMEDIATE_EXIT, "leaving the guest at once"},
	{KVM_CAP_TSC_DEADLINE_TIMER, "the TSC deadline timer"},
};

static int check_kvm(struct machine *m, unsigned vcpus, struct err *e)
{
	int max, version = ioctl(m->kvm_fd, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return err_sys(e, errno, "KVM_GET_API_VERSION");
	if (version != KVM_API_VERSION)
		return err_unsupported(e, "KVM's interface version %d", version);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (ioctl(m->kvm_fd, KVM_CHECK_EXTENSION, (unsigned long)needed[i].cap) <= 0)
			return err_unsupported(e, "this host's KVM lacks %s", needed[i].name);
	max = ioctl(m->kvm_fd, KVM_CHECK_EXTENSION, (unsigned long)KVM_CAP_MAX_VCPUS);
	if (vcpus < 1 || vcpus > VCPUS_MAX || (max > 0 && vcpus > (unsigned)max))
		return err_invalid(e, "vCPUs: %u is not in 1..%u", vcpus,
				   max > 0 && (unsigned)max < VCPUS_MAX ? (unsigned)max
									: VCPUS_MAX);
	max = ioctl(m->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (max < (int)sizeof(struct kvm_run))
		return err_sys(e, max < 0 ? errno : EINVAL, "KVM_GET_VCPU_MMAP_SIZE");
	m->run_bytes = (size_t)max;
	return 0;
}

static int add_memory(struct machine *m, uint64_t bytes, struct err *e)
{
	int r = guest_memory_create(bytes, &m->memory, e);

	for (unsigned i = 0; r == 0 && i < m->memory.n_regions; i++) {
		const struct guest_region *g = &m->memory.region[i];
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = g->start,
			.memory_size = g->bytes,
			.userspace_addr = (uintptr_t)g->host,
		};

		if (ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			r = err_sys(e, errno, "KVM_SET_USER_MEMORY_REGION");
	}
	return r;
}

static int create_vm(struct machine *m, uint64_t memory_bytes, struct err *e)
{
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	int r;

	do
		m->vm_fd = ioctl(m->kvm_fd, KVM_CREATE_VM, 0);
	while (m->vm_fd < 0 && errno == EINTR);
	if (m->vm_fd < 0)
		return err_sys(e, errno, "KVM_CREATE_VM");
	fd_set_cloexec(m->vm_fd, true);
	/* Intel without unrestricted guests wants it; the others do not mind. */
	if (ioctl(m->vm_fd, KVM_SET_TSS_ADDR, (unsigned long)KVM_TSS_ADDRESS) < 0)
		return err_sys(e, errno, "KVM_SET_TSS_ADDR");
	r = add_memory(m, memory_bytes, e);
	if (r < 0)
		return r;
	if (ioctl(m->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_sys(e, errno, "KVM_CREATE_IRQCHIP");
	if (ioctl(m->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return err_sys(e, errno, "KVM_CREATE_PIT2");
	return 0;
}

int machine_new(const struct machine_setup *s, struct machine **ret, struct err *e)
{
	struct machine *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_nomem(e);
	m->kvm_fd = s->kvm_fd;
	m->vm_fd = m->memory.fd = -1;
	m->enter = s->enter;
	m->enter_arg = s->enter_arg;
	for (unsigned i = 0; i < MACHINE_IRQS_MAX; i++)
		m->irq_fd[i] = -1;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	m->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = m->end_fd < 0 ? err_sys(e, errno, "eventfd") : check_kvm(m, s->vcpus, e);
	if (r == 0) {
		m->vcpu = calloc(s->vcpus, sizeof(*m->vcpu));
		r = m->vcpu ? create_vm(m, s->memory_bytes, e) : err_nomem(e);
	}
	if (m->vcpu)
		m->n_vcpus = s->vcpus;
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		m->vcpu[i].machine = m;
		m->vcpu[i].index = i;
		m->vcpu[i].fd = -1;
	}
	if (r < 0) {
		machine_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void machine_stop(struct machine *m)
{
	machine_end(m, MACHINE_STOPPED, "the machine was stopped");
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_join(&m->vcpu[i]);
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	machine_stop(m);
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_destroy(&m->vcpu[i]);
	free(m->vcpu);
	for (unsigned i = 0; i < MACHINE_IRQS_MAX; i++)
		fd_close(m->irq_fd[i]);
	/* KVM lets go of the memory when the VM's last descriptor is closed. */
	fd_close(m->vm_fd);
	guest_memory_done(&m->memory);
	fd_close(m->end_fd);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

struct guest_memory *machine_memory(struct machine *m)
{
	return &m->memory;
}

struct bus *machine_ports(struct machine *m)
{
	return &m->port_bus;
}

struct bus *machine_mmio(struct machine *m)
{
	return &m->mmio_bus;
}

int machine_irq(struct machine *m, unsigned gsi, struct irq_line *ret, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	struct kvm_irqfd irqfd = {.gsi = gsi};

	if (gsi >= MACHINE_IRQS_MAX || m->irq_fd[gsi] >= 0)
		return err_set(e, ERR_INTERNAL, EINVAL, "interrupt line %u: %s", gsi,
			       gsi < MACHINE_IRQS_MAX ? "taken" : "there is none");
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return err_sys(e, errno, "eventfd");
	irqfd.fd = (uint32_t)fd;
	if (ioctl(m->vm_fd, KVM_IRQFD, &irqfd) < 0)
		return err_sys(e, errno, "interrupt line %u: KVM_IRQFD", gsi);
	ret->fd = m->irq_fd[gsi] = TAKE_FD(fd);
	return 0;
}

int machine_notify(struct machine *m, uint64_t at, uint32_t value, int event_fd, struct err *e)
{
	struct kvm_ioeventfd io = {
		.datamatch = value,
		.addr = at,
		.len = 4,
		.fd = event_fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	if (ioctl(m->vm_fd, KVM_IOEVENTFD, &io) < 0)
		return err_sys(e, errno, "notification at 0x%jx: KVM_IOEVENTFD", (uintmax_t)at);
	return 0;
}

int machine_create_vcpus(struct machine *m, const struct x86_start *start, struct err *e)
{
	_cleanup_free_ struct x86_cpuid *cpuid = NULL;
	int r = x86_cpuid_read(m->kvm_fd, &cpuid, e);

	for (unsigned i = 0; r == 0 && i < m->n_vcpus; i++)
		r = vcpu_create(&m->vcpu[i], cpuid, i == 0 ? start : NULL, e);
	for (unsigned i = 0; r == 0 && i < m->n_vcpus; i++)
		r = vcpu_start_thread(&m->vcpu[i], e);
	return r;
}

/* The first answer of `enter` that is bad, once all have answered. */
static int wait_entered(struct machine *m)
{
	int worst = 0;

	for (unsigned i = 0; i < m->n_vcpus; i++) {
		while (m->vcpu[i].entered > 0)
			pthread_cond_wait(&m->changed, &m->lock);
		if (m->vcpu[i].entered < 0)
			worst = m->vcpu[i].entered;
	}
	return worst;
}

int machine_enter(struct machine *m, struct err *e)
{
	int r;

	pthread_mutex_lock(&m->lock);
	m->may_enter = true;
	pthread_cond_broadcast(&m->changed);
	r = wait_entered(m);
	pthread_mutex_unlock(&m->lock);
	return r < 0 ? err_sys(e, r, "vCPUs: enter their jail") : 0;
}

int machine_run(struct machine *m, struct err *e)
{
	int r = machine_enter(m, e);

	if (r == 0)
		machine_resume(m);
	return r;
}

void machine_pause(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	if (m->state == STATE_RUNNING) {
		m->state = STATE_WAITING;
		for (unsigned i = 0; i < m->n_vcpus; i++)
			vcpu_kick(&m->vcpu[i]);
	}
	for (unsigned i = 0; i < m->n_vcpus; i++)
		while (m->vcpu[i].has_thread && !m->vcpu[i].parked)
			pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
}

void machine_resume(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	if (m->state == STATE_WAITING)
		m->state = STATE_RUNNING;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

void machine_end(struct machine *m, enum machine_end end, const char *fmt, ...)
{
	const uint64_t one = 1;
	va_list ap;
	ssize_t n;

	pthread_mutex_lock(&m->lock);
	if (m->state != STATE_ENDED) {
		m->state = STATE_ENDED;
		m->end = end;
		va_start(ap, fmt);
		vsnprintf(m->text, sizeof(m->text), fmt, ap);
		va_end(ap);
		for (unsigned i = 0; i < m->n_vcpus; i++)
			vcpu_kick(&m->vcpu[i]);
		pthread_cond_broadcast(&m->changed);
		if (m->end_fd >= 0)
			do
				n = write(m->end_fd, &one, sizeof(one));
			while (n < 0 && errno == EINTR);
	}
	pthread_mutex_unlock(&m->lock);
}

int machine_end_fd(const struct machine *m)
{
	return m->end_fd;
}

enum machine_end machine_ended(struct machine *m, char *text, size_t cap)
{
	enum machine_end end;

	pthread_mutex_lock(&m->lock);
	end = m->state == STATE_ENDED ? m->end : MACHINE_RUNS;
	if (end != MACHINE_RUNS && cap)
		snprintf(text, cap, "%s", m->text);
	pthread_mutex_unlock(&m->lock);
	return end;
}

void machine_counts(const struct machine *m, struct machine_counts *ret)
{
	struct machine_counts sum = {0};

	for (unsigned i = 0; i < m->n_vcpus; i++) {
		const struct vcpu *v = &m->vcpu[i];

		sum.exits += atomic_load_explicit(&v->exits, memory_order_relaxed);
		sum.ports += atomic_load_explicit(&v->ports, memory_order_relaxed);
		sum.mmio += atomic_load_explicit(&v->mmio, memory_order_relaxed);
	}
	*ret = sum;
}
