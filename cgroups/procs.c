/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a group: listing them, sub-groups included, and putting one in.
 */
#include "group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

static int push(struct cg_pidlist *out, pid_t pid)
{
	if (out->n == out->cap) {
		size_t cap = out->cap ? out->cap * 2 : 32;
		pid_t *grown = reallocarray(out->pids, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		out->pids = grown;
		out->cap = cap;
	}
	out->pids[out->n++] = pid;
	return 0;
}

static int add_procs(int fd, struct cg_pidlist *out, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int r = cg_file_slurp(fd, "cgroup.procs", &text, e);

	/* A threaded sub-group of v2 does not list them; its domain above did. */
	if (r == -EOPNOTSUPP || r == -ENOENT || r == -ENODEV)
		return 0;
	if (r < 0)
		return r;
	for (const char *p = text; *p; p++) {
		uint64_t pid = 0;

		for (; *p >= '0' && *p <= '9'; p++)
			pid = pid * 10 + (uint64_t)(*p - '0');
		/* 0 is a process of a pid namespace we cannot see into, and to kill(2) it would
		 * mean our own process group. */
		if (pid > 0 && pid <= INT32_MAX && (pid_t)pid != getpid() &&
		    push(out, (pid_t)pid) < 0)
			return err_nomem(e);
		if (!*p)
			break;
	}
	return 0;
}

/* Takes fd. One descriptor per level. */
static int walk(int fd, struct cg_pidlist *out, unsigned depth, struct err *e)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	int r;

	if (!dir) {
		r = err_sys(e, errno, "list the group's directory");
		close(fd);
		return r;
	}
	r = add_procs(fd, out, e);
	if (r < 0)
		return r;
	if (depth == 0)
		return err_sys(e, ELOOP, "list the processes of nested groups");
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		int child;

		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		child = cg_dir_open_at(fd, d->d_name, NULL);
		if (child < 0)
			continue; /* gone meanwhile */
		r = walk(child, out, depth - 1, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int cg_pids_below(int dirfd, struct cg_pidlist *out, struct err *e)
{
	int fd = cg_dir_open_at(dirfd, "", e);

	if (fd == -ENOENT) { /* removed while we held it */
		err_clear(e);
		return 0;
	}
	return fd < 0 ? fd : walk(fd, out, CG_DEPTH_MAX, e);
}

int cg_pids(struct cgroup *g, pid_t **ret, size_t *ret_n, struct err *e)
{
	const struct cg_dir *d = cg_group_primary(g);
	struct cg_pidlist out = {0};
	int r = d ? cg_pids_below(d->fd, &out, e) : 0;

	if (r < 0) {
		free(out.pids);
		return err_wrap(e, "list the processes of cgroup '%s'", g->path);
	}
	*ret = out.pids;
	*ret_n = out.n;
	return 0;
}

/* ---- joining ------------------------------------------------------------------------------------ */

static int attach_failed(const struct cgroup *g, const struct cg_dir *d, int r, struct err *e)
{
	err_wrap(e, "join cgroup '%s' in '%s'", g->path, d->hier->mount_point);
	if (cg_is_denied(r))
		err_hint(e, "moving a process needs write access to cgroup.procs of the group that "
			    "holds both its old and its new group");
	else if (d->hier->v2 && r == -EBUSY)
		err_hint(e, "the group hands controllers down and so can hold no process itself");
	else if (d->hier->v2 && r == -EOPNOTSUPP)
		err_hint(e, "the group is in a threaded subtree");
	else if ((d->hier->controllers & CG_BIT(CG_CTL_CPUSET)) && r == -ENOSPC)
		err_hint(e, "cpuset.cpus or cpuset.mems of the group is empty");
	else if (!d->hier->v2 && (d->hier->controllers & CG_BIT(CG_CTL_CPU)) && r == -EINVAL)
		err_hint(e, "a real-time process cannot join without cpu.rt_runtime_us");
	return r;
}

static int attach(struct cgroup *g, pid_t pid, bool born, struct err *e)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < g->n_dirs; i++) {
		const struct cg_dir *d = &g->dirs[i];
		/* v1, our own only thread: "0" in tasks is the one form for which the kernel does
		 * not take its global thread group lock, whose writer waits for an RCU grace
		 * period (kernel/cgroup/cgroup.c, cgroup_procs_write_start()). */
		const char *file = pid == 0 && !d->hier->v2 ? "tasks" : "cgroup.procs";
		int r;

		if (born && d->hier->v2)
			continue;
		r = cg_file_write(d->fd, file, text, e);
		if (r < 0)
			return attach_failed(g, d, r, e);
	}
	return 0;
}

int cg_attach(struct cgroup *g, pid_t pid, struct err *e)
{
	return attach(g, pid, false, e);
}

int cg_enter(struct cgroup *g, struct err *e)
{
	return attach(g, 0, true, e);
}

int cg_birth_fd(const struct cgroup *g)
{
	const struct cg_dir *v2 = cg_group_v2(g);

	return v2 ? v2->fd : -1;
}

int cg_clone_fd(const struct cgroup *g)
{
	if (g->n_dirs == 1 && g->dirs[0].hier->v2)
		return g->dirs[0].fd;
	return -1;
}
