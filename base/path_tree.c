/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing a tree that a workload may have filled. It may be deeper than our stack, our descriptor
 * limit or PATH_MAX allow, so there is no recursion: we stand on one directory and remember, per
 * level, the name and identity of those above. Going up is openat("..") checked against that identity.
 *
 * Nothing is followed: each name is unlinked or opened as a plain component with O_NOFOLLOW, and a
 * directory that is not on the mount of the first one is refused, whatever its device number (a bind
 * mount shares it). The mount id is asked of the open descriptor.
 */
#include "path_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

struct identity {
	uint64_t mount;
	uint32_t dev_major, dev_minor;
	uint64_t ino;
};

struct level {
	struct identity above; /* the directory that holds `name` */
	char *name;
};

struct removal {
	int cur; /* the directory we stand on */
	struct identity id;
	struct level *levels;
	size_t n, cap;
};

static void removal_done(struct removal *rm)
{
	rm->cur = fd_close(rm->cur);
	while (rm->n > 0)
		free(rm->levels[--rm->n].name);
	free(rm->levels);
}

static int identify(int fd, struct identity *ret)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &stx) < 0)
		return -errno;
	if (!(stx.stx_mask & STATX_MNT_ID)) /* before 5.8: better nothing than another's files */
		return -ENOTSUP;
	*ret = (struct identity){
		.mount = stx.stx_mnt_id,
		.dev_major = stx.stx_dev_major,
		.dev_minor = stx.stx_dev_minor,
		.ino = stx.stx_ino,
	};
	return 0;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
	return a->mount == b->mount && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && a->ino == b->ino;
}

/* Open a directory for emptying it. One that its owner locked against himself is unlocked. */
static int open_for_removal(int dirfd, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd = openat(dirfd, name, flags);

	if (fd < 0 && errno == EACCES && path_set_mode_at(dirfd, name, 0700) == 0)
		fd = openat(dirfd, name, flags);
	return fd < 0 ? -errno : fd;
}

/* Remember where we are and stand on directory `name`. */
static int descend(struct removal *rm, const char *name)
{
	_cleanup_close_ int fd = open_for_removal(rm->cur, name);
	struct identity id;
	int r;

	if (fd < 0)
		return fd;
	r = identify(fd, &id);
	if (r < 0)
		return r;
	if (id.mount != rm->id.mount)
		return -EBUSY;
	if (rm->n == rm->cap) {
		size_t cap = rm->cap ? rm->cap * 2 : 16;
		struct level *p = reallocarray(rm->levels, cap, sizeof(*p));

		if (!p)
			return -ENOMEM;
		rm->levels = p;
		rm->cap = cap;
	}
	rm->levels[rm->n].above = rm->id;
	rm->levels[rm->n].name = strdup(name);
	if (!rm->levels[rm->n].name)
		return -ENOMEM;
	rm->n++;
	fd_close(rm->cur);
	rm->cur = TAKE_FD(fd);
	rm->id = id;
	return 0;
}

/* Back to the level above, and remove the directory that we leave. */
static int ascend(struct removal *rm)
{
	_cleanup_close_ int fd = openat(rm->cur, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *name = NULL;
	struct identity id;
	int r;

	if (fd < 0)
		return -errno;
	r = identify(fd, &id);
	if (r < 0)
		return r;
	rm->n--;
	name = rm->levels[rm->n].name;
	if (!is_same(&id, &rm->levels[rm->n].above))
		return -EAGAIN; /* it was moved while we were in it: we are not where we think */
	fd_close(rm->cur);
	rm->cur = TAKE_FD(fd);
	rm->id = id;
	return unlinkat(rm->cur, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/* Remove one entry. Returns 1 if it is a directory with something in it. */
static int remove_entry(struct removal *rm, const struct dirent *d)
{
	if (d->d_type != DT_DIR) {
		int r;

		if (unlinkat(rm->cur, d->d_name, 0) == 0 || errno == ENOENT)
			return 0;
		r = -errno;
		/* The file system may not tell types; then rmdir() will say what it is. */
		if (r != -EISDIR && !(r == -EPERM && d->d_type == DT_UNKNOWN))
			return r;
	}
	if (unlinkat(rm->cur, d->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST ? 1 : -errno;
}

/* Empty the directory we stand on up to its first full subdirectory, and stand on that one.
 * Returns 1 then, 0 when the directory is empty. */
static int empty_or_descend(struct removal *rm, char name[NAME_MAX + 1])
{
	_cleanup_closedir_ DIR *dir = NULL;
	bool unlocked = false;
	struct dirent *d;
	int fd, r;

	fd = openat(rm->cur, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return -ENOMEM;
	}
	for (;;) {
		errno = 0;
		d = readdir(dir);
		if (!d)
			return -errno;
		if (STREQ(d->d_name, ".") || STREQ(d->d_name, ".."))
			continue;
		memcpy(name, d->d_name, strlen(d->d_name) + 1);
		r = remove_entry(rm, d);
		if (r == -EACCES && !unlocked) { /* our own directory without its write bit */
			unlocked = true;
			if (fchmod(rm->cur, 0700) == 0)
				r = remove_entry(rm, d);
		}
		if (r == 1)
			r = descend(rm, d->d_name);
		else if (r == 0)
			continue;
		return r < 0 ? r : 1;
	}
}

/* Empty the tree below the directory that rm stands on. */
static int empty_tree(struct removal *rm, const char *top, struct err *e)
{
	char name[NAME_MAX + 1] = "";
	int r;

	for (;;) {
		r = empty_or_descend(rm, name);
		if (r == 0 && rm->n == 0)
			return 0;
		if (r == 0)
			r = ascend(rm);
		if (r < 0)
			break;
	}
	err_sys(e, r, "remove '%s', %zu levels below '%s'", name, rm->n + 1, top);
	if (r == -EBUSY)
		err_hint(e, "something is mounted there; unmount it first");
	return r;
}

int path_remove_tree_at(int dirfd, const char *name, struct err *e)
{
	struct removal rm = {.cur = -EBADF};
	struct identity holder;
	int r;

	if (!path_is_plain(name))
		return err_invalid(e, "remove '%s': not a plain name", name);
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(e, errno, "remove '%s'", name);
	rm.cur = open_for_removal(dirfd, name);
	if (rm.cur == -ENOENT)
		return 0;
	if (rm.cur < 0)
		return err_sys(e, rm.cur, "remove '%s'", name);
	r = identify(rm.cur, &rm.id);
	if (r == 0)
		r = identify(dirfd, &holder);
	if (r == 0 && holder.mount != rm.id.mount)
		r = -EBUSY;
	if (r < 0) {
		removal_done(&rm);
		err_sys(e, r, "remove '%s'", name);
		if (r == -EBUSY)
			err_hint(e, "something is mounted there; unmount it first");
		return r;
	}
	r = empty_tree(&rm, name, e);
	removal_done(&rm);
	if (r == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = err_sys(e, errno, "remove '%s'", name);
	return r;
}
