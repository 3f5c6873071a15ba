/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One queue of writable buffers, filled with random bytes. A request gets at most REQUEST_MAX of them, as the
 * specification allows, so that a guest with huge buffers costs no more than one with small ones.
 */
#include "virtio_rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"

#define REQUEST_MAX 4096u

static enum virtio_step fill(struct virtio_device *d, unsigned queue, struct virtq_chain *c,
			     struct err *e)
{
	uint8_t bytes[REQUEST_MAX];
	size_t want = c->in_bytes < sizeof(bytes) ? c->in_bytes : sizeof(bytes);
	ssize_t n;

	if (c->n_out) {
		err_set(e, ERR_INVALID, EPROTO, "a request with readable buffers");
		return VIRTIO_FAIL;
	}
	do
		n = getrandom(bytes, want, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		n = (ssize_t)virtq_copy_in(c, 0, bytes, (size_t)n);
	explicit_bzero(bytes, sizeof(bytes));
	virtq_push(&d->queue[queue], c->head, n > 0 ? (uint32_t)n : 0);
	return VIRTIO_NEXT;
}

static void rng_notify(struct virtio_device *d, unsigned queue)
{
	virtio_run(d, queue, fill);
}

static void rng_config_read(_unused_ struct virtio_device *d, uint32_t offset, void *data,
			    uint32_t len)
{
	virtio_config_copy(NULL, 0, offset, data, len);
}

static void rng_reset(_unused_ struct virtio_device *d)
{
	/* Nothing is ever in flight. */
}

static void rng_free(struct virtio_device *d)
{
	free(d);
}

static const struct virtio_device_ops rng_ops = {
	.config_read = rng_config_read,
	.notify = rng_notify,
	.reset = rng_reset,
	.free = rng_free,
};

int virtio_rng_new(struct virtio_device **ret, struct err *e)
{
	struct virtio_device *d = calloc(1, sizeof(*d));

	if (!d)
		return err_nomem(e);
	d->ops = &rng_ops;
	d->name = "rng";
	d->id = VIRTIO_ID_RNG;
	d->offered = VIRTIO_FEATURES_RING;
	d->n_queues = 1;
	d->queue_size[0] = 64;
	*ret = d;
	return 0;
}
