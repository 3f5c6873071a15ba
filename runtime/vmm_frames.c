/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of the agent. The guest is hostile: a frame that does not fit what it was asked, a process
 * that it was not given, a byte beyond its window end the VM. There is no third way to treat it, as
 * an agent that is ours never does so.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/cleanup.h"
#include "vmm.h"
#include "vmm_document.h"

int vmm_tell(struct vmm *m, enum agent_type type, uint32_t proc, uint32_t value, uint16_t flags)
{
	struct agent_header h = {
		.type = (uint8_t)type, .flags = flags, .proc = proc, .value = value};

	return agent_send(m->conn, &h, NULL);
}

int vmm_tell_time(struct vmm *m)
{
	struct agent_header h = {.type = AGENT_TIME, .length = sizeof(uint64_t)};
	struct timespec t;
	uint64_t nsec;

	clock_gettime(CLOCK_REALTIME, &t);
	nsec = htole64((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
	return agent_send(m->conn, &h, &nsec);
}

int vmm_frames_create(struct vmm *m, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_free_ char *text = NULL;
	struct utsname host;
	size_t len;
	int r;

	uname(&host);
	r = vmm_guest_document(&m->config, host.nodename, &doc, e);
	if (r < 0)
		return r;
	if (json_to_text(doc, false, &text, &len) < 0)
		return err_nomem(e);
	r = vmm_tell_time(m);
	if (r == 0)
		r = agent_send_document(m->conn, AGENT_CREATE, 0, text, len);
	return r < 0 ? err_sys(e, r, "send the configuration to the guest") : 0;
}

/* Its error, made safe; where it is about the workload's own configuration it reads as the
 * container's would. */
static int guest_error(const struct agent_frame *f, struct err *e)
{
	struct err error;

	memcpy(&error, f->payload, sizeof(error)); /* the table made sure of the length */
	err_sanitize(&error);
	if (error.kind == ERR_NONE) {
		error.kind = ERR_INTERNAL;
		error.errnum = EIO;
	}
	if (e)
		*e = error;
	return -error.errnum;
}

static int on_hello(struct vmm *m, const struct agent_frame *f, struct err *e)
{
	if (m->phase != VMM_BOOTING)
		return -EPROTO;
	if (f->h.value != AGENT_VERSION) {
		err_set(e, ERR_UNSUPPORTED, EPROTO, "the guest's agent speaks version %u, not %u",
			f->h.value, AGENT_VERSION);
		return err_hint(e, "make the guest kernel's directory anew ('make guest')");
	}
	m->phase = VMM_CREATING;
	return vmm_frames_create(m, e);
}

static int on_created(struct vmm *m, const struct agent_frame *f, struct err *e)
{
	if (m->phase != VMM_CREATING || f->h.proc != 0)
		return -EPROTO;
	return vmm_created(m, e);
}

static int on_started(struct vmm *m, const struct agent_frame *f)
{
	struct vmm_proc *p = vmm_find(m, f->h.proc);

	if (!p || p->started || p->exited || (f->h.proc == 0 && m->phase != VMM_STARTING))
		return -EPROTO;
	p->started = true;
	if (p->number == 0)
		vmm_started(m);
	else if (p->client)
		vmm_client_started(p->client);
	/* The caller of the exec went away while it was being made. */
	else
		return vmm_tell(m, AGENT_SIGNAL, p->number, 9, 0);
	return 0;
}

static int on_error(struct vmm *m, const struct agent_frame *f, struct err *e)
{
	struct vmm_proc *p = vmm_find(m, f->h.proc);
	struct err error = ERR_INIT;

	if (f->h.proc == 0 && m->phase != VMM_CREATED && m->phase < VMM_RUNNING)
		return guest_error(f, e);
	if (!p || p->started || f->h.proc == 0)
		return -EPROTO;
	guest_error(f, &error);
	if (p->client)
		vmm_client_failed(p->client, &error);
	vmm_remove(m, p);
	return 0;
}

static int on_end(struct vmm *m, const struct agent_frame *f)
{
	struct vmm_proc *p = vmm_find(m, f->h.proc);

	/* Process 0 may die at its gate: killed, or out of memory. */
	if (!p || (f->h.proc == 0 ? m->phase < VMM_CREATED : !p->started))
		return -EPROTO;
	return vmm_proc_exit(p, f->h.value);
}

static int on_stream(struct vmm *m, const struct agent_frame *f)
{
	struct vmm_proc *p = vmm_find(m, f->h.proc);

	if (!p || (!p->started && f->h.proc != 0))
		return -EPROTO;
	return f->h.type == AGENT_DATA ? vmm_proc_data(p, f) : vmm_proc_credit(p, f);
}

static int on_frame(struct vmm *m, const struct agent_frame *f, struct err *e)
{
	switch ((enum agent_type)f->h.type) {
	case AGENT_HELLO:
		return on_hello(m, f, e);
	case AGENT_CREATED:
		return on_created(m, f, e);
	case AGENT_STARTED:
		return on_started(m, f);
	case AGENT_ERROR:
		return on_error(m, f, e);
	case AGENT_EXIT:
		return on_end(m, f);
	case AGENT_DATA:
	case AGENT_CREDIT:
		return on_stream(m, f);
	case AGENT_CREATE:
	case AGENT_EXEC:
	case AGENT_START:
	case AGENT_SIGNAL:
	case AGENT_RESIZE:
	case AGENT_SHUTDOWN:
	case AGENT_TIME:
	case AGENT_TYPE_COUNT:
		break;
	}
	return -EPROTO;
}

int vmm_frames_read(struct vmm *m, struct err *e)
{
	struct agent_frame f;
	int r = agent_conn_fill(m->conn, e);

	if (r < 0)
		return err_wrap(e, "guest");
	while ((r = agent_conn_next(m->conn, &f, e)) > 0) {
		r = on_frame(m, &f, e);
		if (r < 0 && (!e || e->kind != ERR_NONE))
			return r;
		if (r < 0)
			return err_set(
				e, ERR_INTERNAL, -r,
				"the guest broke the agent's protocol (frame %u, process %u)",
				f.h.type, f.h.proc);
	}
	return r;
}
