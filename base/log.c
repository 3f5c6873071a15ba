/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per call, one write() per line, so that the lines of several processes in one log file
 * never interleave. Nothing is allocated. What is in a message may come from a configuration or an
 * image: control characters and broken UTF-8 never reach the log.
 */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

#define TAIL_MAX 64 /* what follows the message: quotes, time, newline */

struct line {
	char text[8192];
	size_t len;
};

static void add(struct line *l, size_t limit, const char *s, size_t n)
{
	if (n > limit - l->len)
		n = limit - l->len;
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

/* Add a message; whole sequences only, and "..." where it had to be cut. */
static void add_message(struct line *l, const char *msg, bool json)
{
	size_t limit = sizeof(l->text) - TAIL_MAX, left = strlen(msg), n;
	char piece[8];

	for (; left > 0; msg += n, left -= n) {
		int piece_len;

		n = utf8_sequence(msg, left);
		if (n == 0) {
			n = 1;
			piece_len = snprintf(piece, sizeof(piece), "\xef\xbf\xbd"); /* U+FFFD */
		} else if (json && (*msg == '"' || *msg == '\\')) {
			piece_len = snprintf(piece, sizeof(piece), "\\%c", *msg);
		} else if (n == 1 && utf8_is_control(*msg)) {
			piece_len = json ? snprintf(piece, sizeof(piece), "\\u%04x", *msg)
					 : snprintf(piece, sizeof(piece), "?");
		} else {
			memcpy(piece, msg, n);
			piece_len = (int)n;
		}
		if (l->len + (size_t)piece_len + 3 > limit) {
			add(l, limit, "...", 3);
			return;
		}
		add(l, limit, piece, (size_t)piece_len);
	}
}

static void add_plain(struct line *l, const char *s)
{
	add(l, sizeof(l->text), s, strlen(s));
}

static void write_line(int fd, const struct line *l)
{
	size_t done = 0;

	while (done < l->len) {
		ssize_t n = write(fd, l->text + done, l->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* a log that cannot be written must not stop the work */
		done += (size_t)n;
	}
}

static void emit(const struct log_sink *sink, enum log_level level, const char *msg)
{
	struct line l = {.len = 0};
	int saved = errno;

	if (sink->json) {
		char when[TAIL_MAX] = "";
		struct timespec now = {0};
		struct tm tm = {0};

		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		strftime(when, sizeof(when), "\",\"time\":\"%Y-%m-%dT%H:%M:%SZ\"}\n", &tm);
		add_plain(&l, "{\"level\":\"");
		add_plain(&l, level_names[level]);
		add_plain(&l, "\",\"msg\":\"");
		add_message(&l, msg, true);
		add_plain(&l, when);
	} else {
		add_plain(&l, level_names[level]);
		add_plain(&l, ": ");
		add_message(&l, msg, false);
		add_plain(&l, "\n");
	}
	write_line(sink->fd, &l);
	errno = saved;
}

static bool wanted(const struct log_sink *sink, enum log_level level)
{
	return sink && sink->fd >= 0 && level <= sink->level && level >= LOG_LEVEL_ERROR &&
	       level <= LOG_LEVEL_DEBUG;
}

void log_to(const struct log_sink *sink, enum log_level level, const char *fmt, ...)
{
	char msg[4096];
	va_list ap;
	int n;

	if (!wanted(sink, level))
		return;
	va_start(ap, fmt);
	n = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(msg)) {
		size_t keep = utf8_cut(msg, sizeof(msg) - 4);

		memcpy(msg + keep, "...", 4);
	}
	emit(sink, level, msg);
}

void log_error_value(const struct log_sink *sink, const struct err *error)
{
	char msg[sizeof(error->text) + sizeof(error->hint) + 16];

	if (!wanted(sink, LOG_LEVEL_ERROR) || !error || error->kind == ERR_NONE)
		return;
	if (!error->hint[0]) {
		emit(sink, LOG_LEVEL_ERROR, error->text);
	} else if (sink->json) {
		/* Engines show one message: the way out belongs to it. */
		snprintf(msg, sizeof(msg), "%s (hint: %s)", error->text, error->hint);
		emit(sink, LOG_LEVEL_ERROR, msg);
	} else {
		struct line l = {.len = 0};

		emit(sink, LOG_LEVEL_ERROR, error->text);
		add_plain(&l, "hint: ");
		add_message(&l, error->hint, false);
		add_plain(&l, "\n");
		write_line(sink->fd, &l);
	}
}
