/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing a group with all below it. The first try is one rmdir per hierarchy, which is all that a
 * sandbox that ended well needs. What stays busy is then killed (if asked), waited for and removed
 * from its deepest sub-group up. v2 tells when the last process is gone (cgroup.events); v1 has no
 * such notification that works in a namespace (release_agent runs a program on the host), so there
 * rmdir is tried again after a growing delay.
 */
#include "group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define REMOVE_TIMEOUT_USEC INT64_C(10000000)
/* Without killing: only for processes that are just ending. */
#define LINGER_TIMEOUT_USEC INT64_C(1000000)

static int rmdir_at(int parent, const char *name)
{
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

static int tree_rmdir(int parent, const char *name, unsigned depth)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int fd, first = 0, r = rmdir_at(parent, name);

	/* ENOTEMPTY is not what cgroupfs says, but a kernel may learn it. */
	if (r != -EBUSY && r != -ENOTEMPTY)
		return r;
	if (depth == 0)
		return -ELOOP;
	fd = cg_dir_open_at(parent, name, NULL);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		r = tree_rmdir(fd, d->d_name, depth - 1);
		if (r < 0 && first == 0)
			first = r;
	}
	r = rmdir_at(parent, name);
	return r == 0 || first == 0 ? r : first;
}

int cg_tree_rmdir(int parent, const char *name)
{
	return tree_rmdir(parent, name, CG_DEPTH_MAX);
}

void cg_dir_undo(const struct cg_hier *hier, const char *path, size_t made_len)
{
	_cleanup_free_ char *rel = strdup(cg_path_below(hier, path));

	if (!rel || made_len == 0)
		return;
	while (strlen(rel) >= made_len) {
		char *slash = strrchr(rel, '/');

		/* Deeper ones may never have been made. A parent that somebody else uses by now is
		 * busy, and stays. */
		if (unlinkat(hier->root_fd, rel, AT_REMOVEDIR) < 0 && errno != ENOENT &&
		    errno != ENOTDIR)
			return;
		if (!slash)
			return;
		*slash = '\0';
	}
}

/* -EBUSY: a hierarchy still has it. */
static int rmdir_all(struct cg_host *h, const char *path, struct err *e)
{
	int busy = 0;

	for (size_t i = 0; i < h->n_hier; i++) {
		const struct cg_hier *hier = &h->hier[i];
		int r = tree_rmdir(hier->root_fd, cg_path_below(hier, path), CG_DEPTH_MAX);

		if (r == -EBUSY || r == -ENOTEMPTY)
			busy = -EBUSY;
		else if (r < 0 && !(cg_is_denied(r) &&
				    faccessat(hier->root_fd, cg_path_below(hier, path), F_OK, 0)))
			return err_sys(e, r, "remove it from '%s'", hier->mount_point);
	}
	return busy;
}

static int still_busy(struct cgroup *g, bool kill, struct err *e)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;

	if (cg_pids(g, &pids, &n, NULL) == 0 && n > 0) {
		err_set(e, ERR_STATE, EBUSY, "%zu process%s still in it, the first is %d", n,
			n == 1 ? " is" : "es are", (int)pids[0]);
		return err_hint(e, kill ? "a process in uninterruptible sleep cannot be killed"
					: "kill them first");
	}
	return err_set(e, ERR_STATE, EBUSY, "the kernel still holds it");
}

/* Sleep until it is worth trying again. False: the time is over. */
static bool wait_change(const struct cgroup *g, int64_t deadline, unsigned *round)
{
	const struct cg_dir *v2 = cg_group_v2(g);

	if (v2 && *round == 0 && g->host->layout == CG_LAYOUT_V2) {
		int r = cg_events_wait(v2->fd, "populated", 0, deadline, NULL);

		if (r == -ETIMEDOUT)
			return false;
		(*round)++;
		return true;
	}
	return cg_backoff(deadline, round);
}

static int remove_busy(struct cg_host *h, const char *path, bool kill, struct err *e)
{
	_cleanup_(cg_freep) struct cgroup *g = NULL;
	int64_t deadline = cg_now_usec() + (kill ? REMOVE_TIMEOUT_USEC : LINGER_TIMEOUT_USEC);
	unsigned round = 0;
	int r = cg_open(h, path, &g, e);

	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return r;
	for (;;) {
		if (kill) {
			r = cg_signal_all(g, SIGKILL, e);
			if (r < 0)
				return r;
		}
		if (!wait_change(g, deadline, &round))
			return still_busy(g, kill, e);
		r = rmdir_all(h, path, e);
		if (r != -EBUSY)
			return r;
	}
}

int cg_remove(struct cg_host *h, const char *path, bool kill, struct err *e)
{
	int r = cg_path_check(path, e);

	if (r == 0 && path[1] == '\0')
		r = err_invalid(e, "it is the root group");
	if (r == 0)
		r = rmdir_all(h, path, e);
	if (r == -EBUSY)
		r = remove_busy(h, path, kill, e);
	if (r < 0)
		err_wrap(e, "remove cgroup '%s'", path);
	return r;
}
