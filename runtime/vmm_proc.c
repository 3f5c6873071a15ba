/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of the guest as its monitor sees it: the host's ends of its streams, and its end. It is
 * over when the guest told its status *and* the last byte of its output was written here, so nobody
 * sees an exit before the output. Everything that comes in is the guest's word and is checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "vmm.h"

int vmm_proc_new(uint32_t number, bool terminal, int fds[3], struct vmm_proc **ret, struct err *e)
{
	struct vmm_proc *p = calloc(1, sizeof(*p));
	int r = p ? 0 : err_nomem(e);

	for (int i = 0; i < 3; i++) {
		int fd = fds[i];

		fds[i] = -1;
		/* A terminal is one stream out: its slave. */
		if (!p || (terminal && i == AGENT_STDERR))
			fd = fd_close(fd);
		else if (fd >= 0)
			fd = agent_stream_open(fd, i != AGENT_STDIN);
		if (!p)
			continue;
		if (i == AGENT_STDIN)
			agent_source_init(&p->in, fd, number, AGENT_STDIN);
		else
			agent_sink_init(&p->out[i - 1], fd, number, (enum agent_stream)i);
	}
	if (r < 0)
		return r;
	p->number = number;
	p->terminal = terminal;
	*ret = p;
	return 0;
}

void vmm_proc_free(struct vmm_proc *p)
{
	if (!p)
		return;
	agent_source_done(&p->in);
	agent_sink_done(&p->out[0]);
	agent_sink_done(&p->out[1]);
	free(p);
}

int vmm_proc_poll(const struct vmm_proc *p, const struct agent_conn *c, struct pollset *set)
{
	int r = 0;

	if (p->started && agent_source_wants(&p->in, c))
		r = pollset_add(set, p->in.fd, POLLIN);
	for (int i = 0; r == 0 && i < 2; i++)
		if (agent_sink_wants(&p->out[i]))
			r = pollset_add(set, p->out[i].fd, POLLOUT);
	return r;
}

int vmm_proc_service(struct vmm_proc *p, struct agent_conn *c)
{
	int r = 0;

	/* The caller's input is not touched before there is somebody to read it. */
	if (p->started && !p->exited) {
		if (p->in.fd < 0)
			r = agent_source_end(&p->in, c);
		else if (agent_source_wants(&p->in, c))
			r = agent_source_move(&p->in, c);
		r = r == -ENODATA || r > 0 ? 0 : r;
	}
	for (int i = 0; r == 0 && i < 2; i++)
		r = agent_sink_move(&p->out[i], c);
	return r;
}

int vmm_proc_data(struct vmm_proc *p, const struct agent_frame *f)
{
	if (p->exited)
		return -EPROTO;
	if (f->h.stream == AGENT_STDIN) {
		if (f->h.length)
			return -EPROTO;
		agent_source_abort(&p->in);
		return 0;
	}
	if (p->terminal && f->h.stream == AGENT_STDERR)
		return -EPROTO;
	return agent_sink_push(&p->out[f->h.stream - AGENT_STDOUT], f->payload, f->h.length);
}

int vmm_proc_credit(struct vmm_proc *p, const struct agent_frame *f)
{
	if (p->exited || f->h.stream != AGENT_STDIN)
		return -EPROTO;
	return agent_source_grant(&p->in, f->h.value);
}

int vmm_proc_exit(struct vmm_proc *p, uint32_t status)
{
	int s = (int)status;

	/* Only what waitpid(2) can say of an ended process. */
	if (p->exited || (!WIFEXITED(s) && !WIFSIGNALED(s)) || status > 0xffff)
		return -EPROTO;
	p->exited = true;
	p->status = s;
	agent_source_abort(&p->in);
	for (int i = 0; i < 2; i++)
		p->out[i].end = true;
	return 0;
}

bool vmm_proc_is_over(const struct vmm_proc *p)
{
	return p->exited && agent_sink_is_done(&p->out[0]) && agent_sink_is_done(&p->out[1]);
}

int vmm_proc_stderr(const struct vmm_proc *p)
{
	return p->out[p->terminal ? 0 : 1].fd;
}
