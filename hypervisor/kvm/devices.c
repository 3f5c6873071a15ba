/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One page of MMIO and one interrupt line per device, in the order of a table. A device's own trouble (a guest
 * that broke the rules) stays the device's; the loss of a helper ends the machine.
 */
#include "devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "hypervisor/kvm_process.h"
#include "vhost_user_fs.h"
#include "virtio_balloon.h"
#include "virtio_blk.h"
#include "virtio_console.h"
#include "virtio_net.h"
#include "virtio_rng.h"
#include "virtio_vsock.h"

static void on_report(void *arg, const char *device, bool fatal, const struct err *error)
{
	if (fatal)
		machine_end(arg, MACHINE_FAILED, "%s: %s", device, error->text);
}

static int place(struct devices *d, struct machine *m, struct io_loop *loop,
		 struct virtio_device *device, struct err *e)
{
	uint64_t at = VIRTIO_MMIO_START + (uint64_t)d->n * VIRTIO_MMIO_BYTES;
	unsigned gsi = VIRTIO_GSI_FIRST + d->n;
	struct virtio_mmio_setup setup = {
		.memory = machine_memory(m),
		.loop = loop,
		.reporter = {on_report, m},
	};
	struct virtio_mmio *t;
	struct bus_range range;
	int r = d->n < VIRTIO_DEVICES_MAX
			? machine_irq(m, gsi, &setup.irq, e)
			: err_set(e, ERR_LIMIT, ENOSPC, "more than %u virtio devices",
				  VIRTIO_DEVICES_MAX);

	if (r < 0) {
		virtio_device_free(device);
		return r;
	}
	r = virtio_mmio_new(&setup, device, &t, e);
	if (r < 0)
		return r;
	d->transport[d->n] = t;
	d->where[d->n++] = (struct acpi_virtio){(uint32_t)at, VIRTIO_MMIO_BYTES, gsi};
	range = virtio_mmio_range(t, at);
	r = bus_add(machine_mmio(m), &range, e);
	for (unsigned q = 0; r == 0 && q < virtio_mmio_queues(t); q++)
		r = machine_notify(m, at + VIRTIO_MMIO_NOTIFY_OFFSET, q,
				   virtio_mmio_notify_fd(t, q), e);
	return r;
}

static int make_agent(const struct wire_config *c, struct virtio_device **ret, struct err *e)
{
	struct virtio_console_port port = {
		.name = c->agent_port,
		.in_fd = KVM_PROCESS_FD_AGENT,
		.out_fd = KVM_PROCESS_FD_AGENT,
		.end_on_close = true,
	};
	int r = fd_set_nonblock(KVM_PROCESS_FD_AGENT, true);

	if (r < 0)
		return err_sys(e, r, "agent's channel");
	return virtio_console_new(&port, 1, ret, e);
}

static int make_rng(const struct wire_config *c, struct virtio_device **ret, struct err *e)
{
	(void)c;
	return virtio_rng_new(ret, e);
}

static int make_share(const struct wire_config *c, struct virtio_device **ret, struct err *e)
{
	return vhost_user_fs_new(KVM_PROCESS_FD_SHARE, c->share_tag, ret, e);
}

static int make_net(const struct wire_config *c, struct virtio_device **ret, struct err *e)
{
	struct virtio_net_setup setup = {.fd = KVM_PROCESS_FD_TAP};

	memcpy(setup.mac, c->mac, sizeof(setup.mac));
	return virtio_net_new(&setup, ret, e);
}

static int make_vsock(const struct wire_config *c, struct virtio_device **ret, struct err *e)
{
	struct virtio_vsock_setup setup = {
		.guest_cid = c->vsock_cid,
		.listen_fd = KVM_PROCESS_FD_VSOCK,
		.has_broker = true,
		.broker_fd = KVM_PROCESS_FD_VSOCK_BROKER,
	};

	return virtio_vsock_new(&setup, ret, e);
}

static int make_balloon(const struct wire_config *c, struct virtio_device **ret, struct err *e)
{
	(void)c;
	return virtio_balloon_new(ret, e);
}

static int make_disk(const struct wire_config *c, unsigned i, struct io_loop *loop,
		     struct virtio_device **ret, struct err *e)
{
	const struct disk_extent extent = {.fd = KVM_PROCESS_FD_DISK + (int)i};
	const struct disk_config config = {
		.extents = &extent,
		.n = 1,
		.read_only = c->read_only_disks >> i & 1,
		.overlay_fd = c->overlay_disks >> i & 1 ? KVM_PROCESS_FD_OVERLAY + (int)i : -1,
	};
	char serial[VIRTIO_BLK_SERIAL_MAX + 1];
	struct virtio_blk_setup setup = {.loop = loop, .serial = serial};
	int r = disk_open(&config, &setup.disk, e);

	if (r == 0) {
		snprintf(serial, sizeof(serial), "insula-%u", i);
		r = virtio_blk_new(&setup, ret, e);
	}
	return r < 0 ? err_wrap(e, "disk %u", i) : 0;
}

int devices_add(struct devices *d, struct machine *m, struct io_loop *loop,
		const struct wire_config *c, struct err *e)
{
	static const struct {
		uint32_t has; /* 0: always */
		int (*make)(const struct wire_config *c, struct virtio_device **ret, struct err *e);
	} table[] = {
		{0, make_rng},
		{0, make_balloon},
		{WIRE_HAS_AGENT, make_agent},
		{WIRE_HAS_SHARE, make_share},
		{WIRE_HAS_TAP, make_net},
		{WIRE_HAS_VSOCK, make_vsock},
	};
	struct virtio_device *device;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(table); i++) {
		if (table[i].has && !(c->has & table[i].has))
			continue;
		r = table[i].make(c, &device, e);
		if (r == 0)
			r = place(d, m, loop, device, e);
		if (r == 0 && table[i].make == make_balloon)
			d->balloon = device;
	}
	for (unsigned i = 0; r == 0 && i < c->n_disks; i++) {
		r = make_disk(c, i, loop, &device, e);
		if (r == 0)
			r = place(d, m, loop, device, e);
	}
	return r;
}

void devices_free(struct devices *d)
{
	while (d->n > 0)
		virtio_mmio_free(d->transport[--d->n]);
}

void devices_drain(struct devices *d)
{
	for (unsigned i = 0; i < d->n; i++)
		virtio_mmio_drain(d->transport[i]);
}
