/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's view of its cgroups. With a cgroup namespace each hierarchy is mounted anew: the
 * namespace makes the container's own group its root. Without one a fresh mount would show the
 * host's whole tree, so the container's group is bound instead, and read-only: else a container
 * with CAP_SYS_ADMIN could change limits, and on v1 become root of the host through release_agent
 * (CVE-2023-25809, CVE-2022-0492).
 *
 * This folder knows no cgroup versions: the runtime says which hierarchies there are.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "mountfd.h"
#include "mounts.h"
#include "target.h"

static int hierarchy_new(const struct iso_cgroup_mount *c, uint64_t attrs, struct err *e)
{
	_cleanup_close_ int fs_fd = -1;
	int r;

	fs_fd = mountfd_fs_open(c->fstype, e);
	if (fs_fd < 0)
		return fs_fd;
	r = mountfd_fs_set(fs_fd, "source", c->fstype, e);
	if (r == 0)
		r = mountfd_fs_data(fs_fd, c->options, e);
	return r < 0 ? r : mountfd_fs_mount(fs_fd, attrs, e);
}

static int hierarchy_bind(const struct iso_cgroup_mount *c, uint64_t attrs, struct err *e)
{
	_cleanup_close_ int fd = -1, tree_fd = -1;
	int r;

	if (c->group_fd <= STDERR_FILENO)
		return err_unsupported(e, "a cgroup mount without a cgroup namespace and without a "
					  "group of the container's own");
	fd = fd_dup_above_stdio(c->group_fd);
	if (fd < 0)
		return err_sys(e, fd, "keep the group");
	tree_fd = mountfd_clone(&fd, true, e);
	if (tree_fd < 0)
		return tree_fd;
	r = mountfd_set(tree_fd, true, attrs | MOUNT_ATTR_RDONLY,
			attrs & MOUNT_ATTR__ATIME ? MOUNT_ATTR__ATIME : 0, 0, e);
	return r < 0 ? r : TAKE_FD(tree_fd);
}

static int hierarchy(const struct inside *in, const struct iso_mount *m,
		     const struct iso_cgroup_mount *c, struct err *e)
{
	if (in->cgroupns)
		return hierarchy_new(c, mounts_attrs(m), e);
	return hierarchy_bind(c, mounts_attrs(m), e);
}

/* Unified: the one hierarchy, right on the destination. */
static int mount_unified(const struct inside *in, const struct iso_mount *m,
			 const struct iso_cgroup_mount *c, struct err *e)
{
	_cleanup_close_ int target_fd = -1, mnt_fd = -1;
	int r;

	target_fd = target_open(in->root_fd, m->destination, true, NULL, e);
	if (target_fd < 0)
		return target_fd;
	mnt_fd = hierarchy(in, m, c, e);
	if (mnt_fd < 0)
		return mnt_fd;
	r = m->propagation ? mountfd_spread(mnt_fd, m->propagation, e) : 0;
	return r < 0 ? r : mountfd_attach(mnt_fd, target_fd, e);
}

/* "cpu,cpuacct" is found by each of its names. */
static int add_links(int dir_fd, const char *name, struct err *e)
{
	_cleanup_strv_ char **parts = NULL;
	int r = 0;

	if (!strchr(name, ','))
		return 0;
	if (strv_split(name, ',', &parts) < 0)
		return err_nomem(e);
	for (size_t i = 0; parts[i] && r == 0; i++)
		r = path_symlink_at(dir_fd, name, parts[i], e);
	return r;
}

static int add_hierarchy(const struct inside *in, const struct iso_mount *m,
			 const struct iso_cgroup_mount *c, int dir_fd, struct err *e)
{
	_cleanup_close_ int target_fd = -1, mnt_fd = -1;
	int r;

	if (strchr(c->name, '/') || STREQ(c->name, "..") || STREQ(c->name, "."))
		return err_invalid(e, "hierarchy '%s' is no file name", c->name);
	r = path_mkdir_at(dir_fd, c->name, 0755, e);
	if (r == 0)
		r = add_links(dir_fd, c->name, e);
	if (r < 0)
		return r;
	target_fd = path_open_in_root(dir_fd, c->name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, e);
	if (target_fd < 0)
		return target_fd;
	mnt_fd = hierarchy(in, m, c, e);
	if (mnt_fd < 0)
		return err_wrap(e, "hierarchy '%s'", c->name);
	r = mountfd_attach(mnt_fd, target_fd, e);
	return r < 0 ? err_wrap(e, "hierarchy '%s'", c->name) : 0;
}

/* Legacy and hybrid: a tmpfs with a directory for each hierarchy. It is read-only at the end if
 * the mount is, or if what is in it must be. */
static int mount_many(const struct inside *in, const struct iso_mount *m, struct err *e)
{
	_cleanup_close_ int fs_fd = -1, dir_fd = -1, target_fd = -1;
	uint64_t attrs = mounts_attrs(m);
	const char *label = in->config->mount_label;
	int r;

	target_fd = target_open(in->root_fd, m->destination, true, NULL, e);
	if (target_fd < 0)
		return target_fd;
	fs_fd = mountfd_fs_open("tmpfs", e);
	if (fs_fd < 0)
		return fs_fd;
	r = mountfd_fs_data(fs_fd, "source=tmpfs,mode=755,size=1m", e);
	if (r == 0 && label && *label)
		r = mountfd_fs_set(fs_fd, "context", label, e);
	if (r < 0)
		return r;
	dir_fd = mountfd_fs_mount(fs_fd, attrs & ~(uint64_t)MOUNT_ATTR_RDONLY, e);
	if (dir_fd < 0)
		return dir_fd;
	/* Attached before it is filled: kernels before 6.15 mount nothing inside a detached tree. */
	r = mountfd_attach(dir_fd, target_fd, e);
	for (size_t i = 0; i < in->params->n_cgroup_mounts && r == 0; i++)
		r = add_hierarchy(in, m, &in->params->cgroup_mounts[i], dir_fd, e);
	if (r == 0 &&
	    ((attrs & MOUNT_ATTR_RDONLY) || !in->cgroupns || in->params->n_cgroup_mounts == 0))
		r = mountfd_set(dir_fd, false, MOUNT_ATTR_RDONLY, 0, 0, e);
	if (r == 0 && m->propagation)
		r = mountfd_spread(dir_fd, m->propagation, e);
	return r;
}

int mounts_cgroup(const struct inside *in, const struct iso_mount *m, struct err *e)
{
	const struct iso_init_params *p = in->params;

	if (m->data)
		return err_unsupported(e, "option '%s' of a cgroup mount", m->data);
	/* Without a group of its own (an ordinary user to whom nothing is delegated) there is none to show, and
	 * the caller's is not its business: an empty directory. */
	if (p->n_cgroup_mounts == 0)
		return mount_many(in, m, e);
	if (p->n_cgroup_mounts == 1 && !*p->cgroup_mounts[0].name)
		return mount_unified(in, m, &p->cgroup_mounts[0], e);
	if (!STREQ(m->type, "cgroup2"))
		return mount_many(in, m, e);
	for (size_t i = 0; i < p->n_cgroup_mounts; i++)
		if (STREQ(p->cgroup_mounts[i].fstype, "cgroup2"))
			return mount_unified(in, m, &p->cgroup_mounts[i], e);
	return err_unsupported(e, "cgroup2 on a host that has only version 1");
}
