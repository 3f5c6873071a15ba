/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An epoll set and a table of who waits for what. Events name their row, and a row that was emptied
 * while a batch of events is delivered is skipped: an owner that goes away never hears of it again.
 */
#include "loop.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define EVENTS_PER_TURN 16

int loop_init(struct loop *l, struct err *e)
{
	*l = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
	for (unsigned i = 0; i < LOOP_SOURCES_MAX; i++)
		l->source[i].fd = -1;
	return l->epoll_fd < 0 ? err_sys(e, errno, "epoll_create1") : 0;
}

void loop_done(struct loop *l)
{
	l->epoll_fd = fd_close(l->epoll_fd);
}

static struct loop_source *find(struct loop *l, int fd)
{
	for (unsigned i = 0; i < LOOP_SOURCES_MAX; i++)
		if (l->source[i].fd == fd)
			return &l->source[i];
	return NULL;
}

int loop_add(struct loop *l, int fd, uint32_t events, void (*ready)(void *self, uint32_t events),
	     void *self, struct err *e)
{
	struct loop_source *s = find(l, -1);
	struct epoll_event ev = {.events = events};

	if (fd < 0 || !s)
		return err_set(e, ERR_INTERNAL, fd < 0 ? EBADF : ENOSPC,
			       "event loop: cannot take descriptor %d", fd);
	ev.data.u32 = (uint32_t)(s - l->source);
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_sys(e, errno, "event loop: add descriptor %d", fd);
	*s = (struct loop_source){.fd = fd, .ready = ready, .self = self};
	return 0;
}

int loop_change(struct loop *l, int fd, uint32_t events)
{
	struct loop_source *s = fd < 0 ? NULL : find(l, fd);
	struct epoll_event ev = {.events = events};

	if (!s)
		return -ENOENT;
	ev.data.u32 = (uint32_t)(s - l->source);
	return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &ev) < 0 ? -errno : 0;
}

void loop_remove(struct loop *l, int fd)
{
	struct loop_source *s = fd < 0 ? NULL : find(l, fd);

	if (!s)
		return;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	s->fd = -1;
}

int loop_turn(struct loop *l, int timeout_msec)
{
	struct epoll_event ev[EVENTS_PER_TURN];
	int fds[EVENTS_PER_TURN];
	int n = epoll_wait(l->epoll_fd, ev, EVENTS_PER_TURN, timeout_msec);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		fds[i] = l->source[ev[i].data.u32].fd;
	for (int i = 0; i < n; i++) {
		struct loop_source *s = &l->source[ev[i].data.u32];

		/* Emptied, or given to another, by a call before. */
		if (s->fd >= 0 && s->fd == fds[i])
			s->ready(s->self, ev[i].events);
	}
	return 0;
}

int loop_run(struct loop *l)
{
	int r = 0;

	while (!l->stop && r == 0)
		r = loop_turn(l, -1);
	return r;
}
