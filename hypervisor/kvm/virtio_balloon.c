/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages that the guest puts into the balloon are punched out of its memory file (a mere MADV_DONTNEED would leave them in
 * the file); the mapping stays, so a page that is used again is a page of zeros. Nothing else happens: whatever a guest
 * claims here costs it its own memory only.
 */
#include "virtio_balloon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"

#define QUEUE_INFLATE 0u
#define QUEUE_DEFLATE 1u
#define QUEUE_STATS   2u
#define QUEUE_SIZE    64u
#define PAGES_MAX     4096u /* in one request; Linux sends 256 */
#define CHUNK         256u
#define STATS_MAX     64u

struct balloon {
	struct virtio_device d;
	struct virtio_balloon_config config;
	struct virtio_balloon_stats stats;
	bool holds_stats; /* the driver's buffer, until new ones are wanted */
	uint16_t stats_head;
	uint64_t host_page;
};

static struct balloon *of(struct virtio_device *d)
{
	return (struct balloon *)(void *)d;
}

static const struct balloon *of_const(const struct virtio_device *d)
{
	return (const struct balloon *)(const void *)d;
}

/* ---- pages -------------------------------------------------------------------------------------- */

/* Pages [first, first + n) of the guest, in one region of memory, or -EPROTO. */
static int discard(struct balloon *b, uint64_t first, uint64_t n)
{
	const struct guest_memory *m = b->d.memory;
	uint64_t start = first << VIRTIO_BALLOON_PFN_SHIFT, bytes = n << VIRTIO_BALLOON_PFN_SHIFT;

	for (unsigned i = 0; i < m->n_regions; i++) {
		const struct guest_region *g = &m->region[i];
		uint64_t from, to;

		if (start < g->start || start - g->start >= g->bytes)
			continue;
		if (bytes > g->bytes - (start - g->start))
			return -EPROTO;
		/* Where the host's pages are larger, those that are given back whole. */
		from = (start - g->start + b->host_page - 1) / b->host_page * b->host_page;
		to = (start - g->start + bytes) / b->host_page * b->host_page;
		if (from >= to)
			return 0;
		/* A hint: a file system that cannot punch holes keeps the memory, and the guest loses nothing by it. */
		if (m->fd >= 0)
			(void)!fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 (off_t)(g->file_offset + from), (off_t)(to - from));
		else
			madvise(g->host + from, to - from, MADV_DONTNEED);
		return 0;
	}
	return -EPROTO;
}

/* Runs of neighbours at once. */
static int discard_all(struct balloon *b, const uint32_t *pfn, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t k = i + 1;
		int r;

		while (k < n && pfn[k] == (uint64_t)pfn[k - 1] + 1)
			k++;
		r = discard(b, pfn[i], k - i);
		if (r < 0)
			return r;
		i = k;
	}
	return 0;
}

static enum virtio_step take_pages(struct virtio_device *d, unsigned queue, struct virtq_chain *c,
				   struct err *e)
{
	uint32_t pfn[CHUNK];
	uint64_t done = 0;
	size_t bytes;

	if (c->n_in || c->out_bytes % sizeof(pfn[0]) || c->out_bytes > PAGES_MAX * sizeof(pfn[0])) {
		err_set(e, ERR_INVALID, EPROTO, "a list of pages of %ju bytes",
			(uintmax_t)c->out_bytes);
		return VIRTIO_FAIL;
	}
	/* Deflating: the pages come back when they are touched. */
	while (queue == QUEUE_INFLATE && (bytes = virtq_copy_out(c, done, pfn, sizeof(pfn))) > 0) {
		done += bytes;
		if (discard_all(of(d), pfn, bytes / sizeof(pfn[0])) < 0) {
			err_set(e, ERR_INVALID, EPROTO, "a page outside of memory");
			return VIRTIO_FAIL;
		}
	}
	virtq_push(&d->queue[queue], c->head, 0);
	return VIRTIO_NEXT;
}

/* ---- statistics --------------------------------------------------------------------------------- */

static enum virtio_step take_stats(struct virtio_device *d, unsigned queue, struct virtq_chain *c,
				   struct err *e)
{
	struct virtio_balloon_stat stat[STATS_MAX];
	struct balloon *b = of(d);
	size_t n;

	if (b->holds_stats || c->n_in || c->out_bytes > sizeof(stat)) {
		err_set(e, ERR_INVALID, EPROTO, "statistics of %ju bytes%s",
			(uintmax_t)c->out_bytes, b->holds_stats ? " that nobody asked for" : "");
		return VIRTIO_FAIL;
	}
	(void)queue;
	n = virtq_copy_out(c, 0, stat, sizeof(stat)) / sizeof(stat[0]);
	b->stats.known = 0;
	for (size_t i = 0; i < n; i++) {
		if (stat[i].tag >= VIRTIO_BALLOON_S_NR)
			continue;
		b->stats.known |= 1u << stat[i].tag;
		b->stats.value[stat[i].tag] = stat[i].val;
	}
	b->stats.updates++;
	b->holds_stats = true;
	b->stats_head = c->head;
	return VIRTIO_NEXT;
}

bool virtio_balloon_ask(struct virtio_device *d)
{
	struct balloon *b = of(d);

	if (!d->active || !b->holds_stats)
		return false;
	b->holds_stats = false;
	virtq_push(&d->queue[QUEUE_STATS], b->stats_head, 0);
	virtio_signal(d, QUEUE_STATS);
	return true;
}

void virtio_balloon_stats(const struct virtio_device *d, struct virtio_balloon_stats *ret)
{
	*ret = of_const(d)->stats;
}

/* ---- the device --------------------------------------------------------------------------------- */

static void balloon_notify(struct virtio_device *d, unsigned queue)
{
	if (queue != QUEUE_STATS)
		virtio_run(d, queue, take_pages);
	else if (virtio_has(d, VIRTIO_BALLOON_F_STATS_VQ))
		virtio_run(d, queue, take_stats);
}

static void balloon_config_read(struct virtio_device *d, uint32_t offset, void *data, uint32_t len)
{
	virtio_config_copy(&of(d)->config, sizeof(of(d)->config), offset, data, len);
}

/* `actual` is the driver's to write, and nothing else. */
static void balloon_config_write(struct virtio_device *d, uint32_t offset, const void *data,
				 uint32_t len)
{
	struct balloon *b = of(d);

	if (offset == offsetof(struct virtio_balloon_config, actual) &&
	    len == sizeof(b->config.actual))
		memcpy(&b->config.actual, data, len);
}

static void balloon_reset(struct virtio_device *d)
{
	struct balloon *b = of(d);

	/* A new driver begins with an empty balloon. */
	b->config.actual = 0;
	b->holds_stats = false;
	b->stats = (struct virtio_balloon_stats){0};
}

static void balloon_free(struct virtio_device *d)
{
	free(of(d));
}

static const struct virtio_device_ops balloon_ops = {
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.notify = balloon_notify,
	.reset = balloon_reset,
	.free = balloon_free,
};

void virtio_balloon_set_target(struct virtio_device *d, uint64_t bytes)
{
	uint64_t pages = bytes >> VIRTIO_BALLOON_PFN_SHIFT;

	of(d)->config.num_pages = pages > UINT32_MAX ? UINT32_MAX : (uint32_t)pages;
	d->transport->config_changed(d);
}

uint64_t virtio_balloon_actual(const struct virtio_device *d)
{
	return (uint64_t)of_const(d)->config.actual << VIRTIO_BALLOON_PFN_SHIFT;
}

int virtio_balloon_new(struct virtio_device **ret, struct err *e)
{
	struct balloon *b = calloc(1, sizeof(*b));

	if (!b)
		return err_nomem(e);
	b->host_page = (uint64_t)sysconf(_SC_PAGESIZE);
	b->d.ops = &balloon_ops;
	b->d.name = "balloon";
	b->d.id = VIRTIO_ID_BALLOON;
	b->d.offered = VIRTIO_FEATURES_RING | VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ) |
		       VIRTIO_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	b->d.config_bytes = offsetof(struct virtio_balloon_config, free_page_hint_cmd_id);
	b->d.n_queues = 3;
	for (unsigned i = 0; i < 3; i++)
		b->d.queue_size[i] = QUEUE_SIZE;
	*ret = &b->d;
	return 0;
}
