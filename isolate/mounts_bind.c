/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bind mounts: a detached copy of a host directory or file, with attributes of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

static bool is_recursive(const struct iso_mount *m)
{
	return (m->flags & ISO_MOUNT_REC) || (m->type && STREQ(m->type, "rbind"));
}

int mounts_bind_source(const struct iso_mount *m, struct err *e)
{
	_cleanup_close_ int fd = -1;

	if (m->data)
		return err_invalid(e, "'%s' is no option of a bind mount", m->data);
	if (m->flags & ISO_MOUNT_TMPCOPYUP)
		return err_invalid(e, "option 'tmpcopyup' is for tmpfs");
	if (m->flags & ISO_MOUNT_THROWAWAY) {
		if (!m->source || m->source[0] != '/')
			return err_invalid(e, "the source of a bind mount is not an absolute path");
		return iso_mount_throwaway(m->source, m->throwaway_dir, e);
	}
	if (m->source_fd > STDERR_FILENO) {
		fd = fd_dup_above_stdio(m->source_fd);
		if (fd < 0)
			return err_sys(e, fd, "keep the opened source");
		return mountfd_clone(&fd, is_recursive(m), e);
	}
	/* Only who owns the file system may map its ids: not this process, if it is in a user
	 * namespace. The runtime does it and hands the tree over. */
	if (m->flags & (ISO_MOUNT_IDMAP | ISO_MOUNT_RIDMAP))
		return err_unsupported(e, "option 'idmap' without a source opened by the runtime");
	if (!m->source || m->source[0] != '/')
		return err_invalid(e, "the source of a bind mount is not an absolute path");
	return mountfd_clone_path(m->source, is_recursive(m), e);
}

int mounts_bind(const struct inside *in, const struct iso_mount *m, int *tree_fd, struct err *e)
{
	_cleanup_close_ int target_fd = -1, fd = TAKE_FD(*tree_fd);
	bool existed;
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "look at the source");
	target_fd = target_open(in->root_fd, m->destination, S_ISDIR(st.st_mode), &existed, e);
	if (target_fd < 0)
		return target_fd;
	/* Before it may become read-only. */
	if ((m->flags & ISO_MOUNT_FILL) && existed && S_ISDIR(st.st_mode))
		r = copyup_fill(target_fd, fd, e);
	if (r == 0)
		r = mounts_apply(in, fd, m, e);
	return r < 0 ? r : mounts_attach(in, fd, target_fd, e);
}

int mounts_copy_symlink(const struct inside *in, const struct iso_mount *m, struct err *e)
{
	_cleanup_close_ int parent_fd = -1;
	_cleanup_free_ char *clean = NULL;
	char text[PATH_MAX], there[PATH_MAX];
	char *name;
	ssize_t n;
	int r;

	n = m->source ? readlinkat(AT_FDCWD, m->source, text, sizeof(text) - 1) : -1;
	if (n < 0)
		return 0; /* no symlink: an ordinary bind, which tells what is wrong with it */
	text[n] = '\0';
	if (path_normalize(m->destination, &clean) < 0)
		return err_nomem(e);
	name = strrchr(clean, '/');
	if (!name || !name[1])
		return err_invalid(e, "the destination is the root itself");
	*name++ = '\0';
	parent_fd = path_mkdirs_in_root(in->root_fd, *clean ? clean : "/", 0755, e);
	if (parent_fd < 0)
		return parent_fd;
	r = path_symlink_at(parent_fd, text, name, e);
	if (r == -EEXIST) {
		n = readlinkat(parent_fd, name, there, sizeof(there) - 1);
		if (n < 0 || (size_t)n != strlen(text) || memcmp(there, text, (size_t)n) != 0)
			return r;
		r = 0;
		if (e)
			err_clear(e);
	}
	return r < 0 ? r : 1;
}

int iso_mount_open_tree(const char *path, struct err *e)
{
	_cleanup_close_ int tree = mountfd_clone_path(path, false, e);
	int r = tree < 0 ? tree : mountfd_set(tree, true, 0, 0, MS_SLAVE, e);

	return r < 0 ? r : TAKE_FD(tree);
}
