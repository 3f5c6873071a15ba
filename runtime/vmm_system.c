/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor process of a full guest system (guest_system.h). It differs from one with an agent in what is between the
 * gate and the end: the guest starts with the order, its serial console is the workload's terminal or standard streams, a
 * signal to end presses the power button, and the machine's own power-off is the workload's exit with 0.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "guest_system.h"
#include "vmm.h"

/* Bytes on their way; none are taken in before the last ones are out, so a reader that stops is waited for. */
struct flow {
	int from, to; /* -1: ended */
	char buf[16384];
	size_t at, len;
};

struct vmm_system {
	struct guest_system guest;
	struct flow in, out;
	bool running;
};

int vmm_system_open(struct vmm *m, struct err *e)
{
	const struct vmm_params *p = &m->params;

	m->system = calloc(1, sizeof(*m->system));
	if (!m->system)
		return err_nomem(e);
	m->system->in.from = m->system->in.to = m->system->out.from = m->system->out.to = -1;
	m->system->guest.system.uefi_vars_fd = -1;
	if (!*p->storage)
		return err_invalid(e, "vm.image: a guest system needs a place for its changes; use "
				      "insula run --vm");
	return guest_system_open(&m->config, p->id, p->storage, *p->guest_dir ? p->guest_dir : NULL,
				 &m->system->guest, e);
}

/* ---- set-up ----------------------------------------------------------------------------- */

/* Our own standard streams, or the terminal, become the console's. */
static int take_streams(struct vmm *m, struct err *e)
{
	const struct iso_process *p = &m->config.process;
	int null = path_open_null(e), r = 0;

	if (null < 0)
		return null;
	if (p->terminal)
		r = vmm_terminal_open(p->rows, p->cols, &m->console_master, &m->console_slave, e);
	for (int i = 0; r == 0 && i < 2; i++) {
		int fd = fd_dup_above_stdio(p->terminal ? m->console_slave : i);

		if (fd >= 0)
			fd = agent_stream_open(fd, i == 1);
		if (fd < 0)
			r = err_sys(e, fd, "standard stream %d", i);
		else
			*(i ? &m->system->out.to : &m->system->in.from) = fd;
	}
	/* Errors of ours that come when nobody waits for us still have standard error. */
	for (int i = 0; i < 2; i++)
		dup2(null, i);
	fd_close(null);
	return r;
}

static int start_vm(struct vmm *m, struct err *e)
{
	struct guest_system *g = &m->system->guest;
	struct vm_config c = {
		.name = m->params.id,
		.kernel = &g->kernel,
		.cmdline = g->cmdline,
		.memory_bytes = m->params.memory_bytes,
		.vcpus = m->params.vcpus,
		.accel = (enum vm_accel)m->params.accel,
		.engine = (enum vm_engine_choice)m->params.engine,
		.cache_dirfd = m->root_fd,
		.net_tap_fd = -1,
		.disks = g->disks,
		.n_disks = g->n_disks,
		.system = &g->system,
		.log = &m->log,
	};
	int r = vm_start(&c, &m->vm, e);

	if (r < 0)
		return r;
	log_to(&m->log, LOG_LEVEL_DEBUG, "microVM '%s': %s", m->params.id, vm_engine_name(m->vm));
	m->system->in.to = m->system->out.from = vm_console_fd(m->vm);
	return 0;
}

int vmm_system_set_up(struct vmm *m, struct err *e)
{
	int r = take_streams(m, e);

	if (r == 0)
		r = vmm_drop(e);
	if (r == 0)
		r = start_vm(m, e);
	return r < 0 ? r : vmm_created(m, e);
}

int vmm_system_start(struct vmm *m, struct err *e)
{
	int r = vm_resume(m->vm, e);

	if (r < 0)
		return r;
	m->system->running = true;
	vmm_started(m);
	return 0;
}

/* ---- signals ---------------------------------------------------------------------------- */

int vmm_system_signal(struct vmm *m, int sig, struct err *e)
{
	switch (sig) {
	case 0:
		return 0;
	case SIGTERM:
	case SIGINT:
	case SIGPWR:
		if (m->phase != VMM_RUNNING)
			return err_set(e, ERR_STATE, ESRCH, "the guest system does not run yet");
		return vm_power_button(m->vm, e);
	default:
		err_unsupported(e,
				"signal %d: a guest system takes TERM, INT and PWR (its power "
				"button) and KILL",
				sig);
		return err_hint(e, "its processes are signalled from inside: insula attach");
	}
}

/* Of those that come to us as a process, the others mean nothing to a machine. */
static void read_signals(struct vmm *m)
{
	int sig;

	while ((sig = vmm_signals_next(m->signal_fd))) {
		struct err ignored = ERR_INIT;

		if (vmm_system_signal(m, sig, &ignored) < 0)
			log_to(&m->log, LOG_LEVEL_DEBUG, "signal %d: %s", sig, ignored.text);
	}
}

/* ---- the console ------------------------------------------------------------------------ */

static bool is_for_later(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Move what is there, without blocking. A side that is gone swallows what comes. */
static void flow_move(struct flow *f)
{
	for (int i = 0; i < 4; i++) {
		ssize_t n;

		while (f->at < f->len && f->to >= 0) {
			n = write(f->to, f->buf + f->at, f->len - f->at);
			if (is_for_later(n))
				return;
			if (n < 0)
				f->to = -1;
			else
				f->at += (size_t)n;
		}
		f->at = f->len = 0;
		if (f->from < 0)
			return;
		n = read(f->from, f->buf, sizeof(f->buf));
		if (is_for_later(n))
			return;
		if (n <= 0)
			f->from = -1;
		else
			f->len = (size_t)n;
	}
}

static bool flow_waits(const struct flow *f)
{
	return f->at < f->len && f->to >= 0;
}

static int flow_poll(const struct flow *f, struct pollset *set)
{
	return flow_waits(f) ? pollset_add(set, f->to, POLLOUT) : pollset_add(set, f->from, POLLIN);
}

/* What the guest said before it ended, to the last byte. */
static void drain(struct vmm *m)
{
	struct flow *f = &m->system->out;

	do {
		flow_move(f);
		pollset_clear(&m->set);
		if (flow_waits(f) && (pollset_add(&m->set, f->to, POLLOUT) < 0 ||
				      pollset_wait(&m->set, -1, NULL) < 0))
			return;
	} while (f->from >= 0 || flow_waits(f));
}

/* ---- the loop --------------------------------------------------------------------------- */

static int add_polls(struct vmm *m)
{
	int r;

	pollset_clear(&m->set);
	if ((r = pollset_add(&m->set, vm_poll_fd(m->vm), POLLIN)) < 0 ||
	    (r = pollset_add(&m->set, m->signal_fd, POLLIN)) < 0 ||
	    (r = pollset_add(&m->set, m->sync_fd, POLLIN)) < 0 || (r = vmm_clients_poll(m)) < 0)
		return r;
	if (m->phase == VMM_CREATED && m->committed)
		r = pollset_add(&m->set, m->gate_fd, POLLIN);
	if (r == 0)
		r = flow_poll(&m->system->out, &m->set);
	/* The caller's input is not touched before there is somebody to read it. */
	return r == 0 && m->system->running ? flow_poll(&m->system->in, &m->set) : r;
}

static int on_end(struct vmm *m, const char *why, struct err *e)
{
	drain(m);
	m->phase = VMM_OVER;
	if (vm_powered_off(m->vm)) {
		m->status = 0;
		return 0;
	}
	return err_set(e, ERR_INTERNAL, ECHILD, "the guest system ended: %s",
		       why ? why : "no reason known");
}

static int round_of_work(struct vmm *m, struct err *e)
{
	_cleanup_free_ char *why = NULL;
	int r = 0;

	if (pollset_is_ready(&m->set, vm_poll_fd(m->vm)) && vm_handle(m->vm, &why) < 0)
		return on_end(m, why, e);
	if (m->sync_fd >= 0 && pollset_is_ready(&m->set, m->sync_fd))
		r = vmm_read_sync(m, e);
	if (r == 0 && m->phase == VMM_CREATED && pollset_is_ready(&m->set, m->gate_fd))
		r = vmm_read_gate(m, e);
	if (r < 0)
		return r;
	vmm_clients_service(m);
	read_signals(m);
	flow_move(&m->system->out);
	if (m->system->running)
		flow_move(&m->system->in);
	return 0;
}

int vmm_system_loop(struct vmm *m, struct err *e)
{
	while (m->phase != VMM_OVER) {
		int r = add_polls(m) < 0 ? err_nomem(e) : pollset_wait(&m->set, -1, e);

		if (r == 0)
			r = round_of_work(m, e);
		if (r < 0)
			return r;
	}
	return 0;
}
