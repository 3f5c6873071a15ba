/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of a pull. Theory of operation:
 *
 * A few processes of ours ("lanes") take layers from one queue, a pipe that holds their numbers, largest first. A lane has
 * one insula-fetch, and an insula-layer per layer; between the two it counts and hashes what passes. So layers are fetched, hashed
 * and unpacked on as many processors as there are, with the code that adds one layer of an archive.
 *
 * A lane tells its parent how far it is and how it ended through a pipe. When one fails the parent takes the rest of the queue away
 * and closes the pipe that all lanes watch: the others give up where they are and clean up behind themselves.
 */
#include "pull.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"

#define LANES          3
#define TELL_BYTES_MIN (256u << 10)

/* What a lane says, in one write. */
struct told {
	uint32_t layer;
	bool ended;
	uint64_t done_bytes, total_bytes;
	struct err error; /* when it ended; ERR_NONE: all is there */
};
_Static_assert(sizeof(struct told) <= 4096, "it must fit PIPE_BUF");

struct lane {
	pid_t pid;
	int tell; /* our end */
	bool ended;
	struct err error;
};

struct pull {
	struct img_store *store;
	const struct pull_origin *from;
	const struct found_image *image;
	const struct img_progress *progress;
	int queue[2], cancel[2];
	struct lane lanes[LANES];
	size_t n_lanes;
};

/* ---- in a lane --------------------------------------------------------------------------------------- */

struct lane_progress {
	int fd;
	uint32_t layer;
	uint64_t told_bytes;
};

static void tell_progress(void *arg, _unused_ const char *digest, uint64_t done, uint64_t total)
{
	struct lane_progress *l = arg;
	const struct told t = {.layer = l->layer, .done_bytes = done, .total_bytes = total};

	if (done < total && done - l->told_bytes < TELL_BYTES_MIN)
		return;
	l->told_bytes = done;
	fd_write_all(l->fd, &t, sizeof(t), "progress", NULL);
}

static int fetch_layer(struct pull *p, struct fetch_client *c, struct lane_progress *l,
		       struct err *e)
{
	const struct img_progress calls = {.layer = tell_progress, .arg = l};
	const struct found_layer *layer = &p->image->layers[l->layer];
	struct blob blob;
	int r = 0;

	if (c->pid == 0)
		r = fetch_client_start(p->store, p->from->registry, p->from->certificates, c, e);
	if (r < 0)
		return r;
	c->cancel = p->cancel[0];
	l->told_bytes = 0;
	r = fetch_client_blob(c, layer->digest, layer->size_bytes, &blob, e);
	return r < 0 ? r
		     : layer_add(p->store, p->image->config.diff_ids[l->layer], &blob, &calls, NULL,
				 e);
}

static int lane_layer(struct pull *p, struct fetch_client *c, struct lane_progress *l,
		      struct err *e)
{
	struct err why = ERR_INIT;
	int r;

	if (layer_exists(p->store, p->image->config.diff_ids[l->layer]))
		return 0;
	r = fetch_layer(p, c, l, &why);
	/* What an earlier process left was not good (a power cut); it is gone, so now all of it is fetched. */
	if (r < 0 && c->resumed && why.kind == ERR_INVALID) {
		fetch_client_stop(c);
		return fetch_layer(p, c, l, e);
	}
	if (r < 0)
		*e = why;
	return r;
}

/* The layers of the queue, one after the other. */
static int lane_run(struct pull *p, int tell, struct err *e)
{
	struct lane_progress l = {.fd = tell};
	struct fetch_client c = {.cancel = -1};
	uint32_t layer;
	int r = 0;

	while (r == 0 && read(p->queue[0], &layer, sizeof(layer)) == sizeof(layer)) {
		l.layer = layer;
		r = lane_layer(p, &c, &l, e);
	}
	fetch_client_stop(&c);
	return r;
}

_Noreturn static void lane_main(struct pull *p, int tell)
{
	struct told t = {.ended = true};

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	fd_close(p->cancel[1]);
	lane_run(p, tell, &t.error);
	fd_write_all(tell, &t, sizeof(t), "the end", NULL);
	proc_exit_as(0);
}

/* ---- the parent ------------------------------------------------------------------------------------------ */

static int start_lane(struct pull *p, struct err *e)
{
	struct lane *l = &p->lanes[p->n_lanes];
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe");
	*l = (struct lane){.tell = fds[0]};
	l->pid = proc_clone(0, SIGCHLD, -1, NULL);
	if (l->pid == 0)
		lane_main(p, fds[1]);
	fd_close(fds[1]);
	if (l->pid < 0) {
		fd_close(fds[0]);
		return err_sys(e, l->pid, "start a process");
	}
	p->n_lanes++;
	return 0;
}

static void give_up(struct pull *p)
{
	uint32_t layer;

	while (read(p->queue[0], &layer, sizeof(layer)) == sizeof(layer))
		;
	p->cancel[1] = fd_close(p->cancel[1]);
}

static void hear(struct pull *p, struct lane *l)
{
	struct told t;

	if (fd_read_exact(l->tell, &t, sizeof(t), "a lane", NULL) < 0) {
		l->ended = true;
		err_set(&l->error, ERR_INTERNAL, EIO, "a process that fetches layers died");
	} else if (t.ended) {
		l->ended = true;
		if (t.error.kind != ERR_NONE)
			l->error = t.error;
	} else if (p->progress && p->progress->layer && t.layer < p->image->n_layers) {
		p->progress->layer(p->progress->arg, p->image->config.diff_ids[t.layer],
				   t.done_bytes, t.total_bytes);
	}
	if (l->ended && l->error.kind != ERR_NONE)
		give_up(p);
}

static int attend(struct pull *p, struct err *e)
{
	for (;;) {
		struct pollfd fds[LANES];
		bool any = false;

		for (size_t i = 0; i < p->n_lanes; i++) {
			fds[i] = (struct pollfd){.fd = p->lanes[i].ended ? -1 : p->lanes[i].tell,
						 .events = POLLIN};
			any = any || !p->lanes[i].ended;
		}
		if (!any)
			return 0;
		if (poll(fds, p->n_lanes, -1) < 0 && errno != EINTR)
			return err_sys(e, errno, "poll");
		for (size_t i = 0; i < p->n_lanes; i++)
			if (fds[i].revents)
				hear(p, &p->lanes[i]);
	}
}

/* The cause, not that others gave up for it. */
static int first_error(const struct pull *p, struct err *e)
{
	const struct err *found = NULL;

	for (size_t i = 0; i < p->n_lanes; i++) {
		const struct err *one = &p->lanes[i].error;

		if (one->kind != ERR_NONE && (!found || found->errnum == ECANCELED))
			found = one;
	}
	if (!found)
		return 0;
	if (e)
		*e = *found;
	return -found->errnum;
}

/* ---- the queue -------------------------------------------------------------------------------------------- */

static bool is_twin(const struct found_image *f, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (STREQ(f->config.diff_ids[k], f->config.diff_ids[i]))
			return true;
	return false;
}

/* Numbers of the layers that are missing, the largest first. At most IMG_LAYERS_MAX of them: they fit the pipe. */
static int fill_queue(struct pull *p, size_t *ret_n, struct err *e)
{
	const struct found_image *f = p->image;
	_cleanup_free_ uint32_t *order = calloc(f->n_layers + 1, sizeof(*order));
	size_t n = 0;

	if (!order)
		return err_nomem(e);
	for (uint32_t i = 0; i < f->n_layers; i++) {
		size_t at = n;

		if (layer_exists(p->store, f->config.diff_ids[i]) || is_twin(f, i))
			continue;
		for (; at > 0 && f->layers[order[at - 1]].size_bytes < f->layers[i].size_bytes;
		     at--)
			order[at] = order[at - 1];
		order[at] = i;
		n++;
	}
	*ret_n = n;
	return n ? fd_write_all(p->queue[1], order, n * sizeof(*order), "the queue", e) : 0;
}

static int run(struct pull *p, struct err *e)
{
	size_t n = 0;
	int r;

	if (pipe2(p->queue, O_CLOEXEC) < 0 || pipe2(p->cancel, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make pipes");
	r = fill_queue(p, &n, e);
	p->queue[1] = fd_close(p->queue[1]);
	while (r == 0 && p->n_lanes < LANES && p->n_lanes < n)
		r = start_lane(p, e);
	if (r < 0)
		give_up(p);
	/* Also of those that were started before one could not be. */
	if (r < 0)
		attend(p, NULL);
	else
		r = attend(p, e);
	return r;
}

int pull_layers(struct img_store *s, const struct pull_origin *from, const struct found_image *f,
		const struct img_progress *progress, struct err *e)
{
	struct pull p = {.store = s,
			 .from = from,
			 .image = f,
			 .progress = progress,
			 .queue = {-1, -1},
			 .cancel = {-1, -1}};
	int status, r = run(&p, e);

	for (int i = 0; i < 2; i++) {
		fd_close(p.queue[i]);
		fd_close(p.cancel[i]);
	}
	for (size_t i = 0; i < p.n_lanes; i++) {
		fd_close(p.lanes[i].tell);
		proc_reap(p.lanes[i].pid, &status, NULL);
	}
	if (r == 0)
		r = first_error(&p, e);
	return r < 0 ? r : FAULT("pull-layers", e);
}
