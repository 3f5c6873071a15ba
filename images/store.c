/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the store; its locks; removing what belongs to the ids of its layers. What lies where: store.h.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "worker_call.h"

#define ADDING_LOCK ".lock"

/* ---- opening ---------------------------------------------------------------------------------- */

void img_store_close(struct img_store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_in_use; i++)
		fd_close(s->in_use[i]);
	free(s->in_use);
	fd_close(s->adding);
	fd_close(s->layers);
	fd_close(s->erofs);
	fd_close(s->images);
	fd_close(s->names);
	fd_close(s->archives);
	fd_close(s->blobs);
	fd_close(s->fd);
	free(s->path);
	free(s->ids);
	free(s);
}

/* Who can write here chooses what runs in the next sandbox. */
static int check_owner(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "image store '%s'", path);
	if (st.st_uid != geteuid())
		return err_set(e, ERR_INVALID, EPERM,
			       "image store '%s' belongs to uid %u, not to %u", path,
			       (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & 077) {
		err_set(e, ERR_INVALID, EPERM, "image store '%s' is open to others (%04o)", path,
			(unsigned)(st.st_mode & 07777));
		return err_hint(e, "chmod 700 '%s'", path);
	}
	return 0;
}

static int open_made(int dirfd, const char *name, int *ret, struct err *e)
{
	int fd = path_open_dir_at(dirfd, name, NULL);

	if (fd == -ENOENT) {
		int r = path_mkdir_at(dirfd, name, 0700, e);

		if (r < 0 && r != -EEXIST)
			return r;
		fd = path_open_dir_at(dirfd, name, e);
	} else if (fd < 0) {
		fd = path_open_dir_at(dirfd, name, e);
	}
	if (fd < 0)
		return fd;
	*ret = fd;
	return 0;
}

static int open_top(struct img_store *s, struct err *e)
{
	int fd = path_open_dir(s->path, NULL), r;

	if (fd == -ENOENT) {
		r = path_mkdir_p(s->path, 0700, e);
		if (r < 0)
			return r;
	}
	if (fd < 0)
		fd = path_open_dir(s->path, e);
	if (fd < 0)
		return fd;
	s->fd = fd;
	return check_owner(fd, s->path, e);
}

static int open_all(struct img_store *s, struct err *e)
{
	_cleanup_close_ int layers = -1;
	int r = open_top(s, e);

	if (r == 0)
		r = open_made(s->fd, "layers", &layers, e);
	if (r == 0)
		r = open_made(layers, s->ids, &s->layers, e);
	if (r == 0 && s->mount)
		r = open_made(layers, STORE_EROFS_SET, &s->erofs, e);
	if (r == 0)
		r = open_made(s->fd, "images", &s->images, e);
	if (r == 0)
		r = open_made(s->fd, "names", &s->names, e);
	if (r == 0)
		r = open_made(s->fd, "archives", &s->archives, e);
	if (r == 0)
		r = open_made(s->fd, "blobs", &s->blobs, e);
	return r;
}

int img_store_open(const struct img_store_params *p, struct img_store **ret, struct err *e)
{
	struct img_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_nomem(e);
	s->fd = s->layers = s->erofs = s->images = s->names = s->archives = s->blobs = s->adding =
		-1;
	s->log.fd = -1;
	if (p->log)
		s->log = *p->log;
	s->worker = p->worker;
	s->mount = p->mount;
	s->fetch = p->fetch;
	s->worker_arg = p->worker_arg;
	s->path = strdup(p->path);
	s->ids = strdup(p->ids);
	r = s->path && s->ids ? open_all(s, e) : err_nomem(e);
	if (r < 0) {
		img_store_close(s);
		return err_wrap(e, "image store '%s'", p->path);
	}
	*ret = s;
	return 0;
}

/* ---- locks ------------------------------------------------------------------------------------- */

int store_flock(int fd, int operation, struct err *e)
{
	while (flock(fd, operation) < 0) {
		if (errno == EWOULDBLOCK)
			return -EWOULDBLOCK;
		if (errno != EINTR)
			return err_sys(e, errno, "lock the image store");
	}
	return 0;
}

static bool is_named(int dirfd, const char *name, int fd)
{
	struct stat mine, named;

	return fstat(fd, &mine) == 0 && fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

int store_lock_file(int dirfd, const char *name, bool wait, struct err *e)
{
	for (;;) {
		_cleanup_close_ int fd =
			path_open_in_root(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, e);
		int r;

		if (fd < 0)
			return fd;
		r = store_flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB), e);
		if (r < 0)
			return r;
		/* The holder before us may have removed it. */
		if (is_named(dirfd, name, fd))
			return TAKE_FD(fd);
	}
}

void store_unlock_file(int dirfd, const char *name, int fd)
{
	path_unlink_at(dirfd, name, NULL);
	fd_close(fd);
}

static int lock_store(struct img_store *s, int operation, struct err *e)
{
	_cleanup_close_ int fd =
		path_open_in_root(s->fd, ADDING_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, e);
	int r = fd < 0 ? fd : store_flock(fd, operation, e);

	return r < 0 ? r : TAKE_FD(fd);
}

int store_lock_all(struct img_store *s, struct err *e)
{
	return lock_store(s, LOCK_EX | LOCK_NB, e);
}

int store_begin_adding(struct img_store *s, struct err *e)
{
	int fd;

	if (s->adding >= 0)
		return 0;
	fd = lock_store(s, LOCK_SH, e);
	if (fd < 0)
		return fd;
	s->adding = fd;
	layer_sweep_dead(s);
	image_sweep_dead(s);
	return 0;
}

void store_end_adding(struct img_store *s)
{
	s->adding = fd_close(s->adding);
}

/* ---- removing, listing --------------------------------------------------------------------------- */

int store_remove_tree(struct img_store *s, int dirfd, const char *name, struct err *e)
{
	struct worker_call call;
	int r = path_remove_tree_at(dirfd, name, NULL);

	if (r == 0)
		return 0;
	if ((r != -EACCES && r != -EPERM) || !s->worker)
		return path_remove_tree_at(dirfd, name, e);
	/* Files of ids that are ours only in the worker's user namespace. */
	r = worker_start(s, IMG_WORKER_REMOVE, name, &dirfd, 1, 1, &call, e);
	return r < 0 ? r : worker_finish(&call, NULL, e);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_read_dir(int dirfd, const char *prefix, char ***ret, struct err *e)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_close_ int fd = path_open_dir_at(dirfd, ".", e);
	struct dirent *d;
	size_t n = 0, cap = 0;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir)
		return err_sys(e, errno, "read the image store");
	TAKE_FD(fd);
	while ((d = readdir(dir))) {
		if (STREQ(d->d_name, ".") || STREQ(d->d_name, "..") ||
		    !str_has_prefix(d->d_name, prefix))
			continue;
		if (n + 1 >= cap) {
			char **more = reallocarray(names, cap = cap ? cap * 2 : 16, sizeof(*more));

			if (!more)
				return err_nomem(e);
			names = more;
		}
		names[n] = strdup(d->d_name);
		if (!names[n])
			return err_nomem(e);
		names[++n] = NULL;
	}
	if (n > 1)
		qsort(names, n, sizeof(*names), compare_strings);
	*ret = TAKE_PTR(names);
	return 0;
}
