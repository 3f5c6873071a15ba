/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the VMM's process:
 *
 *	CONFIG received, jail entered (nothing of the guest's was looked at before)
 *	machine, devices; kernel, initramfs, boot data and ACPI tables put into guest memory
 *	vCPUs' threads made; a filter over all threads, a narrower one in each vCPU's; READY
 *	the loop: devices' events, the engine's orders, until the end
 *
 * The main thread runs the devices' loop. Orders of the engine are only taken in there and carried out between two
 * turns, without the loop's lock: a pause waits for vCPUs that may wait for that lock.
 */
#include "hypervisor/kvm_process.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "acpi.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "boot_data.h"
#include "hypervisor/vm.h"
#include "wire.h"
#include "devices.h"
#include "layout.h"
#include "machine.h"
#include "power.h"
#include "serial.h"
#include "virtio_balloon.h"

struct process {
	const struct kvm_process_jail *jail;
	struct wire_config config;
	struct machine *machine;
	struct io_loop *loop;
	struct devices devices;
	struct serial *serial;
	struct power power;
	uint64_t control_source, end_source;
	bool has_order;
	struct wire_message order;
	bool engine_gone;
};

int kvm_process_has_control(void)
{
	int type;
	socklen_t size = sizeof(type);

	return getsockopt(KVM_PROCESS_FD_CONTROL, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	       type == SOCK_SEQPACKET;
}

/* ---- building ----------------------------------------------------------------------------------- */

static void on_power(void *arg, enum power_event event)
{
	struct process *p = arg;

	switch (event) {
	case POWER_OFF:
		machine_end(p->machine, MACHINE_POWERED_OFF, "the guest powered off");
		break;
	case POWER_RESTART:
		machine_end(p->machine, MACHINE_RESTARTED,
			    "the guest restarted (its kernel may have panicked)");
		break;
	}
}

static int add_platform(struct process *p, struct err *e)
{
	struct bus_range serial, power;
	struct irq_line irq;
	int r = fd_set_nonblock(KVM_PROCESS_FD_CONSOLE, true);

	if (r < 0)
		return err_sys(e, r, "serial console");
	r = machine_irq(p->machine, SERIAL_GSI, &irq, e);
	if (r == 0)
		r = serial_new(p->loop, KVM_PROCESS_FD_CONSOLE, irq, &p->serial, e);
	if (r < 0)
		return r;
	serial = serial_range(p->serial, SERIAL_PORT);
	p->power = (struct power){on_power, p};
	power = power_range(&p->power, POWER_PORT);
	r = bus_add(machine_ports(p->machine), &serial, e);
	return r < 0 ? r : bus_add(machine_ports(p->machine), &power, e);
}

static int load_guest(struct process *p, struct x86_start *ret, struct err *e)
{
	const struct wire_config *c = &p->config;
	struct guest_memory *m = machine_memory(p->machine);
	struct acpi_config acpi = {
		.vcpus = c->vcpus, .virtio = p->devices.where, .n_virtio = p->devices.n};
	struct loaded_kernel k;
	uint64_t at, bytes;
	int r;

	if ((r = kernel_image_load(KVM_PROCESS_FD_KERNEL, (enum kernel_entry_choice)c->entry, m, &k,
				   e)) < 0 ||
	    (r = initrd_load(KVM_PROCESS_FD_INITRAMFS, &k, m, &at, &bytes, e)) < 0 ||
	    (r = boot_data_write(m, &k, c->cmdline, at, bytes, e)) < 0 ||
	    (r = acpi_write(m, &acpi, e)) < 0)
		return r;
	fd_close(KVM_PROCESS_FD_KERNEL);
	fd_close(KVM_PROCESS_FD_INITRAMFS);
	*ret = (struct x86_start){.entry = k.entry, .rip = k.rip};
	return 0;
}

static int build(struct process *p, struct err *e)
{
	struct machine_setup setup = {
		.kvm_fd = KVM_PROCESS_FD_KVM,
		.memory_bytes = p->config.memory_bytes,
		.vcpus = p->config.vcpus,
		.enter = p->jail->filter_vcpu,
		.enter_arg = p->jail->arg,
	};
	struct x86_start start;
	int r;

	if ((r = machine_new(&setup, &p->machine, e)) < 0 || (r = io_loop_new(&p->loop, e)) < 0 ||
	    (r = add_platform(p, e)) < 0 ||
	    (r = devices_add(&p->devices, p->machine, p->loop, &p->config, e)) < 0 ||
	    (r = load_guest(p, &start, e)) < 0)
		return r;
	return machine_create_vcpus(p->machine, &start, e);
}

static void tear_down(struct process *p)
{
	if (p->machine)
		machine_stop(p->machine);
	devices_free(&p->devices);
	serial_free(p->serial);
	if (p->loop) {
		io_loop_remove(p->loop, &p->control_source);
		io_loop_remove(p->loop, &p->end_source);
	}
	machine_free(p->machine);
	io_loop_free(p->loop);
}

/* ---- orders ------------------------------------------------------------------------------------- */

static void on_control(void *self, uint32_t events)
{
	struct process *p = self;
	int r;

	(void)events;
	if (p->has_order) /* one at a time: the next one waits in the socket */
		return;
	r = wire_receive(KVM_PROCESS_FD_CONTROL, &p->order, 0, NULL);
	if (r > 0)
		p->has_order = true;
	else if (r != -ETIMEDOUT)
		p->engine_gone = true;
}

static void on_end(void *self, uint32_t events)
{
	(void)self;
	(void)events;
}

/* The guest's statistics are of the last time that it answered; new ones are asked for. */
static void tell_stats(struct process *p, struct wire_message *answer)
{
	static const unsigned tags[VM_GUEST_STATS] = {
		[VM_GUEST_FREE_BYTES] = VIRTIO_BALLOON_S_MEMFREE,
		[VM_GUEST_TOTAL_BYTES] = VIRTIO_BALLOON_S_MEMTOT,
		[VM_GUEST_AVAILABLE_BYTES] = VIRTIO_BALLOON_S_AVAIL,
		[VM_GUEST_CACHES_BYTES] = VIRTIO_BALLOON_S_CACHES,
		[VM_GUEST_SWAP_IN_BYTES] = VIRTIO_BALLOON_S_SWAP_IN,
		[VM_GUEST_SWAP_OUT_BYTES] = VIRTIO_BALLOON_S_SWAP_OUT,
		[VM_GUEST_MAJOR_FAULTS] = VIRTIO_BALLOON_S_MAJFLT,
		[VM_GUEST_MINOR_FAULTS] = VIRTIO_BALLOON_S_MINFLT,
	};
	struct virtio_balloon_stats stats;
	struct machine_counts counts;
	uint64_t *v = answer->value;

	machine_counts(p->machine, &counts);
	v[WIRE_STAT_EXITS] = counts.exits;
	v[WIRE_STAT_PORTS] = counts.ports;
	v[WIRE_STAT_MMIO] = counts.mmio;
	io_loop_lock(p->loop);
	v[WIRE_STAT_BALLOON] = virtio_balloon_actual(p->devices.balloon);
	virtio_balloon_stats(p->devices.balloon, &stats);
	virtio_balloon_ask(p->devices.balloon);
	io_loop_unlock(p->loop);
	v[WIRE_STAT_ANSWERS] = stats.updates;
	for (unsigned i = 0; i < VM_GUEST_STATS; i++) {
		if (!(stats.known >> tags[i] & 1))
			continue;
		v[WIRE_STAT_KNOWN] |= 1ull << i;
		v[WIRE_STAT_GUEST + i] = stats.value[tags[i]];
	}
}
_Static_assert((int)WIRE_STAT_GUEST + (int)VM_GUEST_STATS <= (int)WIRE_VALUES, "room for all");

static void carry_out(struct process *p, struct wire_message *answer)
{
	struct err e = ERR_INIT;

	*answer = (struct wire_message){.version = WIRE_VERSION, .type = WIRE_DONE};
	switch (p->order.type) {
	case WIRE_PAUSE:
		machine_pause(p->machine);
		io_loop_lock(p->loop);
		devices_drain(&p->devices);
		io_loop_unlock(p->loop);
		break;
	case WIRE_RESUME:
		machine_resume(p->machine);
		break;
	case WIRE_STATS:
		tell_stats(p, answer);
		break;
	case WIRE_STOP:
		machine_end(p->machine, MACHINE_STOPPED, "the machine was told to stop");
		break;
	case WIRE_BALLOON:
		if (p->order.value[0] > p->config.memory_bytes) {
			err_invalid(&e, "balloon: larger than the guest's memory");
			wire_from_error(answer, WIRE_REFUSED, &e);
			break;
		}
		io_loop_lock(p->loop);
		virtio_balloon_set_target(p->devices.balloon, p->order.value[0]);
		io_loop_unlock(p->loop);
		break;
	default: /* what came is a number */
		err_set(&e, ERR_INTERNAL, EPROTO, "control socket: unknown order %u",
			p->order.type);
		wire_from_error(answer, WIRE_REFUSED, &e);
		break;
	}
}

static int run_loop(struct process *p, struct err *e)
{
	struct wire_message answer;
	int r = 0;

	while (r >= 0 && !p->engine_gone && machine_ended(p->machine, NULL, 0) == MACHINE_RUNS) {
		r = io_loop_step(p->loop, -1, e);
		if (r < 0 || !p->has_order)
			continue;
		carry_out(p, &answer);
		p->has_order = false;
		if (wire_send(KVM_PROCESS_FD_CONTROL, &answer, sizeof(answer), NULL) < 0)
			p->engine_gone = true;
	}
	return r < 0 ? r : 0;
}

static void tell_end(struct process *p)
{
	struct wire_message m = {.version = WIRE_VERSION, .type = WIRE_ENDED};

	m.value[0] = machine_ended(p->machine, m.text, sizeof(m.text));
	wire_send(KVM_PROCESS_FD_CONTROL, &m, sizeof(m), NULL);
}

static int live(struct process *p, struct err *e)
{
	struct wire_message ready = {.version = WIRE_VERSION, .type = WIRE_READY};
	int r = p->jail->enter ? p->jail->enter(p->jail->arg, e) : 0;

	if (r < 0)
		return err_wrap(e, "enter the jail");
	r = build(p, e);
	if (r < 0)
		return r;
	r = io_loop_add(p->loop, KVM_PROCESS_FD_CONTROL, EPOLLIN, on_control, p, &p->control_source,
			e);
	if (r == 0)
		r = io_loop_add(p->loop, machine_end_fd(p->machine), EPOLLIN, on_end, p,
				&p->end_source, e);
	if (r == 0 && p->jail->filter_all) {
		r = p->jail->filter_all(p->jail->arg);
		if (r < 0)
			err_sys(e, r, "install the system call filter");
	}
	if (r == 0)
		r = p->config.has & WIRE_STARTS_PAUSED ? machine_enter(p->machine, e)
						       : machine_run(p->machine, e);
	if (r == 0)
		r = wire_send(KVM_PROCESS_FD_CONTROL, &ready, sizeof(ready), e);
	if (r < 0)
		return r;
	r = run_loop(p, e);
	if (r < 0)
		machine_end(p->machine, MACHINE_FAILED, "the devices' loop failed");
	tell_end(p);
	return r;
}

int kvm_process_run(const struct kvm_process_jail *jail, struct err *e)
{
	struct process *p = calloc(1, sizeof(*p));
	struct wire_message failed;
	struct err mine = ERR_INIT;
	int r;

	if (!p)
		return err_nomem(e);
	p->jail = jail;
	signal(SIGPIPE, SIG_IGN);
	r = wire_receive_config(KVM_PROCESS_FD_CONTROL, &p->config, &mine);
	if (r == 0)
		r = live(p, &mine);
	if (r < 0) {
		wire_from_error(&failed, WIRE_FAILED, &mine);
		wire_send(KVM_PROCESS_FD_CONTROL, &failed, sizeof(failed), NULL);
		if (e)
			*e = mine;
	}
	tear_down(p);
	free(p);
	return r;
}
