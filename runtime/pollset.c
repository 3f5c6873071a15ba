/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing list for poll(2). See pollset.h for why it is made anew in each round.
 */
#include "pollset.h"

#include <errno.h>
#include <stdlib.h>

void pollset_done(struct pollset *p)
{
	free(p->v);
	*p = (struct pollset){0};
}

int pollset_add(struct pollset *p, int fd, short events)
{
	if (fd < 0)
		return 0;
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct pollfd *v = realloc(p->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = (struct pollfd){.fd = fd, .events = events};
	return 0;
}

int pollset_wait(struct pollset *p, int timeout_msec, struct err *e)
{
	if (poll(p->v, p->n, timeout_msec) < 0 && errno != EINTR)
		return err_sys(e, errno, "poll");
	return 0;
}

bool pollset_is_ready(const struct pollset *p, int fd)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].fd == fd)
			return p->v[i].revents;
	return false;
}
