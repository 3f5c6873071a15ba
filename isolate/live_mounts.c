/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of a running container. Theory of operation:
 *
 *	caller             intermediate                        helper
 *	id-mapped trees
 *	clone ---------->  joins the container's user
 *	                   namespace, if it has one; makes a
 *	                   mount namespace (a copy of the
 *	                   caller's); opens the sources there;
 *	                   joins the container's mount
 *	                   namespace; clones ------------->    waits
 *	SYNC_GO ------------------------------------------->   puts the mounts in place
 *	ids  <----------------------------------------------   SYNC_READY and an id for each
 *	keep()
 *	SYNC_COMMIT --------------------------------------->   ends; a channel that ends first: all are taken back
 *
 * So a source is opened as a container's init opens it: in a copy of the host's tree that belongs to the container's user
 * namespace, where the kernel has locked what the container may not undo. And everything about a destination is
 * resolved below init's root directory, held by descriptor, without magic links: a process of the container that
 * exchanges links meanwhile chooses at most another place of its own.
 *
 * For the same reason a mount is removed by its id, never by what a path leads to now: a container that may rename directories
 * could else have its own masks taken off. Where it is, is looked up in the caller's /proc and compared by id again.
 *
 * What trusts the caller's procfs (names of descriptors) holds it open; nothing of the container's /proc is read. File systems
 * that show a namespace (proc, sysfs, mqueue, devpts, cgroup) are left to the creation: it masks them, and knows their groups.
 */
#include "isolate/live_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sync.h"
#include "identity.h"
#include "idmap.h"
#include "mountfd.h"
#include "mountinfo.h"
#include "mounts.h"
#include "nsfile.h"
#include "spawn.h"

/* As many as one command may add. */
#define LIVE_MOUNTS_MAX 256

static const char peer[] = "the mount helper";

/* What one call holds; the helpers run in copies of it. */
struct live {
	const struct iso_live *params;
	int user_ns, mount_ns;              /* user_ns -1: the container's is the caller's */
	int root_fd;                        /* init's root directory */
	int proc_fd;                        /* the caller's /proc */
	int *mapped_fds;                    /* of idmap_prepare() */
	int *tree_fds;                      /* sources; made in the intermediate */
	const struct iso_live_attrs *attrs; /* protection */
	size_t n_attrs;
	/* removal */
	const uint64_t *ids;
	char **paths; /* where they are, relative to the container's root; NULL: gone */
	size_t n_ids;
};

/* ---- what a creation alone does ----------------------------------------------------------------- */

static const char *const creation_only[] = {"proc",   "sysfs",  "mqueue",
					    "devpts", "cgroup", "cgroup2"};

static const struct {
	uint32_t flag;
	const char *word;
} creation_flags[] = {
	{ISO_MOUNT_TMPCOPYUP, "tmpcopyup"},       {ISO_MOUNT_REMOUNT, "remount"},
	{ISO_MOUNT_COPY_SYMLINK, "copy-symlink"}, {ISO_MOUNT_FILL, "fill"},
	{ISO_MOUNT_THROWAWAY, "throwaway"},
};

static int check_one(const struct iso_mount *m, struct err *e)
{
	if (!m->destination || m->destination[0] != '/')
		return err_invalid(e, "the destination is not an absolute path");
	for (size_t i = 0; i < ARRAY_SIZE(creation_only); i++)
		if (m->type && !(m->flags & ISO_MOUNT_BIND) && STREQ(m->type, creation_only[i]))
			return err_unsupported(e, "a file system '%s' in a container that exists",
					       m->type);
	for (size_t i = 0; i < ARRAY_SIZE(creation_flags); i++)
		if (m->flags & creation_flags[i].flag)
			return err_unsupported(e, "option '%s' in a container that exists",
					       creation_flags[i].word);
	if (mounts_needs_classic(m->data))
		return err_unsupported(e,
				       "an option of more than %d bytes in a container that "
				       "exists",
				       MOUNTFD_VALUE_MAX);
	return 0;
}

int iso_live_mounts_check(const struct iso_config *c, struct err *e)
{
	if (c->n_mounts == 0)
		return err_invalid(e, "there is no mount in the list");
	if (c->n_mounts > LIVE_MOUNTS_MAX)
		return err_invalid(e, "%zu mounts in one list, more than %d", c->n_mounts,
				   LIVE_MOUNTS_MAX);
	for (size_t i = 0; i < c->n_mounts; i++) {
		int r = check_one(&c->mounts[i], e);

		if (r == 0)
			r = idmap_check(c, &c->mounts[i], e);
		if (r < 0) {
			mounts_wrap(&c->mounts[i], e);
			return r;
		}
	}
	return 0;
}

/* ---- the caller: what is held ------------------------------------------------------------------- */

static void live_done(struct live *l)
{
	fd_close(l->user_ns);
	fd_close(l->mount_ns);
	fd_close(l->root_fd);
	fd_close(l->proc_fd);
	if (l->params)
		idmap_close(l->params->config, l->mapped_fds);
	free(l->tree_fds);
	for (size_t i = 0; l->paths && i < l->n_ids; i++)
		free(l->paths[i]);
	free(l->paths);
}

#define LIVE_INIT(p)                                                                       \
	{                                                                                  \
		.params = (p), .user_ns = -1, .mount_ns = -1, .root_fd = -1, .proc_fd = -1 \
	}

static int open_user_namespace(struct live *l, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (l->params->config->ns[ISO_NS_USER].mode == ISO_NS_INHERIT)
		return 0;
	fd = iso_ns_open(l->params->init_pid, ISO_NS_USER, e);
	if (fd < 0)
		return fd;
	r = ns_is_ours(ISO_NS_USER, fd, e);
	if (r == 0)
		l->user_ns = TAKE_FD(fd);
	return r < 0 ? r : 0;
}

/* All is opened before init is seen to live: so the number was its. */
static int hold(struct live *l, struct err *e)
{
	int r = open_user_namespace(l, e);

	if (r == 0)
		r = l->mount_ns = iso_ns_open(l->params->init_pid, ISO_NS_MOUNT, e);
	if (r >= 0)
		r = l->root_fd = ns_open_root(l->params->init_pid, e);
	if (r >= 0)
		r = l->proc_fd = path_open_dir("/proc", e);
	if (r >= 0)
		r = path_check_fstype(l->proc_fd, PROC_SUPER_MAGIC, "/proc", e);
	return r < 0 ? r : 0;
}

static bool init_ended(const struct iso_live *c)
{
	return proc_wait_exit(c->init_pidfd, 0, NULL) == 0;
}

static int not_running(struct err *e)
{
	return err_set(e, ERR_STATE, ESRCH, "the container is not running");
}

/* ---- the intermediate --------------------------------------------------------------------------- */

/* A copy of the caller's tree in which nothing that is opened stays a peer of the host's. */
static int copy_of_the_tree(struct err *e)
{
	struct mount_attr slave = {.propagation = MS_SLAVE};

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, errno, "make a mount namespace for the sources");
	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave, sizeof(slave)) < 0)
		return err_sys(e, errno, "stop propagation of mounts to the host");
	return 0;
}

static int open_trees(struct live *l, struct err *e)
{
	const struct iso_config *config = l->params->config;
	struct inside in = {.config = config, .mapped_fds = l->mapped_fds};
	int r = copy_of_the_tree(e);

	if (r < 0)
		return r;
	l->tree_fds = malloc(config->n_mounts * sizeof(*l->tree_fds));
	if (!l->tree_fds)
		return err_nomem(e);
	for (size_t i = 0; i < config->n_mounts; i++)
		l->tree_fds[i] = -1;
	return mounts_open_sources(&in, l->tree_fds, e);
}

static int live_join(void *arg, struct err *e)
{
	struct live *l = arg;
	int r = 0;

	if (l->user_ns >= 0 && setns(l->user_ns, CLONE_NEWUSER) < 0)
		return err_sys(e, errno, "join the container's user namespace");
	if (!l->ids && !l->attrs)
		r = open_trees(l, e);
	if (r == 0 && setns(l->mount_ns, CLONE_NEWNS) < 0)
		r = err_sys(e, errno, "join the container's mount namespace");
	return r;
}

/* ---- the helper: adding ------------------------------------------------------------------------- */

/* By a name in the caller's procfs: umount2(2) takes no descriptor, and the container's /proc is not to be trusted. */
static int take_off(const struct live *l, int mnt_fd, struct err *e)
{
	char name[48];

	snprintf(name, sizeof(name), "self/fd/%d", mnt_fd);
	if (fchdir(l->proc_fd) < 0)
		return err_sys(e, errno, "change to /proc");
	if (umount2(name, MNT_DETACH) < 0)
		return err_sys(e, errno, "unmount");
	return 0;
}

static int id_of(int mnt_fd, uint64_t *ret, struct err *e)
{
	struct statx stx;

	if (statx(mnt_fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_MNT_ID, &stx) < 0)
		return err_sys(e, errno, "look at the mount");
	if (!(stx.stx_mask & STATX_MNT_ID))
		return err_unsupported(e, "the kernel does not tell the id of a mount (Linux 5.8)");
	*ret = stx.stx_mnt_id;
	return 0;
}

static int add_one(const struct live *l, struct inside *in, size_t i, int fd, struct err *e)
{
	const struct iso_mount *m = &l->params->config->mounts[i];
	uint64_t id = 0;
	int r = mounts_place(in, m, &l->tree_fds[i], e);

	if (r == 0)
		r = id_of(*in->attached_fd, &id, e);
	if (r == 0 && id > INT32_MAX)
		r = err_set(e, ERR_INTERNAL, ERANGE, "its id %llu", (unsigned long long)id);
	if (r == 0)
		r = sync_send(fd, SYNC_READY, (int32_t)id, -1, e);
	if (r == -EROFS)
		err_hint(e, "no mount point can be made there; choose a directory that exists");
	return r < 0 ? (mounts_wrap(m, e), r) : 0;
}

static int add_all(const struct live *l, int *attached, size_t *ret_n, int fd, struct err *e)
{
	struct inside in = {
		.config = l->params->config, .root_fd = l->root_fd, .proc_fd = l->proc_fd};
	int r = 0;

	in.userns = l->user_ns >= 0 || ns_user_is_nested();
	for (size_t i = 0; r == 0 && i < l->params->config->n_mounts; i++) {
		in.attached_fd = &attached[i];
		r = add_one(l, &in, i, fd, e);
		*ret_n = i + 1;
	}
	return r;
}

static int start_helper(const struct live *l, int fd, struct err *e)
{
	int r = sync_expect(fd, "the caller", SYNC_GO, NULL, NULL, e);

	/* Who is killed takes nothing back. We end with the channel. */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0)
		r = err_sys(e, errno, "set the death signal");
	if (r == 0 && l->user_ns >= 0)
		r = identity_enter_userns(e);
	return r;
}

static int add_child(void *arg, int *fd, struct err *e)
{
	struct live *l = arg;
	int attached[LIVE_MOUNTS_MAX];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < LIVE_MOUNTS_MAX; i++)
		attached[i] = -1;
	r = start_helper(l, *fd, e);
	if (r == 0)
		r = add_all(l, attached, &n, *fd, e);
	if (r == 0)
		r = sync_expect(*fd, "the caller", SYNC_COMMIT, NULL, NULL, e);
	if (r == 0)
		_exit(0);
	for (size_t i = n; i-- > 0;)
		if (attached[i] >= 0)
			(void)take_off(l, attached[i], NULL);
	return r;
}

/* ---- the helper: removing ------------------------------------------------------------------------ */

static int remove_one(const struct live *l, size_t i, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	uint64_t id;
	int r;

	/* The path is the kernel's own, so no part of it is a link. */
	fd = path_open_in_root(l->root_fd, l->paths[i], O_PATH | O_NOFOLLOW, 0, e);
	if (fd < 0)
		return fd;
	r = id_of(fd, &id, e);
	if (r < 0)
		return r;
	if (id != l->ids[i]) {
		err_set(e, ERR_STATE, EBUSY, "it moved, or something was mounted on it");
		return err_hint(e, "try again, or unmount first what was mounted on it");
	}
	return take_off(l, fd, e);
}

static int remove_child(void *arg, int *fd, struct err *e)
{
	struct live *l = arg;
	int r = start_helper(l, *fd, e);

	for (size_t i = 0; r == 0 && i < l->n_ids; i++) {
		if (!l->paths[i])
			continue;
		r = remove_one(l, i, e);
		if (r < 0)
			err_wrap(e, "remove the mount on '%s'", l->paths[i]);
	}
	if (r == 0)
		r = sync_send(*fd, SYNC_STARTED, 0, -1, e);
	if (r == 0)
		_exit(0);
	return r;
}

static int read_mounts(int proc_fd, pid_t pid, struct mountinfo *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	char path[48];
	int r;

	snprintf(path, sizeof(path), "%d/mountinfo", (int)pid);
	r = path_read_file_at(proc_fd, path, 64u << 20, &text, NULL, e);
	return r < 0 ? r : mountinfo_parse(text, ret, e);
}

/* Where the mounts are by now. A later line of the table covers an earlier one. */
static int find_mounts(struct live *l, struct err *e)
{
	_cleanup_mountinfo_ struct mountinfo info = {0};
	int r = read_mounts(l->proc_fd, l->params->init_pid, &info, e);

	if (r == 0)
		r = proc_signal(l->params->init_pidfd, 0, e);
	if (r < 0)
		return r;
	l->paths = calloc(l->n_ids, sizeof(*l->paths));
	if (!l->paths)
		return err_nomem(e);
	for (size_t i = 0; i < l->n_ids; i++) {
		const struct mountinfo_entry *m = mountinfo_by_id(&info, l->ids[i]);

		if (m && !(l->paths[i] = strdup(m->mountpoint)))
			return err_nomem(e);
	}
	return 0;
}

/* ---- the helper: protecting ----------------------------------------------------------------------- */

static int protect_one(const struct live *l, const struct iso_live_attrs *a, struct err *e)
{
	_cleanup_close_ int fd = path_open_in_root(l->root_fd, a->place, O_PATH | O_NOFOLLOW, 0, e);
	int r = fd < 0 ? fd : 0;

	if (r == 0 && a->rec_set)
		r = mountfd_set(fd, true, a->rec_set, 0, 0, e);
	if (r == 0 && a->set)
		r = mountfd_set(fd, false, a->set, 0, 0, e);
	return r < 0 ? err_wrap(e, "protect the mount on '%s'", a->place) : 0;
}

static int protect_child(void *arg, int *fd, struct err *e)
{
	struct live *l = arg;
	int r = start_helper(l, *fd, e);

	for (size_t i = 0; r == 0 && i < l->n_attrs; i++)
		r = protect_one(l, &l->attrs[i], e);
	if (r == 0)
		r = sync_send(*fd, SYNC_STARTED, 0, -1, e);
	if (r == 0)
		_exit(0);
	return r;
}

/* ---- the caller ----------------------------------------------------------------------------------- */

static int start_spawned(struct live *l, int (*child)(void *, int *, struct err *),
			 struct iso_init *i, struct err *e)
{
	struct spawn s = {
		.what = peer, .cgroup_fd = -1, .join = live_join, .child = child, .arg = l};
	int r = spawn_process(&s, i, e);

	if (r < 0)
		return r;
	r = sync_send(i->sync_fd, SYNC_GO, 0, -1, e);
	if (r < 0)
		iso_init_done(i, true);
	return r;
}

static int collect(struct iso_init *i, uint64_t *ids, size_t n, struct err *e)
{
	for (size_t k = 0; k < n; k++) {
		int32_t id;
		int r = sync_expect(i->sync_fd, peer, SYNC_READY, &id, NULL, e);

		if (r < 0)
			return r == -EPIPE ? spawn_explain_end(peer, i, e) : r;
		ids[k] = (uint64_t)id;
	}
	return 0;
}

/* Its end is the end of its work. */
static void await_helper(struct iso_init *i)
{
	int status;

	i->sync_fd = fd_close(i->sync_fd);
	(void)proc_reap(i->pid, &status, NULL);
	i->pid = -1;
	iso_init_done(i, false);
}

static int add(struct live *l, iso_live_keep_fn keep, void *arg, struct err *e)
{
	const struct iso_config *config = l->params->config;
	uint64_t ids[LIVE_MOUNTS_MAX];
	int join_user = config->ns[ISO_NS_USER].mode == ISO_NS_JOIN ? l->user_ns : -1;
	struct iso_init i;
	int r = idmap_prepare(config, join_user, &l->mapped_fds, e);

	if (r == 0)
		r = start_spawned(l, add_child, &i, e);
	if (r < 0)
		return r;
	r = collect(&i, ids, config->n_mounts, e);
	if (r == 0)
		r = keep(arg, ids, config->n_mounts, e);
	if (r == 0)
		r = sync_send(i.sync_fd, SYNC_COMMIT, 0, -1, e);
	await_helper(&i);
	return r;
}

/* A helper that works alone. */
static int run_helper(struct live *l, int (*child)(void *, int *, struct err *), struct err *e)
{
	struct iso_init i;
	int r = start_spawned(l, child, &i, e);

	if (r < 0)
		return r;
	r = sync_expect(i.sync_fd, peer, SYNC_STARTED, NULL, NULL, e);
	if (r == -EPIPE)
		r = spawn_explain_end(peer, &i, e);
	await_helper(&i);
	return r;
}

int iso_live_mounts_add(const struct iso_live *c, iso_live_keep_fn keep, void *arg, struct err *e)
{
	_cleanup_(live_done) struct live l = LIVE_INIT(c);
	int r = iso_live_mounts_check(c->config, e);

	if (r < 0)
		return r;
	r = hold(&l, e);
	if (init_ended(c))
		return not_running(e);
	if (r == 0)
		r = add(&l, keep, arg, e);
	return r < 0 && init_ended(c) ? not_running(e) : r;
}

int iso_live_mounts_remove(const struct iso_live *c, const uint64_t *ids, size_t n, struct err *e)
{
	_cleanup_(live_done) struct live l = LIVE_INIT(c);
	int r;

	if (n == 0)
		return 0;
	l.ids = ids;
	l.n_ids = n;
	r = hold(&l, e);
	if (init_ended(c))
		return not_running(e);
	if (r == 0)
		r = find_mounts(&l, e);
	if (r == 0)
		r = run_helper(&l, remove_child, e);
	return r < 0 && init_ended(c) ? not_running(e) : r;
}

int iso_live_mounts_protect(const struct iso_live *c, const struct iso_live_attrs *v, size_t n,
			    struct err *e)
{
	_cleanup_(live_done) struct live l = LIVE_INIT(c);
	int r;

	if (n == 0)
		return 0;
	l.attrs = v;
	l.n_attrs = n;
	r = hold(&l, e);
	return r < 0 ? r : run_helper(&l, protect_child, e);
}

/* ---- looking ---------------------------------------------------------------------------------------- */

/* Its root is what the path leads to, so the path is that of a mount point. */
static bool is_mount_root(const struct statx *stx)
{
	return (stx->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
	       (stx->stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

int iso_live_mount_place(const struct iso_live *c, const char *path, char **ret,
			 bool *ret_directory, struct err *e)
{
	_cleanup_(live_done) struct live l = LIVE_INIT(c);
	_cleanup_mountinfo_ struct mountinfo info = {0};
	_cleanup_close_ int fd = -EBADF;
	const struct mountinfo_entry *m;
	struct statx stx;
	int r = hold(&l, e);

	if (r < 0)
		return r;
	fd = path_open_in_root(l.root_fd, path, O_PATH, 0, NULL);
	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_TYPE, &stx) < 0)
		return err_sys(e, errno, "look at '%s'", path);
	if (!is_mount_root(&stx))
		return -ENOENT;
	r = read_mounts(l.proc_fd, c->init_pid, &info, e);
	if (r < 0)
		return r;
	m = mountinfo_by_id(&info, stx.stx_mnt_id);
	if (!m)
		return -ENOENT;
	*ret_directory = S_ISDIR(stx.stx_mode);
	*ret = strdup(m->mountpoint);
	return *ret ? 0 : err_nomem(e);
}

int iso_live_has_mount(pid_t pid, uint64_t id, struct err *e)
{
	_cleanup_mountinfo_ struct mountinfo info = {0};
	_cleanup_close_ int proc_fd = path_open_dir("/proc", e);
	int r = proc_fd < 0 ? proc_fd : read_mounts(proc_fd, pid, &info, e);

	return r < 0 ? r : mountinfo_by_id(&info, id) != NULL;
}
