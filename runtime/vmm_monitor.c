/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a monitor process:
 *
 *	parameters, control socket, gate, namespaces	(SYNC_PID ->, <- SYNC_PID: id maps are written)
 *							SYNC_HOST_READY ->
 *							<- SYNC_GO
 *	shared tree, VM started
 *	BOOTING: the agent says HELLO; CREATING: it makes the workload's process
 *							SYNC_CONSOLE, SYNC_READY ->
 *	CREATED						<- SYNC_COMMIT
 *	STARTING: ordered by SYNC_START or at the gate	answer ->
 *	RUNNING: streams, signals, further processes
 *	OVER: the last output is written, the VM is killed, and we end as the workload did
 *
 * All from BOOTING on happens in one event loop, so at every moment the end of the guest, of the
 * creator, and a signal are noticed. A failure goes to whoever waits for us: the creator, else the
 * one who ordered the start, else the workload's own standard error.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sync.h"
#include "guest_system.h"
#include "vmm.h"

#define STATUS_EXITED(code) ((code) << 8)
#define STATUS_FAILED       STATUS_EXITED(255) /* we, not the workload */
#define WORDS_MAX           300

/* Between the end of the agent\'s channel and that of the machine. */
#define VM_END_PATIENCE_MSEC 1000

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct vmm_proc *vmm_find(struct vmm *m, uint32_t number)
{
	for (size_t i = 0; i < m->n_procs; i++)
		if (m->procs[i]->number == number)
			return m->procs[i];
	return NULL;
}

void vmm_remove(struct vmm *m, struct vmm_proc *p)
{
	for (size_t i = 0; i < m->n_procs; i++)
		if (m->procs[i] == p) {
			vmm_proc_free(p);
			m->procs[i] = m->procs[--m->n_procs];
			return;
		}
}

/* ---- setting up ------------------------------------------------------------------------- */

static int read_everything(struct vmm *m, struct err *e)
{
	struct oci_config config;
	int r = vmm_params_read(VMM_FD_PARAMS, &m->params, e);

	if (r < 0)
		return r;
	m->log = (struct log_sink){.fd = VMM_FD_LOG,
				   .json = m->params.log_json,
				   .level = (enum log_level)m->params.log_level};
	/* May be missing; it is not ours to keep beyond the commit. */
	if (fd_set_cloexec(VMM_FD_LOG, true) < 0)
		m->log.fd = -1;
	r = oci_config_read(m->params.config, m->params.bundle, &config, e);
	if (r < 0)
		return r;
	m->params.config = NULL;
	m->config = config;
	free(m->config.isolation.rootfs.path);
	m->config.isolation.rootfs.path = strdup(m->params.rootfs);
	m->config.isolation.rootfs.throwaway_bytes = m->params.throwaway_bytes;
	if (!m->config.isolation.rootfs.path)
		return err_nomem(e);
	return guest_system_is(&m->config) ? vmm_system_open(m, e) : 0;
}

static int start_vm(struct vmm *m, struct err *e)
{
	char *const search[] = {(char *)VMM_GUEST_DIR, NULL};
	struct vm_kernel kernel = {0};
	struct vm_config c = {
		.name = m->params.id,
		.kernel = &kernel,
		.memory_bytes = m->params.memory_bytes,
		.vcpus = m->params.vcpus,
		.accel = (enum vm_accel)m->params.accel,
		.engine = (enum vm_engine_choice)m->params.engine,
		.share_dir = VMM_SHARE_DIR,
		.run_dir = VMM_RUN_DIR,
		.cache_dirfd = m->root_fd,
		.net_tap_fd = -1,
		.log = &m->log,
	};
	int r = vm_kernel_find(search, &kernel, e);

	if (r == 0)
		r = vm_start(&c, &m->vm, e);
	vm_kernel_done(&kernel);
	if (r < 0)
		return r;
	log_to(&m->log, LOG_LEVEL_DEBUG, "microVM '%s': %s", m->params.id, vm_engine_name(m->vm));
	if (agent_conn_new(vm_agent_fd(m->vm), &m->conn) < 0)
		return err_nomem(e);
	m->boot_deadline_msec = now_msec() + (int64_t)m->params.boot_timeout_sec * 1000;
	return 0;
}

/* Our own standard streams become those of process 0; what stays at 0, 1, 2 is /dev/null, so that a
 * stream that the workload closes is closed. */
static int take_streams(struct vmm *m, struct err *e)
{
	const struct iso_process *p = &m->config.process;
	int fds[3] = {-1, -1, -1}, null = path_open_null(e), r;

	if (null < 0)
		return null;
	for (int i = 0; i < 3; i++) {
		int source = p->terminal ? m->console_slave : i;

		fds[i] = fd_dup_above_stdio(source);
		if (fds[i] < 0)
			err_sys(e, fds[i], "standard stream %d", i);
		dup2(null, i);
	}
	fd_close(null);
	r = fds[0] < 0 || fds[1] < 0 || fds[2] < 0 ? -EBADF : 0;
	if (r == 0)
		return vmm_proc_new(0, p->terminal, fds, &m->procs[0], e);
	for (int i = 0; i < 3; i++)
		fd_close(fds[i]);
	return r;
}

static int set_up(struct vmm *m, struct err *e)
{
	const struct iso_process *p = &m->config.process;
	int r = vmm_share_build(&m->config.isolation, m->params.guest_dir, &m->log, e);

	if (r == 0 && p->terminal)
		r = vmm_terminal_open(p->rows, p->cols, &m->console_master, &m->console_slave, e);
	if (r == 0)
		r = take_streams(m, e);
	if (r < 0)
		return r;
	m->n_procs = 1;
	m->next_number = 1;
	r = vmm_drop(e);
	return r < 0 ? r : start_vm(m, e);
}

/* ---- telling the creator ---------------------------------------------------------------- */

int vmm_created(struct vmm *m, struct err *e)
{
	int r = 0;

	m->phase = VMM_CREATED;
	if (m->console_master >= 0) {
		r = sync_send(m->sync_fd, SYNC_CONSOLE, 0, m->console_master, e);
		m->console_master = fd_close(m->console_master);
	}
	return r < 0 ? r : sync_send(m->sync_fd, SYNC_READY, 0, -1, e);
}

static int order_start(struct vmm *m, struct err *e)
{
	uint32_t size = vmm_terminal_size(m->console_slave);
	int r = 0;

	m->phase = VMM_STARTING;
	if (m->system)
		return vmm_system_start(m, e);
	/* The terminal may have been resized while nobody listened. */
	if (size)
		r = vmm_tell(m, AGENT_RESIZE, 0, size, 0);
	if (r == 0)
		r = vmm_tell(m, AGENT_START, 0, 0, 0);
	return r < 0 ? err_sys(e, r, "order the start") : 0;
}

void vmm_started(struct vmm *m)
{
	int fd = m->owed_to_creator ? m->sync_fd : m->owed_fd;

	m->phase = VMM_RUNNING;
	/* First: who is told of the start must not still see one that waits. */
	m->gate_fd = fd_close(m->gate_fd);
	if (fd >= 0)
		(void)sync_send(fd, SYNC_STARTED, 0, -1, NULL);
	m->owed_fd = fd_close(m->owed_fd);
	m->sync_fd = fd_close(m->sync_fd);
}

static void commit(struct vmm *m)
{
	m->committed = true;
	if (m->log.fd >= 0)
		m->log.fd = fd_close(m->log.fd);
}

/* -EPIPE before the commit: the creator is dead, and so are we. */
int vmm_read_sync(struct vmm *m, struct err *e)
{
	enum sync_type type;
	int r = sync_recv(m->sync_fd, "the creator", &type, NULL, NULL, e);

	if (r == -EPIPE && m->committed) {
		m->sync_fd = fd_close(m->sync_fd);
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return r;
	if (type == SYNC_COMMIT && m->phase == VMM_CREATED) {
		commit(m);
		return 0;
	}
	if (type != SYNC_START || m->phase != VMM_CREATED)
		return err_set(e, ERR_INTERNAL, EPROTO, "unexpected message %d of the creator",
			       (int)type);
	m->owed_to_creator = true;
	return order_start(m, e);
}

int vmm_read_gate(struct vmm *m, struct err *e)
{
	int fd = gate_accept(m->gate_fd, e);

	if (fd == -EAGAIN) {
		err_clear(e);
		return 0;
	}
	if (fd < 0)
		return fd;
	m->owed_fd = fd;
	return order_start(m, e);
}

/* ---- failing ---------------------------------------------------------------------------- */

/* The guest's last words behind the error, in one line: mostly they say more than we know. */
static void add_last_words(struct vmm *m, struct err *e)
{
	_cleanup_free_ char *words = NULL;
	/* A system's console is read already. */
	const char *tail = m->vm && !m->system ? vm_console_tail(m->vm) : "";
	size_t len = strlen(tail);

	words = strdup(len > WORDS_MAX ? tail + len - WORDS_MAX : tail);
	if (!words || !*words)
		return;
	for (char *c = words; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = *c == '\n' && c[1] ? '|' : ' ';
	err_hint(e, "the guest's last words: %s", words);
}

static void fail(struct vmm *m, struct err *e)
{
	struct vmm_proc *p = vmm_find(m, 0);
	int fd = p                       ? vmm_proc_stderr(p)
		 : !m->system            ? -1
		 : m->console_slave >= 0 ? m->console_slave
					 : STDERR_FILENO;
	struct log_sink last = {.fd = fd, .level = LOG_LEVEL_ERROR};

	if (m->sync_fd >= 0 && (!m->committed || m->owed_to_creator))
		sync_send_error(m->sync_fd, e);
	else if (m->owed_fd >= 0)
		sync_send_error(m->owed_fd, e);
	else if (fd >= 0) {
		err_wrap(e, "microVM '%s'", m->params.id);
		log_error_value(&last, e);
	}
}

/* The status of a sandbox that never became the workload, as shells have it. */
static int failure_status(const struct err *e)
{
	if (e->kind == ERR_CMD_NOT_FOUND)
		return STATUS_EXITED(127);
	return e->kind == ERR_CMD_NOT_EXEC ? STATUS_EXITED(126) : STATUS_FAILED;
}

/* ---- the loop --------------------------------------------------------------------------- */

static int forward_signals(struct vmm *m)
{
	int sig, r = 0;

	while (r == 0 && (sig = vmm_signals_next(m->signal_fd))) {
		if (m->phase < VMM_CREATED)
			continue; /* nobody there yet; the creator ends us by the channel */
		if (sig == SIGWINCH && m->console_slave >= 0)
			r = vmm_tell(m, AGENT_RESIZE, 0, vmm_terminal_size(m->console_slave), 0);
		else
			r = vmm_tell(m, AGENT_SIGNAL, 0, (uint32_t)sig, 0);
	}
	/* A guest that takes no frames takes no signals either; SIGKILL still works. */
	return r == -ENOBUFS ? 0 : r;
}

static int service_procs(struct vmm *m)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n_procs;) {
		struct vmm_proc *p = m->procs[i];

		r = vmm_proc_service(p, m->conn);
		if (r < 0 || !vmm_proc_is_over(p)) {
			i++;
			continue;
		}
		if (p->number == 0) {
			m->phase = VMM_OVER;
			m->status = p->status;
			return 0;
		}
		if (p->client)
			vmm_client_exited(p->client, p->status);
		vmm_remove(m, p);
	}
	return r;
}

static int add_polls(struct vmm *m)
{
	short events = POLLIN | (agent_conn_wants_write(m->conn) ? POLLOUT : 0);
	const struct vmm_proc *first = vmm_find(m, 0);
	int r;

	pollset_clear(&m->set);
	/* After the workload's end only its last output is left to write. */
	if (!first || !first->exited) {
		if ((r = pollset_add(&m->set, vm_agent_fd(m->vm), events)) < 0 ||
		    (r = pollset_add(&m->set, vm_poll_fd(m->vm), POLLIN)) < 0)
			return r;
	}
	if ((r = pollset_add(&m->set, m->signal_fd, POLLIN)) < 0 ||
	    (r = pollset_add(&m->set, m->sync_fd, POLLIN)) < 0 || (r = vmm_clients_poll(m)) < 0)
		return r;
	if (m->phase == VMM_CREATED && m->committed)
		r = pollset_add(&m->set, m->gate_fd, POLLIN);
	for (size_t i = 0; r == 0 && i < m->n_procs; i++)
		r = vmm_proc_poll(m->procs[i], m->conn, &m->set);
	return r;
}

static int wait_for_work(struct vmm *m, struct err *e)
{
	int64_t left = -1;

	if (m->phase < VMM_CREATED) {
		left = m->boot_deadline_msec - now_msec();
		if (left <= 0) {
			err_set(e, ERR_INTERNAL, ETIMEDOUT,
				"the guest was not ready within %u seconds",
				m->params.boot_timeout_sec);
			if (!*vm_console_tail(m->vm))
				err_hint(e, "on a slow or busy host give it longer: annotation "
					    "org.insula.vm.boot-timeout=300s");
			return -ETIMEDOUT;
		}
	}
	if (add_polls(m) < 0)
		return err_nomem(e);
	return pollset_wait(&m->set, left > INT32_MAX ? INT32_MAX : (int)left, e);
}

static int look_at_vm(struct vmm *m, int patience_msec, struct err *e)
{
	_cleanup_free_ char *why = NULL;
	int64_t until = now_msec() + patience_msec;
	struct pollfd p = {.fd = vm_poll_fd(m->vm), .events = POLLIN};
	int r = 0;

	do {
		int64_t left = until - now_msec();

		if (poll(&p, 1, left > 0 ? (int)left : 0) > 0)
			r = vm_handle(m->vm, &why);
	} while (r == 0 && now_msec() < until);
	if (r == 0)
		return 0;
	return err_set(e, ERR_INTERNAL, ECHILD, "the microVM ended: %s",
		       why ? why : "no reason known");
}

static int round_of_work(struct vmm *m, struct err *e)
{
	int r = 0, vm_state;

	/* What the guest still said before it ended comes first: an EXIT among it is the truth. */
	vm_state = look_at_vm(m, 0, e);
	if (pollset_is_ready(&m->set, vm_agent_fd(m->vm))) {
		r = vmm_frames_read(m, vm_state < 0 ? NULL : e);
		/* A channel that ended is mostly a machine that ended, which says why. */
		if (r == -EPIPE && vm_state == 0)
			vm_state = look_at_vm(m, VM_END_PATIENCE_MSEC, e);
		if (r < 0 && vm_state == 0)
			return r;
	}
	if (vm_state < 0) {
		const struct vmm_proc *p = vmm_find(m, 0);

		if (!p || !p->exited)
			return vm_state;
	}
	r = 0;
	if (m->sync_fd >= 0 && pollset_is_ready(&m->set, m->sync_fd))
		r = vmm_read_sync(m, e);
	if (r == 0 && m->phase == VMM_CREATED && pollset_is_ready(&m->set, m->gate_fd))
		r = vmm_read_gate(m, e);
	if (r < 0)
		return r;
	vmm_clients_service(m);
	r = forward_signals(m);
	return r < 0 ? err_sys(e, r, "signal to the guest") : 0;
}

static int loop(struct vmm *m, struct err *e)
{
	while (m->phase != VMM_OVER) {
		int r = service_procs(m);

		if (r < 0)
			return err_sys(e, r, "streams of the workload");
		if (m->phase == VMM_OVER)
			break;
		r = agent_conn_flush(m->conn, NULL);
		/* The reason comes by the VM's own descriptor. */
		if (r < 0 && r != -EPIPE && r != -ECONNRESET)
			return err_sys(e, r, "agent connection");
		r = wait_for_work(m, e);
		if (r == 0)
			r = round_of_work(m, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the whole -------------------------------------------------------------------------- */

static int prepare(struct vmm *m, struct err *e)
{
	int r;

	for (int fd = VMM_FD_SYNC; fd <= VMM_FD_ROOT; fd++) {
		r = fd_set_cloexec(fd, true);
		if (r < 0)
			return err_sys(e, r, "descriptor %d", fd);
	}
	r = read_everything(m, e);
	if (r == 0)
		r = m->signal_fd = vmm_signals_open(e);
	/* As who we are: the names must be open to our creator, whatever ids our namespace will have. */
	if (r >= 0)
		r = m->control_fd = control_listen(m->state_fd, e);
	if (r >= 0)
		r = m->gate_fd = gate_listen(m->state_fd, e);
	if (r >= 0)
		r = vmm_isolate(&m->config.isolation, m->sync_fd, e);
	if (r >= 0)
		r = sync_send(m->sync_fd, SYNC_HOST_READY, 0, -1, e);
	if (r >= 0)
		r = sync_expect(m->sync_fd, "the creator", SYNC_GO, NULL, NULL, e);
	if (r < 0)
		return r;
	return m->system ? vmm_system_set_up(m, e) : set_up(m, e);
}

int vmm_monitor_run(void)
{
	struct vmm m = {
		.sync_fd = VMM_FD_SYNC,
		.state_fd = VMM_FD_STATE,
		.root_fd = VMM_FD_ROOT,
		.log = {.fd = -1},
		.gate_fd = -1,
		.control_fd = -1,
		.signal_fd = -1,
		.owed_fd = -1,
		.console_master = -1,
		.console_slave = -1,
	};
	struct err e = ERR_INIT;
	int r = prepare(&m, &e);

	if (r == 0)
		r = m.system ? vmm_system_loop(&m, &e) : loop(&m, &e);
	if (r < 0) {
		if (e.kind == ERR_INTERNAL || e.kind == ERR_SYSTEM)
			add_last_words(&m, &e);
		fail(&m, &e);
		m.status = failure_status(&e);
	}
	/* Clients of running execs see our end as what it is: their process was killed. */
	vm_kill(m.vm);
	return m.status;
}
