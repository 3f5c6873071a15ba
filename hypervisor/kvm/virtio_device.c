/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all virtio devices share: failing, signalling, and the walk over a queue.
 */
#include "virtio_device.h"

#include <errno.h>
#include <string.h>

void virtio_device_free(struct virtio_device *d)
{
	if (d)
		d->ops->free(d);
}

void virtio_config_copy(const void *config, size_t size, uint32_t offset, void *data, uint32_t len)
{
	memset(data, 0, len);
	if (offset < size)
		memcpy(data, (const uint8_t *)config + offset,
		       len < size - offset ? len : size - offset);
}

static void fail(struct virtio_device *d, bool fatal, const struct err *error)
{
	bool was_active = d->active;

	d->active = false;
	for (unsigned i = 0; i < d->n_queues; i++)
		d->queue[i].broken = true;
	if (was_active)
		d->transport->needs_reset(d);
	if ((was_active || fatal) && d->reporter.report)
		d->reporter.report(d->reporter.arg, d->name, fatal, error);
}

void virtio_fail(struct virtio_device *d, const struct err *error)
{
	fail(d, false, error);
}

void virtio_fail_fatal(struct virtio_device *d, const struct err *error)
{
	fail(d, true, error);
}

void virtio_signal(struct virtio_device *d, unsigned queue)
{
	if (d->active && virtq_wants_interrupt(&d->queue[queue]))
		d->transport->interrupt(d);
}

/* As many chains as the queue has entries. Returns what stopped it; VIRTIO_NEXT: more may wait. */
static enum virtio_step run_some(struct virtio_device *d, unsigned queue, virtio_handler *handler,
				 struct err *e)
{
	struct virtq *q = &d->queue[queue];
	struct virtq_chain c;

	for (unsigned i = 0; i < q->size; i++) {
		int r = virtq_pop(q, &c, e);
		enum virtio_step step;

		if (r < 0)
			return VIRTIO_FAIL;
		if (r == 0) {
			if (!virtq_listen(q))
				return VIRTIO_STOP;
			continue;
		}
		step = handler(d, queue, &c, e);
		if (step == VIRTIO_STOP)
			virtq_unpop(q, c.head);
		if (step != VIRTIO_NEXT)
			return step;
		if (!d->active)
			return VIRTIO_STOP;
	}
	return VIRTIO_NEXT;
}

void virtio_run(struct virtio_device *d, unsigned queue, virtio_handler *handler)
{
	struct err e = ERR_INIT;

	if (!d->active || queue >= d->n_queues || !d->queue[queue].active)
		return;
	virtq_quiet(&d->queue[queue]);
	switch (run_some(d, queue, handler, &e)) {
	case VIRTIO_NEXT:
		d->transport->kick_again(d, queue);
		break;
	case VIRTIO_STOP:
		break;
	case VIRTIO_FAIL:
		err_wrap(&e, "queue %u", queue);
		virtio_fail(d, &e);
		return;
	}
	virtio_signal(d, queue);
}

bool virtio_take(struct virtio_device *d, unsigned queue, struct virtq_chain *ret)
{
	struct virtq *q = &d->queue[queue];
	struct err e = ERR_INIT;
	int r;

	if (!d->active || !q->active)
		return false;
	r = virtq_pop(q, ret, &e);
	if (r == 0 && virtq_listen(q))
		r = virtq_pop(q, ret, &e);
	if (r < 0) {
		err_wrap(&e, "queue %u", queue);
		virtio_fail(d, &e);
	}
	return r > 0;
}
