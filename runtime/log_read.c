/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a sandbox's log (runtime/logs.h).
 *
 * All files are opened at once, the newest first: a writer in between moves a file to a name that is still to come, where
 * it is met again and known by its inode. From then on files are held by descriptor, and nothing that
 * happens to their names matters. At the end of the newest one, `log` may stand for another file: then the ones that are newer than ours are
 * opened in the same way, and ours is read out once more, since the writer does not go back to it.
 *
 * Following waits for inotify events of the directory and for the end of the writer; there is no polling.
 */
#include "runtime/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "log_write.h"

#define FILES_MAX (LOG_MAX_FILES_MAX + 1)

/* A writer that rotates faster than we can look loses its oldest files anyway. Also met when a rotation failed half way. */
#define SCANS_MAX 200

struct log_file {
	int fd;
	dev_t dev;
	ino_t ino;
};

struct rt_log {
	int dirfd, writer, inotify;
	struct log_file files[FILES_MAX]; /* the oldest first; files[at] is being read */
	size_t n_files, at;
	bool writer_ended;
	bool frozen;   /* only the files that are open: their lines are being counted */
	bool skipping; /* the rest of a line too long to be a record */
	size_t start, end;
	char buf[4 * LOG_RECORD_MAX];
};

/* ---- files ------------------------------------------------------------------------------- */

static bool same_file(const struct log_file *a, const struct log_file *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

/* 1: opened; 0: there is none of this name. */
static int open_file(int dirfd, unsigned n, struct log_file *ret, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	char name[LOG_NAME_MAX];
	struct stat st;

	/* Not to wait for a FIFO that somebody put there. */
	fd = openat(dirfd, log_name(n, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "open '%s'", name);
	if (!S_ISREG(st.st_mode))
		return err_invalid(e, "'%s' is not a regular file", name);
	*ret = (struct log_file){.fd = TAKE_FD(fd), .dev = st.st_dev, .ino = st.st_ino};
	return 1;
}

static void close_files(struct log_file *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(v[i].fd);
}

/* Files of ascending names that are newer than `last` (NULL: all), the newest first. A writer that is in the middle of moving
 * them up leaves one name empty, and a file may be met under two names that follow each other. */
static int scan_newer(int dirfd, const struct log_file *last, struct log_file v[FILES_MAX],
		      size_t *ret_n, struct err *e)
{
	unsigned holes = 0;
	size_t n = 0;

	for (unsigned k = 0; k < FILES_MAX && n < FILES_MAX && holes < 2; k++) {
		int r = open_file(dirfd, k, &v[n], e);

		if (r < 0) {
			close_files(v, n);
			return r;
		}
		holes = r ? 0 : holes + 1;
		if (r == 0)
			continue;
		if (last && same_file(&v[n], last)) {
			fd_close(v[n].fd);
			break;
		}
		if (n > 0 && same_file(&v[n], &v[n - 1]))
			fd_close(v[n].fd);
		else
			n++;
	}
	*ret_n = n;
	return 0;
}

/* Does `log` stand for that file (NULL: for none)? While we hold it open, no other file gets its inode. */
static bool is_current(int dirfd, const struct log_file *f)
{
	struct stat st;

	if (fstatat(dirfd, LOG_FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return !f;
	return f && st.st_dev == f->dev && st.st_ino == f->ino;
}

/* A whole rotation during the scan would hide files from it; then `log` is another one at its end. */
static int open_newer(int dirfd, const struct log_file *last, struct log_file v[FILES_MAX],
		      size_t *ret_n, struct err *e)
{
	for (unsigned attempt = 0;; attempt++) {
		size_t n;
		int r = scan_newer(dirfd, last, v, &n, e);

		if (r < 0)
			return r;
		if (is_current(dirfd, n ? &v[0] : last) || attempt == SCANS_MAX) {
			*ret_n = n;
			return 0;
		}
		close_files(v, n);
	}
}

/* 1: there are newer files than the one that was read to its end. */
static int add_newer(struct rt_log *l, struct err *e)
{
	struct log_file v[FILES_MAX], *last = l->n_files ? &l->files[l->n_files - 1] : NULL;
	size_t n;
	int r = open_newer(l->dirfd, last, v, &n, e);

	if (r < 0 || n == 0)
		return r;
	/* Only the last one is kept of those that were read. */
	if (last) {
		close_files(l->files, l->n_files - 1);
		l->files[0] = *last;
		l->n_files = 1;
	}
	l->at = 0;
	for (; n > 0 && l->n_files < FILES_MAX; n--)
		l->files[l->n_files++] = v[n - 1];
	close_files(v, n);
	return 1;
}

static int watch(struct rt_log *l, struct err *e)
{
	char path[PATH_FD_MAX];
	int error;

	l->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (l->inotify >= 0 &&
	    inotify_add_watch(l->inotify, path_of_fd(l->dirfd, path),
			      IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) >= 0)
		return 0;
	error = errno;
	err_sys(e, error, "watch the log");
	if (error == EMFILE || error == ENOSPC)
		err_hint(e, "fs.inotify.max_user_instances and max_user_watches limit how many can "
			    "follow");
	return -error;
}

int rt_log_open_dir(int dirfd, int writer_pidfd, bool follow, struct rt_log **ret, struct err *e)
{
	struct rt_log *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_nomem(e);
	l->dirfd = dirfd;
	l->writer = l->inotify = -1;
	r = follow ? watch(l, e) : 0;
	if (r == 0)
		r = add_newer(l, e);
	if (r < 0) {
		l->dirfd = -1;
		rt_log_close(l);
		return r;
	}
	l->writer = writer_pidfd;
	l->writer_ended = writer_pidfd < 0;
	*ret = l;
	return 0;
}

void rt_log_close(struct rt_log *l)
{
	if (!l)
		return;
	close_files(l->files, l->n_files);
	fd_close(l->inotify);
	fd_close(l->writer);
	fd_close(l->dirfd);
	free(l);
}

/* ---- records ----------------------------------------------------------------------------- */

/* Exactly `n` digits. */
static bool take_number(const char **s, size_t n, int *ret)
{
	int v = 0;

	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		v = v * 10 + (**s - '0');
	}
	*ret = v;
	return true;
}

#define TIME_LEN 30 /* "2026-01-31T12:00:00.123456789Z" */

static bool parse_time(const char *s, int64_t *ret)
{
	struct tm tm = {0};
	int nsec;

	if (!take_number(&s, 4, &tm.tm_year) || *s++ != '-' || !take_number(&s, 2, &tm.tm_mon) ||
	    *s++ != '-' || !take_number(&s, 2, &tm.tm_mday) || *s++ != 'T' ||
	    !take_number(&s, 2, &tm.tm_hour) || *s++ != ':' || !take_number(&s, 2, &tm.tm_min) ||
	    *s++ != ':' || !take_number(&s, 2, &tm.tm_sec) || *s++ != '.' ||
	    !take_number(&s, 9, &nsec) || *s != 'Z')
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*ret = (int64_t)timegm(&tm) * 1000000000 + nsec;
	return true;
}

/* One line without its newline. */
static bool parse_record(const char *line, size_t len, struct rt_log_record *ret)
{
	const size_t head = TIME_LEN + strlen(" stdout F ");
	const char *stream = line + TIME_LEN, *tag = stream + strlen(" stdout ");

	if (len < head || !parse_time(line, &ret->unix_nsec))
		return false;
	if (memcmp(stream, " stdout ", 8) == 0)
		ret->is_stderr = false;
	else if (memcmp(stream, " stderr ", 8) == 0)
		ret->is_stderr = true;
	else
		return false;
	if ((*tag != 'F' && *tag != 'P') || tag[1] != ' ')
		return false;
	ret->partial = *tag == 'P';
	ret->text = line + head;
	ret->len = len - head;
	return true;
}

/* Read more of the current file behind what is in the buffer. 0: its end for now. */
static ssize_t fill(struct rt_log *l, struct err *e)
{
	ssize_t n;

	if (l->start > 0) {
		memmove(l->buf, l->buf + l->start, l->end - l->start);
		l->end -= l->start;
		l->start = 0;
	}
	if (l->end == sizeof(l->buf)) {
		l->skipping = true;
		l->end = 0;
	}
	do {
		n = read(l->files[l->at].fd, l->buf + l->end, sizeof(l->buf) - l->end);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "read the log");
	l->end += (size_t)n;
	return n;
}

/* A record that is whole in the buffer. */
static bool take_buffered(struct rt_log *l, struct rt_log_record *ret)
{
	const char *nl;

	while ((nl = memchr(l->buf + l->start, '\n', l->end - l->start))) {
		const char *line = l->buf + l->start;
		bool skip = l->skipping;

		l->start = (size_t)(nl - l->buf) + 1;
		l->skipping = false;
		if (!skip && parse_record(line, (size_t)(nl - line), ret))
			return true;
	}
	return false;
}

int rt_log_next(struct rt_log *l, struct rt_log_record *ret, struct err *e)
{
	bool looked = false;

	for (;;) {
		ssize_t n = 0;
		int r;

		if (take_buffered(l, ret))
			return 1;
		if (l->n_files > 0)
			n = fill(l, e);
		if (n < 0)
			return (int)n;
		if (n > 0)
			continue;
		if (l->at + 1 < l->n_files) {
			/* It will not grow any more; what is torn in it stays torn. */
			l->at++;
			l->start = l->end = 0;
			l->skipping = false;
			continue;
		}
		if (looked || l->frozen)
			return 0;
		/* Newer ones, and what came into ours before the writer left it. */
		looked = true;
		r = add_newer(l, e);
		if (r < 0)
			return r;
		if (r > 0)
			looked = false;
	}
}

static int rewind_files(struct rt_log *l, struct err *e)
{
	for (size_t i = 0; i < l->n_files; i++)
		if (lseek(l->files[i].fd, 0, SEEK_SET) < 0)
			return err_sys(e, errno, "read the log from its start");
	l->at = l->start = l->end = 0;
	l->skipping = false;
	return 0;
}

/* Lines of the files that are open: each stream ends its own. */
static int count_lines(struct rt_log *l, uint64_t *ret, struct err *e)
{
	struct rt_log_record record;
	bool open[2] = {false, false};
	uint64_t n = 0;
	int r;

	l->frozen = true;
	while ((r = rt_log_next(l, &record, e)) > 0) {
		open[record.is_stderr] = record.partial;
		n += record.partial ? 0 : 1;
	}
	l->frozen = false;
	*ret = n + open[0] + open[1];
	return r;
}

int rt_log_tail(struct rt_log *l, uint64_t lines, struct err *e)
{
	struct rt_log_record record;
	uint64_t all;
	int r = count_lines(l, &all, e);

	if (r == 0)
		r = rewind_files(l, e);
	if (r < 0 || all <= lines)
		return r;
	for (all -= lines; all > 0;) {
		r = rt_log_next(l, &record, e);
		if (r <= 0)
			return r;
		all -= record.partial ? 0 : 1;
	}
	return 0;
}

/* ---- following --------------------------------------------------------------------------- */

int rt_log_wait(struct rt_log *l, int timeout_msec, struct err *e)
{
	struct pollfd p[2] = {{.fd = l->inotify, .events = POLLIN},
			      {.fd = l->writer, .events = POLLIN}};
	char events[4096];
	int n;

	if (l->writer_ended)
		return 0;
	do {
		n = poll(p, 2, timeout_msec);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "wait for the log");
	if (n == 0)
		return -ETIMEDOUT;
	/* What it wrote last is read once more. */
	if (p[1].revents)
		l->writer_ended = true;
	while (read(l->inotify, events, sizeof(events)) > 0)
		;
	return 1;
}
