/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Id-mapped mounts: files that belong to 0 on disk appear as those of the container's root, whatever host id that is,
 * and nothing is changed on disk. Theory of operation:
 *
 * The kernel takes the map from a user namespace, so each map that is not a joined namespace's gets one of its own, made by a
 * child that does nothing else. Only who has CAP_SYS_ADMIN over the *file system* may map it, which a container's
 * init in a user namespace has not; so the creator does it, on a detached copy of the mount, and init, which inherits the
 * descriptor, attaches that. The copy is made in the creator's mount namespace and would be a peer of a shared mount of
 * the host: it becomes a slave first.
 *
 * Spec: OCI runtime-spec config.md "Linux mount options", "idmap"; mount_setattr(2), "ID-mapped mounts".
 */
#include "idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
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
#include "mountfd.h"
#include "mountinfo.h"

#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif

/* ---- without the kernel ----------------------------------------------------------------------- */

int idmap_check(const struct iso_config *c, const struct iso_mount *m, struct err *e)
{
	bool own = m->uid_maps.n && m->gid_maps.n;
	int r;

	if (!idmap_is_wanted(m))
		return 0;
	if (!(m->flags & ISO_MOUNT_BIND))
		return err_unsupported(e, "only a bind mount can be id-mapped");
	if (m->flags & (ISO_MOUNT_REMOUNT | ISO_MOUNT_THROWAWAY | ISO_MOUNT_COPY_SYMLINK))
		return err_unsupported(
			e, "'idmap' does not go with 'remount', 'throwaway' or 'copy-symlink'");
	if (m->data)
		return err_invalid(e, "'%s' is no option of a bind mount", m->data);
	if ((!own || m->maps_relative) && c->ns[ISO_NS_USER].mode == ISO_NS_INHERIT) {
		err_invalid(e, "'idmap' without mappings takes the container's, which has no user "
			       "namespace");
		return err_hint(e,
				"give uidMappings and gidMappings, or add {\"type\": \"user\"} to "
				"linux.namespaces");
	}
	if (!own && (m->uid_maps.n || m->gid_maps.n || m->maps_relative) &&
	    c->ns[ISO_NS_USER].mode == ISO_NS_JOIN)
		return err_unsupported(e, "maps relative to a joined user namespace");
	r = iso_id_maps_check(&m->uid_maps, "uidMappings", e);
	return r < 0 ? r : iso_id_maps_check(&m->gid_maps, "gidMappings", e);
}

/* ---- the maps --------------------------------------------------------------------------------- */

/* The map as the kernel shall have it: the mount's own, its outside ids looked up in the container's if they are meant
 * so ("@"); or the container's. */
static int effective_maps(const struct iso_id_maps *own, const struct iso_id_maps *containers,
			  bool relative, struct iso_id_maps *ret, struct err *e)
{
	const struct iso_id_maps *from = own->n ? own : containers;

	ret->v = calloc(from->n + 1, sizeof(*ret->v));
	if (!ret->v)
		return err_nomem(e);
	ret->n = from->n;
	for (size_t i = 0; i < from->n; i++) {
		struct iso_id_map *m = &ret->v[i];
		uint32_t last;

		*m = from->v[i];
		if (!own->n || !relative)
			continue;
		if (iso_id_to_host(containers, m->outside + m->count - 1, &last) < 0 ||
		    iso_id_to_host(containers, m->outside, &m->outside) < 0 ||
		    last != m->outside + m->count - 1)
			return err_invalid(
				e,
				"the container's ids %u and up (%u of them) are not mapped as "
				"one range",
				from->v[i].outside, m->count);
	}
	return 0;
}

static _Noreturn void hold_namespace(void)
{
	(void)!prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	proc_reset_signals();
	for (;;)
		pause();
}

/* A user namespace with these maps, by descriptor. */
static int make_namespace(const struct iso_id_maps *uid, const struct iso_id_maps *gid,
			  struct err *e)
{
	_cleanup_close_ int pidfd = -EBADF;
	int fd, status;
	pid_t pid = proc_clone(CLONE_NEWUSER, SIGCHLD, -1, &pidfd);

	if (pid == 0)
		hold_namespace();
	if (pid < 0)
		return err_sys(e, (int)pid, "make a user namespace for the map");
	fd = iso_id_maps_write(pid, uid, gid, e);
	if (fd == 0)
		fd = iso_ns_open(pid, ISO_NS_USER, e);
	(void)proc_signal(pidfd, SIGKILL, NULL);
	(void)proc_reap(pid, &status, NULL);
	return fd;
}

static int namespace_for(const struct iso_config *c, const struct iso_mount *m, int user_ns_fd,
			 struct err *e)
{
	_cleanup_free_ struct iso_id_map *uid_v = NULL, *gid_v = NULL;
	struct iso_id_maps uid = {0}, gid = {0};
	int r;

	if (!m->uid_maps.n && !m->gid_maps.n && user_ns_fd >= 0) {
		r = fcntl(user_ns_fd, F_DUPFD_CLOEXEC, 3);
		return r < 0 ? err_sys(e, errno, "keep the joined user namespace") : r;
	}
	r = effective_maps(&m->uid_maps, &c->uid_maps, m->maps_relative, &uid, e);
	uid_v = uid.v;
	if (r == 0)
		r = effective_maps(&m->gid_maps, &c->gid_maps, m->maps_relative, &gid, e);
	gid_v = gid.v;
	if (r == 0 && (uid.n == 0 || gid.n == 0))
		r = err_invalid(e, "'idmap': the joined user namespace is the caller's own, which "
				   "maps nothing");
	return r < 0 ? r : make_namespace(&uid, &gid, e);
}

/* ---- the mount -------------------------------------------------------------------------------- */

/* For the error text: the type of the file system that a path is on. */
static void type_of(const char *path, char *buf, size_t size)
{
	struct mountinfo info = {0};
	const struct mountinfo_entry *entry;
	struct statx stx;

	snprintf(buf, size, "%s", "?");
	if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &stx) < 0 || mountinfo_read(&info, NULL) < 0)
		return;
	entry = mountinfo_by_id(&info, stx.stx_mnt_id);
	if (entry)
		snprintf(buf, size, "%s", entry->fstype);
	mountinfo_done(&info);
}

static int explain(const struct iso_mount *m, int errnum, struct err *e)
{
	char type[64];

	switch (errnum) {
	case EINVAL:
		type_of(m->source, type, sizeof(type));
		err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			"the file system '%s' of the source%s cannot be id-mapped by this kernel",
			type, m->flags & ISO_MOUNT_RIDMAP ? ", or one mounted below it," : "");
		return err_hint(
			e, "ext4, xfs and btrfs can (Linux 5.19), tmpfs since 6.3; leave 'idmap' "
			   "out, or give the files to the ids that the container has on the host");
	case EPERM:
		err_sys(e, EPERM, "map the ids of the source");
		return err_hint(
			e, "it needs CAP_SYS_ADMIN over the file system, so not an ordinary "
			   "user; and a mount that is id-mapped already cannot be mapped again");
	case ENOSYS:
		return err_unsupported(e, "id-mapped mounts: the kernel has none (Linux 5.12)");
	}
	return err_sys(e, errnum, "map the ids of the source");
}

static int open_tree_of(const struct iso_mount *m, struct err *e)
{
	bool recursive = m->flags & ISO_MOUNT_REC;
	_cleanup_close_ int fd = -EBADF;

	if (m->source_fd > STDERR_FILENO) {
		fd = fd_dup_above_stdio(m->source_fd);
		return fd < 0 ? err_sys(e, fd, "keep the opened source")
			      : mountfd_clone(&fd, recursive, e);
	}
	if (!m->source || m->source[0] != '/')
		return err_invalid(e, "the source of a bind mount is not an absolute path");
	return mountfd_clone_path(m->source, recursive, e);
}

static int map_mount(const struct iso_mount *m, int ns_fd, struct err *e)
{
	_cleanup_close_ int tree = open_tree_of(m, e);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)ns_fd};
	unsigned flags = AT_EMPTY_PATH | (m->flags & ISO_MOUNT_RIDMAP ? AT_RECURSIVE : 0);
	int r;

	if (tree < 0)
		return tree;
	r = mountfd_set(tree, true, 0, 0, MS_SLAVE, e);
	if (r < 0)
		return r;
	if (mount_setattr(tree, "", flags, &attr, sizeof(attr)) < 0)
		return explain(m, errno, e);
	return TAKE_FD(tree);
}

static bool same_maps(const struct iso_id_maps *a, const struct iso_id_maps *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0);
}

int idmap_prepare(const struct iso_config *c, int user_ns_fd, int **ret_fds, struct err *e)
{
	const struct iso_mount *last = NULL; /* whose namespace ns is */
	_cleanup_close_ int ns = -EBADF;
	int *fds = NULL;

	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct iso_mount *m = &c->mounts[i];

		if (!idmap_is_wanted(m))
			continue;
		if (!fds) {
			fds = malloc(c->n_mounts * sizeof(*fds));
			if (!fds)
				return err_nomem(e);
			for (size_t k = 0; k < c->n_mounts; k++)
				fds[k] = -1;
		}
		if (!last || !same_maps(&last->uid_maps, &m->uid_maps) ||
		    !same_maps(&last->gid_maps, &m->gid_maps) ||
		    last->maps_relative != m->maps_relative) {
			fd_close(ns);
			ns = namespace_for(c, m, user_ns_fd, e);
			last = m;
		}
		fds[i] = ns < 0 ? ns : map_mount(m, ns, e);
		if (fds[i] < 0) {
			int r = fds[i];

			idmap_close(c, fds);
			err_wrap(e, "mount '%s' on '%s'", m->source, m->destination);
			return r;
		}
	}
	*ret_fds = fds;
	return 0;
}

void idmap_close(const struct iso_config *c, int *fds)
{
	for (size_t i = 0; fds && i < c->n_mounts; i++)
		fd_close(fds[i]);
	free(fds);
}
