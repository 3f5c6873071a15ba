/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces and id maps: the table of facts, opening a namespace of a process or of a configured
 * path, checking maps before the kernel sees them, and writing them.
 *
 * The kernel takes an id map in one write and answers a bad one with a bare EINVAL, so everything
 * that can be wrong in it is looked for here first, where the entry can still be named.
 */
#include "isolate/namespace.h"

#include <fcntl.h>
#include <signal.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "idmap_helpers.h"
#include "nsfile.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* Entries in one map. Spec: user_namespaces(7), since Linux 4.15. */
#define ID_MAP_ENTRIES_MAX 340

const struct iso_ns_info iso_ns_table[] = {
	[ISO_NS_USER] = {"user", CLONE_NEWUSER, "user"},
	[ISO_NS_MOUNT] = {"mount", CLONE_NEWNS, "mnt"},
	[ISO_NS_PID] = {"pid", CLONE_NEWPID, "pid"},
	[ISO_NS_NETWORK] = {"network", CLONE_NEWNET, "net"},
	[ISO_NS_IPC] = {"ipc", CLONE_NEWIPC, "ipc"},
	[ISO_NS_UTS] = {"uts", CLONE_NEWUTS, "uts"},
	[ISO_NS_CGROUP] = {"cgroup", CLONE_NEWCGROUP, "cgroup"},
	[ISO_NS_TIME] = {"time", CLONE_NEWTIME, "time"},
};
_Static_assert(ARRAY_SIZE(iso_ns_table) == ISO_NS_COUNT, "a namespace without a row");

int iso_ns_parse(const char *oci_name, enum iso_ns *ret)
{
	for (int i = 0; i < ISO_NS_COUNT; i++) {
		if (STREQ(iso_ns_table[i].oci_name, oci_name)) {
			*ret = (enum iso_ns)i;
			return 0;
		}
	}
	return -EINVAL;
}

int iso_ns_open(pid_t pid, enum iso_ns ns, struct err *e)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, iso_ns_table[ns].proc_name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		int n = errno;

		if (n == ENOENT && access("/proc/self/ns", F_OK) == 0 && kill(pid, 0) == 0)
			return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
				       "the kernel has no %s namespaces",
				       iso_ns_table[ns].oci_name);
		return err_sys(e, n, "open %s namespace of process %d", iso_ns_table[ns].oci_name,
			       (int)pid);
	}
	return fd;
}

/* A configured path may be any file; what is not a namespace of the right kind is refused before
 * anything was created. */
int iso_ns_open_path(enum iso_ns ns, const char *path, struct err *e)
{
	const struct iso_ns_info *info = &iso_ns_table[ns];
	_cleanup_close_ int fd = -EBADF;
	int type, r;

	/* O_NONBLOCK: a FIFO in its place must not stop us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_sys(e, errno, "open %s namespace '%s'", info->oci_name, path);
	r = path_check_fstype(fd, NSFS_MAGIC, path, NULL);
	if (r < 0)
		return err_invalid(e, "open %s namespace '%s': not a namespace", info->oci_name,
				   path);
	type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0)
		return err_sys(e, errno, "ask for the type of namespace '%s'", path);
	if ((uint64_t)(unsigned)type != info->clone_flag)
		return err_invalid(e, "open %s namespace '%s': it is a namespace of another type",
				   info->oci_name, path);
	return TAKE_FD(fd);
}

int ns_is_ours(enum iso_ns ns, int fd, struct err *e)
{
	_cleanup_close_ int own = -EBADF;
	struct stat a, b;

	own = iso_ns_open(getpid(), ns, e);
	if (own < 0)
		return own;
	if (fstat(fd, &a) < 0 || fstat(own, &b) < 0)
		return err_sys(e, errno, "stat %s namespace", iso_ns_table[ns].oci_name);
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Fixed since Linux 3.8: include/linux/proc_ns.h, PROC_USER_INIT_INO. */
#define FIRST_USER_NS_INODE 0xEFFFFFFDU

bool ns_user_is_nested(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) == 0 && st.st_ino != FIRST_USER_NS_INODE;
}

int ns_open_root(pid_t pid, struct err *e)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open the root directory of process %d", (int)pid) : fd;
}

/* ---- id maps ---------------------------------------------------------------------------------- */

static bool ranges_meet(uint64_t a, uint64_t an, uint64_t b, uint64_t bn)
{
	return a < b + bn && b < a + an;
}

int iso_id_maps_check(const struct iso_id_maps *maps, const char *what, struct err *e)
{
	if (maps->n > ID_MAP_ENTRIES_MAX)
		return err_invalid(e, "%s: %zu entries, the kernel takes %d", what, maps->n,
				   ID_MAP_ENTRIES_MAX);
	for (size_t i = 0; i < maps->n; i++) {
		const struct iso_id_map *m = &maps->v[i];

		if (m->count == 0)
			return err_invalid(e, "%s[%zu]: size is 0", what, i);
		/* The last id, 2^32-1, means "no id" to the kernel and cannot be mapped. */
		if ((uint64_t)m->inside + m->count > UINT32_MAX)
			return err_invalid(e, "%s[%zu]: containerID %u and size %u overflow", what,
					   i, m->inside, m->count);
		if ((uint64_t)m->outside + m->count > UINT32_MAX)
			return err_invalid(e, "%s[%zu]: hostID %u and size %u overflow", what, i,
					   m->outside, m->count);
		for (size_t k = 0; k < i; k++) {
			const struct iso_id_map *o = &maps->v[k];

			if (ranges_meet(m->inside, m->count, o->inside, o->count))
				return err_invalid(e, "%s[%zu]: container ids overlap with [%zu]",
						   what, i, k);
			if (ranges_meet(m->outside, m->count, o->outside, o->count))
				return err_invalid(e, "%s[%zu]: host ids overlap with [%zu]", what,
						   i, k);
		}
	}
	return 0;
}

static int map_write(int procfd, const char *file, const struct iso_id_maps *maps, struct err *e)
{
	struct strbuf b = {0};
	_cleanup_free_ char *text = NULL;
	int r;

	for (size_t i = 0; i < maps->n; i++)
		strbuf_addf(&b, "%u %u %u\n", maps->v[i].inside, maps->v[i].outside,
			    maps->v[i].count);
	if (strbuf_take(&b, &text) < 0)
		return err_nomem(e);
	r = path_write_file_at(procfd, file, text, e);
	if (r == -EPERM)
		err_hint(e, "without privilege only the caller's own id can be mapped, one entry "
			    "of size 1");
	return r < 0 ? err_wrap(e, "write %s", file) : 0;
}

/* The one entry that the kernel lets its owner write. */
static bool is_own_id(const struct iso_id_maps *maps, uint32_t own)
{
	return maps->n == 1 && maps->v[0].count == 1 && maps->v[0].outside == own;
}

/* As an ordinary user: what the kernel allows is written, for the rest there are helpers. */
static int write_as_user(pid_t pid, int procfd, const struct iso_id_maps *uid,
			 const struct iso_id_maps *gid, struct err *e)
{
	int r;

	if (is_own_id(uid, geteuid()))
		r = map_write(procfd, "uid_map", uid, e);
	else
		r = idmap_helper_run("newuidmap", pid, uid, e);
	if (r < 0)
		return r;
	if (!is_own_id(gid, getegid()))
		return idmap_helper_run("newgidmap", pid, gid, e);
	/* Whoever maps a group without privilege must first give up setgroups(2), or a process could
	 * leave a group that a file's mode denies (user_namespaces(7)). */
	r = path_write_file_at(procfd, "setgroups", "deny", e);
	if (r < 0)
		return err_wrap(e, "write setgroups");
	return map_write(procfd, "gid_map", gid, e);
}

int iso_id_maps_write(pid_t pid, const struct iso_id_maps *uid, const struct iso_id_maps *gid,
		      struct err *e)
{
	_cleanup_close_ int procfd = -EBADF;
	char path[32];
	int r;

	r = iso_id_maps_check(uid, "uidMappings", e);
	if (r == 0)
		r = iso_id_maps_check(gid, "gidMappings", e);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	procfd = path_open_dir(path, e);
	if (procfd < 0)
		return procfd;
	r = path_check_fstype(procfd, PROC_SUPER_MAGIC, path, e);
	if (r < 0)
		return r;
	if (geteuid() != 0)
		return write_as_user(pid, procfd, uid, gid, e);
	r = map_write(procfd, "uid_map", uid, e);
	if (r == 0)
		r = map_write(procfd, "gid_map", gid, e);
	return r;
}

int iso_id_to_host(const struct iso_id_maps *maps, uint32_t inside, uint32_t *ret)
{
	if (maps->n == 0) {
		*ret = inside;
		return 0;
	}
	for (size_t i = 0; i < maps->n; i++) {
		const struct iso_id_map *m = &maps->v[i];

		if (inside >= m->inside && inside - m->inside < m->count) {
			*ret = m->outside + (inside - m->inside);
			return 0;
		}
	}
	return -ERANGE;
}
