/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree that a guest sees, built in the monitor's own mount namespace:
 *
 *	/run/share/rootfs	the root file system, by the same code that a container's init uses
 *	/run/share/mounts/N	the source of bind mount N of the configuration
 *	/run/guest		the guest kernel's directory (not shared)
 *
 * /run is a tmpfs of ours by then, so all names are short and known, nothing is left on the host,
 * and the host's sockets there are out of reach. Everything from the host is therefore opened
 * first.
 *
 * What the configuration hides is hidden here too, so that a guest kernel that ignores its orders
 * does not find it in the shared tree: masked paths, and in a copy of the host's own system
 * whatever lies under a tmpfs.
 *
 * Read-only is enforced here, on the host's side of the file server: a guest that remounts its
 * side writable gains nothing (Kata's CVE-2026-24834). The guest still makes the mount points;
 * where the root is read-only, they are made here beforehand, as init does for a container before
 * it makes its root read-only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "vmm.h"
#include "vmm_document.h"

#define RUN_OPTIONS   "mode=0700,size=4m,nr_inodes=1024"
#define SHARE_OPTIONS "mode=0755,size=1m"

struct sources {
	int *binds; /* per mount: a detached tree, or -1 */
	size_t n;
	int guest_dir, rootfs;
};

static void sources_done(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		fd_close(s->binds[i]);
	free(s->binds);
	fd_close(s->guest_dir);
	fd_close(s->rootfs);
}

static int set_readonly(int fd, bool recursive, struct err *e)
{
	struct mount_attr a = {.attr_set = MOUNT_ATTR_RDONLY};

	if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &a, sizeof(a)) <
	    0)
		return err_sys(e, errno, "make it read-only");
	return 0;
}

static int copy_source(const struct iso_mount *m, struct err *e)
{
	unsigned flags =
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (m->flags & ISO_MOUNT_REC ? AT_RECURSIVE : 0);
	int fd;

	/* Here, so that the guest cannot reach past it. */
	if (m->flags & ISO_MOUNT_THROWAWAY)
		return iso_mount_throwaway(m->source, m->throwaway_dir, e);
	fd = m->source_fd >= 0 ? open_tree(m->source_fd, "", flags | AT_EMPTY_PATH)
			       : open_tree(AT_FDCWD, m->source, flags);
	return fd < 0 ? err_sys(e, errno, "open '%s'", m->source) : fd;
}

static int open_bind(const struct iso_mount *m, struct err *e)
{
	_cleanup_close_ int fd = copy_source(m, e);
	int r = 0;

	if (fd < 0)
		return fd;
	if (m->attr_rec_set & MOUNT_ATTR_RDONLY)
		r = set_readonly(fd, true, e);
	else if (m->attr_set & MOUNT_ATTR_RDONLY)
		r = set_readonly(fd, false, e);
	return r < 0 ? r : TAKE_FD(fd);
}

static bool is_shared_bind(const struct iso_mount *m)
{
	return (m->flags & ISO_MOUNT_BIND) && !(m->flags & ISO_MOUNT_REMOUNT);
}

static int open_binds(const struct iso_config *c, struct sources *s, struct err *e)
{
	s->binds = calloc(c->n_mounts ? c->n_mounts : 1, sizeof(*s->binds));
	if (!s->binds)
		return err_nomem(e);
	for (; s->n < c->n_mounts; s->n++) {
		const struct iso_mount *m = &c->mounts[s->n];

		s->binds[s->n] = -1;
		if (!is_shared_bind(m))
			continue;
		s->binds[s->n] = open_bind(m, e);
		if (s->binds[s->n] < 0)
			return err_wrap(e, "mount '%s' on '%s'", m->source, m->destination);
	}
	return 0;
}

static bool is_dir(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The mount points that the guest will need in a root that it cannot write to. */
static int make_mount_points(const struct iso_config *c, const struct sources *s, struct err *e)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		const char *path = c->mounts[i].destination;
		_cleanup_close_ int fd = -EBADF;

		if (vmm_mount_is_nested(c, i) || (c->mounts[i].flags & ISO_MOUNT_REMOUNT))
			continue;
		fd = s->binds[i] >= 0 && !is_dir(s->binds[i])
			     ? path_mkfile_in_root(s->rootfs, path, 0755, 0644, e)
			     : path_mkdirs_in_root(s->rootfs, path, 0755, e);
		if (fd < 0)
			return err_wrap(e, "mount point '%s'", path);
	}
	return 0;
}

static bool is_kernel_file(const char *path)
{
	return str_has_prefix(path, "/proc/") || str_has_prefix(path, "/sys/");
}

static int hide(const struct iso_config *c, int rootfs, struct err *e)
{
	_cleanup_strv_ char **paths = NULL;
	int r = 0;

	for (size_t i = 0; i < c->n_mounts && r == 0; i++) {
		const struct iso_mount *m = &c->mounts[i];

		if (c->rootfs.kind == ISO_ROOTFS_THROWAWAY && m->type && STREQ(m->type, "tmpfs") &&
		    !(m->flags & ISO_MOUNT_TMPCOPYUP))
			r = strv_push(&paths, m->destination);
	}
	for (char **p = c->masked_paths; p && *p && r == 0; p++)
		if (!is_kernel_file(*p))
			r = strv_push(&paths, *p);
	return r < 0 ? err_nomem(e) : iso_rootfs_hide(rootfs, paths, NULL, e);
}

static int open_rootfs(const struct iso_config *c, struct sources *s, const struct log_sink *log,
		       struct err *e)
{
	_cleanup_strv_ char **readonly = NULL;
	_cleanup_close_ int dev = -EBADF;
	int r = iso_rootfs_mount(&c->rootfs, &s->rootfs, &readonly, e);

	if (r < 0)
		return r;
	for (size_t i = 0; readonly && readonly[i]; i++)
		log_to(log, LOG_LEVEL_DEBUG, "'%s' cannot be written to, even for the moment",
		       readonly[i]);
	r = hide(c, s->rootfs, e);
	if (r < 0 || !c->rootfs.readonly)
		return r;
	r = make_mount_points(c, s, e);
	if (r == 0) {
		/* The guest's form of a configuration always mounts something there. */
		r = dev = path_mkdirs_in_root(s->rootfs, "/dev", 0755, e);
	}
	if (r >= 0)
		r = set_readonly(s->rootfs, false, e);
	return r < 0 ? err_wrap(e, "root file system '%s'", c->rootfs.path) : 0;
}

static int mount_tmpfs(const char *path, const char *options, struct err *e)
{
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return err_sys(e, errno, "mount a tmpfs on '%s'", path);
	return 0;
}

/* Attach a tree on `path`, which is made as a directory or an empty file, as the tree is. */
static int attach(int tree, const char *path, struct err *e)
{
	_cleanup_close_ int root = -EBADF, at = -EBADF;

	root = path_open_dir("/", e);
	if (root < 0)
		return root;
	at = is_dir(tree) ? path_mkdirs_in_root(root, path, 0755, e)
			  : path_mkfile_in_root(root, path, 0755, 0444, e);
	if (at < 0)
		return at;
	if (move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, errno, "attach '%s'", path);
	return 0;
}

static int attach_all(const struct sources *s, struct err *e)
{
	int r = attach(s->guest_dir, VMM_GUEST_DIR, e);

	if (r == 0)
		r = attach(s->rootfs, VMM_SHARE_DIR "/rootfs", e);
	for (size_t i = 0; r == 0 && i < s->n; i++) {
		_cleanup_free_ char *path = NULL;

		if (s->binds[i] < 0)
			continue;
		if (str_printf(&path, VMM_SHARE_DIR "/mounts/%zu", i) < 0)
			return err_nomem(e);
		r = attach(s->binds[i], path, e);
	}
	return r;
}

/* The guest must not fill the directory that holds its mounts: that is memory of ours. */
static int close_share(struct err *e)
{
	_cleanup_close_ int fd = open(VMM_SHARE_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "open '%s'", VMM_SHARE_DIR);
	return set_readonly(fd, false, e);
}

static int build(const struct sources *s, struct err *e)
{
	int r = mount_tmpfs("/run", RUN_OPTIONS, e);

	if (r == 0)
		r = path_mkdir_p(VMM_RUN_DIR, 0700, e);
	if (r == 0)
		r = path_mkdir_p(VMM_SHARE_DIR, 0755, e);
	if (r == 0)
		r = mount_tmpfs(VMM_SHARE_DIR, SHARE_OPTIONS, e);
	if (r == 0)
		r = attach_all(s, e);
	return r < 0 ? r : close_share(e);
}

int vmm_share_build(const struct iso_config *c, const char *guest_dir, const struct log_sink *log,
		    struct err *e)
{
	_cleanup_(sources_done) struct sources s = {.guest_dir = -1, .rootfs = -1};
	int r;

	s.guest_dir =
		open_tree(AT_FDCWD, guest_dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (s.guest_dir < 0)
		return err_sys(e, errno, "guest kernel '%s'", guest_dir);
	r = open_binds(c, &s, e);
	if (r == 0)
		r = open_rootfs(c, &s, log, e);
	if (r < 0)
		return r;
	r = build(&s, e);
	return r < 0 ? err_wrap(e, "shared tree") : 0;
}
