/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue, a list of what ran, and threads between them. The lists' own lock is taken inside the loop's lock, never the
 * other way round; a worker holds none while it runs or asks for the loop's.
 */
#include "virtio_workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct workers {
	struct io_loop *loop;
	const struct workers_ops *ops;
	void *self;
	pthread_mutex_t lock;       /* of all below */
	pthread_cond_t wake;        /* work, or the end */
	pthread_cond_t idle;        /* nothing runs */
	struct work *first, **last; /* to run */
	struct work *ran;           /* to finish */
	unsigned running;
	bool stop;
	unsigned n;
	pthread_t thread[WORKERS_MAX];
};

static struct work *take(struct workers *w)
{
	struct work *work;

	while (!w->first && !w->stop)
		pthread_cond_wait(&w->wake, &w->lock);
	work = w->first;
	if (!work)
		return NULL;
	w->first = work->next;
	if (!w->first)
		w->last = &w->first;
	w->running++;
	return work;
}

/* Finish all that ran. The loop's lock is held. */
static void finish_all(struct workers *w)
{
	struct work *work, *next;

	pthread_mutex_lock(&w->lock);
	work = TAKE_PTR(w->ran);
	pthread_mutex_unlock(&w->lock);
	if (!work)
		return;
	for (; work; work = next) {
		next = work->next;
		w->ops->finish(w->self, work);
	}
	w->ops->finished(w->self);
}

/* The lists' lock is held, and given up meanwhile. */
static void run_one(struct workers *w, struct work *work)
{
	pthread_mutex_unlock(&w->lock);
	w->ops->run(w->self, work);
	pthread_mutex_lock(&w->lock);
	work->next = w->ran;
	w->ran = work;
	if (--w->running == 0)
		pthread_cond_broadcast(&w->idle);
}

static void *worker(void *arg)
{
	struct workers *w = arg;
	struct work *work;

	pthread_mutex_lock(&w->lock);
	while ((work = take(w))) {
		run_one(w, work);
		pthread_mutex_unlock(&w->lock);
		io_loop_lock(w->loop);
		finish_all(w);
		io_loop_unlock(w->loop);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int workers_new(struct io_loop *loop, unsigned threads, const struct workers_ops *ops, void *self,
		struct workers **ret, struct err *e)
{
	struct workers *w = calloc(1, sizeof(*w));
	sigset_t all, before;
	int r = 0;

	if (!w)
		return err_nomem(e);
	w->loop = loop;
	w->ops = ops;
	w->self = self;
	w->last = &w->first;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	pthread_cond_init(&w->idle, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (r == 0 && w->n < threads && w->n < WORKERS_MAX) {
		r = pthread_create(&w->thread[w->n], NULL, worker, w);
		if (r == 0)
			w->n++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		workers_free(w);
		return err_sys(e, r, "start a worker");
	}
	*ret = w;
	return 0;
}

/* The threads may all be on their way to the loop's lock, which the caller holds: what still waits is run here. */
void workers_wait(struct workers *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->first)
		run_one(w, take(w));
	while (w->running)
		pthread_cond_wait(&w->idle, &w->lock);
	pthread_mutex_unlock(&w->lock);
	finish_all(w);
}

void workers_cancel(struct workers *w)
{
	struct work *work, *next;

	pthread_mutex_lock(&w->lock);
	for (work = w->first; work; work = next) {
		next = work->next;
		w->ops->cancel(w->self, work);
		work->next = w->ran;
		w->ran = work;
	}
	w->first = NULL;
	w->last = &w->first;
	while (w->running)
		pthread_cond_wait(&w->idle, &w->lock);
	pthread_mutex_unlock(&w->lock);
	finish_all(w);
}

void workers_free(struct workers *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->thread[i], NULL);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->idle);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void workers_submit(struct workers *w, struct work *work)
{
	work->next = NULL;
	pthread_mutex_lock(&w->lock);
	*w->last = work;
	w->last = &work->next;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}
