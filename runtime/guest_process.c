/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process in the guest: pipes or a terminal between it and the agent's channel, and the order
 * of its end. A process is over when it was reaped *and* what it had written was sent; a background
 * child that holds its pipes does not delay that: once it is reaped, what lies in the pipes is
 * drained and the streams end.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

int guest_proc_pipes(struct guest_proc *p, const struct iso_process *process, int ret_theirs[3],
		     struct err *e)
{
	int pipes[3][2];

	for (int i = 0; i < 3; i++) {
		bool input = i == AGENT_STDIN;
		int ours, theirs;

		if (pipe2(pipes[i], O_CLOEXEC) < 0) {
			int saved = errno;

			while (i-- > 0)
				ret_theirs[i] = fd_close(ret_theirs[i]);
			return err_sys(e, saved, "pipe for a standard stream");
		}
		ours = pipes[i][input ? 1 : 0];
		theirs = pipes[i][input ? 0 : 1];
		fd_set_nonblock(ours, true);
		/* So that the process may open /dev/stdout again under its own user. */
		(void)!fchown(theirs, process->user.uid, process->user.gid);
		if (input)
			agent_sink_init(&p->in, ours, p->number, AGENT_STDIN);
		else
			agent_source_init(&p->out[i - 1], ours, p->number, (enum agent_stream)i);
		ret_theirs[i] = theirs;
	}
	return 0;
}

int guest_proc_terminal(struct guest_proc *p, struct err *e)
{
	_cleanup_close_ int master = TAKE_FD(p->handle.console_fd);
	int copy;

	if (master < 0)
		return err_set(e, ERR_INTERNAL, EBADF, "the terminal has no master");
	copy = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return err_sys(e, errno, "duplicate the terminal's master");
	fd_set_nonblock(master, true);
	p->terminal = true;
	agent_sink_init(&p->in, copy, p->number, AGENT_STDIN);
	agent_source_init(&p->out[0], TAKE_FD(master), p->number, AGENT_STDOUT);
	return 0;
}

int guest_proc_poll(const struct guest_proc *p, const struct agent_conn *c, struct pollset *set)
{
	int r = p->reaped ? 0 : pollset_add(set, p->handle.pidfd, POLLIN);

	if (r == 0 && agent_sink_wants(&p->in))
		r = pollset_add(set, p->in.fd, POLLOUT);
	for (int i = 0; r == 0 && i < 2; i++)
		if (agent_source_wants(&p->out[i], c))
			r = pollset_add(set, p->out[i].fd, POLLIN);
	return r;
}

static int service_source(struct guest_proc *p, struct agent_source *s, struct agent_conn *c)
{
	int r;

	if (!agent_source_wants(s, c))
		return 0;
	r = agent_source_move(s, c);
	if (r == 0 && p->reaped)
		return agent_source_end(s, c); /* empty: only strangers still hold the other end */
	return r == -ENODATA || r > 0 ? 0 : r;
}

bool guest_proc_is_draining(const struct guest_proc *p, const struct agent_conn *c)
{
	return p->reaped &&
	       (agent_source_wants(&p->out[0], c) || agent_source_wants(&p->out[1], c));
}

int guest_proc_service(struct guest_proc *p, struct agent_conn *c)
{
	int r = agent_sink_move(&p->in, c);

	for (int i = 0; r == 0 && i < 2; i++)
		r = service_source(p, &p->out[i], c);
	return r;
}

bool guest_proc_is_over(const struct guest_proc *p)
{
	return p->reaped && p->out[0].fd < 0 && p->out[1].fd < 0;
}

void guest_proc_resize(struct guest_proc *p, uint32_t rows_cols)
{
	struct winsize size = {.ws_row = (unsigned short)(rows_cols >> 16),
			       .ws_col = (unsigned short)rows_cols};

	/* A terminal that hung up has no size: nothing to do and nobody to tell. */
	if (p->terminal && p->out[0].fd >= 0)
		ioctl(p->out[0].fd, TIOCSWINSZ, &size);
}

int guest_proc_data(struct guest_proc *p, struct agent_conn *c, const struct agent_frame *f)
{
	if (f->h.stream != AGENT_STDIN) {
		if (f->h.length)
			return -EPROTO;
		agent_source_abort(&p->out[f->h.stream - AGENT_STDOUT]);
		return 0;
	}
	if (f->h.length == 0 && p->terminal) {
		int r = agent_source_end(&p->out[0], c);

		agent_sink_done(&p->in);
		p->in.end = true;
		return r;
	}
	return agent_sink_push(&p->in, f->payload, f->h.length);
}

int guest_proc_credit(struct guest_proc *p, const struct agent_frame *f)
{
	if (f->h.stream == AGENT_STDIN)
		return -EPROTO;
	return agent_source_grant(&p->out[f->h.stream - AGENT_STDOUT], f->h.value);
}

void guest_proc_free(struct guest_proc *p)
{
	if (!p)
		return;
	agent_sink_done(&p->in);
	agent_source_done(&p->out[0]);
	agent_source_done(&p->out[1]);
	iso_init_done(&p->handle, !p->reaped);
	free(p);
}
