/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a root file system. For now it is a directory of the host, and the only form is a
 * directory. The descriptor is opened once and kept: what was checked here is
 * what is used later, whatever happens to the name in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "images/rootfs.h"

void img_rootfs_done(struct img_rootfs *r)
{
	free(r->path);
	r->path = NULL;
	r->fd = fd_close(r->fd);
}

static int same_directory(int a, int b, bool *ret, struct err *e)
{
	struct stat sa, sb;

	if (fstat(a, &sa) < 0 || fstat(b, &sb) < 0)
		return err_sys(e, errno, "compare with the host's root directory");
	*ret = sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
	return 0;
}

static int open_directory(const char *reference, struct img_rootfs *r, struct err *e)
{
	_cleanup_close_ int root = -1;
	int fd;

	if (!*reference)
		return err_invalid(e, "the root file system has no name");
	r->path = realpath(reference, NULL);
	if (!r->path && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "root file system '%s' does not exist",
			       reference);
	if (!r->path)
		return err_sys(e, errno, "root file system '%s'", reference);

	root = path_open_dir("/", e);
	if (root < 0)
		return root;
	fd = path_open_in_root(root, r->path, O_PATH | O_DIRECTORY, 0, e);
	if (fd == -ENOTDIR)
		return err_set(e, ERR_INVALID, ENOTDIR, "root file system '%s' is not a directory",
			       reference);
	if (fd < 0)
		return err_wrap(e, "root file system '%s'", reference);
	r->fd = fd;
	return same_directory(r->fd, root, &r->host_root, e);
}

int img_rootfs_open(const struct img_source *from, enum img_rootfs_form form,
		    struct img_rootfs *ret, struct err *e)
{
	const char *reference = from->directory;
	struct img_rootfs r = {.form = form, .fd = -1};
	int rc;

	if (from->image)
		return err_unsupported(e, "image '%s': layers are not mounted yet",
				       from->image->name);
	switch (form) {
	case IMG_FORM_DIRECTORY:
		break;
	case IMG_FORM_DISK:
		return err_unsupported(
			e, "root file system '%s': a directory cannot be given as a disk yet",
			reference);
	}
	rc = open_directory(reference, &r, e);
	if (rc < 0) {
		img_rootfs_done(&r);
		return rc;
	}
	*ret = r;
	return 0;
}
