/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting insula-layer. The child of iso_userns_spawn() is in all its new namespaces when it gets here; it puts the descriptors where the
 * program wants them, closes all others, and executes it from the host's file tree, which the program then leaves
 * (runtime/programs/insula-layer.c). Everything that allocates happens in the parent. What fails in the child before the exec
 * is told through a pipe that the exec closes.
 */
#include "image_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "images/worker.h"
#include "isolate/userns.h"
#include "sandbox.h"

#define WORKER_NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWPID)
#define WORKER_FDS_MAX 8

struct start {
	/* borrowed */
	const char *program;
	char *const *args, *const *env;
	const struct image_worker_place *place;
	int program_fd; /* opened, since not every id gets through the directories to it; -1: by its path */
	int fds[3 + WORKER_FDS_MAX];
	size_t n_fds; /* with the three standard ones */
	int tell_fd;
};

/* ---- in the child ------------------------------------------------------------------------ */

/* All are moved above every target first, so that none is overwritten before it was used. */
static int arrange(struct start *s, struct err *e)
{
	int moved[3 + WORKER_FDS_MAX];

	s->tell_fd = fcntl(s->tell_fd, F_DUPFD_CLOEXEC, 3 + WORKER_FDS_MAX);
	if (s->tell_fd < 0)
		return err_sys(e, errno, "arrange descriptors");
	if (s->program_fd >= 0) {
		s->program_fd = fcntl(s->program_fd, F_DUPFD_CLOEXEC, 3 + WORKER_FDS_MAX);
		if (s->program_fd < 0)
			return err_sys(e, errno, "arrange descriptors");
	}
	for (size_t i = 0; i < s->n_fds; i++) {
		moved[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, 3 + WORKER_FDS_MAX);
		if (moved[i] < 0)
			return err_sys(e, errno, "arrange descriptors");
	}
	for (size_t i = 0; i < s->n_fds; i++)
		if (dup2(moved[i], (int)i) < 0)
			return err_sys(e, errno, "arrange descriptors");
	return fd_cloexec_from((unsigned)s->n_fds, e);
}

static int worker_child(void *arg)
{
	struct start *s = arg;
	struct err e = ERR_INIT;

	if (arrange(s, &e) == 0) {
		proc_reset_signals();
		if (s->program_fd >= 0)
			syscall(SYS_execveat, s->program_fd, "", s->args, s->env, AT_EMPTY_PATH);
		else
			execve(s->program, s->args, s->env);
		err_sys(&e, errno, "execute '%s'", s->program);
	}
	fd_write_all(s->tell_fd, &e, sizeof(e), "the error", NULL);
	return 127;
}

/* ---- in the parent ----------------------------------------------------------------------- */

/* End of file: the program runs. */
static int hear(int fd, pid_t pid, struct err *e)
{
	struct err told;
	int status, r = fd_read_exact(fd, &told, sizeof(told), "the worker's start", e);

	if (r == -ENODATA) {
		err_clear(e);
		return 0;
	}
	if (r == 0) {
		err_sanitize(&told);
		r = -told.errnum;
		if (e)
			*e = told;
	}
	kill(pid, SIGKILL);
	proc_reap(pid, &status, NULL);
	return r;
}

static int spawn(struct start *s, pid_t *ret_pid, struct err *e)
{
	const struct image_worker_place *place = s->place;
	int tell[2], r;
	pid_t pid;

	if (pipe2(tell, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe");
	s->tell_fd = tell[1];
	r = iso_userns_spawn(place->uid, place->gid, place->namespaces, worker_child, s, &pid, e);
	close(tell[1]);
	if (r == 0)
		r = hear(tell[0], pid, e);
	close(tell[0]);
	if (r == 0)
		*ret_pid = pid;
	return r;
}

int image_worker_start_in(const struct image_worker_place *place, const char *program,
			  char *const *args, const int *fds, size_t n_fds, pid_t *ret_pid,
			  struct err *e)
{
	static char *const no_env[] = {NULL};
	_cleanup_close_ int null_fd = -EBADF, program_fd = -EBADF;
	struct start s = {.program = program,
			  .args = args,
			  .env = place->env ? place->env : no_env,
			  .place = place,
			  .program_fd = -1,
			  .n_fds = 3 + n_fds};

	if (n_fds > WORKER_FDS_MAX)
		return err_set(e, ERR_INTERNAL, EINVAL, "%zu descriptors for a worker", n_fds);
	null_fd = path_open_null(e);
	if (null_fd < 0)
		return null_fd;
	for (size_t i = 0; i < 3; i++)
		s.fds[i] = null_fd;
	memcpy(s.fds + 3, fds, n_fds * sizeof(*fds));
	if (place->by_descriptor) {
		program_fd = open(program, O_PATH | O_CLOEXEC);
		if (program_fd < 0)
			return err_sys(e, errno, "open '%s'", program);
		s.program_fd = program_fd;
	}
	return spawn(&s, ret_pid, e);
}

int image_worker_start_program(const char *program, char *const *args, const int *fds, size_t n_fds,
			       pid_t *ret_pid, struct err *e)
{
	_cleanup_(iso_id_maps_done) struct iso_id_maps uid = {0}, gid = {0};
	struct image_worker_place place = {
		.uid = &uid, .gid = &gid, .namespaces = WORKER_NAMESPACES};
	bool single;
	int r = iso_user_maps(&uid, &gid, &single, NULL, e);

	return r < 0 ? r : image_worker_start_in(&place, program, args, fds, n_fds, ret_pid, e);
}

int image_worker_start(_unused_ void *arg, char *const *args, const int *fds, size_t n_fds,
		       pid_t *ret_pid, struct err *e)
{
	_cleanup_free_ char *program = NULL;
	int r = helper_program_find(IMG_WORKER_PROGRAM, &program, e);

	if (r == 0)
		r = image_worker_start_program(program, args, fds, n_fds, ret_pid, e);
	return r < 0 ? err_wrap(e, "start the worker that unpacks layers") : 0;
}
