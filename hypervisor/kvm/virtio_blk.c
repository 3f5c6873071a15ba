/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests are read and checked under the lock, carried out by workers, and given back under the lock. A request owns
 * a copy of all that it needs (the chain, the header, the ranges to discard), so nothing that the driver changes later
 * matters; only the data itself goes directly between the disk and the guest's buffers. A reset waits for
 * those that are carried out and cancels the others. What cannot be done is told in the status byte; only a chain without room for header or status breaks the
 * device.
 */
#include "virtio_blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "virtio_workers.h"

#define QUEUE_SIZE      128u
#define SEG_MAX         (QUEUE_SIZE - 2) /* header and status */
#define SEG_BYTES       (1u << 20)
#define DATA_BYTES_MAX  ((uint64_t)SEG_MAX * SEG_BYTES)
#define RANGES_MAX      16u
#define DISCARD_SECTORS (1u << 22) /* per range */
#define ZEROES_SECTORS  (1u << 16) /* per range: may have to be written */

struct request {
	struct work work; /* first */
	struct virtq_chain chain;
	uint32_t type;
	uint64_t at, bytes; /* of the disk, checked */
	uint32_t n_ranges;
	struct virtio_blk_discard_write_zeroes range[RANGES_MAX];
	int result; /* 0 or -errno */
	struct request *next_free;
};

struct blk {
	struct virtio_device d;
	struct virtio_blk_config config;
	struct disk *disk;
	struct workers *workers;
	char serial[VIRTIO_BLK_SERIAL_MAX];
	bool write_through;
	bool told; /* of a failing disk, once per activation */
	struct request *free;
	struct request request[QUEUE_SIZE];
};

static struct blk *of(struct virtio_device *d)
{
	return (struct blk *)(void *)d;
}

/* ---- carrying out (worker threads) -------------------------------------------------------------- */

static int transfer(struct blk *b, struct request *r)
{
	struct iovec iov[VIRTQ_SIZE_MAX];
	unsigned n;
	int result;

	if (r->type == VIRTIO_BLK_T_IN) {
		n = virtq_slice(virtq_in(&r->chain), r->chain.n_in, 0, r->bytes, iov,
				VIRTQ_SIZE_MAX);
		return disk_read(b->disk, iov, n, r->at, r->bytes);
	}
	n = virtq_slice(r->chain.iov, r->chain.n_out, sizeof(struct virtio_blk_outhdr), r->bytes,
			iov, VIRTQ_SIZE_MAX);
	result = disk_write(b->disk, iov, n, r->at, r->bytes);
	return result == 0 && b->write_through ? disk_flush(b->disk) : result;
}

static int ranges(struct blk *b, struct request *r)
{
	int result = 0;

	for (uint32_t i = 0; result == 0 && i < r->n_ranges; i++) {
		uint64_t at = r->range[i].sector * DISK_SECTOR;
		uint64_t bytes = (uint64_t)r->range[i].num_sectors * DISK_SECTOR;

		if (r->type == VIRTIO_BLK_T_DISCARD)
			result = disk_discard(b->disk, at, bytes);
		else
			result = disk_zero(b->disk, at, bytes,
					   r->range[i].flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	}
	return result == 0 && b->write_through ? disk_flush(b->disk) : result;
}

static void run(void *self, struct work *w)
{
	struct request *r = (struct request *)(void *)w;
	struct blk *b = self;

	switch (r->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		r->result = transfer(b, r);
		break;
	case VIRTIO_BLK_T_FLUSH:
		r->result = disk_flush(b->disk);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		r->result = ranges(b, r);
		break;
	}
}

/* ---- giving back -------------------------------------------------------------------------------- */

/* The status is the last byte of the last writable buffer. */
static void give_back(struct blk *b, struct request *r, uint8_t status, uint64_t written)
{
	virtq_copy_in(&r->chain, r->chain.in_bytes - 1, &status, 1);
	virtq_push(&b->d.queue[0], r->chain.head, (uint32_t)(written + 1));
	r->next_free = b->free;
	b->free = r;
}

static void tell(struct blk *b, const struct request *r)
{
	struct err e = ERR_INIT;

	if (b->told || !b->d.reporter.report)
		return;
	b->told = true;
	err_sys(&e, r->result, "%s byte %ju of the disk",
		r->type == VIRTIO_BLK_T_IN ? "read" : "write", (uintmax_t)r->at);
	b->d.reporter.report(b->d.reporter.arg, b->d.name, false, &e);
}

/* The driver has reset the device before a thread came to it. */
static void cancel(void *self, struct work *w)
{
	(void)self;
	((struct request *)(void *)w)->result = -ECANCELED;
}

static void finish(void *self, struct work *w)
{
	struct request *r = (struct request *)(void *)w;
	struct blk *b = self;

	if (r->result < 0 && r->result != -ECANCELED)
		tell(b, r);
	give_back(b, r, r->result < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK,
		  r->type == VIRTIO_BLK_T_IN && r->result == 0 ? r->bytes : 0);
}

static void finished(void *self)
{
	struct blk *b = self;

	virtio_signal(&b->d, 0);
}

static const struct workers_ops workers_ops = {
	.cancel = cancel, .run = run, .finish = finish, .finished = finished};

/* ---- taking in ---------------------------------------------------------------------------------- */

static bool inside(const struct blk *b, uint64_t sector, uint64_t sectors)
{
	uint64_t capacity = b->config.capacity;

	return sector <= capacity && sectors <= capacity - sector;
}

static uint8_t take_transfer(struct blk *b, struct request *r, uint64_t sector, uint64_t bytes)
{
	if (bytes % DISK_SECTOR || bytes > DATA_BYTES_MAX ||
	    !inside(b, sector, bytes / DISK_SECTOR))
		return VIRTIO_BLK_S_IOERR;
	if (r->type == VIRTIO_BLK_T_OUT && disk_is_read_only(b->disk))
		return VIRTIO_BLK_S_IOERR;
	r->at = sector * DISK_SECTOR;
	r->bytes = bytes;
	return VIRTIO_BLK_S_OK;
}

static uint8_t take_ranges(struct blk *b, struct request *r, uint64_t bytes)
{
	bool discard = r->type == VIRTIO_BLK_T_DISCARD;
	uint32_t known = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	uint32_t max = discard ? DISCARD_SECTORS : ZEROES_SECTORS;

	if (!virtio_has(&b->d, discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
		return VIRTIO_BLK_S_UNSUPP;
	if (bytes == 0 || bytes % sizeof(r->range[0]) || bytes > sizeof(r->range))
		return VIRTIO_BLK_S_IOERR;
	virtq_copy_out(&r->chain, sizeof(struct virtio_blk_outhdr), r->range, (size_t)bytes);
	r->n_ranges = (uint32_t)(bytes / sizeof(r->range[0]));
	for (uint32_t i = 0; i < r->n_ranges; i++) {
		if (r->range[i].flags & ~known)
			return VIRTIO_BLK_S_UNSUPP;
		if (r->range[i].num_sectors > max ||
		    !inside(b, r->range[i].sector, r->range[i].num_sectors))
			return VIRTIO_BLK_S_IOERR;
	}
	r->at = r->range[0].sector * DISK_SECTOR;
	return VIRTIO_BLK_S_OK;
}

/* What the header asks for. OK: for a worker. */
static uint8_t take(struct blk *b, struct request *r, const struct virtio_blk_outhdr *h)
{
	uint64_t out = r->chain.out_bytes - sizeof(*h), in = r->chain.in_bytes - 1;

	r->type = h->type;
	r->at = 0;
	r->bytes = 0;
	r->n_ranges = 0;
	switch (h->type) {
	case VIRTIO_BLK_T_IN:
		return out ? VIRTIO_BLK_S_IOERR : take_transfer(b, r, h->sector, in);
	case VIRTIO_BLK_T_OUT:
		return in ? VIRTIO_BLK_S_IOERR : take_transfer(b, r, h->sector, out);
	case VIRTIO_BLK_T_FLUSH:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return in ? VIRTIO_BLK_S_IOERR : take_ranges(b, r, out);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static enum virtio_step begin(struct virtio_device *d, unsigned queue, struct virtq_chain *c,
			      struct err *e)
{
	struct blk *b = of(d);
	struct request *r = b->free;
	struct virtio_blk_outhdr h;
	uint8_t status;

	(void)queue;
	if (virtq_copy_out(c, 0, &h, sizeof(h)) != sizeof(h) || c->in_bytes == 0) {
		err_set(e, ERR_INVALID, EPROTO, "a request without %s",
			c->in_bytes ? "header" : "status");
		return VIRTIO_FAIL;
	}
	/* As many as the queue has heads, and a head is in flight once. */
	if (!r)
		return VIRTIO_STOP;
	b->free = r->next_free;
	r->chain = *c;
	r->result = 0;
	if (h.type == VIRTIO_BLK_T_GET_ID) {
		size_t n = r->chain.in_bytes - 1 < sizeof(b->serial) ? r->chain.in_bytes - 1
								     : sizeof(b->serial);

		give_back(b, r, VIRTIO_BLK_S_OK, virtq_copy_in(&r->chain, 0, b->serial, n));
		return VIRTIO_NEXT;
	}
	status = take(b, r, &h);
	if (status == VIRTIO_BLK_S_OK)
		workers_submit(b->workers, &r->work);
	else
		give_back(b, r, status, 0);
	return VIRTIO_NEXT;
}

static void blk_notify(struct virtio_device *d, unsigned queue)
{
	virtio_run(d, queue, begin);
}

/* ---- the device --------------------------------------------------------------------------------- */

static void blk_config_read(struct virtio_device *d, uint32_t offset, void *data, uint32_t len)
{
	virtio_config_copy(&of(d)->config, sizeof(of(d)->config), offset, data, len);
}

static int blk_activate(struct virtio_device *d, _unused_ struct err *e)
{
	struct blk *b = of(d);

	/* A driver that knows no flush wants no cache. Spec: 5.2.5.1. */
	b->write_through = !virtio_has(d, VIRTIO_BLK_F_FLUSH);
	b->told = false;
	return 0;
}

static void blk_drain(struct virtio_device *d)
{
	workers_wait(of(d)->workers);
}

static void blk_reset(struct virtio_device *d)
{
	workers_cancel(of(d)->workers);
}

static void blk_free(struct virtio_device *d)
{
	struct blk *b = of(d);

	workers_free(b->workers);
	disk_close(b->disk);
	free(b);
}

static const struct virtio_device_ops blk_ops = {
	.config_read = blk_config_read,
	.activate = blk_activate,
	.notify = blk_notify,
	.reset = blk_reset,
	.drain = blk_drain,
	.free = blk_free,
};

static void describe(struct blk *b, uint32_t block_bytes)
{
	bool read_only = disk_is_read_only(b->disk);

	b->config = (struct virtio_blk_config){
		.capacity = disk_bytes(b->disk) / DISK_SECTOR,
		.size_max = SEG_BYTES,
		.seg_max = SEG_MAX,
		.blk_size = block_bytes,
		/* Pages are what the host's caches and file systems like best. */
		.physical_block_exp = block_bytes == 512 ? 3 : 0,
		.min_io_size = (uint16_t)(4096 / block_bytes),
		.max_discard_sectors = DISCARD_SECTORS,
		.max_discard_seg = RANGES_MAX,
		.discard_sector_alignment = 4096 / DISK_SECTOR,
		.max_write_zeroes_sectors = ZEROES_SECTORS,
		.max_write_zeroes_seg = RANGES_MAX,
		.write_zeroes_may_unmap = 1,
	};
	b->d.offered = VIRTIO_FEATURES_RING | VIRTIO_BIT(VIRTIO_BLK_F_SIZE_MAX) |
		       VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
		       VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
	b->d.offered |= read_only ? VIRTIO_BIT(VIRTIO_BLK_F_RO)
				  : VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) |
					    VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
}

static int check(const struct virtio_blk_setup *setup, uint32_t block_bytes, struct err *e)
{
	if (block_bytes != 512 && block_bytes != 4096)
		return err_invalid(e,
				   "disk: blocks of %u bytes, but only 512 and 4096 are possible",
				   block_bytes);
	if (disk_bytes(setup->disk) % block_bytes)
		return err_invalid(e, "disk: %ju bytes are not whole blocks of %u",
				   (uintmax_t)disk_bytes(setup->disk), block_bytes);
	if (setup->serial && strlen(setup->serial) > VIRTIO_BLK_SERIAL_MAX)
		return err_invalid(e, "disk: serial '%s' is longer than %u bytes", setup->serial,
				   VIRTIO_BLK_SERIAL_MAX);
	if (setup->threads > WORKERS_MAX)
		return err_invalid(e, "disk: %u threads, but at most %u are possible",
				   setup->threads, WORKERS_MAX);
	return 0;
}

int virtio_blk_new(const struct virtio_blk_setup *setup, struct virtio_device **ret, struct err *e)
{
	uint32_t block_bytes = setup->block_bytes ? setup->block_bytes : 512;
	int r = check(setup, block_bytes, e);
	struct blk *b = r == 0 ? calloc(1, sizeof(*b)) : NULL;

	if (!b) {
		disk_close(setup->disk);
		return r < 0 ? r : err_nomem(e);
	}
	b->disk = setup->disk;
	b->d.ops = &blk_ops;
	b->d.name = "blk";
	b->d.id = VIRTIO_ID_BLOCK;
	b->d.config_bytes = sizeof(b->config);
	b->d.n_queues = 1;
	b->d.queue_size[0] = QUEUE_SIZE;
	describe(b, block_bytes);
	if (setup->serial)
		memcpy(b->serial, setup->serial, strlen(setup->serial));
	for (unsigned i = QUEUE_SIZE; i-- > 0;) {
		b->request[i].next_free = b->free;
		b->free = &b->request[i];
	}
	r = workers_new(setup->loop, setup->threads ? setup->threads : 2, &workers_ops, b,
			&b->workers, e);
	if (r < 0) {
		blk_free(&b->d);
		return err_wrap(e, "disk");
	}
	*ret = &b->d;
	return 0;
}
