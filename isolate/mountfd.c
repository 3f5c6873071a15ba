/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's mount API by descriptor: the system calls, the log of a file system context, and
 * finding an object of another mount namespace again in ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "mountfd.h"
#include "mountinfo.h"

/* Messages wait in the context, "e text\n" each; put them into one line. */
static void fs_log(int fs_fd, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < 8; i++) {
		char line[256];
		ssize_t n = read(fs_fd, line, sizeof(line) - 1);
		const char *text = line;

		if (n <= 0)
			return;
		while (n > 0 && line[n - 1] == '\n')
			n--;
		line[n] = '\0';
		if (n > 2 && line[1] == ' ')
			text += 2;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? "; " : "", text);
		if (len >= size)
			return;
	}
}

static int fs_error(int fs_fd, int errnum, struct err *e, const char *what)
{
	char log[512];

	fs_log(fs_fd, log, sizeof(log));
	if (*log)
		return err_sys(e, errnum, "%s: the kernel says '%s'", what, log);
	return err_sys(e, errnum, "%s", what);
}

int mountfd_fs_open(const char *fstype, struct err *e)
{
	int fd = fsopen(fstype, FSOPEN_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENODEV)
		return err_set(e, ERR_UNSUPPORTED, ENODEV, "the kernel has no file system '%s'",
			       fstype);
	return err_sys(e, errno, "open a context for file system '%s'", fstype);
}

int mountfd_fs_set(int fs_fd, const char *key, const char *value, struct err *e)
{
	char what[MOUNTFD_VALUE_MAX + 128];
	int r;

	r = value ? fsconfig(fs_fd, FSCONFIG_SET_STRING, key, value, 0)
		  : fsconfig(fs_fd, FSCONFIG_SET_FLAG, key, NULL, 0);
	if (r == 0)
		return 0;
	r = errno;
	if (value && strlen(value) > MOUNTFD_VALUE_MAX)
		return err_invalid(e, "option '%s' is longer than %d bytes", key,
				   MOUNTFD_VALUE_MAX);
	snprintf(what, sizeof(what), "option '%s%s%s'", key, value ? "=" : "", value ? value : "");
	return fs_error(fs_fd, r, e, what);
}

/* Split off the next option: outside of quotes, at a comma. Quotes are removed in place. */
static char *data_next(char **rest)
{
	char *word = *rest, *out = word, *p = word;
	bool quoted = false;

	for (; *p && (quoted || *p != ','); p++) {
		if (*p == '"')
			quoted = !quoted;
		else
			*out++ = *p;
	}
	*rest = *p ? p + 1 : NULL;
	*out = '\0';
	return word;
}

int mountfd_fs_data(int fs_fd, const char *data, struct err *e)
{
	_cleanup_free_ char *copy = NULL;
	char *rest;

	if (!data)
		return 0;
	copy = strdup(data);
	if (!copy)
		return err_nomem(e);
	rest = copy;
	while (rest) {
		char *word = data_next(&rest), *value = strchr(word, '=');
		int r;

		if (!*word)
			continue;
		if (value)
			*value++ = '\0';
		r = mountfd_fs_set(fs_fd, word, value, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int mountfd_fs_mount(int fs_fd, uint64_t attrs, struct err *e)
{
	int fd;

	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_error(fs_fd, errno, e, "create the file system");
	fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned)attrs);
	if (fd < 0)
		return fs_error(fs_fd, errno, e, "mount the file system");
	return fd;
}

int mountfd_fs_pick(int mnt_fd, struct err *e)
{
	int fd = fspick(mnt_fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH | FSPICK_NO_AUTOMOUNT);

	return fd < 0 ? err_sys(e, errno, "open the context of the mounted file system") : fd;
}

int mountfd_fs_reconfigure(int fs_fd, struct err *e)
{
	if (fsconfig(fs_fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return fs_error(fs_fd, errno, e, "reconfigure the file system");
	return 0;
}

static int clone_at(int fd, const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;

	if (!*path)
		flags |= AT_EMPTY_PATH;
	if (recursive)
		flags |= AT_RECURSIVE;
	fd = open_tree(fd, path, flags);
	return fd < 0 ? -errno : fd;
}

static int clone_error(int r, struct err *e, const char *what)
{
	err_sys(e, r, "open '%s' as a mount", what);
	if (r == -EINVAL)
		err_hint(e, "it is unbindable, or mounts below it are locked by a user namespace "
			    "(then bind it recursively)");
	if (r == -EMFILE)
		err_hint(e, "raise the limit of open files (RLIMIT_NOFILE)");
	return r;
}

/* The object behind fd, opened by its path in our own mount namespace. */
static int find_again(int fd, struct err *e)
{
	_cleanup_close_ int found = -1;
	char link[PATH_FD_MAX], path[PATH_MAX];
	struct stat want, have;
	ssize_t n;

	n = readlink(path_of_fd(fd, link), path, sizeof(path) - 1);
	if (n < 0 || fstat(fd, &want) < 0)
		return err_sys(e, errno, "look at descriptor %d", fd);
	path[n] = '\0';
	found = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (found < 0 || fstat(found, &have) < 0)
		return err_sys(e, errno, "open '%s' in the container's mount namespace", path);
	if (have.st_dev != want.st_dev || have.st_ino != want.st_ino)
		return err_set(e, ERR_SYSTEM, ESTALE,
			       "'%s' is not the same in the container's mount namespace", path);
	return TAKE_FD(found);
}

/* Whether the mount that an open path lies on is in our mount namespace. */
static int is_in_namespace(int fd, bool *ret, struct err *e)
{
	struct mountinfo info = {0};
	struct statx stx;
	int r;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return err_sys(e, errno, "look at descriptor %d", fd);
	r = mountinfo_read(&info, e);
	if (r < 0)
		return r;
	*ret = mountinfo_by_id(&info, stx.stx_mnt_id) != NULL;
	mountinfo_done(&info);
	return 0;
}

/* Of a mount outside our namespace: a detached tree of ours may be changed by us, one in a foreign
 * namespace may not. The change asked for is to what it already is. */
static bool is_detached(int fd)
{
	struct mount_attr same = {0};
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0)
		return false;
	if (st.f_flag & ST_NOSUID)
		same.attr_set = MOUNT_ATTR_NOSUID;
	else
		same.attr_clr = MOUNT_ATTR_NOSUID;
	return mount_setattr(fd, "", AT_EMPTY_PATH, &same, sizeof(same)) == 0;
}

int mountfd_clone(int *fd, bool recursive, struct err *e)
{
	_cleanup_close_ int found = -1;
	bool ours;
	int r;

	r = clone_at(*fd, "", recursive);
	if (r >= 0)
		return r;
	if (r != -EINVAL)
		return err_sys(e, r, "copy its mount");
	r = is_in_namespace(*fd, &ours, e);
	if (r < 0)
		return r;
	if (ours)
		return clone_error(-EINVAL, e, "its mount");
	if (is_detached(*fd))
		return TAKE_FD(*fd);
	found = find_again(*fd, e);
	if (found < 0)
		return found;
	r = clone_at(found, "", recursive);
	return r < 0 ? clone_error(r, e, "its mount") : r;
}

int mountfd_clone_path(const char *path, bool recursive, struct err *e)
{
	int r = clone_at(AT_FDCWD, path, recursive);

	return r < 0 ? clone_error(r, e, path) : r;
}

int mountfd_set(int mnt_fd, bool recursive, uint64_t attr_set, uint64_t attr_clr,
		uint64_t propagation, struct err *e)
{
	struct mount_attr attr = {
		.attr_set = attr_set, .attr_clr = attr_clr, .propagation = propagation};
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	int r;

	if (mount_setattr(mnt_fd, "", flags, &attr, sizeof(attr)) == 0)
		return 0;
	r = err_sys(e, errno, "set mount attributes");
	if (r == -EPERM)
		err_hint(e, "a user namespace may not take back ro, nosuid, nodev, noexec or the "
			    "access time mode of a mount that it was given");
	return r;
}

int mountfd_spread(int mnt_fd, uint64_t propagation, struct err *e)
{
	static const uint64_t order[] = {MS_PRIVATE, MS_UNBINDABLE, MS_SLAVE, MS_SHARED};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		int r;

		if (!(propagation & order[i]))
			continue;
		r = mountfd_set(mnt_fd, propagation & MS_REC, 0, 0, order[i], e);
		if (r < 0)
			return err_wrap(e, "propagation");
	}
	return 0;
}

int mountfd_attach(int mnt_fd, int target_fd, struct err *e)
{
	const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
	struct stat st;
	int r;

	if (move_mount(mnt_fd, "", target_fd, "", flags) == 0)
		return 0;
	r = err_sys(e, errno, "attach the mount");
	/* The kernel tells both mismatches by one number (ENOTDIR, EINVAL before 6.11). */
	if ((r == -ENOTDIR || r == -EINVAL) && fstat(target_fd, &st) == 0)
		err_hint(e, S_ISDIR(st.st_mode)
				    ? "is the source a file? The destination is a directory"
				    : "is the source a directory? The destination is a file");
	return r;
}
