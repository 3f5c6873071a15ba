/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices' loop: an epoll set over a growing table of slots. A slot's generation is part of the number by which epoll
 * and the owner know it. A silent source is taken out of the set, since epoll reports hang-ups of what
 * it holds whether asked or not, and a peer that is gone would keep the loop spinning.
 */
#include "virtio_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define SOURCES_MAX \
	8192u /* a guest opens many vsock connections; each device has its own cap as well */
#define BATCH 32

struct source {
	io_handler *handler; /* NULL: free */
	void *self;
	int fd;
	uint32_t events;
	uint32_t generation;
};

struct io_loop {
	pthread_mutex_t lock;
	int epoll_fd;
	int stop_fd;
	struct source *source; /* slot 0 stays unused: number 0 is nobody */
	uint32_t n, n_free;
};

static uint64_t id_of(const struct io_loop *l, uint32_t slot)
{
	return (uint64_t)l->source[slot].generation << 32 | slot;
}

static struct source *find(const struct io_loop *l, uint64_t id)
{
	uint32_t slot = (uint32_t)id;

	if (slot == 0 || slot >= l->n || !l->source[slot].handler || id_of(l, slot) != id)
		return NULL;
	return &l->source[slot];
}

int io_loop_new(struct io_loop **ret, struct err *e)
{
	struct io_loop *l = calloc(1, sizeof(*l));
	struct epoll_event ev = {.events = EPOLLIN};

	if (!l)
		return err_nomem(e);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->n = 1;
	l->source = calloc(1, sizeof(*l->source));
	pthread_mutex_init(&l->lock, NULL);
	if (!l->source) {
		io_loop_free(l);
		return err_nomem(e);
	}
	if (l->epoll_fd < 0 || l->stop_fd < 0 ||
	    epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->stop_fd, &ev) < 0) {
		int saved = errno;

		io_loop_free(l);
		return err_sys(e, saved, "devices' loop");
	}
	*ret = l;
	return 0;
}

void io_loop_free(struct io_loop *l)
{
	if (!l)
		return;
	fd_close(l->epoll_fd);
	fd_close(l->stop_fd);
	pthread_mutex_destroy(&l->lock);
	free(l->source);
	free(l);
}

void io_loop_lock(struct io_loop *l)
{
	pthread_mutex_lock(&l->lock);
}

void io_loop_unlock(struct io_loop *l)
{
	pthread_mutex_unlock(&l->lock);
}

int io_loop_fd(const struct io_loop *l)
{
	return l->epoll_fd;
}

/* A free slot, or a new one. 0: none. */
static uint32_t take_slot(struct io_loop *l)
{
	struct source *grown;

	for (uint32_t i = 1; l->n_free && i < l->n; i++)
		if (!l->source[i].handler) {
			l->n_free--;
			return i;
		}
	if (l->n >= SOURCES_MAX)
		return 0;
	grown = reallocarray(l->source, l->n + 1, sizeof(*grown));
	if (!grown)
		return 0;
	l->source = grown;
	l->source[l->n] = (struct source){.fd = -1};
	return l->n++;
}

int io_loop_add(struct io_loop *l, int fd, uint32_t events, io_handler *handler, void *self,
		uint64_t *ret_id, struct err *e)
{
	uint32_t slot = take_slot(l);
	struct epoll_event ev = {.events = events};
	struct source *s;

	if (!slot)
		return err_set(e, ERR_LIMIT, ENOSPC, "devices' loop: more than %u descriptors",
			       SOURCES_MAX);
	s = &l->source[slot];
	s->generation++;
	ev.data.u64 = id_of(l, slot);
	/* A silent source is tried as well, so that what cannot be polled is told now and not later. */
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		l->n_free++;
		return err_sys(e, errno, "devices' loop: add descriptor %d", fd);
	}
	if (!events)
		epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	s->handler = handler;
	s->self = self;
	s->fd = fd;
	s->events = events;
	*ret_id = ev.data.u64;
	return 0;
}

int io_loop_change(struct io_loop *l, uint64_t id, uint32_t events)
{
	struct source *s = find(l, id);
	struct epoll_event ev = {.events = events, .data.u64 = id};
	int op;

	if (!s)
		return -ENOENT;
	if (s->events == events)
		return 0;
	op = !events ? EPOLL_CTL_DEL : !s->events ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	if (epoll_ctl(l->epoll_fd, op, s->fd, &ev) < 0)
		return -errno;
	s->events = events;
	return 0;
}

void io_loop_remove(struct io_loop *l, uint64_t *id)
{
	struct source *s = find(l, *id);

	*id = IO_SOURCE_NONE;
	if (!s)
		return;
	if (s->events)
		epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	s->handler = NULL;
	l->n_free++;
}

int io_loop_step(struct io_loop *l, int timeout_msec, struct err *e)
{
	struct epoll_event ev[BATCH];
	int called = 0, n = epoll_wait(l->epoll_fd, ev, BATCH, timeout_msec);

	if (n < 0)
		return errno == EINTR ? 0 : err_sys(e, errno, "devices' loop: epoll_wait");
	io_loop_lock(l);
	for (int i = 0; i < n; i++) {
		struct source *s = find(l, ev[i].data.u64);

		/* Removed or silenced since the events were fetched. */
		if (!s || !s->events)
			continue;
		s->handler(s->self, ev[i].events);
		called++;
	}
	io_loop_unlock(l);
	return called;
}

int io_loop_run(struct io_loop *l, struct err *e)
{
	uint64_t stop;
	int r = 0;

	while (r >= 0 && read(l->stop_fd, &stop, sizeof(stop)) < 0)
		r = io_loop_step(l, -1, e);
	return r < 0 ? r : 0;
}

void io_loop_stop(struct io_loop *l)
{
	const uint64_t one = 1;
	ssize_t n;

	do
		n = write(l->stop_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}
