/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of the control socket: `exec`, `signal`, `pause` and `resume` of other processes. A
 * client asks one thing; only that of an exec stays, and its end is the end of its process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "vmm.h"

struct vmm_client {
	int fd;
	struct vmm_proc *exec; /* its process, or NULL */
	bool gone;             /* freed at the end of the round */
};

static void reply(struct vmm_client *c, enum control_type type, int32_t value,
		  const struct err *error)
{
	struct control_message m = CONTROL_MESSAGE(type, .value = value);

	/* Who does not read its single answer loses it with the connection. */
	if (vm_control_send(c->fd, &m, error, NULL) < 0)
		c->gone = true;
}

static void reply_error(struct vmm_client *c, const struct err *error)
{
	reply(c, CONTROL_ERROR, 0, error);
	c->gone = true;
}

void vmm_client_started(struct vmm_client *c)
{
	reply(c, CONTROL_STARTED, 0, NULL);
}

void vmm_client_failed(struct vmm_client *c, const struct err *error)
{
	c->exec = NULL;
	reply_error(c, error);
}

void vmm_client_exited(struct vmm_client *c, int status)
{
	c->exec = NULL;
	reply(c, CONTROL_EXIT, status, NULL);
	c->gone = true;
}

/* ---- requests --------------------------------------------------------------------------- */

static int ask_guest(struct vmm *m, struct vmm_proc *p, int document_fd, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	/* The description may have been read before, and its offset is shared. */
	if (lseek(document_fd, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "the process");
	r = fd_read_all(document_fd, AGENT_DOCUMENT_MAX, &text, &len, "the process", e);
	if (r < 0)
		return r;
	r = agent_send_document(m->conn, AGENT_EXEC, p->number, text, len);
	return r < 0 ? err_sys(e, r, "send the process to the guest") : 0;
}

static int do_exec(struct vmm *m, struct vmm_client *c, struct control_message *q, struct err *e)
{
	struct vmm_proc *p;
	int r;

	if (m->phase < VMM_CREATED || m->phase == VMM_OVER)
		return err_set(e, ERR_STATE, ESRCH, "the sandbox is not running");
	if (m->system) {
		err_unsupported(e, "exec: nothing of ours runs in a guest system yet");
		return err_hint(e, "its console is there: insula attach");
	}
	if (m->n_procs == VMM_PROCS_MAX)
		return err_set(e, ERR_LIMIT, EAGAIN, "%d processes run in the microVM already",
			       VMM_PROCS_MAX);
	if (q->fds[CONTROL_FD_STDERR] < 0)
		return err_invalid(e, "exec without its descriptors");
	r = vmm_proc_new(m->next_number, q->flags & CONTROL_TERMINAL, &q->fds[CONTROL_FD_STDIN], &p,
			 e);
	if (r < 0)
		return r;
	r = ask_guest(m, p, q->fds[CONTROL_FD_DOCUMENT], e);
	if (r < 0) {
		vmm_proc_free(p);
		return r;
	}
	m->next_number++;
	m->procs[m->n_procs++] = p;
	p->client = c;
	c->exec = p;
	return 0;
}

static int do_signal(struct vmm *m, const struct control_message *q, struct err *e)
{
	int r;

	if (m->phase < VMM_CREATED || m->phase == VMM_OVER)
		return err_set(e, ERR_STATE, ESRCH, "the sandbox is not running");
	if (q->value < 0 || q->value > 64)
		return err_invalid(e, "signal %d", q->value);
	if (m->system)
		return vmm_system_signal(m, q->value, e);
	r = vmm_tell(m, AGENT_SIGNAL, 0, (uint32_t)q->value,
		     q->flags & CONTROL_ALL ? AGENT_ALL : 0);
	return r < 0 ? err_sys(e, r, "signal to the guest") : 0;
}

static int do_resume(struct vmm *m, struct err *e)
{
	int r = vm_resume(m->vm, e);

	/* The guest's clock stood still. */
	return r < 0 || m->system ? r : vmm_tell_time(m);
}

/* One request of a client without a process. */
static void on_request(struct vmm *m, struct vmm_client *c, struct control_message *q)
{
	struct err error = ERR_INIT;
	int r = -EINVAL;

	err_invalid(&error, "no request: message %u", q->type);
	switch ((enum control_type)q->type) { /* control_recv() checked the range */
	case CONTROL_EXEC:
		r = do_exec(m, c, q, &error);
		if (r < 0)
			reply_error(c, &error);
		return;
	case CONTROL_SIGNAL:
		r = do_signal(m, q, &error);
		break;
	case CONTROL_PAUSE:
		r = vm_pause(m->vm, &error);
		break;
	case CONTROL_RESUME:
		r = do_resume(m, &error);
		break;
	case CONTROL_RESIZE:
	case CONTROL_OK:
	case CONTROL_STARTED:
	case CONTROL_EXIT:
	case CONTROL_ERROR:
	case CONTROL_TYPE_COUNT:
		break;
	}
	if (r < 0)
		reply_error(c, &error);
	else
		reply(c, CONTROL_OK, 0, NULL);
}

/* What the client of an exec may say about its process. */
static void on_exec_message(struct vmm *m, struct vmm_client *c, const struct control_message *q)
{
	if (q->type == CONTROL_SIGNAL && q->value > 0 && q->value <= 64)
		(void)vmm_tell(m, AGENT_SIGNAL, c->exec->number, (uint32_t)q->value, 0);
	else if (q->type == CONTROL_RESIZE)
		(void)vmm_tell(m, AGENT_RESIZE, c->exec->number, (uint32_t)q->value, 0);
	else
		c->gone = true;
}

static void service_client(struct vmm *m, struct vmm_client *c)
{
	/* A few per round: a client that floods must not stop the others. */
	for (int i = 0; i < 16 && !c->gone; i++) {
		struct control_message q;
		int r = control_recv(c->fd, &q, NULL);

		if (r == -EAGAIN)
			return;
		if (r != 0) {
			c->gone = true;
			return;
		}
		if (c->exec)
			on_exec_message(m, c, &q);
		else
			on_request(m, c, &q);
		control_message_done(&q);
	}
}

/* ---- connections ------------------------------------------------------------------------ */

static void client_free(struct vmm *m, struct vmm_client *c)
{
	if (c->exec) {
		/* Killing the host process of an exec kills the process, as it does for a
		 * container, where they are the same. */
		if (c->exec->started && !c->exec->exited)
			(void)vmm_tell(m, AGENT_SIGNAL, c->exec->number, 9, 0);
		c->exec->client = NULL;
	}
	fd_close(c->fd);
	free(c);
}

static void accept_clients(struct vmm *m)
{
	while (m->n_clients < VMM_CLIENTS_MAX) {
		int fd = control_accept(m->control_fd);
		struct vmm_client *c;

		if (fd < 0)
			return;
		c = calloc(1, sizeof(*c));
		if (!c) {
			fd_close(fd);
			return;
		}
		c->fd = fd;
		m->clients[m->n_clients++] = c;
	}
}

int vmm_clients_poll(struct vmm *m)
{
	int r = m->n_clients < VMM_CLIENTS_MAX ? pollset_add(&m->set, m->control_fd, POLLIN) : 0;

	for (size_t i = 0; r == 0 && i < m->n_clients; i++)
		r = pollset_add(&m->set, m->clients[i]->fd, POLLIN);
	return r;
}

void vmm_clients_service(struct vmm *m)
{
	accept_clients(m);
	for (size_t i = 0; i < m->n_clients; i++)
		service_client(m, m->clients[i]);
	for (size_t i = 0; i < m->n_clients;) {
		if (!m->clients[i]->gone) {
			i++;
			continue;
		}
		client_free(m, m->clients[i]);
		m->clients[i] = m->clients[--m->n_clients];
	}
}

void vmm_clients_done(struct vmm *m)
{
	while (m->n_clients)
		client_free(m, m->clients[--m->n_clients]);
	m->control_fd = fd_close(m->control_fd);
}
