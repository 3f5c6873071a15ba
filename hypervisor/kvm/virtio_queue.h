/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A split virtqueue, seen from the device. Spec: virtio 1.2, 2.7.
 *
 * The driver may change every byte of the rings at any time, so each descriptor is read once into a copy of
 * ours, then checked, then turned into pointers; later changes reach nobody. Size and addresses are
 * frozen by virtq_activate(). What breaks the rules is -EPROTO and leaves the queue broken until the reset: the
 * device that uses it asks for a reset, and the guest has only stopped itself.
 *
 *	refused: an index that runs ahead by more than the size; a head, a `next` beyond the size; a chain longer
 *	than the size (so every cycle); a writable buffer before a readable one; a buffer not wholly in one
 *	region of memory; more than 4 GiB in a chain; a readable buffer that overlaps a writable one of its chain; a head
 *	that is in use already; indirect tables of odd length, nested, with a next, or longer than the size; rings
 *	that overlap, are misaligned or lie outside memory
 *
 * Little-endian hosts only, as all that this VMM runs on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "guest_memory.h"

#define VIRTQ_SIZE_MAX 256u

/* One request: readable buffers first, then writable ones, as pointers into the guest's memory. A big value (4 KiB):
 * kept where a request lives, not copied without need. */
struct virtq_chain {
	uint16_t head;
	uint16_t n_out, n_in; /* iov[0..n_out) readable, iov[n_out..n_out + n_in) writable */
	uint64_t out_bytes, in_bytes;
	struct iovec iov[VIRTQ_SIZE_MAX];
};

struct virtq {
	const struct guest_memory *memory;
	uint16_t size_max;
	/* What the driver set; frozen while ready. */
	uint16_t size;
	uint64_t desc, avail, used;
	bool ready;
	/* Since activation. */
	bool active, broken;
	bool event_idx, indirect;
	const void *desc_ptr;
	const uint8_t *avail_ptr;
	uint8_t *used_ptr;
	uint16_t next_avail; /* the next entry to take */
	uint16_t next_used;
	uint16_t signalled; /* next_used when the driver was last interrupted or asked */
	uint16_t in_flight;
	uint8_t busy[VIRTQ_SIZE_MAX / 8]; /* heads in flight */
};

void virtq_init(struct virtq *q, const struct guest_memory *memory, uint16_t size_max);
void virtq_reset(struct virtq *q); /* as after init */

/* Freeze and check what the driver set. `features` are the acknowledged ones. */
int virtq_activate(struct virtq *q, uint64_t features, struct err *e);

/* Take the next chain: 1 and *ret, 0 when there is none, -EPROTO. */
int virtq_pop(struct virtq *q, struct virtq_chain *ret, struct err *e);
/* Put the chain taken last back, as if never taken. */
void virtq_unpop(struct virtq *q, uint16_t head);
/* Give a chain back; `written` bytes of its writable buffers were filled. In any order. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written);

/* Several at once: the driver sees all or none of them. */
struct virtq_used {
	uint16_t head;
	uint32_t written;
};
void virtq_push_many(struct virtq *q, const struct virtq_used *used, unsigned n);

/* Ask the driver for no kicks; ask for the next one. The latter returns true if there is something to take by now:
 * then no kick may come. */
void virtq_quiet(struct virtq *q);
bool virtq_listen(struct virtq *q);

/* After pushing: does the driver want an interrupt? */
bool virtq_wants_interrupt(struct virtq *q);

/* Copy from the readable buffers, to the writable ones, `skip` bytes from their start. Returns how many bytes; fewer
 * than asked at the end of the buffers. */
size_t virtq_copy_out(const struct virtq_chain *c, uint64_t skip, void *to, size_t bytes);
size_t virtq_copy_in(const struct virtq_chain *c, uint64_t skip, const void *from, size_t bytes);

/* The part [skip, skip + bytes) of iov[0..n) as vectors of its own, at most max. Returns their number. */
unsigned virtq_slice(const struct iovec *iov, unsigned n, uint64_t skip, uint64_t bytes,
		     struct iovec *ret, unsigned max);
static inline const struct iovec *virtq_in(const struct virtq_chain *c)
{
	return c->iov + c->n_out;
}
