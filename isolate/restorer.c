/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that becomes the restoring program (isolate/restorer.h). The root file system must be a mount point of
 * the namespace in which criu starts, and no such mount may reach the host: so it gets a namespace of its own, and what
 * it restores begins with a copy of that.
 */
#include "isolate/restorer.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/sync.h"
#include "mountfd.h"

static int mount_root(const struct iso_restorer *p, struct err *e)
{
	struct mount_attr slave = {.propagation = MS_SLAVE};
	_cleanup_close_ int tree = -EBADF, place = -EBADF;
	int r;

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, errno, "make a mount namespace for the restorer");
	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave, sizeof(slave)) < 0)
		return err_sys(e, errno, "stop propagation of mounts to the host");
	tree = mountfd_clone_path(p->rootfs, true, e);
	if (tree < 0)
		return tree;
	r = mountfd_set(tree, true, 0, 0, MS_PRIVATE, e);
	if (r < 0)
		return r;
	place = path_open_dir(p->place, e);
	return place < 0 ? place : mountfd_attach(tree, place, e);
}

static int place_streams(const struct iso_restorer *p, struct err *e)
{
	_cleanup_close_ int null = path_open_null(e);

	if (null < 0)
		return null;
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(p->stderr_fd, 2) < 0)
		return err_sys(e, errno, "place the restorer's streams");
	for (size_t i = 0; i < p->n_keep_fds; i++) {
		int r = fd_set_cloexec(p->keep_fds[i], false);

		if (r < 0)
			return err_sys(e, r, "pass descriptor %d on", p->keep_fds[i]);
	}
	return 0;
}

/* To a number that stays. */
static int put(int fd, int to, struct err *e)
{
	if (fd < 0)
		return fd;
	return dup2(fd, to) < 0 ? err_sys(e, errno, "place descriptor %d", to) : 0;
}

/* Paths of the caller's namespace would lead out of our own, where nothing could be mounted on them. */
static int open_dirs(const struct iso_restorer *p, struct err *e)
{
	for (int i = 0; i < (int)ARRAY_SIZE(p->dirs); i++) {
		_cleanup_close_ int fd = path_open_dir(p->dirs[i], e);
		int r = put(fd, RESTORER_DIR_FD + i, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int make_socket(int channel, struct err *e)
{
	int pair[2], r = sync_pair(pair, e);

	if (r == 0)
		r = put(pair[0], RESTORER_SOCKET_FD, e);
	return r < 0 ? r : sync_send(channel, SYNC_READY, 0, pair[1], e);
}

static _Noreturn void restorer_main(const struct iso_restorer *p, int channel)
{
	struct err e = ERR_INIT;
	int r = 0;

	proc_reset_signals();
	(void)!prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (p->enter_groups)
		r = p->enter_groups(p->enter_arg, &e);
	if (r == 0)
		r = mount_root(p, &e);
	if (r == 0)
		r = fd_cloexec_from(3, &e);
	if (r == 0)
		r = place_streams(p, &e);
	if (r == 0)
		r = open_dirs(p, &e);
	if (r == 0)
		r = make_socket(channel, &e);
	if (r == 0) {
		execv(p->program, p->argv);
		err_sys(&e, errno, "execute '%s'", p->program);
	}
	sync_send_error(channel, &e);
	_exit(1);
}

int iso_restorer_spawn(const struct iso_restorer *p, pid_t *ret_pid, int *ret_fd, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	enum sync_type type;
	int pair[2], status, r = sync_pair(pair, e);
	pid_t pid;

	if (r < 0)
		return r;
	pid = proc_clone(0, SIGCHLD, p->cgroup_fd, NULL);
	if (pid == 0) {
		close(pair[0]);
		restorer_main(p, pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err_sys(e, pid, "start the restorer");
	}
	/* The end of the channel is the exec. */
	r = sync_expect(pair[0], "the restorer", SYNC_READY, NULL, &fd, e);
	if (r == 0)
		r = sync_recv(pair[0], "the restorer", &type, NULL, NULL, e);
	close(pair[0]);
	if (r == -EPIPE && fd >= 0) {
		if (e)
			err_clear(e);
		*ret_pid = pid;
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	(void)proc_reap(pid, &status, NULL);
	return r < 0 ? r
		     : err_set(e, ERR_INTERNAL, EPROTO, "the restorer sent message %d", (int)type);
}
