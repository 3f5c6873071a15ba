/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configured mounts. Theory of operation:
 *
 * First every bind source is opened as a detached copy, while the tree is still as the runtime
 * prepared it: no mount made here can change what a source path means. Then each mount, in the
 * configured order, is made detached, given its attributes, filled if it is to be filled, and only
 * then moved onto its destination, an O_PATH descriptor that was resolved inside the root. So there
 * is no moment in which it is visible without "ro", and no path of the container is walked by
 * mount(2).
 *
 * Mounts on the container's /proc and /sys go only onto real directories.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "mountfd.h"
#include "mounts.h"
#include "target.h"

/* File systems whose super block is not ours to make read-only (it is shared, or has no such
 * state): "ro" is an attribute of the mount alone. Any other, on a block device say, must be
 * opened read-only, too. */
static const char *const mount_ro_only[] = {
	"bpf",  "cgroup", "cgroup2", "debugfs", "devpts", "devtmpfs", "mqueue",
	"proc", "pstore", "ramfs",   "sysfs",   "tmpfs",  "tracefs",
};

/* File systems that take no SELinux context, or have labels of their own. */
static const char *const unlabelled[] = {"proc", "sysfs", "cgroup", "cgroup2"};

static bool in_list(const char *s, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (STREQ(s, list[i]))
			return true;
	return false;
}

static bool is_bind(const struct iso_mount *m)
{
	return (m->flags & ISO_MOUNT_BIND) ||
	       (m->type && (STREQ(m->type, "bind") || STREQ(m->type, "rbind")));
}

static bool is_type(const struct iso_mount *m, const char *type)
{
	return m->type && STREQ(m->type, type);
}

uint64_t mounts_attrs(const struct iso_mount *m)
{
	uint64_t set = m->attr_set, rec = m->attr_rec_set & ~m->attr_clear;

	if (set & MOUNT_ATTR__ATIME)
		rec &= ~(uint64_t)MOUNT_ATTR__ATIME;
	return set | rec;
}

int mounts_apply(const struct inside *in, int mnt_fd, const struct iso_mount *m, struct err *e)
{
	uint64_t spread = m->propagation;
	int r;

	/* Only with a shared rootfsPropagation are we still peers of the host: a mount that did not
	 * ask to be one must not hand on what is mounted in it. */
	if (!spread && (in->config->rootfs.propagation & MS_SHARED))
		spread = MS_SLAVE | MS_REC;
	if (m->attr_rec_set | m->attr_rec_clear) {
		r = mountfd_set(mnt_fd, true, m->attr_rec_set, m->attr_rec_clear, 0, e);
		if (r < 0)
			return r;
	}
	if (m->attr_set | m->attr_clear) {
		r = mountfd_set(mnt_fd, false, m->attr_set, m->attr_clear, 0, e);
		if (r < 0)
			return r;
	}
	return spread ? mountfd_spread(mnt_fd, spread, e) : 0;
}

int mounts_attach(const struct inside *in, int mnt_fd, int target_fd, struct err *e)
{
	int r = mountfd_attach(mnt_fd, target_fd, e);

	if (r < 0 || !in->attached_fd)
		return r;
	*in->attached_fd = fd_dup_above_stdio(mnt_fd);
	return *in->attached_fd < 0 ? err_sys(e, *in->attached_fd, "keep the mount") : 0;
}

/* The value of an option in comma separated data, or NULL. */
static const char *data_find(const char *data, const char *key, size_t *ret_len)
{
	size_t n = strlen(key);

	for (const char *p = data; p && *p;) {
		const char *end = strchrnul(p, ',');

		if ((size_t)(end - p) > n && strncmp(p, key, n) == 0 && p[n] == '=') {
			*ret_len = (size_t)(end - p) - n - 1;
			return p + n + 1;
		}
		p = *end ? end + 1 : end;
	}
	return NULL;
}

/* Is a group id of ours mapped, so that a file system may use it? */
static int gid_is_mapped(const struct inside *in, uint32_t gid, bool *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	unsigned long first, outside, count;
	int r, n;

	/* The private procfs, if there is one; else the host's, which we still see. */
	if (in->proc_fd >= 0)
		r = path_read_file_at(in->proc_fd, "self/gid_map", 1u << 16, &text, NULL, e);
	else
		r = path_read_file_at(AT_FDCWD, "/proc/self/gid_map", 1u << 16, &text, NULL, e);
	if (r < 0)
		return r;
	*ret = false;
	for (const char *p = text; sscanf(p, "%lu %lu %lu%n", &first, &outside, &count, &n) == 3;
	     p += n)
		if (gid >= first && gid - first < count)
			*ret = true;
	return 0;
}

/* Engines always ask for the tty group, 5, on devpts. Where a user namespace has no such group the
 * option cannot be: the terminals then belong to their opener's group. */
static int devpts_data(const struct inside *in, const char *data, char **ret, struct err *e)
{
	_cleanup_free_ char *digits = NULL;
	const char *value;
	uint32_t gid;
	bool mapped = true;
	size_t len;
	int r;

	value = in->userns ? data_find(data, "gid", &len) : NULL;
	if (value) {
		digits = strndup(value, len);
		if (!digits)
			return err_nomem(e);
		if (parse_u32(digits, &gid) < 0)
			return err_invalid(e, "option 'gid=%s' is no group id", digits);
		r = gid_is_mapped(in, gid, &mapped, e);
		if (r < 0)
			return r;
	}
	if (mapped)
		r = str_printf(ret, "%s", data ? data : "");
	else
		r = str_printf(ret, "%.*s%s", (int)(value - 4 - data), data,
			       value[len] ? value + len + 1 : "");
	return r < 0 ? err_nomem(e) : 0;
}

/* The options as they go to the kernel. */
static int fs_data(const struct inside *in, const struct iso_mount *m, int target_fd, bool existed,
		   char **ret, struct err *e)
{
	struct stat st;
	size_t len;
	int r;

	if (is_type(m, "devpts"))
		return devpts_data(in, m->data, ret, e);
	if (is_type(m, "tmpfs") && existed && !data_find(m->data, "mode", &len)) {
		/* An image's /tmp keeps its sticky bit, its /root stays closed. */
		if (fstat(target_fd, &st) < 0)
			return err_sys(e, errno, "look at the destination");
		r = str_printf(ret, "%s%smode=%o", m->data ? m->data : "", m->data ? "," : "",
			       st.st_mode & 07777);
	} else {
		r = str_printf(ret, "%s", m->data ? m->data : "");
	}
	return r < 0 ? err_nomem(e) : 0;
}

/* Why the kernel may refuse a file system to a user namespace. sysfs says so when it is opened, the
 * others when they are made. */
static int explain_fs(const struct inside *in, const struct iso_mount *m, struct err *e, int r)
{
	const struct iso_namespace *ns = in->config->ns;

	if (r != -EPERM)
		return r;
	if (is_type(m, "sysfs") && in->userns && ns[ISO_NS_NETWORK].mode != ISO_NS_NEW)
		err_hint(e, "sysfs in a user namespace needs a network namespace of its own; add "
			    "one, or bind the host's /sys read-only (options rbind, rro)");
	else if (is_type(m, "mqueue") && in->userns && ns[ISO_NS_IPC].mode != ISO_NS_NEW)
		err_hint(e, "mqueue in a user namespace needs an IPC namespace of its own");
	else if (is_type(m, "proc") && in->userns && ns[ISO_NS_PID].mode != ISO_NS_NEW)
		err_hint(e, "proc in a user namespace needs a pid namespace of its own");
	else if (is_type(m, "proc") || is_type(m, "sysfs"))
		err_hint(e,
			 "the outer mounts of %s are masked, and the kernel then refuses a fresh "
			 "one; start the outer container without masked and read-only paths",
			 m->type);
	return r;
}

static int fs_configure(const struct inside *in, const struct iso_mount *m, const char *data,
			int fs_fd, struct err *e)
{
	const char *label = in->config->mount_label;
	int r = 0;

	if (m->source && *m->source)
		r = mountfd_fs_set(fs_fd, "source", m->source, e);
	if (r == 0 && *data)
		r = mountfd_fs_data(fs_fd, data, e);
	if (r == 0 && (mounts_attrs(m) & MOUNT_ATTR_RDONLY) &&
	    !in_list(m->type, mount_ro_only, ARRAY_SIZE(mount_ro_only)))
		r = mountfd_fs_set(fs_fd, "ro", NULL, e);
	if (r == 0 && label && *label && !in_list(m->type, unlabelled, ARRAY_SIZE(unlabelled)))
		r = mountfd_fs_set(fs_fd, "context", label, e);
	return r;
}

/* A new file system, detached. */
static int fs_create(const struct inside *in, const struct iso_mount *m, int target_fd,
		     const char *data, struct err *e)
{
	_cleanup_close_ int fs_fd = -1, mnt_fd = -1;
	uint64_t attrs = mounts_attrs(m), later = 0;
	int r;

	fs_fd = mountfd_fs_open(m->type, e);
	if (fs_fd < 0)
		return explain_fs(in, m, e, fs_fd);
	r = fs_configure(in, m, data, fs_fd, e);
	if (r < 0)
		return r;
	if (m->flags & ISO_MOUNT_TMPCOPYUP) {
		later = attrs & MOUNT_ATTR_RDONLY;
		attrs &= ~later;
	}
	mnt_fd = mountfd_fs_mount(fs_fd, attrs, e);
	if (mnt_fd < 0)
		return explain_fs(in, m, e, mnt_fd);
	if (m->flags & ISO_MOUNT_TMPCOPYUP) {
		r = copyup_tree(target_fd, mnt_fd, e);
		if (r == 0 && later)
			r = mountfd_set(mnt_fd, false, later, 0, 0, e);
		if (r < 0)
			return r;
	}
	if (m->propagation) {
		r = mountfd_spread(mnt_fd, m->propagation, e);
		if (r < 0)
			return r;
	}
	return TAKE_FD(mnt_fd);
}

static int mount_fs(const struct inside *in, const struct iso_mount *m, struct err *e)
{
	_cleanup_close_ int target_fd = -1, mnt_fd = -1;
	_cleanup_free_ char *data = NULL;
	bool existed = true;
	int r;

	if (!m->type || !*m->type || STREQ(m->type, "none"))
		return err_invalid(e, "a mount that is no bind needs a file system type");
	if ((m->flags & ISO_MOUNT_TMPCOPYUP) && !is_type(m, "tmpfs"))
		return err_invalid(e, "option 'tmpcopyup' is for tmpfs");
	if (m->flags & ISO_MOUNT_THROWAWAY)
		return err_invalid(e, "option 'throwaway' is for a bind mount");
	if (m->flags & (ISO_MOUNT_IDMAP | ISO_MOUNT_RIDMAP))
		return err_unsupported(e, "option 'idmap' on a mount that is no bind");
	if (is_type(m, "proc") || is_type(m, "sysfs"))
		target_fd = target_open_strict(in->root_fd, m->destination, e);
	else
		target_fd = target_open(in->root_fd, m->destination, true, &existed, e);
	if (target_fd < 0)
		return target_fd;
	r = fs_data(in, m, target_fd, existed, &data, e);
	if (r < 0)
		return r;
	if (mounts_needs_classic(data) && !(m->flags & ISO_MOUNT_TMPCOPYUP))
		return mounts_classic(in, m, data, target_fd, e);
	mnt_fd = fs_create(in, m, target_fd, data, e);
	if (mnt_fd < 0)
		return mnt_fd;
	return mounts_attach(in, mnt_fd, target_fd, e);
}

/* Attributes of what is mounted there already. Its super block, which the host may use as well, is
 * touched only if file system options are given. */
static int remount(const struct inside *in, const struct iso_mount *m, struct err *e)
{
	_cleanup_close_ int fd = -1, fs_fd = -1;
	int r;

	fd = path_open_in_root(in->root_fd, m->destination, O_PATH, 0, e);
	if (fd < 0)
		return fd;
	r = mounts_apply(in, fd, m, e);
	if (r == -EINVAL)
		err_hint(e, "is '%s' a mount point?", m->destination);
	if (r < 0 || !m->data)
		return r;
	if (is_bind(m))
		return err_invalid(e, "'%s' is no option of a bind mount", m->data);
	fs_fd = mountfd_fs_pick(fd, e);
	if (fs_fd < 0)
		return fs_fd;
	r = mountfd_fs_data(fs_fd, m->data, e);
	return r < 0 ? r : mountfd_fs_reconfigure(fs_fd, e);
}

static int refuse_root(const char *destination, struct err *e)
{
	_cleanup_free_ char *clean = NULL;

	if (path_normalize(destination, &clean) < 0)
		return err_nomem(e);
	return STREQ(clean, "/") ? err_unsupported(e, "a mount on the root of the container") : 0;
}

int mounts_place(const struct inside *in, const struct iso_mount *m, int *tree_fd, struct err *e)
{
	int r;

	if (!m->destination || m->destination[0] != '/')
		return err_invalid(e, "the destination is not an absolute path");
	if (m->flags & ISO_MOUNT_REMOUNT)
		return remount(in, m, e);
	r = refuse_root(m->destination, e);
	if (r < 0)
		return r;
	if (is_bind(m)) {
		if (m->flags & ISO_MOUNT_COPY_SYMLINK)
			r = mounts_copy_symlink(in, m, e);
		return r != 0 ? (r < 0 ? r : 0) : mounts_bind(in, m, tree_fd, e);
	}
	if (is_type(m, "cgroup") || is_type(m, "cgroup2"))
		return mounts_cgroup(in, m, e);
	return mount_fs(in, m, e);
}

int mounts_wrap(const struct iso_mount *m, struct err *e)
{
	const char *what = m->source && *m->source ? m->source : m->type;

	return err_wrap(e, "mount '%s' on '%s'", what ? what : "?",
			m->destination ? m->destination : "?");
}

int mounts_open_sources(const struct inside *in, int *tree_fds, struct err *e)
{
	for (size_t i = 0; i < in->config->n_mounts; i++) {
		const struct iso_mount *m = &in->config->mounts[i];
		struct stat st;

		if (!is_bind(m) || (m->flags & ISO_MOUNT_REMOUNT))
			continue;
		/* A link that is copied may well lead nowhere. */
		if ((m->flags & ISO_MOUNT_COPY_SYMLINK) && m->source &&
		    fstatat(AT_FDCWD, m->source, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISLNK(st.st_mode))
			continue;
		if (in->mapped_fds && in->mapped_fds[i] >= 0) {
			tree_fds[i] = fcntl(in->mapped_fds[i], F_DUPFD_CLOEXEC, 3);
			if (tree_fds[i] < 0)
				return err_sys(e, errno, "keep the id-mapped tree");
			continue;
		}
		tree_fds[i] = mounts_bind_source(m, e);
		if (tree_fds[i] < 0) {
			mounts_wrap(m, e);
			return tree_fds[i];
		}
	}
	return 0;
}

int inside_mounts(struct inside *in, struct err *e)
{
	const struct iso_config *config = in->config;
	_cleanup_free_ int *tree_fds = NULL;
	int r;

	if (config->n_mounts == 0)
		return 0;
	tree_fds = malloc(config->n_mounts * sizeof(*tree_fds));
	if (!tree_fds)
		return err_nomem(e);
	for (size_t i = 0; i < config->n_mounts; i++)
		tree_fds[i] = -1;
	r = mounts_open_sources(in, tree_fds, e);
	for (size_t i = 0; i < config->n_mounts && r == 0; i++) {
		r = mounts_place(in, &config->mounts[i], &tree_fds[i], e);
		if (r == -EROFS && in->userns)
			err_hint(e, "this part of the root file system is read-only, so no mount "
				    "point can be "
				    "made in it; choose a directory that exists, or one elsewhere");
		if (r < 0)
			mounts_wrap(&config->mounts[i], e);
	}
	for (size_t i = 0; i < config->n_mounts; i++)
		fd_close(tree_fds[i]);
	return r;
}
