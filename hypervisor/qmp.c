/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP over a descriptor. Events are noted whenever lines are read, so a command that waits for its
 * answer loses none. A stream that breaks the rules is never resynchronised: it counts as closed.
 */
#include "qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"

/* A reader in the monitor's event loop must come back, however much QEMU has to say. */
#define QMP_READ_MAX (256u << 10)

void qmp_init(struct qmp *q, int fd)
{
	memset(q, 0, sizeof(*q));
	q->fd = fd;
}

static int protocol_error(struct err *e, const char *what)
{
	return err_set(e, ERR_INTERNAL, EPROTO, "qmp: %s", what);
}

/* A string member, cut to size; absent is "". */
static void copy_string(const struct json_at *object, const char *key, char *buf, size_t size)
{
	struct json_at at;
	const char *s = NULL;

	if (json_member(object, key, &at))
		s = json_peek_string(&at);
	snprintf(buf, size, "%s", s ? s : "");
}

int qmp_parse(const char *line, size_t len, struct qmp_message *ret, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	struct qmp_message m = {.kind = QMP_NONE};
	struct json_at top, at, reason;
	struct err inner = ERR_INIT;
	int r;

	r = json_parse(line, len, "QEMU's answer", &doc, &inner);
	if (r < 0)
		return protocol_error(e, inner.text);
	top = json_top(doc);
	if (json_type_of(top.value) != JSON_OBJECT)
		return protocol_error(e, "not an object");
	if (json_member(&top, "id", &at) && json_get_u64(&at, &m.id, NULL) < 0)
		return protocol_error(e, "an id that is not ours");
	if (json_member(&top, "QMP", &at)) {
		m.kind = QMP_GREETING;
	} else if (json_member(&top, "event", &at)) {
		m.kind = QMP_EVENT;
		copy_string(&top, "event", m.name, sizeof(m.name));
		if (json_member(&top, "data", &reason) && json_type_of(reason.value) == JSON_OBJECT)
			copy_string(&reason, "reason", m.text, sizeof(m.text));
	} else if (json_member(&top, "error", &at)) {
		m.kind = QMP_ERROR;
		if (json_type_of(at.value) != JSON_OBJECT)
			return protocol_error(e, "an error that is not an object");
		copy_string(&at, "class", m.name, sizeof(m.name));
		copy_string(&at, "desc", m.text, sizeof(m.text));
	} else if (json_member(&top, "return", &at)) {
		m.kind = QMP_RETURN;
	} else {
		return protocol_error(e, "neither greeting, event, return nor error");
	}
	*ret = m;
	return 0;
}

static void note_event(struct qmp *q, const struct qmp_message *m)
{
	if (STREQ(m->name, "GUEST_PANICKED"))
		q->panicked = true;
	if (!STREQ(m->name, "SHUTDOWN"))
		return;
	snprintf(q->shutdown_reason, sizeof(q->shutdown_reason), "%.*s",
		 (int)sizeof(q->shutdown_reason) - 1, m->text[0] ? m->text : "unknown");
}

/* Take the next whole line off the buffer: 1, 0 if there is none, -EPROTO. */
static int take_message(struct qmp *q, struct qmp_message *ret, struct err *e)
{
	char *newline = memchr(q->buf, '\n', q->len);
	size_t line, rest;
	int r;

	if (!newline)
		return q->len < sizeof(q->buf) ? 0 : protocol_error(e, "a line without end");
	line = (size_t)(newline - q->buf);
	r = qmp_parse(q->buf, line > 0 && newline[-1] == '\r' ? line - 1 : line, ret, e);
	if (r < 0)
		return r;
	rest = q->len - line - 1;
	memmove(q->buf, newline + 1, rest);
	q->len = rest;
	if (ret->kind == QMP_EVENT)
		note_event(q, ret);
	return 1;
}

/* Read once: bytes read, 0 if nothing is there, -EPIPE. */
static int read_some(struct qmp *q, struct err *e)
{
	ssize_t n;

	if (q->eof)
		return err_set(e, ERR_INTERNAL, EPIPE, "qmp: QEMU closed the connection");
	do
		n = read(q->fd, q->buf + q->len, sizeof(q->buf) - q->len);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		q->eof = true;
		return err_set(e, ERR_INTERNAL, EPIPE, "qmp: QEMU closed the connection");
	}
	q->len += (size_t)n;
	return (int)n;
}

int qmp_handle(struct qmp *q, struct err *e)
{
	struct qmp_message m;
	int r, total = 0;

	for (;;) {
		while ((r = take_message(q, &m, e)) > 0)
			;
		if (r < 0) {
			q->eof = true;
			return r;
		}
		r = read_some(q, e);
		if (r <= 0 || (unsigned)(total += r) > QMP_READ_MAX)
			return r < 0 ? r : 0;
	}
}

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Wait for a message that answers `id`, or for the greeting. */
static int wait_for(struct qmp *q, enum qmp_kind kind, uint64_t id, int64_t deadline_msec,
		    struct qmp_message *ret, struct err *e)
{
	int r;

	for (;;) {
		struct pollfd p = {.fd = q->fd, .events = POLLIN};
		int64_t left = deadline_msec - now_msec();

		while ((r = take_message(q, ret, e)) > 0) {
			if (kind == QMP_GREETING && ret->kind == QMP_GREETING)
				return 0;
			if (ret->kind == QMP_RETURN || ret->kind == QMP_ERROR) {
				if (kind != QMP_GREETING && ret->id == id)
					return 0;
				r = protocol_error(e, "an answer to no question");
				break;
			}
		}
		if (r < 0) {
			q->eof = true;
			return r;
		}
		if (left <= 0)
			return err_set(e, ERR_INTERNAL, ETIMEDOUT, "qmp: QEMU does not answer");
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return err_sys(e, errno, "qmp: poll");
		r = p.revents ? read_some(q, e) : 0;
		if (r < 0)
			return r;
	}
}

static int execute(struct qmp *q, const char *command, int64_t deadline_msec, struct err *e)
{
	_cleanup_free_ char *line = NULL;
	struct qmp_message answer;
	int r;

	if (str_printf(&line, "{\"execute\":\"%s\",\"id\":%ju}\n", command,
		       (uintmax_t)++q->last_id) < 0)
		return err_nomem(e);
	/* A command is far smaller than a socket's buffer: a short write means a QEMU that reads
	 * nothing any more. */
	r = fd_write_all(q->fd, line, strlen(line), "QEMU's monitor", e);
	if (r < 0)
		return err_wrap(e, "qmp: %s", command);
	r = wait_for(q, QMP_RETURN, q->last_id, deadline_msec, &answer, e);
	if (r < 0)
		return err_wrap(e, "qmp: %s", command);
	if (answer.kind == QMP_ERROR)
		return err_set(e, ERR_INTERNAL, EIO, "qmp: %s: %s", command, answer.text);
	return 0;
}

int qmp_execute(struct qmp *q, const char *command, int timeout_msec, struct err *e)
{
	return execute(q, command, now_msec() + timeout_msec, e);
}

int qmp_negotiate(struct qmp *q, int timeout_msec, struct err *e)
{
	int64_t deadline = now_msec() + timeout_msec;
	struct qmp_message greeting;
	int r;

	r = wait_for(q, QMP_GREETING, 0, deadline, &greeting, e);
	if (r < 0)
		return r;
	return execute(q, "qmp_capabilities", deadline, e);
}
