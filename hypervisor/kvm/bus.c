/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus is a sorted table that is looked up by halving. It is built before the first vCPU runs and never
 * changed after that, so looking needs no lock.
 */
#include "bus.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Index of the first range that ends beyond `at`; b->n if there is none. */
static unsigned find(const struct bus *b, uint64_t at)
{
	unsigned low = 0, high = b->n;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		const struct bus_range *r = &b->range[middle];

		if (at >= r->start && at - r->start >= r->bytes)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int bus_add(struct bus *b, const struct bus_range *r, struct err *e)
{
	unsigned i;

	if (r->bytes == 0 || r->bytes - 1 > UINT64_MAX - r->start)
		return err_invalid(e, "bus range 0x%jx: impossible length 0x%jx",
				   (uintmax_t)r->start, (uintmax_t)r->bytes);
	if (b->n == BUS_RANGES_MAX)
		return err_set(e, ERR_LIMIT, ENOSPC, "bus range 0x%jx: more than %d devices",
			       (uintmax_t)r->start, BUS_RANGES_MAX);
	i = find(b, r->start);
	if (i < b->n && b->range[i].start - r->start < r->bytes)
		goto overlap;
	if (i < b->n && b->range[i].start <= r->start)
		goto overlap;
	memmove(&b->range[i + 1], &b->range[i], (b->n - i) * sizeof(b->range[0]));
	b->range[i] = *r;
	b->n++;
	return 0;
overlap:
	return err_set(e, ERR_INTERNAL, EEXIST, "bus range 0x%jx: overlaps the one at 0x%jx",
		       (uintmax_t)r->start, (uintmax_t)b->range[i].start);
}

/* The range that holds the whole access, or NULL. */
static const struct bus_range *answers(const struct bus *b, uint64_t at, unsigned len)
{
	unsigned i = find(b, at);

	if (len != 1 && len != 2 && len != 4 && len != 8)
		return NULL;
	if (i == b->n || at < b->range[i].start ||
	    len > b->range[i].bytes - (at - b->range[i].start))
		return NULL;
	return &b->range[i];
}

bool bus_read(const struct bus *b, uint64_t at, void *data, unsigned len)
{
	const struct bus_range *r = answers(b, at, len);

	if (!r || !r->ops->read) {
		memset(data, 0xff, len);
		return false;
	}
	r->ops->read(r->self, at - r->start, data, len);
	return true;
}

bool bus_write(const struct bus *b, uint64_t at, const void *data, unsigned len)
{
	const struct bus_range *r = answers(b, at, len);

	if (!r || !r->ops->write)
		return false;
	r->ops->write(r->self, at - r->start, data, len);
	return true;
}

void irq_raise(const struct irq_line *irq)
{
	const uint64_t one = 1;
	ssize_t n;

	/* An eventfd whose counter is full (EAGAIN) has interrupts enough on their way. */
	do
		n = write(irq->fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}
