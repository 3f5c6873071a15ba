/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host process of an exec: `insula-vmm --exec`, a child of whoever called exec. It asks the
 * monitor process for the guest's process, hands it its own standard streams (or a terminal), and
 * then is that process on the host: what it is signalled goes there, and it ends as that one ends.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sync.h"
#include "vmm.h"

#define STATUS_FAILED (255 << 8)
#define STATUS_KILLED SIGKILL /* as of waitpid */

struct exec {
	int sync_fd, control_fd, signal_fd;
	int slave; /* -1 without a terminal */
	bool started;
};

static int read_process(struct iso_process *ret, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_free_ char *text = NULL;
	struct json_at top;
	size_t len;
	int r = fd_read_all(VMM_FD_PARAMS, AGENT_DOCUMENT_MAX, &text, &len, "the process", e);

	if (r == 0)
		r = json_parse(text, len, "the process", &doc, e);
	if (r < 0)
		return r;
	top = json_top(doc);
	return oci_process_read(&top, ret, e);
}

static int ask(struct exec *x, const struct iso_process *p, struct err *e)
{
	struct control_message m = CONTROL_MESSAGE(CONTROL_EXEC);
	_cleanup_close_ int master = -EBADF, null = -EBADF;
	int r;

	m.fds[CONTROL_FD_DOCUMENT] = VMM_FD_PARAMS;
	for (int i = 0; i < 3; i++)
		m.fds[CONTROL_FD_STDIN + i] = i;
	if (p->terminal) {
		r = vmm_terminal_open(p->rows, p->cols, &master, &x->slave, e);
		if (r == 0)
			r = sync_send(x->sync_fd, SYNC_CONSOLE, 0, master, e);
		if (r < 0)
			return r;
		m.flags |= CONTROL_TERMINAL;
		for (int i = 0; i < 3; i++)
			m.fds[CONTROL_FD_STDIN + i] = x->slave;
	}
	r = x->control_fd = control_connect(VMM_FD_STATE, e);
	if (r >= 0)
		r = vm_control_send(x->control_fd, &m, NULL, e);
	if (r < 0)
		return r;
	/* The streams are the monitor's now: whoever waits for their end must not wait for us. */
	null = path_open_null(e);
	for (int i = 0; null >= 0 && i < 3; i++)
		dup2(null, i);
	return null < 0 ? null : fd_set_nonblock(x->control_fd, true);
}

static void forward_signals(struct exec *x)
{
	int sig;

	while ((sig = vmm_signals_next(x->signal_fd))) {
		struct control_message m = CONTROL_MESSAGE(CONTROL_SIGNAL, .value = sig);

		if (sig == SIGWINCH && x->slave >= 0) {
			m.type = CONTROL_RESIZE;
			m.value = (int32_t)vmm_terminal_size(x->slave);
		}
		(void)vm_control_send(x->control_fd, &m, NULL, NULL);
	}
}

/* 1: ended, *ret_status says how. */
static int on_answer(struct exec *x, int *ret_status, struct err *e)
{
	struct control_message m;
	int r = control_recv(x->control_fd, &m, e);

	if (r == -EAGAIN)
		return 0;
	if (r == -EPIPE && x->started) {
		/* The microVM is gone, and the process with it. */
		*ret_status = STATUS_KILLED;
		return 1;
	}
	if (r != 0)
		return r < 0 ? r : control_error(e);
	control_message_done(&m);
	if (m.type == CONTROL_STARTED && !x->started) {
		x->started = true;
		(void)sync_send(x->sync_fd, SYNC_STARTED, 0, -1, NULL);
		x->sync_fd = fd_close(x->sync_fd);
		return 0;
	}
	if (m.type != CONTROL_EXIT || !x->started)
		return err_set(e, ERR_INTERNAL, EPROTO, "unexpected answer %u", m.type);
	*ret_status = m.value;
	return 1;
}

static int relay(struct exec *x, int *ret_status, struct err *e)
{
	for (;;) {
		struct pollfd p[3] = {
			{.fd = x->control_fd, .events = POLLIN},
			{.fd = x->signal_fd, .events = POLLIN},
			/* Nothing is said there before the start: it only ends, with the caller. */
			{.fd = x->started ? -1 : x->sync_fd, .events = POLLIN},
		};
		int r;

		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return err_sys(e, errno, "poll");
		r = on_answer(x, ret_status, e);
		if (r != 0)
			return r;
		if (!x->started && p[2].revents)
			return err_set(e, ERR_INTERNAL, EPIPE, "the caller died");
		forward_signals(x);
	}
}

static int run(struct exec *x, int *ret_status, struct err *e)
{
	_cleanup_(iso_process_done) struct iso_process p = {0};
	int r;

	for (int fd = VMM_FD_SYNC; fd <= VMM_FD_PARAMS; fd++) {
		r = fd_set_cloexec(fd, true);
		if (r < 0)
			return err_sys(e, r, "descriptor %d", fd);
	}
	r = read_process(&p, e);
	if (r == 0)
		r = x->signal_fd = vmm_signals_open(e);
	if (r >= 0)
		r = ask(x, &p, e);
	return r < 0 ? r : relay(x, ret_status, e);
}

int vmm_exec_run(void)
{
	struct exec x = {.sync_fd = VMM_FD_SYNC, .control_fd = -1, .signal_fd = -1, .slave = -1};
	struct err e = ERR_INIT;
	int status = STATUS_FAILED, r = run(&x, &status, &e);

	if (r >= 0)
		return status;
	if (x.sync_fd >= 0)
		sync_send_error(x.sync_fd, &e);
	if (e.kind == ERR_CMD_NOT_FOUND)
		return 127 << 8;
	return e.kind == ERR_CMD_NOT_EXEC ? 126 << 8 : STATUS_FAILED;
}
