/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of the host, most often its own "/", as a root file system whose changes are thrown
 * away. Theory of operation:
 *
 * An overlay covers one mount: what is mounted below its lower layer is not seen through it. So the
 * directory's own mount and each real file system mounted below it get an overlay each (`struct
 * layer`). The lower layer is the mount, the upper and work directories lie in one private tmpfs
 * with a size limit, "N/upper" and "N/work". The kernel wants layers to be in our mount namespace
 * while an overlay is created (it makes private copies of them then), so the tmpfs is attached on
 * the directory for that time only; as all overlays exist, detached, it is taken off again. Then
 * they are attached, the root first, each by its path inside the root, with the attributes (nosuid,
 * ...) of the mount it stands for.
 *
 * Left out: pseudo file systems, and what is at or below /proc, /sys, /dev and /run. In the root's
 * overlay these four are opaque empty directories from the start, so that sockets and keys of the
 * host's services cannot be reached through it even where /run is no mount.
 *
 * A tmpfs has no user.* attributes before Linux 6.6, and in a user namespace overlayfs notes there what a directory hides: then
 * none that was there could be removed. So the caller may name a directory on a disk; the upper and work directories are made
 * below it, and he removes it with the sandbox. It may lie in a lower layer (the store is in its user's home): a
 * whiteout hides it then, and a loop is refused by the kernel. A disk that cannot have upper layers (NFS) is not used.
 *
 * What cannot be a lower layer (two overlays deep already; a file system without the needed
 * operations; a mounted file) is bound read-only instead and named to the caller.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "isolate/mount.h"
#include "mountfd.h"
#include "mountinfo.h"
#include "rootfs_kinds.h"
#include "target.h"

/* An inode of tmpfs is about 1 KiB of kernel memory that `size` does not count. One for each page of
 * the size, within bounds that neither choke a package manager nor let a loop of mkdir win. */
#define INODES_MIN (16u << 10)
#define INODES_MAX (1u << 20)

/* File systems that hold no files of the host's own, or only reach into the kernel. */
static const char *const pseudo_types[] = {
	"autofs",
	"binfmt_misc",
	"bpf",
	"cgroup",
	"cgroup2",
	"configfs",
	"debugfs",
	"devpts",
	"devtmpfs",
	"efivarfs",
	"fuse.gvfsd-fuse",
	"fuse.portal",
	"fusectl",
	"hugetlbfs",
	"mqueue",
	"nfsd",
	"nsfs",
	"proc",
	"pstore",
	"resctrl",
	"rootfs",
	"rpc_pipefs",
	"securityfs",
	"selinuxfs",
	"smackfs",
	"sysfs",
	"tracefs",
	"fuse.lxcfs",
	"fuse.sysbox-fs",
};

/* Of the root, and all below. */
static const char *const left_out[] = {"/proc", "/sys", "/dev", "/run"};

struct layer {
	const char *path; /* in the root: "" for the root itself, else "/home"; borrowed */
	uint64_t attrs;
	int lower_fd; /* on the host, O_PATH */
	int mnt_fd;   /* detached overlay or read-only copy */
	bool file;
};

struct throwaway {
	int base_fd;      /* of the upper and work directories: a tmpfs, or a directory on a disk */
	const char *disk; /* borrowed; its path in the host, symlinks resolved; NULL: a tmpfs */
	const char *host_path; /* borrowed; of the covered directory */
	struct layer *layers;
	size_t n;
	char **readonly; /* strv */
	bool userxattr; /* in a user namespace: overlayfs keeps its notes in user.*, not trusted.* */
	bool hide_by_mount; /* left_out could not be made opaque in the root's layer */
	bool whole;         /* it is a system: left_out is */
};

static void throwaway_done(struct throwaway *t)
{
	for (size_t i = 0; i < t->n; i++) {
		fd_close(t->layers[i].lower_fd);
		fd_close(t->layers[i].mnt_fd);
	}
	free(t->layers);
	fd_close(t->base_fd);
	strv_free(t->readonly);
}

static bool is_pseudo(const char *fstype)
{
	for (size_t i = 0; i < ARRAY_SIZE(pseudo_types); i++)
		if (STREQ(fstype, pseudo_types[i]))
			return true;
	return false;
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool rootfs_is_left_out(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(left_out); i++)
		if (is_below(path, left_out[i]))
			return true;
	return false;
}

/* What a mount's id says, of an open path. */
static int mount_id(int fd, uint64_t *ret)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_MNT_ID | STATX_TYPE, &stx) < 0)
		return -errno;
	*ret = stx.stx_mnt_id;
	return S_ISDIR(stx.stx_mode) ? 1 : 0;
}

static int add_layer(struct throwaway *t, const char *path, uint64_t attrs, int fd, bool file,
		     struct err *e)
{
	struct layer *v = reallocarray(t->layers, t->n + 1, sizeof(*v));

	if (!v) {
		fd_close(fd);
		return err_nomem(e);
	}
	t->layers = v;
	t->layers[t->n++] = (struct layer){path, attrs, fd, -1, file};
	return 0;
}

/* A line of mountinfo: does it become a layer? Not if another mount covers it, which shows when its
 * path leads to another mount. */
static int consider(struct throwaway *t, const struct mountinfo_entry *m, size_t prefix,
		    struct err *e)
{
	_cleanup_close_ int fd = -1;
	const char *path = m->mountpoint + prefix;
	uint64_t id;
	int r;

	if ((t->whole && rootfs_is_left_out(path)) || is_pseudo(m->fstype))
		return 0;
	fd = open(m->mountpoint, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		/* Covered by a mount on a parent directory, or another user's FUSE. */
		if (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ENOTCONN)
			return 0;
		r = err_sys(e, errno, "open mount '%s'", m->mountpoint);
		if (r == -EMFILE)
			err_hint(e, "the host has very many mounts; raise the limit of open files "
				    "(RLIMIT_NOFILE)");
		return r;
	}
	r = mount_id(fd, &id);
	if (r == -EACCES || r == -ENOTCONN || r == -ESTALE)
		return 0;
	if (r < 0)
		return err_sys(e, r, "look at mount '%s'", m->mountpoint);
	if (id != m->id)
		return 0;
	return add_layer(t, path, m->attrs, TAKE_FD(fd), r == 0, e);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct layer *)a)->path, ((const struct layer *)b)->path);
}

/* The layers, parents before children. `path` is absolute and has no symlinks. */
static int find_layers(struct throwaway *t, const struct mountinfo *info, const char *path,
		       int dir_fd, struct err *e)
{
	const struct mountinfo_entry *own;
	size_t prefix = STREQ(path, "/") ? 0 : strlen(path);
	uint64_t id;
	int r, fd;

	r = mount_id(dir_fd, &id);
	if (r < 0)
		return err_sys(e, r, "look at the directory");
	own = mountinfo_by_id(info, id);
	fd = fd_dup_above_stdio(dir_fd);
	if (fd < 0)
		return err_sys(e, fd, "keep the directory");
	r = add_layer(t, "", own ? own->attrs : 0, fd, false, e);
	for (size_t i = 0; i < info->n && r == 0; i++) {
		const char *at = info->v[i].mountpoint;

		if (info->v[i].id != id && strncmp(at, path, prefix) == 0 && at[prefix] == '/' &&
		    at[prefix + 1])
			r = consider(t, &info->v[i], prefix, e);
	}
	if (r == 0)
		qsort(t->layers, t->n, sizeof(*t->layers), by_path);
	return r;
}

/* Which names its extended attributes can have. */
static int find_xattrs(struct throwaway *t, struct err *e)
{
	_cleanup_close_ int fd = path_open_dir_at(t->base_fd, ".", e);

	if (fd < 0)
		return fd;
	t->userxattr = fsetxattr(fd, "trusted.overlay.trial", "y", 1, 0) < 0 && errno == EPERM;
	return 0;
}

static int make_tmpfs(struct throwaway *t, uint64_t bytes, struct err *e)
{
	_cleanup_close_ int fs_fd = -1;
	char value[32];
	int r;

	fs_fd = mountfd_fs_open("tmpfs", e);
	if (fs_fd < 0)
		return fs_fd;
	r = mountfd_fs_data(fs_fd, "source=throwaway,mode=700", e);
	if (r == 0 && bytes) {
		uint64_t inodes = bytes / 4096;

		if (inodes < INODES_MIN)
			inodes = INODES_MIN;
		if (inodes > INODES_MAX)
			inodes = INODES_MAX;
		snprintf(value, sizeof(value), "%llu", (unsigned long long)bytes);
		r = mountfd_fs_set(fs_fd, "size", value, e);
		if (r == 0) {
			snprintf(value, sizeof(value), "%llu", (unsigned long long)inodes);
			r = mountfd_fs_set(fs_fd, "nr_inodes", value, e);
		}
	}
	if (r < 0)
		return r;
	t->base_fd = mountfd_fs_mount(fs_fd, 0, e);
	if (t->base_fd < 0)
		return t->base_fd;
	return find_xattrs(t, e);
}

/* A new directory in the one on the disk: a sandbox has as many as it has throwaway layers. */
static int make_disk(struct throwaway *t, struct err *e)
{
	_cleanup_close_ int dir = path_open_dir(t->disk, e);
	char name[24];
	int r = -EEXIST;

	if (dir < 0)
		return dir;
	for (unsigned n = 0; r == -EEXIST; n++) {
		snprintf(name, sizeof(name), "%u", n);
		r = path_mkdir_at(dir, name, 0700, NULL);
	}
	if (r < 0)
		return err_sys(e, r, "make a directory in '%s'", t->disk);
	t->base_fd = path_open_dir_at(dir, name, e);
	return t->base_fd < 0 ? t->base_fd : find_xattrs(t, e);
}

/* A directory in the upper layer that hides what the lower one has by that name. A user namespace has
 * no trusted.* attributes, and tmpfs no user.* ones before Linux 6.6: then a mount hides it. */
static int make_opaque(struct throwaway *t, int upper_fd, const char *name, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = path_mkdir_at(upper_fd, name, 0755, e);
	if (r < 0)
		return r;
	fd = path_open_dir_at(upper_fd, name, e);
	if (fd < 0)
		return fd;
	if (fsetxattr(fd, t->userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque", "y", 1,
		      0) == 0)
		return 0;
	if (!t->userxattr || errno != ENOTSUP)
		return err_sys(e, errno, "hide '/%s'", name);
	t->hide_by_mount = true;
	return 0;
}

/* An overlay shows owner, mode and times of its upper root. */
static int copy_owner(int from_fd, int to_fd, struct err *e)
{
	struct stat st;

	if (fstat(from_fd, &st) < 0)
		return err_sys(e, errno, "look at the lower directory");
	/* An owner that a user namespace does not know (EINVAL) cannot be shown: then it is ours. */
	if ((fchown(to_fd, st.st_uid, st.st_gid) < 0 && errno != EINVAL) ||
	    fchmod(to_fd, st.st_mode & 07777) < 0)
		return err_sys(e, errno, "set owner and mode of the upper directory");
	return 0;
}

/* Where the disk's directory is in a layer, or NULL. */
static const char *find_disk(const struct throwaway *t, const struct layer *l)
{
	size_t n = STREQ(t->host_path, "/") ? 0 : strlen(t->host_path), k = strlen(l->path);
	const char *in = t->disk;

	if (!in || strncmp(in, t->host_path, n) != 0 || in[n] != '/')
		return NULL;
	in += n;
	return strncmp(in, l->path, k) == 0 && in[k] == '/' && in[k + 1] ? in + k + 1 : NULL;
}

/* `path` in the upper directory becomes a whiteout; the directories on the way look as in the lower one. */
static int hide_disk(int lower_fd, int upper_fd, const char *path, struct err *e)
{
	_cleanup_close_ int from = -1, to = -1;
	char name[NAME_MAX + 1];
	const char *slash;
	int r;

	for (; (slash = strchr(path, '/')); path = slash + 1) {
		/* realpath() gave it: every name was a file's. */
		snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
		r = path_open_in_root(from < 0 ? lower_fd : from, name,
				      O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, e);
		if (r < 0)
			return r;
		fd_close(from);
		from = r;
		r = path_mkdir_at(to < 0 ? upper_fd : to, name, 0700, e);
		if (r == 0)
			r = path_open_dir_at(to < 0 ? upper_fd : to, name, e);
		if (r < 0)
			return r;
		fd_close(to);
		to = r;
		r = copy_owner(from, to, e);
		if (r < 0)
			return r;
	}
	return path_mknod_at(to < 0 ? upper_fd : to, path, S_IFCHR, makedev(0, 0), e);
}

static int make_upper(struct throwaway *t, size_t i, int *ret_upper, int *ret_work, struct err *e)
{
	_cleanup_close_ int dir = -1, upper = -1, work = -1;
	char name[24];
	int r;

	snprintf(name, sizeof(name), "%zu", i);
	r = path_mkdir_at(t->base_fd, name, 0700, e);
	if (r < 0)
		return r;
	dir = path_open_dir_at(t->base_fd, name, e);
	if (dir < 0)
		return dir;
	r = path_mkdir_at(dir, "upper", 0755, e);
	if (r == 0)
		r = path_mkdir_at(dir, "work", 0700, e);
	if (r < 0)
		return r;
	upper = path_open_dir_at(dir, "upper", e);
	if (upper < 0)
		return upper;
	work = path_open_dir_at(dir, "work", e);
	if (work < 0)
		return work;
	for (size_t k = 0; t->whole && i == 0 && k < ARRAY_SIZE(left_out) && r == 0; k++)
		r = make_opaque(t, upper, left_out[k] + 1, e);
	if (r == 0)
		r = copy_owner(t->layers[i].lower_fd, upper, e);
	if (r == 0 && find_disk(t, &t->layers[i]))
		r = hide_disk(t->layers[i].lower_fd, upper, find_disk(t, &t->layers[i]), e);
	if (r < 0)
		return r;
	*ret_upper = TAKE_FD(upper);
	*ret_work = TAKE_FD(work);
	return 0;
}

static int set_fd(int fs_fd, const char *key, int fd, struct err *e)
{
	char path[PATH_FD_MAX];

	/* A string, not FSCONFIG_SET_FD: overlayfs takes descriptors only since 6.13. */
	return mountfd_fs_set(fs_fd, key, path_of_fd(fd, path), e);
}

static int make_overlay(struct throwaway *t, size_t i, struct err *e)
{
	_cleanup_close_ int fs_fd = -1, upper = -1, work = -1;
	int r;

	r = make_upper(t, i, &upper, &work, e);
	if (r < 0)
		return r;
	fs_fd = mountfd_fs_open("overlay", e);
	if (fs_fd < 0)
		return fs_fd;
	r = mountfd_fs_set(fs_fd, "source", "throwaway", e);
	if (r == 0)
		r = set_fd(fs_fd, "lowerdir", t->layers[i].lower_fd, e);
	if (r == 0)
		r = set_fd(fs_fd, "upperdir", upper, e);
	if (r == 0)
		r = set_fd(fs_fd, "workdir", work, e);
	if (r == 0 && t->userxattr)
		r = mountfd_fs_set(fs_fd, "userxattr", NULL, e);
	/* Nothing of it must survive a crash of the host: no end of a sandbox waits for the disk. */
	if (r == 0 && t->disk)
		r = mountfd_fs_set(fs_fd, "volatile", NULL, e);
	return r < 0 ? r : mountfd_fs_mount(fs_fd, t->layers[i].attrs, e);
}

static int bind_readonly(struct throwaway *t, struct layer *l, struct err *e)
{
	int fd, r;

	fd = mountfd_clone(&l->lower_fd, false, e);
	if (fd < 0)
		return fd;
	l->mnt_fd = fd;
	r = mountfd_set(fd, false, MOUNT_ATTR_RDONLY, 0, MS_PRIVATE, e);
	if (r < 0)
		return r;
	return strv_push(&t->readonly, *l->path ? l->path : "/") < 0 ? err_nomem(e) : 0;
}

/* Can this error of overlayfs mean that the lower layer does not suit it? EINVAL and ELOOP: too
 * deep, or case-insensitive, or its lower mount may not be copied. */
static bool is_unsuitable(int r)
{
	return r == -EINVAL || r == -ELOOP || r == -EREMOTE || r == -EOPNOTSUPP || r == -EACCES ||
	       r == -ENOSYS;
}

static int make_layers(struct throwaway *t, struct err *e)
{
	for (size_t i = 0; i < t->n; i++) {
		struct layer *l = &t->layers[i];
		struct err why = ERR_INIT;
		int r = l->file ? -EINVAL : make_overlay(t, i, &why);

		if (r >= 0) {
			l->mnt_fd = r;
			if (!t->disk) /* else it may be needed once more */
				l->lower_fd =
					fd_close(l->lower_fd); /* a host may have many mounts */
			continue;
		}
		if (t->disk) {
			if (e)
				*e = why;
			return r;
		}
		/* In a user namespace every mount with others below it is locked to them, and the
		 * host's root always is: no part of it could be copied. */
		if (!is_unsuitable(r) || (t->userxattr && !l->file)) {
			if (e)
				*e = why;
			if (t->userxattr)
				err_hint(
					e,
					"a user namespace cannot cover a directory that has mounts "
					"below it; run as root, or use a directory without");
			return err_wrap(e, "overlay over '%s'", *l->path ? l->path : "/");
		}
		r = bind_readonly(t, l, e);
		if (r < 0)
			return err_wrap(e, "read-only copy of '%s'", *l->path ? l->path : "/");
	}
	return 0;
}

/* What could not be made opaque in the root's layer gets an empty read-only directory over it. */
static int hide_by_mounts(int root_fd, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(left_out); i++) {
		_cleanup_close_ int fs_fd = -1, mnt_fd = -1, target_fd = -1;
		int r;

		target_fd = path_open_in_root(root_fd, left_out[i], O_PATH | O_DIRECTORY, 0, NULL);
		if (target_fd == -ENOENT || target_fd == -ENOTDIR)
			continue;
		if (target_fd < 0)
			return err_sys(e, target_fd, "open '%s'", left_out[i]);
		fs_fd = mountfd_fs_open("tmpfs", e);
		if (fs_fd < 0)
			return fs_fd;
		r = mountfd_fs_data(fs_fd, "source=empty,mode=755,size=4k,nr_inodes=2", e);
		if (r < 0)
			return r;
		mnt_fd = mountfd_fs_mount(fs_fd, MOUNT_ATTR_RDONLY, e);
		r = mnt_fd < 0 ? mnt_fd : mountfd_attach(mnt_fd, target_fd, e);
		if (r < 0)
			return err_wrap(e, "hide '%s'", left_out[i]);
	}
	return 0;
}

static int attach_layers(struct throwaway *t, int dir_fd, struct err *e)
{
	int root_fd = t->layers[0].mnt_fd;
	int r;

	r = mountfd_attach(root_fd, dir_fd, e);
	if (r == 0 && t->whole && (t->hide_by_mount || (t->readonly && STREQ(t->readonly[0], "/"))))
		r = hide_by_mounts(root_fd, e);
	for (size_t i = 1; i < t->n && r == 0; i++) {
		struct layer *l = &t->layers[i];
		_cleanup_close_ int target_fd = target_open(root_fd, l->path, !l->file, NULL, e);

		r = target_fd < 0 ? target_fd : mountfd_attach(l->mnt_fd, target_fd, e);
		if (r < 0)
			err_wrap(e, "'%s'", l->path);
	}
	return r;
}

static int layers_on_tmpfs(struct throwaway *t, uint64_t bytes, int dir_fd, struct err *e)
{
	char link[PATH_FD_MAX];
	int rc = make_tmpfs(t, bytes, e);

	if (rc == 0)
		rc = mountfd_attach(t->base_fd, dir_fd, e);
	if (rc < 0)
		return rc;
	rc = make_layers(t, e);
	/* Off again, also after a failure: nothing of ours stays where it was not asked for. */
	if (umount2(path_of_fd(t->base_fd, link), MNT_DETACH) < 0 && rc == 0)
		rc = err_sys(e, errno, "take the private tmpfs off");
	return rc;
}

/* False: this disk cannot; all is as before. */
static bool layers_on_disk(struct throwaway *t)
{
	if (!t->disk)
		return false;
	if (make_disk(t, NULL) == 0 && make_layers(t, NULL) == 0)
		return true;
	for (size_t i = 0; i < t->n; i++)
		t->layers[i].mnt_fd = fd_close(t->layers[i].mnt_fd);
	t->base_fd = fd_close(t->base_fd);
	t->disk = NULL;
	t->hide_by_mount = false;
	return false;
}

static int build(struct throwaway *t, uint64_t bytes, int dir_fd, struct err *e)
{
	int rc = layers_on_disk(t) ? 0 : layers_on_tmpfs(t, bytes, dir_fd, e);

	return rc < 0 ? rc : attach_layers(t, dir_fd, e);
}

/* Attached on the directory when this returns. */
static int cover(struct throwaway *t, const char *name, uint64_t bytes, int dir_fd, struct err *e)
{
	_cleanup_mountinfo_ struct mountinfo info = {0};
	_cleanup_free_ char *path = NULL;
	int r;

	/* Without symlinks, as mountinfo writes it. */
	path = realpath(name, NULL);
	if (!path)
		return err_sys(e, errno, "find the directory's path");
	t->host_path = path;
	r = mountinfo_read(&info, e);
	if (r == 0)
		r = find_layers(t, &info, path, dir_fd, e);
	return r < 0 ? r : build(t, bytes, dir_fd, e);
}

/* Does a user namespace lock mounts below the directory to it? Then the kernel copies it only together
 * with them, and overlayfs, which wants it alone, cannot have it. */
static bool is_locked(int dir_fd)
{
	_cleanup_close_ int fd =
		open_tree(dir_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	return fd < 0 && errno == EINVAL;
}

int rootfs_throwaway(const struct iso_rootfs *r, int dir_fd, int *ret_fd, char ***ret_readonly,
		     struct err *e)
{
	_cleanup_(throwaway_done) struct throwaway t = {.base_fd = -1, .whole = true};
	int rc;

	if (is_locked(dir_fd))
		return rootfs_bound(dir_fd, ret_fd, ret_readonly, e);
	rc = cover(&t, r->path, r->throwaway_bytes, dir_fd, e);
	if (rc < 0)
		return rc;
	*ret_fd = TAKE_FD(t.layers[0].mnt_fd);
	if (ret_readonly)
		*ret_readonly = TAKE_PTR(t.readonly);
	return 0;
}

int iso_mount_throwaway(const char *path, const char *disk, struct err *e)
{
	_cleanup_free_ char *real_disk = disk ? realpath(disk, NULL) : NULL;
	_cleanup_(throwaway_done) struct throwaway t = {.base_fd = -1};
	_cleanup_close_ int dir_fd = -1, tree_fd = -1;
	char link[PATH_FD_MAX];
	int r;

	dir_fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(e, errno, "open '%s'", path);
	r = mount_id(dir_fd, &(uint64_t){0});
	if (r == 0)
		return err_unsupported(
			e, "'%s' is no directory: only one can have a throwaway layer", path);
	t.disk = real_disk;
	r = cover(&t, path, 0, dir_fd, e);
	if (r < 0)
		return err_wrap(e, "throwaway layer over '%s'", path);
	/* What is mounted below could only be attached in a tree that is attached itself (before Linux 6.15):
	 * copy the whole, and take it off the host's directory. */
	tree_fd = open_tree(t.layers[0].mnt_fd, "",
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (tree_fd < 0)
		r = err_sys(e, errno, "copy the throwaway layer over '%s'", path);
	if (umount2(path_of_fd(t.layers[0].mnt_fd, link), MNT_DETACH) < 0 && r >= 0)
		r = err_sys(e, errno, "take the throwaway layer off '%s'", path);
	return r < 0 ? r : TAKE_FD(tree_fd);
}

bool iso_can_throw_directories_away(void)
{
	/* Such a file lies on a tmpfs of the kernel's own. */
	_cleanup_close_ int fd = memfd_create("trial", MFD_CLOEXEC);

	return fd >= 0 && fsetxattr(fd, "user.overlay.trial", "y", 1, 0) == 0;
}

bool iso_can_hold_throwaway(const char *disk)
{
	_cleanup_close_ int fd = open(disk, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 && fsetxattr(fd, "user.overlay.trial", "y", 1, 0) == 0;
}
