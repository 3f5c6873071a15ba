/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets of the virtio devices share: the input is a program for a hostile driver, which writes registers,
 * descriptors and rings, sends requests that are half sensible, and kicks. Memory is on the heap, so that the sanitizers see
 * one byte too many. Whatever it does: no crash, and the loop comes to rest.
 */
#pragma once

#include "virtio_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#define FZ_REGION_BYTES 0x100000u
#define FZ_HIGH         0x200000u /* where the second region begins; a hole lies between */
#define FZ_DATA         0x80000u

struct fz {
	const uint8_t *p;
	size_t n;
};

VD_FN uint64_t fz_take(struct fz *in, size_t bytes)
{
	uint64_t value = 0;

	if (bytes > in->n)
		bytes = in->n;
	memcpy(&value, in->p, bytes);
	in->p += bytes;
	in->n -= bytes;
	return value;
}

VD_FN void fz_prepare(struct vd *v)
{
	*v = (struct vd){0};
	v->memory = (struct guest_memory){
		.fd = -1,
		.n_regions = 2,
		.region = {{.start = 0,
			    .bytes = FZ_REGION_BYTES,
			    .host = calloc(1, FZ_REGION_BYTES)},
			   {.start = FZ_HIGH,
			    .bytes = FZ_REGION_BYTES,
			    .host = calloc(1, FZ_REGION_BYTES)}},
	};
	v->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	MUST(v->memory.region[0].host && v->memory.region[1].host && v->irq_fd >= 0);
	MUST(io_loop_new(&v->loop, NULL) == 0);
}

/* Until nothing is left to do, which must not take for ever. */
VD_FN void fz_rest(struct vd *v)
{
	unsigned n = 0;

	do {
		io_loop_lock(v->loop);
		virtio_mmio_drain(v->t);
		io_loop_unlock(v->loop);
		MUST(n++ < 4000);
	} while (io_loop_step(v->loop, 0, NULL) > 0);
}

VD_FN uint64_t fz_address(struct fz *in)
{
	uint64_t kind = fz_take(in, 1);

	switch (kind % 8) {
	case 0:
		return fz_take(in, 8);
	case 1:
		return FZ_REGION_BYTES - fz_take(in, 1);
	case 2:
		return FZ_HIGH + FZ_REGION_BYTES - fz_take(in, 1);
	case 3:
		return FZ_HIGH + fz_take(in, 2);
	case 4:
		return VD_QUEUE(0) + fz_take(in, 2);
	default:
		return FZ_DATA + 16 * fz_take(in, 2);
	}
}

VD_FN uint32_t fz_length(struct fz *in)
{
	uint64_t kind = fz_take(in, 1);

	return (uint32_t)(kind % 8 == 0   ? fz_take(in, 4)
			  : kind % 8 == 1 ? fz_take(in, 2)
					  : 512 * (kind >> 6) + fz_take(in, 1));
}

/* A chain of up to seven buffers; the first bytes of the readable ones come from the input. */
VD_FN void fz_request(struct vd *v, struct fz *in, unsigned q)
{
	unsigned shape = (unsigned)fz_take(in, 1), n = 1 + shape % 7,
		 readable = (shape >> 3) % (n + 1);
	struct vd_buf b[7];

	for (unsigned i = 0; i < n; i++) {
		uint8_t *at;
		uint32_t k;

		b[i] = (struct vd_buf){fz_address(in), fz_length(in), i >= readable};
		at = guest_range(&v->memory, GPA(b[i].at), b[i].len);
		for (k = 0; at && i < readable && k < b[i].len && k < 64 && in->n; k++)
			at[k] = (uint8_t)fz_take(in, 1);
	}
	if (v->q[q].size)
		vd_publish(v, q, vd_chain(v, q, b, n));
	vd_write(v, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

/* Start the device and obey the input. `host` plays the other side, may be NULL. */
VD_FN void fz_run(struct vd *v, struct fz *in, void (*host)(struct vd *v, struct fz *in))
{
	unsigned queues = virtio_mmio_queues(v->t);

	memset(v->memory.region[0].host, 0, FZ_DATA);
	vd_start(v, vd_offered(v) & ~(fz_take(in, 4) | fz_take(in, 1) << 32));
	while (in->n) {
		unsigned op = (unsigned)fz_take(in, 1), q = (unsigned)fz_take(in, 1) % queues;
		uint64_t value;
		uint8_t bytes[8];

		switch (op % 12) {
		case 0:
			v->bus.ops->write(v->bus.self, fz_take(in, 2) % VIRTIO_MMIO_BYTES & ~3ull,
					  (memset(bytes, 0, 8), value = fz_take(in, 4), &value), 4);
			break;
		case 1:
			v->bus.ops->read(v->bus.self, (fz_take(in, 2) & 0xff8), bytes,
					 1u << op / 64);
			break;
		case 2:
			if (v->q[q].size)
				*vd_desc(v, q, (uint16_t)(fz_take(in, 1) % v->q[q].size)) =
					(struct vring_desc){
						.addr = fz_address(in),
						.len = fz_length(in),
						.flags = (uint16_t)(fz_take(in, 1) & 7),
						.next = (uint16_t)fz_take(in, 1),
					};
			break;
		case 3:
			if (v->q[q].size)
				vd_publish(v, q, (uint16_t)fz_take(in, 1));
			break;
		case 4:
			vd_avail(v, q)[fz_take(in, 1) % 70] = (uint16_t)fz_take(in, 2);
			break;
		case 5:
			vd_start(v, vd_offered(v) & ~fz_take(in, 4));
			break;
		case 6:
			if (host)
				host(v, in);
			break;
		case 7:
			fz_rest(v);
			break;
		default:
			fz_request(v, in, q);
			break;
		}
	}
	fz_rest(v);
	vd_write(v, VIRTIO_MMIO_STATUS, 0);
	fz_rest(v);
}
