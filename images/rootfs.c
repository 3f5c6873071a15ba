/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a root file system: a directory of the host, or the layers of an image. The descriptors are opened once
 * and kept: what was checked here is what is used later, whatever happens to a name in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "images/rootfs.h"
#include "merged.h"

void img_rootfs_done(struct img_rootfs *r)
{
	free(r->path);
	r->path = NULL;
	r->fd = fd_close(r->fd);
	for (size_t i = 0; i < r->n_layers; i++)
		fd_close(r->layer_fds[i]);
	free(r->layer_fds);
	r->layer_fds = NULL;
	r->n_layers = 0;
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

/* A layer's root: its directory, or that of a mount of its image. */
static int open_layer(int root, const char *path, img_mount_fn mount_image, struct err *e)
{
	_cleanup_close_ int fd = path_open_in_root(root, path, O_PATH | O_NOFOLLOW, 0, e);
	_cleanup_close_ int image = -1;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "look at '%s'", path);
	if (S_ISDIR(st.st_mode))
		return TAKE_FD(fd);
	if (!S_ISREG(st.st_mode) || !mount_image)
		return err_sys(e, ENOTDIR, "layer '%s'", path);
	image = path_open_in_root(root, path, O_RDONLY | O_NOFOLLOW, 0, e);
	return image < 0 ? image : mount_image(image, e);
}

static int open_layers(const struct img_source *from, struct img_rootfs *r, struct err *e)
{
	const struct img_image *image = from->image;
	_cleanup_close_ int root = path_open_dir("/", e);
	size_t n = strv_len(image->layers);

	if (root < 0)
		return root;
	r->image = image;
	r->layer_fds = calloc(n + 1, sizeof(*r->layer_fds));
	if (!r->layer_fds)
		return err_nomem(e);
	for (; r->n_layers < n; r->n_layers++) {
		int fd = open_layer(root, image->layers[r->n_layers], from->mount, e);

		if (fd < 0)
			return err_wrap(e, "image '%s'", image->name);
		r->layer_fds[r->n_layers] = fd;
	}
	return 0;
}

int img_rootfs_open(const struct img_source *from, enum img_rootfs_form form,
		    struct img_rootfs *ret, struct err *e)
{
	const char *what = from->image ? from->image->name : from->directory;
	struct img_rootfs r = {.form = form, .fd = -1};
	int rc;

	switch (form) {
	case IMG_FORM_DIRECTORY:
		break;
	case IMG_FORM_DISK:
		return err_unsupported(
			e, "root file system '%s': a directory cannot be given as a disk yet",
			what);
	}
	rc = from->image ? open_layers(from, &r, e) : open_directory(from->directory, &r, e);
	if (rc < 0) {
		img_rootfs_done(&r);
		return rc;
	}
	*ret = r;
	return 0;
}

/* ---- reading a file in it --------------------------------------------------------------------------- */

static int open_found(const struct img_rootfs *r, const char *path, struct stat *st, struct err *e)
{
	int fd;

	if (r->image)
		return merged_open(r->layer_fds, r->n_layers, path, st, e);
	fd = path_open_in_root(r->fd, path, O_PATH, 0, e);
	if (fd < 0)
		return fd == -ENOTDIR ? -ENOENT : fd;
	return fstat(fd, st) < 0 ? err_sys(e, errno, "look at '%s'", path) : fd;
}

int img_rootfs_read(const struct img_rootfs *r, const char *path, size_t max_bytes, char **ret,
		    struct err *e)
{
	struct err local = ERR_INIT;
	struct stat st;
	_cleanup_close_ int found = open_found(r, path, &st, &local);
	char name[PATH_FD_MAX];

	if (found == -ENOENT)
		return -ENOENT;
	if (found < 0) {
		if (e)
			*e = local;
		return found;
	}
	if (!S_ISREG(st.st_mode))
		return err_invalid(e, "'%s' is not a file", path);
	/* What is held is a regular file: by its descriptor nothing else can be opened. */
	return path_read_file_at(AT_FDCWD, path_of_fd(found, name), max_bytes, ret, NULL, e);
}
