/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending, receiving and checking the messages of wire.h.
 */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "hypervisor/kvm_process.h"
#include "kernel_image.h"

int wire_send(int fd, const void *message, size_t bytes, struct err *e)
{
	ssize_t n;

	do
		n = send(fd, message, bytes, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "control socket: send");
	return 0;
}

/* One datagram of exactly that size: 1, 0 at the end, or an error. */
static int receive(int fd, void *buf, size_t bytes, int timeout_msec, struct err *e)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint32_t version;
	ssize_t n;
	int r;

	do
		r = poll(&p, 1, timeout_msec);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(e, errno, "control socket: poll");
	if (r == 0)
		return err_set(e, ERR_SYSTEM, ETIMEDOUT, "control socket: no answer within %d s",
			       timeout_msec / 1000);
	do /* MSG_TRUNC tells the true length */
		n = recv(fd, buf, bytes, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECONNRESET)
		return err_sys(e, errno, "control socket: receive");
	if (n <= 0)
		return 0;
	if ((size_t)n != bytes)
		return err_set(e, ERR_INTERNAL, EPROTO, "control socket: a message of %zd bytes",
			       n);
	memcpy(&version, buf, sizeof(version));
	if (version != WIRE_VERSION)
		return err_set(e, ERR_INTERNAL, EPROTO, "control socket: version %u in place of %u",
			       version, WIRE_VERSION);
	return 1;
}

static void make_printable(char *text, size_t cap)
{
	text[cap - 1] = '\0';
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p == 0x7f)
			*p = '?';
}

int wire_receive(int fd, struct wire_message *ret, int timeout_msec, struct err *e)
{
	struct wire_message m;
	int r = receive(fd, &m, sizeof(m), timeout_msec, e);

	if (r <= 0)
		return r;
	make_printable(m.text, sizeof(m.text));
	make_printable(m.hint, sizeof(m.hint));
	*ret = m;
	return 1;
}

static int check_text(const char *text, size_t cap, const char *what, struct err *e)
{
	if (!memchr(text, '\0', cap))
		return err_set(e, ERR_INTERNAL, EPROTO, "VM configuration: %s without an end",
			       what);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			return err_set(e, ERR_INTERNAL, EPROTO,
				       "VM configuration: %s has an unprintable character", what);
	return 0;
}

int wire_config_check(const struct wire_config *c, struct err *e)
{
	const uint32_t all = WIRE_HAS_AGENT | WIRE_HAS_SHARE | WIRE_HAS_TAP | WIRE_STARTS_PAUSED |
			     WIRE_HAS_VSOCK;
	int r;

	if (c->type != WIRE_CONFIG)
		return err_set(e, ERR_INTERNAL, EPROTO, "VM configuration: message %u instead",
			       c->type);
	if (c->has & ~all)
		return err_set(e, ERR_INTERNAL, EPROTO,
			       "VM configuration: unknown descriptors 0x%x", c->has);
	if (c->entry > KERNEL_ENTRY_ONLY_PVH)
		return err_set(e, ERR_INTERNAL, EPROTO, "VM configuration: unknown entry %u",
			       c->entry);
	if (c->n_disks > KVM_PROCESS_DISKS_MAX || c->read_only_disks >> c->n_disks ||
	    c->overlay_disks >> c->n_disks)
		return err_set(e, ERR_INTERNAL, EPROTO,
			       "VM configuration: %u disks, 0x%x read-only, 0x%x with an overlay",
			       c->n_disks, c->read_only_disks, c->overlay_disks);
	if ((r = check_text(c->name, sizeof(c->name), "name", e)) < 0 ||
	    (r = check_text(c->agent_port, sizeof(c->agent_port), "agent's port", e)) < 0 ||
	    (r = check_text(c->share_tag, sizeof(c->share_tag), "share's tag", e)) < 0)
		return r;
	return check_text(c->cmdline, sizeof(c->cmdline), "command line", e);
}

int wire_receive_config(int fd, struct wire_config *ret, struct err *e)
{
	struct wire_config c;
	int r = receive(fd, &c, sizeof(c), -1, e);

	if (r == 0)
		return err_set(e, ERR_INTERNAL, EPIPE, "control socket: the engine went away");
	if (r < 0)
		return r;
	r = wire_config_check(&c, e);
	if (r < 0)
		return r;
	*ret = c;
	return 0;
}

static void copy_cut(char *to, size_t cap, const char *from)
{
	size_t n = strnlen(from, cap - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

void wire_from_error(struct wire_message *m, enum wire_type type, const struct err *e)
{
	*m = (struct wire_message){
		.version = WIRE_VERSION, .type = type, .kind = e->kind, .errnum = e->errnum};
	copy_cut(m->text, sizeof(m->text), e->text);
	copy_cut(m->hint, sizeof(m->hint), e->hint);
}

int wire_to_error(const struct wire_message *m, struct err *e)
{
	enum err_kind kind = m->kind > ERR_NONE && m->kind < ERR_KIND_COUNT ? (enum err_kind)m->kind
									    : ERR_INTERNAL;
	int errnum = m->errnum > 0 && m->errnum < 4096 ? m->errnum : EIO;
	int r = err_set(e, kind, errnum, "%s", m->text);

	if (m->hint[0])
		err_hint(e, "%s", m->hint);
	return r;
}
