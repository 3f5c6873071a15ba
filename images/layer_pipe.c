/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring between the two threads. The producer owns a buffer until it is filled, the consumer until it is
 * used up; one lock guards the two counters, nothing else is shared. The end and a failure of the producer travel with the
 * last buffer, so that everything before them is still used.
 */
#include "layer_pipe.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define RING_N     4
#define RING_BYTES (512u << 10) /* a multiple of the tar's block: none is cut in two */

struct layer_pipe {
	struct inflate *inflate;
	int cancel_fd;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under the lock */
	uint64_t filled, used; /* buffers so far */
	bool cancelled, ended; /* ended: no more buffers will be filled */
	struct err failure;    /* why, unless ERR_NONE */
	/* the producer's, until ended */
	struct digest digest;
	uint64_t bytes;
	/* handed over by the counters */
	uint8_t *buf[RING_N];
	size_t len[RING_N];
	/* the consumer's */
	size_t at; /* in the buffer it holds */
	bool holds;
};

/* ---- producer ---------------------------------------------------------------------------- */

/* A buffer to fill, or -1 when nobody wants it any more. */
static int wait_for_room(struct layer_pipe *p)
{
	int slot;

	pthread_mutex_lock(&p->lock);
	while (!p->cancelled && p->filled - p->used == RING_N)
		pthread_cond_wait(&p->changed, &p->lock);
	slot = p->cancelled ? -1 : (int)(p->filled % RING_N);
	pthread_mutex_unlock(&p->lock);
	return slot;
}

static void hand_over(struct layer_pipe *p, bool filled, bool ended, const struct err *failure)
{
	pthread_mutex_lock(&p->lock);
	p->filled += filled;
	p->ended = ended;
	if (failure)
		p->failure = *failure;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void *produce(void *arg)
{
	struct layer_pipe *p = arg;
	struct err e = ERR_INIT;
	bool last = false;

	while (!last) {
		int slot = wait_for_room(p);
		size_t len;

		if (slot < 0)
			return NULL;
		if (inflate_read(p->inflate, p->buf[slot], RING_BYTES, &len, &e) < 0) {
			hand_over(p, false, true, &e);
			return NULL;
		}
		digest_add(&p->digest, p->buf[slot], len);
		p->bytes += len;
		p->len[slot] = len;
		last = len < RING_BYTES;
		hand_over(p, len > 0, last, NULL);
	}
	return NULL;
}

/* ---- consumer ---------------------------------------------------------------------------- */

/* Hold the next buffer: 1; 0 at the end. */
static int wait_for_data(struct layer_pipe *p, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&p->lock);
	while (p->filled == p->used && !p->ended)
		pthread_cond_wait(&p->changed, &p->lock);
	if (p->filled != p->used) {
		r = 1;
	} else if (p->failure.kind != ERR_NONE) {
		if (e)
			*e = p->failure;
		r = -p->failure.errnum;
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

static int pipe_peek(void *arg, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	struct layer_pipe *p = arg;
	size_t slot;

	if (!p->holds) {
		int r = wait_for_data(p, e);

		if (r <= 0) {
			*ret_len = 0;
			return r;
		}
		p->holds = true;
		p->at = 0;
	}
	slot = p->used % RING_N;
	*ret = p->buf[slot] + p->at;
	*ret_len = p->len[slot] - p->at;
	return 0;
}

static void pipe_consume(void *arg, size_t n)
{
	struct layer_pipe *p = arg;

	p->at += n;
	if (p->at < p->len[p->used % RING_N])
		return;
	p->holds = false;
	pthread_mutex_lock(&p->lock);
	p->used++;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

struct tar_source layer_pipe_source(struct layer_pipe *p)
{
	return (struct tar_source){.peek = pipe_peek, .consume = pipe_consume, .arg = p};
}

void layer_pipe_result(struct layer_pipe *p, char ret_digest[DIGEST_MAX], uint64_t *ret_bytes)
{
	digest_text(&p->digest, ret_digest);
	*ret_bytes = p->bytes;
}

/* ---- life -------------------------------------------------------------------------------- */

static int start(struct layer_pipe *p, int fd, const struct inflate_limits *limits, struct err *e)
{
	int r;

	p->cancel_fd = eventfd(0, EFD_CLOEXEC);
	if (p->cancel_fd < 0)
		return err_sys(e, errno, "make an event descriptor");
	for (size_t i = 0; i < RING_N; i++) {
		p->buf[i] = malloc(RING_BYTES);
		if (!p->buf[i])
			return err_nomem(e);
	}
	r = inflate_new(fd, p->cancel_fd, limits, &p->inflate, e);
	if (r < 0)
		return r;
	r = pthread_create(&p->thread, NULL, produce, p);
	if (r != 0)
		return err_sys(e, r, "start a thread");
	p->has_thread = true;
	return 0;
}

int layer_pipe_new(int fd, const struct inflate_limits *limits, struct layer_pipe **ret,
		   struct err *e)
{
	struct layer_pipe *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_nomem(e);
	p->cancel_fd = -EBADF;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	digest_init(&p->digest);
	r = start(p, fd, limits, e);
	if (r < 0) {
		layer_pipe_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void stop(struct layer_pipe *p)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&p->lock);
	p->cancelled = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	/* It may wait for input, too. */
	(void)!write(p->cancel_fd, &one, sizeof(one));
	pthread_join(p->thread, NULL);
}

void layer_pipe_free(struct layer_pipe *p)
{
	if (!p)
		return;
	if (p->has_thread)
		stop(p);
	inflate_free(p->inflate);
	for (size_t i = 0; i < RING_N; i++)
		free(p->buf[i]);
	fd_close(p->cancel_fd);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	free(p);
}
