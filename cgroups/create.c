/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a group, and opening one.
 *
 * In a v1 hierarchy without cpuset the group is made by its path; in the others the parent is opened and the leaf is made in
 * it, where the parent exists and, in v2, hands down what we want. Only otherwise the path is walked
 * from the top: missing parents are made, v2 controllers enabled level by level, v1 cpuset parents
 * given CPUs and memory nodes (a group without them takes no process).
 *
 * Another process may remove an empty parent between our look and our mkdir, when its own creation
 * failed: ENOENT then, and a bounded number of new attempts.
 */
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define CREATE_ATTEMPTS 8

struct making {
	const struct cg_hier *hier;
	const char *path;          /* of the group, for errors */
	unsigned wanted, required; /* v2 controllers */
	bool adopt;                /* processes may be in it already */
	struct cg_dir *dir;        /* the result */
};

/* ---- v2: handing controllers down -------------------------------------------------------------- */

static int enable_failed(int r, enum cg_ctl c, const char *level, struct err *e)
{
	const char *name = cg_ctl_name(c, true);

	switch (-r) {
	case EBUSY:
		err_set(e, ERR_STATE, EBUSY,
			"enable the %s controller below cgroup '%s': the group has processes of "
			"its "
			"own",
			name, level);
		return err_hint(e,
				"move them to a sub-group of '%s', or choose a cgroup path whose "
				"parents have no processes",
				level);
	case EOPNOTSUPP:
		err_set(e, ERR_STATE, EOPNOTSUPP,
			"enable the %s controller below cgroup '%s': the group is threaded", name,
			level);
		return err_hint(e, "choose a cgroup path outside the threaded subtree");
	default:
		return err_sys(e, r, "enable the %s controller below cgroup '%s'", name, level);
	}
}

/* The kernel refuses to hand a domain controller (memory, io) down from such a group with EBUSY; but
 * cpu or pids alone it accepts, and turns the group into the root of a threaded subtree in which no
 * sandbox can live. So we look before. The root of the hierarchy, which has no type, is exempt. */
static bool has_own_processes(int fd)
{
	_cleanup_free_ char *procs = NULL;

	return cg_file_exists(fd, "cgroup.type") &&
	       cg_file_slurp(fd, "cgroup.procs", &procs, NULL) == 0 && procs[0];
}

/* Append "+name", as subtree_control wants it, to a line of such words. */
static void add_word(char *words, size_t size, enum cg_ctl c)
{
	size_t len = strlen(words);

	snprintf(words + len, size - len, "%s+%s", len ? " " : "", cg_ctl_name(c, true));
}

/* Enable what is missing below `fd`. What is not required may fail: then it is just not there. */
static int enable(const struct making *m, int fd, const char *level, struct err *e)
{
	char buf[CG_FILE_MAX];
	char words[128] = "";
	unsigned missing;
	int r = cg_file_read(fd, "cgroup.subtree_control", buf, sizeof(buf), e);

	if (r < 0)
		return err_wrap(e, "cgroup '%s'", level);
	missing = m->wanted & ~cg_ctl_words(buf);
	if (!missing)
		return 0;
	r = cg_file_read(fd, "cgroup.controllers", buf, sizeof(buf), e);
	if (r < 0)
		return err_wrap(e, "cgroup '%s'", level);
	missing &= cg_ctl_words(buf);
	for (int c = 0; c < CG_CTL_COUNT; c++) {
		if (!(missing & CG_BIT(c)))
			continue;
		add_word(words, sizeof(words), (enum cg_ctl)c);
	}
	if (!missing)
		return 0;
	if (has_own_processes(fd)) {
		for (int c = 0; c < CG_CTL_COUNT; c++)
			if (missing & m->required & CG_BIT(c))
				return enable_failed(-EBUSY, (enum cg_ctl)c, level, e);
		return 0;
	}
	if (cg_file_write(fd, "cgroup.subtree_control", words, NULL) == 0)
		return 0;
	/* One refusal refuses the whole line: find out which. */
	for (int c = 0; c < CG_CTL_COUNT; c++) {
		if (!(missing & CG_BIT(c)))
			continue;
		words[0] = '\0';
		add_word(words, sizeof(words), (enum cg_ctl)c);
		r = cg_file_write(fd, "cgroup.subtree_control", words, NULL);
		if (r < 0 && (m->required & CG_BIT(c)) && !cg_is_denied(r) && r != -ENOENT)
			return enable_failed(r, (enum cg_ctl)c, level, e);
	}
	return 0;
}

/* A process cannot join a group of these types, and the error it would get says nothing. */
static int check_type(const struct making *m, int fd, struct err *e)
{
	char type[64];

	if (cg_file_read(fd, "cgroup.type", type, sizeof(type), NULL) < 0 ||
	    str_has_prefix(type, "domain") == !STREQ(type, "domain invalid"))
		return 0;
	err_set(e, ERR_STATE, EOPNOTSUPP, "cgroup '%s' has the type '%s' and can hold no sandbox",
		m->path, type);
	return err_hint(e, "a parent is threaded; choose a cgroup path outside that subtree");
}

/* ---- v1: cpuset ----------------------------------------------------------------------------------- */

static int inherit_cpuset(int parent, int child, const char *level, struct err *e)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char value[CG_FILE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int r = cg_file_read(child, files[i], value, sizeof(value), e);

		if (r == 0 && value[0])
			continue;
		if (r == 0)
			r = cg_file_read(parent, files[i], value, sizeof(value), e);
		if (r == 0 && !value[0])
			return -ENODATA;
		if (r == 0)
			r = cg_file_write(child, files[i], value, e);
		if (r < 0)
			return err_wrap(e, "give cgroup '%s' its parent's CPUs and memory", level);
	}
	return 0;
}

/* ---- directories ---------------------------------------------------------------------------------- */

/* Remember the shallowest component that we made: undoing goes up to it. */
static void note_made(const struct making *m, size_t len)
{
	if (m->dir->made_len == 0)
		m->dir->made_len = len;
}

/* The leaf is there already. With processes in it it belongs to somebody; an empty one is left over
 * and made anew, since it may carry old limits. Where we may not remove it (made for us by an
 * administrator) it is taken as it is. */
static int take_existing(const struct making *m, int parent, const char *leaf, struct err *e)
{
	_cleanup_close_ int fd = cg_dir_open_at(parent, leaf, e);
	struct cg_pidlist pids = {0};
	int r;

	if (fd < 0)
		return fd;
	if (m->adopt)
		return 0;
	r = cg_pids_below(fd, &pids, e);
	free(pids.pids);
	if (r < 0)
		return r;
	if (pids.n > 0) {
		err_set(e, ERR_EXISTS, EEXIST, "cgroup '%s' exists and has %zu process%s in it",
			m->path, pids.n, pids.n == 1 ? "" : "es");
		return err_hint(e, "another sandbox uses this cgroup path");
	}
	if (cg_tree_rmdir(parent, leaf) < 0)
		return 0;
	if (mkdirat(parent, leaf, 0755) < 0)
		return err_sys(e, errno, "make directory '%s'", leaf);
	note_made(m, strlen(cg_path_below(m->hier, m->path)));
	return 0;
}

static int make_leaf(const struct making *m, int parent, const char *leaf, struct err *e)
{
	int fd, r;

	if (mkdirat(parent, leaf, 0755) == 0) {
		note_made(m, strlen(cg_path_below(m->hier, m->path)));
	} else if (errno == EEXIST) {
		m->dir->made_len = 0; /* not ours, so neither are its parents */
		r = take_existing(m, parent, leaf, e);
		if (r < 0)
			return r;
	} else {
		return err_sys(e, errno, "make directory '%s'", leaf);
	}
	fd = cg_dir_open_at(parent, leaf, e);
	if (fd < 0)
		return fd;
	m->dir->fd = fd;
	if (m->hier->v2)
		return check_type(m, fd, e);
	if (!(m->hier->controllers & CG_BIT(CG_CTL_CPUSET)))
		return 0;
	r = inherit_cpuset(parent, fd, m->path, e);
	if (r == -ENODATA)
		return err_set(e, ERR_STATE, ENODATA, "cpuset of the parent of '%s' is empty",
			       m->path);
	return r;
}

/* From the top, component by component. Returns the leaf's parent. */
static int walk(const struct making *m, const char *rel, size_t parent_len, struct err *e)
{
	_cleanup_close_ int fd = cg_dir_open_at(m->hier->root_fd, "", e);
	const char *p = rel;
	int r;

	if (fd < 0)
		return fd;
	for (;;) {
		_cleanup_close_ int next = -1;
		char name[NAME_MAX + 1], level[PATH_MAX];
		size_t len;

		snprintf(level, sizeof(level), "/%.*s", (int)(p - rel), rel);
		if (m->hier->v2) {
			r = enable(m, fd, level, e);
			if (r < 0)
				return r;
		}
		while (*p == '/')
			p++;
		len = strcspn(p, "/");
		if ((size_t)(p - rel) >= parent_len)
			return TAKE_FD(fd);
		memcpy(name, p, len);
		name[len] = '\0';
		p += len;
		if (mkdirat(fd, name, 0755) == 0)
			note_made(m, (size_t)(p - rel));
		else if (errno != EEXIST)
			return err_sys(e, errno, "make directory '%s'", name);
		next = cg_dir_open_at(fd, name, e);
		if (next < 0)
			return next;
		if (!m->hier->v2 && (m->hier->controllers & CG_BIT(CG_CTL_CPUSET))) {
			r = inherit_cpuset(fd, next, name, e);
			if (r < 0)
				return r == -ENODATA ? err_sys(e, ENODATA,
							       "cpuset of '%s' is empty", level)
						     : r;
		}
		close(fd);
		fd = TAKE_FD(next);
	}
}

static bool asks_nothing_of_parent(const struct cg_hier *hier)
{
	return !hier->v2 && !(hier->controllers & CG_BIT(CG_CTL_CPUSET));
}

static bool parent_is_ready(const struct making *m, int fd)
{
	char buf[CG_FILE_MAX];

	if (!m->hier->v2)
		return asks_nothing_of_parent(m->hier) ||
		       (cg_file_read(fd, "cpuset.cpus", buf, sizeof(buf), NULL) == 0 && buf[0] &&
			cg_file_read(fd, "cpuset.mems", buf, sizeof(buf), NULL) == 0 && buf[0]);
	return cg_file_read(fd, "cgroup.subtree_control", buf, sizeof(buf), NULL) == 0 &&
	       !(m->wanted & ~cg_ctl_words(buf));
}

static int make_dir(const struct making *m, struct err *e)
{
	const char *rel = cg_path_below(m->hier, m->path), *slash = strrchr(rel, '/');
	size_t parent_len = slash ? (size_t)(slash - rel) : 0;
	_cleanup_free_ char *parent_path = NULL;
	_cleanup_close_ int parent = -1;
	int r;

	if (!*rel)
		return err_invalid(e, "cgroup path '%s' is the root group of '%s'", m->path,
				   m->hier->mount_point);
	if (asks_nothing_of_parent(m->hier)) {
		r = make_leaf(m, m->hier->root_fd, rel, e);
		if (r != -ENOENT)
			return r;
		err_clear(e);
	}
	parent_path = strndup(rel, parent_len);
	if (!parent_path)
		return err_nomem(e);
	parent = cg_dir_open_at(m->hier->root_fd, parent_path, NULL);
	if (parent < 0 || !parent_is_ready(m, parent)) {
		fd_close(parent);
		parent = walk(m, rel, parent_len, e);
		if (parent < 0)
			return parent;
	}
	return make_leaf(m, parent, slash ? slash + 1 : rel, e);
}

/* ---- the top group, for libcgroup.c --------------------------------------------------------------- */

static struct making top_making(const struct cg_host *h, const struct cg_hier *hier,
				const char *path, struct cg_dir *dir)
{
	unsigned usual = h->layout == CG_LAYOUT_V2 ? CG_V2_USUAL : 0;

	return (struct making){
		.hier = hier, .path = path, .wanted = usual & hier->controllers, .dir = dir};
}

bool cg_prefix_is_ready(const struct cg_host *h, const struct cg_hier *hier, const char *path)
{
	struct cg_dir made = {.fd = -1};
	struct making m = top_making(h, hier, path, &made);
	_cleanup_close_ int fd = cg_dir_open_at(hier->root_fd, cg_path_below(hier, path), NULL);

	return fd >= 0 && parent_is_ready(&m, fd);
}

int cg_prefix_finish(const struct cg_host *h, const char *path, struct err *e)
{
	for (size_t i = 0; i < h->n_hier; i++) {
		const struct cg_hier *hier = &h->hier[i];
		struct cg_dir made = {.fd = -1};
		struct making m = top_making(h, hier, path, &made);
		const char *rel = cg_path_below(hier, path);
		int fd = walk(&m, rel, strlen(rel), e);

		if (fd < 0)
			return err_wrap(e, "in '%s'", hier->mount_point);
		close(fd);
	}
	return 0;
}

/* ---- the group -------------------------------------------------------------------------------------- */

static void read_controllers(struct cg_dir *d, unsigned v1_has)
{
	char buf[CG_FILE_MAX];

	d->controllers = d->hier->controllers;
	if (!d->hier->v2)
		return;
	d->controllers = CG_V2_CORE & ~v1_has;
	if (cg_file_read(d->fd, "cgroup.controllers", buf, sizeof(buf), NULL) == 0)
		d->controllers |= cg_ctl_words(buf);
}

static unsigned v1_controllers(const struct cg_host *h)
{
	unsigned bits = 0;

	for (size_t i = 0; i < h->n_hier; i++)
		if (!h->hier[i].v2)
			bits |= h->hier[i].controllers;
	return bits;
}

static void undo_made(const struct cgroup *g)
{
	for (size_t i = 0; i < g->n_dirs; i++)
		cg_dir_undo(g->dirs[i].hier, g->path, g->dirs[i].made_len);
}

static int make_all(struct cgroup *g, unsigned needs, bool adopt, struct err *e)
{
	struct cg_host *h = g->host;
	unsigned v1_has = v1_controllers(h);

	for (size_t i = 0; i < h->n_hier; i++) {
		struct cg_dir *d = &g->dirs[g->n_dirs];
		unsigned usual = h->layout == CG_LAYOUT_V2 ? CG_V2_USUAL : 0;
		struct making m = {
			.hier = &h->hier[i],
			.path = g->path,
			.required = needs & ~v1_has,
			.wanted = (usual | (needs & ~v1_has)) & h->hier[i].controllers,
			.adopt = adopt,
			.dir = d,
		};
		int r;

		*d = (struct cg_dir){.hier = m.hier, .fd = -1};
		r = make_dir(&m, e);
		if (r < 0) {
			cg_dir_undo(m.hier, g->path, d->made_len);
			d->fd = fd_close(d->fd);
			/* Not ours to use; whether that matters is seen at the end. */
			if (cg_is_denied(r)) {
				err_clear(e);
				continue;
			}
			err_wrap(e, "in '%s'", m.hier->mount_point);
			return r;
		}
		read_controllers(d, v1_has);
		g->n_dirs++;
	}
	return 0;
}

static int check_needs(const struct cgroup *g, unsigned needs, struct err *e)
{
	for (int c = 0; c < CG_CTL_COUNT; c++)
		if ((needs & CG_BIT(c)) && !cg_group_dir(g, (enum cg_ctl)c))
			return cg_group_missing(g, (enum cg_ctl)c, e);
	return 0;
}

static int try_create(struct cg_host *h, const char *path, unsigned needs, bool adopt,
		      struct cgroup **ret, struct err *e)
{
	_cleanup_(cg_freep) struct cgroup *g = NULL;
	int r = cg_group_new(h, path, &g, e);

	if (r < 0)
		return r;
	r = make_all(g, needs, adopt, e);
	if (r == 0)
		r = check_needs(g, needs, e);
	if (r < 0) {
		undo_made(g);
		return r;
	}
	*ret = TAKE_PTR(g);
	return 0;
}

static int create(struct cg_host *h, const char *path, const struct cg_limits *l, bool adopt,
		  struct cgroup **ret, struct err *e)
{
	unsigned needs = cg_limits_needs(l);
	int r = cg_path_check(path, e);

	if (r == 0 && l)
		r = cg_limits_check(l, e);
	if (r == 0) {
		r = -ENOENT;
		for (int i = 0; r == -ENOENT && i < CREATE_ATTEMPTS; i++)
			r = try_create(h, path, needs, adopt, ret, e);
	}
	if (r < 0)
		err_wrap(e, "%s cgroup '%s'", adopt ? "use" : "create", path);
	return r;
}

int cg_create(struct cg_host *h, const char *path, const struct cg_limits *l, struct cgroup **ret,
	      struct err *e)
{
	return create(h, path, l, false, ret, e);
}

int cg_adopt(struct cg_host *h, const char *path, const struct cg_limits *l, struct cgroup **ret,
	     struct err *e)
{
	return create(h, path, l, true, ret, e);
}

int cg_new_null(struct cg_host *h, struct cgroup **ret, struct err *e)
{
	return cg_group_new(h, "", ret, e);
}

int cg_open(struct cg_host *h, const char *path, struct cgroup **ret, struct err *e)
{
	_cleanup_(cg_freep) struct cgroup *g = NULL;
	unsigned v1_has = v1_controllers(h);
	int r = cg_path_check(path, e);

	if (r == 0)
		r = cg_group_new(h, path, &g, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < h->n_hier; i++) {
		const struct cg_hier *hier = &h->hier[i];
		const char *rel = cg_path_below(hier, path);
		int fd;

		/* Killing or freezing that one would be everybody's. */
		if (!*rel)
			return err_invalid(e, "cgroup path '%s' is the root group of '%s'", path,
					   hier->mount_point);
		fd = cg_dir_open_at(hier->root_fd, rel, e);
		if (fd == -ENOENT || cg_is_denied(fd)) {
			err_clear(e);
			continue;
		}
		if (fd < 0)
			return err_wrap(e, "open cgroup '%s' in '%s'", path, hier->mount_point);
		g->dirs[g->n_dirs] = (struct cg_dir){.hier = hier, .fd = fd};
		read_controllers(&g->dirs[g->n_dirs++], v1_has);
	}
	if (g->n_dirs == 0)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "cgroup '%s' does not exist", path);
	*ret = TAKE_PTR(g);
	return 0;
}
