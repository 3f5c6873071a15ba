/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split virtqueue. Every field of a ring is one aligned load or store (the driver runs at the same time),
 * with the barriers of virtio 1.2, 2.7.13 and 2.7.14: an index is acquired before what it publishes is read, released
 * after what it publishes is written, and a full barrier stands between announcing and looking for what the other side
 * announced.
 */
#include "virtio_queue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>

#include "base/cleanup.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are little-endian");
_Static_assert(sizeof(struct vring_desc) == 16, "wire format");

#define CHAIN_BYTES_MAX (1ull << 32) /* Spec: 2.7.4.1 */

/* Offsets in the rings. Spec: 2.7.6, 2.7.8. */
#define AVAIL_IDX      2u
#define AVAIL_RING     4u
#define USED_FLAGS     0u
#define USED_IDX       2u
#define USED_RING      4u
#define DESC_BYTES(n)  (16ull * (n))
#define AVAIL_BYTES(n) (6ull + 2ull * (n))
#define USED_BYTES(n)  (6ull + 8ull * (n))

static uint16_t load16(const uint8_t *at, int order)
{
	return __atomic_load_n((const uint16_t *)(const void *)at, order);
}

static void store16(uint8_t *at, uint16_t value, int order)
{
	__atomic_store_n((uint16_t *)(void *)at, value, order);
}

void virtq_init(struct virtq *q, const struct guest_memory *memory, uint16_t size_max)
{
	*q = (struct virtq){.memory = memory, .size_max = size_max};
}

void virtq_reset(struct virtq *q)
{
	virtq_init(q, q->memory, q->size_max);
}

/* A part of a queue: where it lies, if it may lie there. */
static void *map_part(const struct virtq *q, uint64_t at, uint64_t bytes, uint64_t align,
		      const char *what, struct err *e)
{
	void *p = at % align ? NULL : guest_range(q->memory, GPA(at), bytes);

	if (!p)
		err_set(e, ERR_INVALID, EPROTO, "queue: %s at 0x%jx is %s", what, (uintmax_t)at,
			at % align ? "misaligned" : "outside of memory");
	return p;
}

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

int virtq_activate(struct virtq *q, uint64_t features, struct err *e)
{
	uint64_t n = q->size;
	void *desc, *avail, *used;

	if (n == 0 || n > q->size_max || (n & (n - 1)))
		return err_set(e, ERR_INVALID, EPROTO,
			       "queue: size %ju is no power of two up to %u", (uintmax_t)n,
			       q->size_max);
	desc = map_part(q, q->desc, DESC_BYTES(n), 16, "descriptor table", e);
	avail = desc ? map_part(q, q->avail, AVAIL_BYTES(n), 2, "available ring", e) : NULL;
	used = avail ? map_part(q, q->used, USED_BYTES(n), 4, "used ring", e) : NULL;
	if (!used)
		return -EPROTO;
	if (overlap(q->desc, DESC_BYTES(n), q->avail, AVAIL_BYTES(n)) ||
	    overlap(q->desc, DESC_BYTES(n), q->used, USED_BYTES(n)) ||
	    overlap(q->avail, AVAIL_BYTES(n), q->used, USED_BYTES(n)))
		return err_set(e, ERR_INVALID, EPROTO, "queue: its parts overlap");
	q->desc_ptr = desc;
	q->avail_ptr = avail;
	q->used_ptr = used;
	q->event_idx = features & (1ull << VIRTIO_RING_F_EVENT_IDX);
	q->indirect = features & (1ull << VIRTIO_RING_F_INDIRECT_DESC);
	q->active = true;
	return 0;
}

static int broken(struct virtq *q, struct err *e, const char *what, uint64_t value)
{
	q->broken = true;
	return err_set(e, ERR_INVALID, EPROTO, "queue: %s (%ju)", what, (uintmax_t)value);
}

/* Entry i of a table, whole, into a copy of ours. */
static struct vring_desc read_desc(const void *table, uint32_t i)
{
	const uint8_t *at = (const uint8_t *)table + 16ull * i;
	const uint64_t *w = (const uint64_t *)(const void *)at;
	uint64_t words[2] = {__atomic_load_n(&w[0], __ATOMIC_RELAXED),
			     __atomic_load_n(&w[1], __ATOMIC_RELAXED)};
	struct vring_desc d;

	memcpy(&d, words, sizeof(d));
	return d;
}

/* Where the walk is: in the queue's own table or in an indirect one. */
struct walk {
	const void *table;
	uint32_t entries;
	unsigned seen; /* descriptors so far, the one that names an indirect table not counted */
	bool in_indirect;
};

static int enter_indirect(struct virtq *q, struct walk *w, const struct vring_desc *d,
			  struct err *e)
{
	if (!q->indirect)
		return broken(q, e, "an indirect table that was not agreed on, flags", d->flags);
	if (w->in_indirect)
		return broken(q, e, "an indirect table inside of another, flags", d->flags);
	if (d->flags & VRING_DESC_F_NEXT)
		return broken(q, e, "an indirect table with a next descriptor, flags", d->flags);
	if (d->len == 0 || d->len % 16 || d->len / 16 > q->size)
		return broken(q, e, "an indirect table of impossible length", d->len);
	w->table = guest_range(q->memory, GPA(d->addr), d->len);
	if (!w->table)
		return broken(q, e, "an indirect table outside of memory", d->addr);
	if (d->addr % 8)
		return broken(q, e, "an indirect table that is misaligned", d->addr);
	w->entries = d->len / 16;
	w->in_indirect = true;
	return 0;
}

static int add_buffer(struct virtq *q, struct virtq_chain *c, const struct vring_desc *d,
		      struct err *e)
{
	bool in = d->flags & VRING_DESC_F_WRITE;
	void *p;

	if (!in && c->n_in)
		return broken(q, e, "a readable buffer after a writable one, head", c->head);
	if (d->len == 0)
		return 0;
	p = guest_range(q->memory, GPA(d->addr), d->len);
	if (!p)
		return broken(q, e, "a buffer outside of memory, at", d->addr);
	if (c->out_bytes + c->in_bytes + d->len > CHAIN_BYTES_MAX)
		return broken(q, e, "a chain of more than 4 GiB, head", c->head);
	c->iov[c->n_out + c->n_in] = (struct iovec){.iov_base = p, .iov_len = d->len};
	if (in) {
		c->n_in++;
		c->in_bytes += d->len;
	} else {
		c->n_out++;
		c->out_bytes += d->len;
	}
	return 0;
}

/* Of a request that is read while it is answered nobody could say what it says. One side is a header or two. */
static bool overlaps_itself(const struct virtq_chain *c)
{
	for (unsigned i = 0; i < c->n_out; i++)
		for (unsigned k = c->n_out; k < (unsigned)c->n_out + c->n_in; k++)
			if (overlap((uintptr_t)c->iov[i].iov_base, c->iov[i].iov_len,
				    (uintptr_t)c->iov[k].iov_base, c->iov[k].iov_len))
				return true;
	return false;
}

static int walk_chain(struct virtq *q, struct virtq_chain *c, struct err *e)
{
	struct walk w = {.table = q->desc_ptr, .entries = q->size};
	uint32_t i = c->head;

	for (;;) {
		struct vring_desc d = read_desc(w.table, i);
		int r;

		if (d.flags & VRING_DESC_F_INDIRECT) {
			r = enter_indirect(q, &w, &d, e);
			if (r < 0)
				return r;
			i = 0;
			continue;
		}
		if (++w.seen > q->size)
			return broken(q, e, "a chain longer than the queue, head", c->head);
		r = add_buffer(q, c, &d, e);
		if (r < 0)
			return r;
		if (!(d.flags & VRING_DESC_F_NEXT))
			break;
		if (d.next >= w.entries)
			return broken(q, e, "a next descriptor beyond the table", d.next);
		i = d.next;
	}
	return overlaps_itself(c) ? broken(q, e, "buffers that overlap in a chain, head", c->head)
				  : 0;
}

/* How many entries wait, or -EPROTO. */
static int waiting(struct virtq *q, struct err *e)
{
	uint16_t n = (uint16_t)(load16(q->avail_ptr + AVAIL_IDX, __ATOMIC_ACQUIRE) - q->next_avail);

	if (n > q->size)
		return broken(q, e, "an available index that runs ahead by", n);
	return n;
}

int virtq_pop(struct virtq *q, struct virtq_chain *ret, struct err *e)
{
	uint16_t head;
	int r;

	if (!q->active)
		return 0;
	if (q->broken)
		return err_set(e, ERR_INVALID, EPROTO, "queue: broken before");
	r = waiting(q, e);
	if (r <= 0)
		return r;
	head = load16(q->avail_ptr + AVAIL_RING + 2u * (q->next_avail & (q->size - 1u)),
		      __ATOMIC_RELAXED);
	if (head >= q->size)
		return broken(q, e, "an available head beyond the queue", head);
	if (q->busy[head / 8] & 1u << head % 8)
		return broken(q, e, "an available head that is in use", head);
	ret->head = head;
	ret->n_out = ret->n_in = 0;
	ret->out_bytes = ret->in_bytes = 0;
	r = walk_chain(q, ret, e);
	if (r < 0)
		return r;
	q->busy[head / 8] |= (uint8_t)(1u << head % 8);
	q->in_flight++;
	q->next_avail++;
	return 1;
}

static bool give_back(struct virtq *q, uint16_t head)
{
	if (!q->active || head >= q->size || !(q->busy[head / 8] & 1u << head % 8))
		return false;
	q->busy[head / 8] &= (uint8_t) ~(1u << head % 8);
	q->in_flight--;
	return true;
}

void virtq_unpop(struct virtq *q, uint16_t head)
{
	if (give_back(q, head))
		q->next_avail--;
}

void virtq_push_many(struct virtq *q, const struct virtq_used *used, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t *entry;

		if (!give_back(q, used[i].head))
			continue;
		entry = q->used_ptr + USED_RING + 8u * (q->next_used & (q->size - 1u));
		__atomic_store_n((uint32_t *)(void *)entry, used[i].head, __ATOMIC_RELAXED);
		__atomic_store_n((uint32_t *)(void *)(entry + 4), used[i].written,
				 __ATOMIC_RELAXED);
		q->next_used++;
	}
	if (q->active)
		store16(q->used_ptr + USED_IDX, q->next_used, __ATOMIC_RELEASE);
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	const struct virtq_used used = {.head = head, .written = written};

	virtq_push_many(q, &used, 1);
}

void virtq_quiet(struct virtq *q)
{
	/* With EVENT_IDX nothing need be said: the driver kicks only for the entry that was named. */
	if (q->active && !q->event_idx)
		store16(q->used_ptr + USED_FLAGS, VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
}

bool virtq_listen(struct virtq *q)
{
	if (!q->active || q->broken)
		return false;
	if (q->event_idx)
		store16(q->used_ptr + USED_RING + 8u * q->size, q->next_avail, __ATOMIC_RELAXED);
	else
		store16(q->used_ptr + USED_FLAGS, 0, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_seq_cst);
	return load16(q->avail_ptr + AVAIL_IDX, __ATOMIC_ACQUIRE) != q->next_avail;
}

bool virtq_wants_interrupt(struct virtq *q)
{
	uint16_t before = q->signalled, event;

	if (!q->active || q->next_used == before)
		return false;
	q->signalled = q->next_used;
	atomic_thread_fence(memory_order_seq_cst);
	if (!q->event_idx)
		return !(load16(q->avail_ptr, __ATOMIC_RELAXED) & VRING_AVAIL_F_NO_INTERRUPT);
	event = load16(q->avail_ptr + AVAIL_RING + 2u * q->size, __ATOMIC_RELAXED);
	return vring_need_event(event, q->next_used, before);
}

/* Common part of both copies. */
static size_t copy(const struct iovec *iov, unsigned n, uint64_t skip, uint8_t *local, size_t bytes,
		   bool to_guest)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < bytes; i++) {
		size_t len = iov[i].iov_len;
		uint8_t *at;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		at = (uint8_t *)iov[i].iov_base + skip;
		len -= skip;
		skip = 0;
		if (len > bytes - done)
			len = bytes - done;
		if (to_guest)
			memcpy(at, local + done, len);
		else
			memcpy(local + done, at, len);
		done += len;
	}
	return done;
}

size_t virtq_copy_out(const struct virtq_chain *c, uint64_t skip, void *to, size_t bytes)
{
	return copy(c->iov, c->n_out, skip, to, bytes, false);
}

size_t virtq_copy_in(const struct virtq_chain *c, uint64_t skip, const void *from, size_t bytes)
{
	return copy(virtq_in(c), c->n_in, skip, (uint8_t *)(uintptr_t)from, bytes, true);
}

unsigned virtq_slice(const struct iovec *iov, unsigned n, uint64_t skip, uint64_t bytes,
		     struct iovec *ret, unsigned max)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n && k < max && bytes; i++) {
		uint64_t len = iov[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		len -= skip;
		if (len > bytes)
			len = bytes;
		ret[k++] = (struct iovec){.iov_base = (uint8_t *)iov[i].iov_base + skip,
					  .iov_len = len};
		bytes -= len;
		skip = 0;
	}
	return k;
}
