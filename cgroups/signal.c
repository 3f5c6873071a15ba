/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One signal for every process of a group. v2 has a file for SIGKILL (Linux 5.14) that no fork can
 * outrun. Otherwise the group is frozen while it is signalled; where that cannot be, the list is
 * read again until nothing new turns up.
 */
#include "group.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend.h"
#include "base/cleanup.h"

#define SIGNAL_ROUNDS 16

/* Number of processes that took it, or -errno. */
static int signal_listed(struct cgroup *g, int sig, struct err *e)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r = cg_pids(g, &pids, &n, e);

	if (r < 0)
		return r;
	r = 0;
	for (size_t i = 0; i < n; i++) {
		if (kill(pids[i], sig) == 0)
			r++;
		else if (errno != ESRCH)
			return err_sys(e, errno, "signal process %d of cgroup '%s'", (int)pids[i],
				       g->path);
	}
	return r;
}

/* Without a freezer only SIGKILL is worth another look: whoever took another signal stays. */
static int signal_unfrozen(struct cgroup *g, int sig, struct err *e)
{
	int64_t deadline = cg_now_usec() + 1000000;
	unsigned round = 0;
	int r;

	do
		r = signal_listed(g, sig, e);
	while (r > 0 && sig == SIGKILL && round < SIGNAL_ROUNDS && cg_backoff(deadline, &round));
	return r < 0 ? r : 0;
}

/* Takes fd. */
static void thaw_tree(int fd, unsigned depth)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fd);

	if (!dir) {
		close(fd);
		return;
	}
	cg_file_write(fd, "freezer.state", "THAWED", NULL);
	for (struct dirent *d = readdir(dir); depth > 0 && d; d = readdir(dir)) {
		int child;

		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		child = cg_dir_open_at(fd, d->d_name, NULL);
		if (child >= 0)
			thaw_tree(child, depth - 1);
	}
}

/* A v1 freezer holds even a killed process until it is thawed, and each group below has a state of
 * its own: a container that froze a group it made could else never be removed. */
static void thaw_v1(struct cgroup *g)
{
	const struct cg_dir *d = cg_group_dir(g, CG_CTL_FREEZER);
	int fd;

	if (!d || d->hier->v2)
		return;
	fd = cg_dir_open_at(d->fd, "", NULL);
	if (fd >= 0)
		thaw_tree(fd, CG_DEPTH_MAX);
}

int cg_signal_all(struct cgroup *g, int sig, struct err *e)
{
	const struct cg_dir *v2 = cg_group_v2(g);
	bool was_frozen, frozen;
	int r;

	if (cg_is_null(g))
		return err_unsupported(e, "signal all processes: the sandbox has no cgroup");
	if (sig == SIGKILL && v2 && cg_file_write(v2->fd, "cgroup.kill", "1", NULL) == 0) {
		thaw_v1(g);
		return 0;
	}
	was_frozen = cg_is_frozen(g);
	frozen = was_frozen || cg_freeze(g, true, NULL) == 0;
	r = frozen ? signal_listed(g, sig, e) : signal_unfrozen(g, sig, e);
	if (sig == SIGKILL)
		thaw_v1(g);
	if (frozen && (!was_frozen || sig == SIGKILL)) {
		int thawed = cg_freeze(g, false, r < 0 ? NULL : e);

		if (r >= 0)
			r = thawed;
	}
	return r < 0 ? r : 0;
}
