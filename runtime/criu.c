/* SPDX-License-Identifier: Apache-2.0 */
/*
 * criu as a program: `criu swrk FD` serves requests on a socket until that closes. It knows best what of a kernel or of
 * a process it cannot do, and says so in its log only (or, if it cannot even begin, on its standard error): the first
 * line of these that is an error is the one that a user needs, so it is ours, with the way to more.
 */
#include "criu.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"

#define LOG_MAX     (64u << 20)
#define MESSAGE_MAX 65536
#define ERROR_MARK  "Error ("

static int find_program(char **ret, struct err *e)
{
	const char *path = getenv("PATH");
	_cleanup_strv_ char **dirs = NULL;

	if (strv_split(path && *path ? path : "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin", ':',
		       &dirs) < 0)
		return err_nomem(e);
	for (char **d = dirs; *d; d++) {
		_cleanup_free_ char *file = NULL;

		if (**d != '/')
			continue;
		if (str_printf(&file, "%s/criu", *d) < 0)
			return err_nomem(e);
		if (access(file, X_OK) == 0) {
			*ret = TAKE_PTR(file);
			return 0;
		}
	}
	err_unsupported(e, "there is no program criu on this host");
	return err_hint(e, "install criu (Debian: apt-get install criu), or put it into PATH");
}

int criu_init(struct criu *c, int work_fd, const char *log, struct err *e)
{
	int pair[2], r;

	*c = (struct criu){.fd = -1,
			   .peer_fd = -1,
			   .stderr_fd = -1,
			   .work_fd = work_fd,
			   .log = log,
			   .pid = -1};
	r = find_program(&c->program, e);
	if (r < 0)
		return r;
	c->stderr_fd = memfd_create("criu", MFD_CLOEXEC);
	if (c->stderr_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "make the channel to criu");
	c->fd = pair[0];
	c->peer_fd = pair[1];
	/* A log of before must not explain what happens now. */
	return path_unlink_at(work_fd, log, e);
}

int criu_start(struct criu *c, struct err *e)
{
	char *argv[] = {c->program, "swrk", "3", NULL};
	const struct proc_fd_map fds[] = {{c->peer_fd, 3}, {c->stderr_fd, 2}};
	const struct proc_spawn spawn = {.argv = argv,
					 .fds = fds,
					 .n_fds = ARRAY_SIZE(fds),
					 .death_signal = SIGKILL,
					 .cgroup_fd = -1};
	int r = proc_spawn(&spawn, &c->pid, NULL, e);

	c->peer_fd = fd_close(c->peer_fd);
	return r;
}

void criu_done(struct criu *c)
{
	int status;

	c->fd = fd_close(c->fd);
	c->peer_fd = fd_close(c->peer_fd);
	if (c->pid > 0)
		(void)proc_reap(c->pid, &status, NULL);
	c->pid = -1;
	c->stderr_fd = fd_close(c->stderr_fd);
	free(c->program);
	c->program = NULL;
}

/* ---- why it did not work ------------------------------------------------------------------ */

/* "(00.01) Error (criu/x.c:12): text": from `text` to the end of the line, into buf. */
static bool first_error(const char *text, char *buf, size_t size)
{
	const char *mark = text, *from, *end;

	/* What it cannot collect at all, it tells as an error and goes on. */
	while ((mark = strstr(mark, ERROR_MARK)) && (from = strstr(mark, "): "))) {
		from += 3;
		end = strchrnul(from, '\n');
		if (strncmp(from, "sockets: Diag module missing", 28) != 0) {
			snprintf(buf, size, "%.*s", (int)(end - from), from);
			return true;
		}
		mark = end;
	}
	return false;
}

static int explain(struct criu *c, const struct criu_reply *reply, struct err *e)
{
	_cleanup_free_ char *log = NULL, *words = NULL;
	char reason[256] = "it gives no reason";

	if (path_read_file_at(c->work_fd, c->log, LOG_MAX, &log, NULL, NULL) < 0 ||
	    !first_error(log, reason, sizeof(reason))) {
		(void)lseek(c->stderr_fd, 0, SEEK_SET);
		if (fd_read_all(c->stderr_fd, LOG_MAX, &words, NULL, "criu's words", NULL) < 0 ||
		    !first_error(words, reason, sizeof(reason)))
			if (reply->message[0])
				snprintf(reason, sizeof(reason), "%s", reply->message);
	}
	err_set(e, log ? ERR_SYSTEM : ERR_UNSUPPORTED, reply->error > 0 ? reply->error : ENOTSUP,
		"criu: %s", reason);
	return err_hint(e, "%s has all of it; 'criu check' tells what this kernel lacks",
			log ? c->log : "its standard error");
}

/* ---- the conversation --------------------------------------------------------------------- */

static int send_request(struct criu *c, struct strbuf *b, struct err *e)
{
	ssize_t n = b->failed ? -1 : send(c->fd, b->data, b->len, MSG_NOSIGNAL);
	int r = 0;

	if (b->failed)
		r = err_nomem(e);
	else if (n < 0 && errno != EPIPE && errno != ECONNRESET)
		r = err_sys(e, errno, "speak to criu");
	strbuf_done(b);
	return r; /* one that is gone is noticed at its answer */
}

static int send_call(struct criu *c, enum criu_request type, struct strbuf *opts, struct err *e)
{
	struct strbuf b = {0};

	wire_number(&b, 1, type);
	b.failed |= opts->failed;
	if (!opts->failed)
		wire_message(&b, 2, opts->data, opts->len);
	strbuf_done(opts);
	return send_request(c, &b, e);
}

static int acknowledge(struct criu *c, bool success, struct err *e)
{
	struct strbuf b = {0};

	wire_number(&b, 1, CRIU_NOTIFY);
	wire_number(&b, 3, success);
	return send_request(c, &b, e);
}

static int receive(struct criu *c, struct criu_reply *reply, struct err *e)
{
	char buf[MESSAGE_MAX];
	ssize_t n;

	do
		n = recv(c->fd, buf, sizeof(buf), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECONNRESET)
		return err_sys(e, errno, "hear from criu");
	if (n <= 0) /* it ended */
		return explain(c, &(struct criu_reply){0}, e);
	if (wire_read_reply(buf, (size_t)n, reply) < 0)
		return err_set(e, ERR_INTERNAL, EBADMSG, "criu: its answer is no such message");
	return 0;
}

int criu_call(struct criu *c, enum criu_request type, struct strbuf *opts, criu_notify_fn notify,
	      void *arg, pid_t *ret_pid, struct err *e)
{
	struct err failure = ERR_INIT;
	int failed = 0, r = send_call(c, type, opts, e);

	while (r == 0) {
		struct criu_reply reply;

		r = receive(c, &reply, e);
		if (r < 0)
			break;
		if (reply.type == CRIU_NOTIFY && notify && !failed) {
			failed = notify(arg, reply.script, reply.pid, &failure);
			r = acknowledge(c, failed == 0, e);
			continue;
		}
		if (reply.type == CRIU_NOTIFY) {
			r = acknowledge(c, !failed, e);
			continue;
		}
		if (!reply.success)
			r = explain(c, &reply, e);
		else if (ret_pid)
			*ret_pid = reply.pid;
		break;
	}
	if (failed) {
		if (e)
			*e = failure;
		return failed;
	}
	return r;
}
