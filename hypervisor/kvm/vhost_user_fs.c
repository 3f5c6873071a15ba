/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-fs over vhost-user: a queue for urgent requests and one for the others; no DAX window. Kicks go from KVM
 * straight to the server, and its interrupts straight to KVM: we are not on the way of a file operation.
 */
#include "vhost_user_fs.h"

#include <errno.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "vhost_user.h"

#define N_QUEUES 2u

struct vu_fs {
	struct virtio_device d;
	struct vhost_user vu;
	struct virtio_fs_config config;
	uint64_t source; /* the connection, to learn of the server's end */
	bool started[N_QUEUES];
	bool gone;
};

static struct vu_fs *of(struct virtio_device *d)
{
	return (struct vu_fs *)(void *)d;
}

static void fs_config_read(struct virtio_device *d, uint32_t offset, void *data, uint32_t len)
{
	virtio_config_copy(&of(d)->config, sizeof(of(d)->config), offset, data, len);
}

static void server_gone(struct vu_fs *fs, const struct err *error)
{
	io_loop_remove(fs->d.loop, &fs->source);
	if (fs->gone)
		return;
	fs->gone = true;
	virtio_fail_fatal(&fs->d, error);
}

/* The server speaks only when it is asked, and then the answer is read at once: here it can only have ended. */
static void on_connection(void *self, _unused_ uint32_t events)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_INTERNAL, ECONNRESET, "the file server is gone");
	server_gone(self, &e);
}

static int start_all(struct vu_fs *fs, struct err *e)
{
	struct virtio_device *d = &fs->d;
	int irq = d->transport->interrupt_fd(d);
	int r = vhost_user_set_features(&fs->vu, d->features, e);

	if (r == 0)
		r = vhost_user_set_memory(&fs->vu, d->memory, e);
	for (unsigned i = 0; r == 0 && i < d->n_queues; i++) {
		if (!d->queue[i].active)
			continue;
		r = vhost_user_start_queue(&fs->vu, i, &d->queue[i], d->transport->kick_fd(d, i),
					   irq, e);
		/* Also after a failure half-way: what was begun is ended. */
		fs->started[i] = true;
		d->transport->kick_again(d, i);
	}
	return r;
}

static int fs_activate(struct virtio_device *d, struct err *e)
{
	struct vu_fs *fs = of(d);
	int r;

	if (fs->gone)
		return err_set(e, ERR_INTERNAL, ECONNRESET, "the file server is gone");
	r = start_all(fs, e);
	if (r == 0 && fs->source == IO_SOURCE_NONE)
		r = io_loop_add(d->loop, fs->vu.fd, EPOLLIN | EPOLLRDHUP, on_connection, fs,
				&fs->source, e);
	if (r < 0)
		server_gone(fs, e);
	return r;
}

static void fs_reset(struct virtio_device *d)
{
	struct vu_fs *fs = of(d);
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < N_QUEUES; i++) {
		if (fs->started[i] && !fs->gone && vhost_user_stop_queue(&fs->vu, i, &e) < 0)
			server_gone(fs, &e);
		fs->started[i] = false;
	}
	io_loop_remove(d->loop, &fs->source);
	/* A server that does not let go of its queues must not see the memory under a new driver: cut it off. */
	if (fs->gone)
		vhost_user_close(&fs->vu);
}

static void fs_free(struct virtio_device *d)
{
	vhost_user_close(&of(d)->vu);
	free(of(d));
}

static const struct virtio_device_ops fs_ops = {
	.config_read = fs_config_read,
	.activate = fs_activate,
	.reset = fs_reset,
	.free = fs_free,
};

int vhost_user_fs_new(int fd, const char *tag, struct virtio_device **ret, struct err *e)
{
	_cleanup_close_ int owned = fd;
	_cleanup_free_ struct vu_fs *fs = calloc(1, sizeof(*fs));
	size_t len = strlen(tag);
	int r;

	if (!fs)
		return err_nomem(e);
	if (len == 0 || len > VHOST_USER_FS_TAG_BYTES)
		return err_invalid(e, "share '%s': a tag is 1 to %u bytes long", tag,
				   VHOST_USER_FS_TAG_BYTES);
	r = vhost_user_open(&fs->vu, TAKE_FD(owned), e);
	if (r < 0)
		return err_wrap(e, "share '%s': shake hands with the file server", tag);
	if (!(fs->vu.features & VIRTIO_BIT(VIRTIO_VERSION_1))) {
		vhost_user_close(&fs->vu);
		return err_unsupported(e, "share '%s': the file server does not speak virtio 1",
				       tag);
	}
	memcpy(fs->config.tag, tag, len);
	fs->config.num_request_queues = 1;
	fs->d.ops = &fs_ops;
	fs->d.name = "fs";
	fs->d.id = VIRTIO_ID_FS;
	fs->d.offered = fs->vu.features & VIRTIO_FEATURES_RING;
	fs->d.config_bytes = sizeof(fs->config);
	fs->d.n_queues = N_QUEUES;
	for (unsigned i = 0; i < N_QUEUES; i++)
		fs->d.queue_size[i] = VIRTQ_SIZE_MAX;
	*ret = &TAKE_PTR(fs)->d;
	return 0;
}
