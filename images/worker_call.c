/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calling the worker: start it, feed it while hashing what it gets, take its report. The worker sees nothing
 * that was not counted here, and its report is read as what it is, bytes from a process that parsed hostile input.
 */
#include "worker_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "digest.h"

#define CHUNK_BYTES  (256u << 10)
#define STREAM_BYTES (1 << 20)
#define FDS_MAX      8

int worker_start(struct img_store *s, const char *mode, const char *arg, const int *fds,
		 size_t n_fds, size_t report_at, struct worker_call *ret, struct err *e)
{
	char *args[] = {(char *)IMG_WORKER_PROGRAM, (char *)mode, (char *)arg, NULL};
	int pipe_fds[2], all[FDS_MAX], r;
	size_t n = 0;

	if (!s->worker)
		return err_set(e, ERR_INTERNAL, ENOTSUP, "the store has no worker");
	if (n_fds + 1 > FDS_MAX)
		return err_set(e, ERR_INTERNAL, EINVAL, "too many descriptors for the worker");
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe");
	for (size_t i = 0; i < n_fds; i++) {
		if (i == report_at)
			all[n++] = pipe_fds[1];
		all[n++] = fds[i];
	}
	if (report_at >= n_fds)
		all[n++] = pipe_fds[1];
	r = s->worker(s->worker_arg, args, all, n, &ret->pid, e);
	fd_close(pipe_fds[1]);
	if (r < 0) {
		fd_close(pipe_fds[0]);
		return err_wrap(e, "start " IMG_WORKER_PROGRAM);
	}
	ret->report = pipe_fds[0];
	return 0;
}

static int worker_died(int status, struct err *e)
{
	if (WIFSIGNALED(status))
		return err_set(e, ERR_INTERNAL, EIO, IMG_WORKER_PROGRAM " was killed by SIG%s",
			       signal_name(WTERMSIG(status)) ?: "?");
	return err_set(e, ERR_INTERNAL, EIO, IMG_WORKER_PROGRAM " ended with status %d",
		       WEXITSTATUS(status));
}

int worker_finish(struct worker_call *c, struct img_worker_report *ret, struct err *e)
{
	struct img_worker_report report;
	int status, got, r;

	got = fd_read_exact(c->report, &report, sizeof(report), "report", NULL);
	c->report = fd_close(c->report);
	r = proc_reap(c->pid, &status, e);
	if (r < 0)
		return r;
	if (got < 0)
		return worker_died(status, e);
	report.diff_id[sizeof(report.diff_id) - 1] = '\0';
	err_sanitize_text(report.note, sizeof(report.note));
	if (report.error.kind != ERR_NONE) {
		err_sanitize(&report.error);
		if (e)
			*e = report.error;
		return -report.error.errnum;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return worker_died(status, e);
	if (ret)
		*ret = report;
	return 0;
}

void worker_abandon(struct worker_call *c)
{
	worker_finish(c, NULL, NULL);
}

int worker_stream(int ret[2], struct err *e)
{
	const int size = STREAM_BYTES;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret) < 0)
		return err_sys(e, errno, "make a socket pair");
	shutdown(ret[0], SHUT_WR);
	/* More in flight, fewer switches; as much as the host allows is enough. */
	setsockopt(ret[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

static int send_all(int out, const char *data, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = send(out, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return -EPIPE;
		if (n < 0)
			return err_sys(e, errno, "feed " IMG_WORKER_PROGRAM);
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int blob_read(const struct blob *from, uint64_t done, void *buf, size_t len, size_t *ret_len,
	      struct err *e)
{
	ssize_t n;

	if (from->read)
		return from->read(from->arg, buf, len, ret_len, e);
	do
		n = from->seekable ? pread(from->fd, buf, len, (off_t)(from->offset + done))
				   : read(from->fd, buf, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "read");
	*ret_len = (size_t)n;
	return 0;
}

static int check_digest(const struct blob *from, struct digest *d, struct err *e)
{
	char text[DIGEST_MAX];

	if (!from->digest)
		return 0;
	digest_text(d, text);
	return STREQ(text, from->digest)
		       ? 0
		       : err_invalid(e, "its digest is %s: damaged, or not what was named", text);
}

int worker_feed(const struct blob *from, int out, const struct img_progress *p, const char *label,
		struct err *e)
{
	_cleanup_free_ char *buf = malloc(CHUNK_BYTES);
	const bool bounded = from->size_bytes != UINT64_MAX;
	struct digest digest;
	uint64_t done = 0;
	int r;

	if (!buf)
		return err_nomem(e);
	digest_init(&digest);
	while (!bounded || done < from->size_bytes) {
		uint64_t left = from->size_bytes - done;
		size_t want = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
		size_t n;

		r = blob_read(from, done, buf, want, &n, e);
		if (r < 0)
			return r;
		if (n == 0 && !bounded)
			break;
		if (n == 0)
			return err_invalid(e, "it ends after %llu of %llu bytes",
					   (unsigned long long)done,
					   (unsigned long long)from->size_bytes);
		if (from->digest)
			digest_add(&digest, buf, n);
		r = send_all(out, buf, n, e);
		if (r < 0)
			return r;
		done += n;
		if (p && p->layer)
			p->layer(p->arg, label, done, bounded ? from->size_bytes : 0);
	}
	return check_digest(from, &digest, e);
}
