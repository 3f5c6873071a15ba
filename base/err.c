/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error value (base/err.h). Nothing here allocates, takes a lock or reads the locale: all of it
 * may run in a child after clone3(). Texts are formatted into a buffer on the stack first, since
 * the arguments may point into the very error that is being changed.
 *
 * What does not fit is cut where it hurts least: a message at its end, but below a new frame the
 * *outer* part of the old text goes, because the cause stands at the end of it.
 */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define CUT "..."

static const char *const kind_names[] = {
	[ERR_NONE] = "none",
	[ERR_SYSTEM] = "system",
	[ERR_INVALID] = "invalid",
	[ERR_UNSUPPORTED] = "unsupported",
	[ERR_NOT_FOUND] = "not-found",
	[ERR_EXISTS] = "exists",
	[ERR_STATE] = "state",
	[ERR_CMD_NOT_FOUND] = "command-not-found",
	[ERR_CMD_NOT_EXEC] = "command-not-executable",
	[ERR_LIMIT] = "limit",
	[ERR_INTERNAL] = "internal",
};
_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == ERR_KIND_COUNT, "name every kind");

/* C1 controls as UTF-8 writes them: terminals take U+009B for the beginning of an order. */
static bool is_c1(const char *s, size_t n)
{
	return n == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0;
}

/* Terminate, and replace what is a control character or no UTF-8 by '?': an error is one line, and ends
 * on somebody's terminal, with the words of others in it. */
void err_sanitize_text(char *text, size_t size)
{
	size_t len, n;

	text[size - 1] = '\0';
	len = strlen(text);
	for (size_t i = 0; i < len; i += n) {
		n = utf8_sequence(text + i, len - i);
		if (n == 0 || (n == 1 && utf8_is_control(text[i])))
			n = 1;
		else if (!is_c1(text + i, n))
			continue;
		memset(text + i, '?', n);
	}
}

/* vsnprintf() that marks a cut, of plain text. Returns the length of what stands in buf. */
static size_t format(char *buf, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, size, fmt, ap);
	size_t keep;

	if (n < 0) {
		buf[0] = '\0';
		return 0;
	}
	keep = (size_t)n;
	if (keep >= size) {
		keep = utf8_cut(buf, size - sizeof(CUT));
		memcpy(buf + keep, CUT, sizeof(CUT));
		keep += sizeof(CUT) - 1;
	}
	err_sanitize_text(buf, size);
	return keep;
}

/* strerror() without locale or buffer: after clone3() neither is ours to use. */
static void append_cause(char *text, size_t size, size_t len, int errnum)
{
	const char *cause = strerrordesc_np(errnum);

	if (cause)
		snprintf(text + len, size - len, ": %s", cause);
	else
		snprintf(text + len, size - len, ": errno %d", errnum);
}

static int store(struct err *e, enum err_kind kind, int errnum, const char *text)
{
	if (e) {
		e->kind = kind;
		e->errnum = errnum;
		snprintf(e->text, sizeof(e->text), "%s", text);
		e->hint[0] = '\0';
	}
	return -errnum;
}

static int set_va(struct err *e, enum err_kind kind, int errnum, const char *fmt, va_list ap)
{
	char text[sizeof(e->text)];

	if (errnum < 0)
		errnum = -errnum;
	if (errnum == 0)
		errnum = EIO;
	if (!e)
		return -errnum;
	format(text, sizeof(text), fmt, ap);
	return store(e, kind, errnum, text);
}

int err_set(struct err *e, enum err_kind kind, int errnum, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = set_va(e, kind, errnum, fmt, ap);
	va_end(ap);
	return r;
}

int err_sys(struct err *e, int errnum, const char *fmt, ...)
{
	char text[sizeof(e->text)];
	va_list ap;
	size_t n;

	if (errnum < 0)
		errnum = -errnum;
	if (errnum == 0)
		errnum = EIO;
	if (!e)
		return -errnum;
	va_start(ap, fmt);
	n = format(text, sizeof(text) - 128, fmt, ap); /* the cause always has its room */
	va_end(ap);
	append_cause(text, sizeof(text), n, errnum);
	return store(e, ERR_SYSTEM, errnum, text);
}

/* Write "<frame>: <old>" into e->text, dropping the beginning of old where there is no room. */
static void put_in_front(struct err *e, const char *frame, size_t frame_len)
{
	size_t old_len = strnlen(e->text, sizeof(e->text) - 1);
	size_t room = sizeof(e->text) - 1 - frame_len - 2;
	const char *cut = "";
	size_t skip = 0;

	if (old_len > room) {
		cut = CUT;
		room -= sizeof(CUT) - 1;
		skip = old_len - room;
		while (skip < old_len && ((unsigned char)e->text[skip] & 0xc0) == 0x80)
			skip++;
	}
	memmove(e->text + frame_len + 2 + strlen(cut), e->text + skip, old_len - skip);
	memcpy(e->text, frame, frame_len);
	memcpy(e->text + frame_len, ": ", 2);
	memcpy(e->text + frame_len + 2, cut, strlen(cut));
	e->text[frame_len + 2 + strlen(cut) + old_len - skip] = '\0';
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char frame[sizeof(e->text) / 2];
	va_list ap;
	size_t n;

	if (!e)
		return -EIO;
	va_start(ap, fmt);
	n = format(frame, sizeof(frame), fmt, ap);
	va_end(ap);
	if (e->kind == ERR_NONE) /* the callee kept its cause to itself: say at least where */
		return store(e, ERR_INTERNAL, EIO, frame);
	put_in_front(e, frame, n);
	return -e->errnum;
}

int err_hint(struct err *e, const char *fmt, ...)
{
	char hint[sizeof(e->hint)];
	va_list ap;

	if (!e || e->kind == ERR_NONE)
		return -EIO;
	if (e->hint[0] == '\0') {
		va_start(ap, fmt);
		format(hint, sizeof(hint), fmt, ap);
		va_end(ap);
		memcpy(e->hint, hint, strlen(hint) + 1);
	}
	return -e->errnum;
}

void err_clear(struct err *e)
{
	if (!e)
		return;
	e->kind = ERR_NONE;
	e->errnum = 0;
	e->text[0] = '\0';
	e->hint[0] = '\0';
}

void err_sanitize(struct err *e)
{
	if (!e)
		return;
	if (e->kind <= ERR_NONE || e->kind >= ERR_KIND_COUNT)
		e->kind = ERR_INTERNAL;
	if (e->errnum < 1 || e->errnum > 4095)
		e->errnum = EIO;
	err_sanitize_text(e->text, sizeof(e->text));
	err_sanitize_text(e->hint, sizeof(e->hint));
}

const char *err_kind_name(enum err_kind kind)
{
	if ((int)kind < 0 || kind >= ERR_KIND_COUNT)
		return "unknown";
	return kind_names[kind];
}

int err_invalid(struct err *e, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = set_va(e, ERR_INVALID, EINVAL, fmt, ap);
	va_end(ap);
	return r;
}

int err_unsupported(struct err *e, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = set_va(e, ERR_UNSUPPORTED, ENOTSUP, fmt, ap);
	va_end(ap);
	return r;
}

int err_nomem(struct err *e)
{
	return store(e, ERR_SYSTEM, ENOMEM, "out of memory");
}
