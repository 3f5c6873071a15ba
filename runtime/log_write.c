/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a sandbox's log, and its rotation: when a record would make the current file larger than it may be,
 * the files move up by one name (the oldest goes) and a new one begins. Readers hold a file by its descriptor and notice that the
 * name `log` stands for another one; so nothing is ever truncated or copied under them.
 *
 * Nothing here ends the workload: a full disk loses output, counts it, and the next record is tried again.
 */
#include "log_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

#define BATCH_MAX (2 * LOG_RECORD_MAX)

/* Records of one chunk on their way to the file. */
struct batch {
	size_t len;
	uint64_t content; /* bytes of the workload's in it */
	char data[BATCH_MAX];
};

const char *log_name(unsigned n, char buf[LOG_NAME_MAX])
{
	if (n == 0)
		snprintf(buf, LOG_NAME_MAX, LOG_FILE_NAME);
	else
		snprintf(buf, LOG_NAME_MAX, LOG_FILE_NAME ".%u", n);
	return buf;
}

static int open_current(struct log_writer *w, int flags)
{
	struct stat st;
	int fd = openat(w->dirfd, LOG_FILE_NAME,
			O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0600);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		fd_close(fd);
		return -EINVAL;
	}
	w->fd = fd;
	w->size = (uint64_t)st.st_size;
	return 0;
}

int log_writer_open(struct log_writer *w, int dirfd, uint64_t max_bytes, unsigned max_files,
		    struct err *e)
{
	struct log_writer fresh = {
		.dirfd = dirfd, .fd = -1, .max_bytes = max_bytes, .max_files = max_files};
	int r = dirfd < 0 ? 0 : open_current(&fresh, 0);

	if (r < 0)
		return err_sys(e, r, "open the log");
	*w = fresh;
	return 0;
}

void log_writer_done(struct log_writer *w)
{
	w->fd = fd_close(w->fd);
}

static void note_loss(struct log_writer *w, int error, uint64_t bytes, int64_t now)
{
	if (!w->lost_errno)
		w->lost_unix_nsec = now;
	w->lost_errno = error < 0 ? -error : error;
	w->lost_bytes += bytes;
}

/* Either all of the batch is in the file afterwards, or nothing of it. */
static void flush(struct log_writer *w, struct batch *b, int64_t now)
{
	int r;

	if (b->len == 0)
		return;
	/* The last attempt at a new file failed. */
	r = w->fd < 0 ? open_current(w, 0) : 0;
	if (r == 0)
		r = fd_write_all(w->fd, b->data, b->len, "log", NULL);
	if (r == 0) {
		w->size += b->len;
	} else {
		if (w->fd >= 0 && ftruncate(w->fd, (off_t)w->size) < 0)
			w->fd = fd_close(w->fd);
		note_loss(w, r, b->content, now);
	}
	b->len = 0;
	b->content = 0;
}

/* The names move up; where a step fails the current file just goes on growing. */
static void rotate(struct log_writer *w)
{
	char from[LOG_NAME_MAX], to[LOG_NAME_MAX];
	int old = w->fd;

	if (w->max_files == 1) {
		if (path_unlink_at(w->dirfd, LOG_FILE_NAME, NULL) < 0)
			return;
	}
	for (unsigned n = w->max_files - 1; n > 0; n--)
		if (renameat(w->dirfd, log_name(n - 1, from), w->dirfd, log_name(n, to)) < 0 &&
		    errno != ENOENT)
			return;
	w->fd = -1;
	if (open_current(w, O_EXCL) < 0) {
		w->size = 0;
		w->fd = -1;
	}
	fd_close(old);
}

/* "2026-01-31T12:00:00.123456789Z stdout " */
static size_t format_head(enum log_stream stream, int64_t unix_nsec, char *buf, size_t size)
{
	time_t sec = (time_t)(unix_nsec / 1000000000);
	struct tm tm;
	size_t n;

	gmtime_r(&sec, &tm);
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(buf + n, size - n, ".%09dZ %s ", (int)(unix_nsec % 1000000000),
			      stream == LOG_STDOUT ? "stdout" : "stderr");
	return n;
}

void log_write(struct log_writer *w, enum log_stream stream, const char *data, size_t len,
	       int64_t unix_nsec)
{
	struct batch b = {.len = 0};
	char head[56];
	size_t head_len = format_head(stream, unix_nsec, head, sizeof(head));

	if (w->dirfd < 0)
		return;
	while (len > 0) {
		const char *nl = memchr(data, '\n', len);
		size_t content = nl ? (size_t)(nl - data) : len;
		size_t record = head_len + 2 + content + 1;

		if (b.len + record > BATCH_MAX)
			flush(w, &b, unix_nsec);
		if (w->size + b.len > 0 && w->size + b.len + record > w->max_bytes) {
			flush(w, &b, unix_nsec);
			rotate(w);
		}
		memcpy(b.data + b.len, head, head_len);
		memcpy(b.data + b.len + head_len, nl ? "F " : "P ", 2);
		memcpy(b.data + b.len + head_len + 2, data, content);
		b.data[b.len + record - 1] = '\n';
		b.len += record;
		content += nl ? 1 : 0;
		b.content += content;
		data += content;
		len -= content;
	}
	flush(w, &b, unix_nsec);
}
