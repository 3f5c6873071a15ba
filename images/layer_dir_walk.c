/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving about in the directory that is filled.
 *
 * Entries of a tar mostly follow each other in the same directory, so the way to the last one is held open, level by
 * level, and only what differs is walked. A directory's time is what its entry said, yet every entry made in it later changes it: it
 * is put back when the level is left, and read again when the directory is entered once more. So nothing has to be remembered
 * for the end, however many directories an archive has.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "layer_dir_internal.h"

/* O_NOFOLLOW on one component says as much where a filter around us forbids openat2(2); only the mount check is lost. */
int layer_open_below(int dirfd, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	return fd < 0 ? -errno : fd;
}

int layer_dir_leave(struct layer_dir *d, size_t n_levels, struct err *e)
{
	int r = 0;

	while (d->n_levels > n_levels) {
		struct layer_level *l = layer_dir_here(d);
		const struct timespec times[2] = {l->mtime, l->mtime};

		if (r == 0 && futimens(l->fd, times) < 0)
			r = err_sys(e, errno, "set the time of directory '%.*s'", (int)l->end,
				    d->at);
		close(l->fd);
		d->n_levels--;
	}
	return r;
}

static int hold(struct layer_dir *d, int fd, size_t end, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "look at a directory");
	d->levels[d->n_levels++] = (struct layer_level){
		.fd = fd, .end = end, .setgid = st.st_mode & S_ISGID, .mtime = st.st_mtim};
	return 0;
}

int layer_dir_clear(struct layer_dir *d, const char *name, struct err *e)
{
	return path_remove_tree_at(layer_dir_here(d)->fd, name, e);
}

/* What was there and was no directory hid what lower layers have: so must the directory that replaces it. */
static int replace_by_directory(struct layer_dir *d, const char *name, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	int r = layer_dir_clear(d, name, e);

	if (r < 0)
		return r;
	if (mkdirat(layer_dir_here(d)->fd, name, 0755) < 0)
		return err_sys(e, errno, "make the directory");
	fd = layer_open_below(layer_dir_here(d)->fd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return err_sys(e, fd, "open the directory");
	return layer_dir_hide_lower(d, fd, e);
}

/* A directory that no entry told of yet gets what most have, and a time that is the same wherever it is unpacked. */
static int settle_new(struct layer_dir *d, const char *name, struct err *e)
{
	const struct timespec epoch[2] = {{0}, {0}};

	if (fchmodat(layer_dir_here(d)->fd, name, 0755, 0) < 0 ||
	    utimensat(layer_dir_here(d)->fd, name, epoch, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "set mode and time of directory '%s'", name);
	return 0;
}

/* Make sure that there is a directory `name`; 1: it is new. */
static int make_directory(struct layer_dir *d, const char *name, bool replace, struct err *e)
{
	struct stat st;
	int r, here = layer_dir_here(d)->fd;

	if (d->n_made++ >= d->params.directories)
		return err_set(e, ERR_LIMIT, E2BIG, "more than %llu directories",
			       (unsigned long long)d->params.directories);
	if (mkdirat(here, name, 0755) == 0) {
		r = settle_new(d, name, e);
		return r < 0 ? r : 1;
	}
	if (errno != EEXIST)
		return err_sys(e, errno, "make directory '%s'", name);
	if (fstatat(here, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "look at '%s'", name);
	if (S_ISDIR(st.st_mode))
		return 0;
	if (!replace && !layer_is_whiteout(&st))
		return err_invalid(e, "it lies in '%s', which is %s of this layer", name,
				   S_ISLNK(st.st_mode) ? "a symlink" : "no directory");
	r = replace_by_directory(d, name, e);
	if (r == 0)
		r = settle_new(d, name, e);
	return r < 0 ? r : 1;
}

int layer_dir_enter(struct layer_dir *d, const char *name, size_t len, bool replace, struct err *e)
{
	char component[LAYER_COMPONENT_MAX + 1];
	size_t end = layer_dir_here(d)->end;
	int fd, r;

	memcpy(component, name, len);
	component[len] = '\0';
	fd = layer_open_below(layer_dir_here(d)->fd, component, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0) {
		r = make_directory(d, component, replace, e);
		if (r < 0)
			return r;
		fd = layer_open_below(layer_dir_here(d)->fd, component, O_RDONLY | O_DIRECTORY, 0);
	}
	if (fd < 0)
		return err_sys(e, fd, "open directory '%s'", component);
	if (end > 0)
		d->at[end++] = '/';
	memcpy(d->at + end, name, len);
	r = hold(d, fd, end + len, e);
	if (r < 0)
		close(fd);
	return r;
}

/* How many of the held levels lead to the first `len` bytes of path. */
static size_t shared_levels(const struct layer_dir *d, const char *path, size_t len)
{
	size_t n = 1;

	while (n < d->n_levels) {
		size_t end = d->levels[n].end, begin = d->levels[n - 1].end;

		if (end > len || memcmp(d->at + begin, path + begin, end - begin) != 0 ||
		    (end < len && path[end] != '/'))
			break;
		n++;
	}
	return n;
}

/* The bytes of path that name its directory. */
static size_t parent_len(const struct layer_path *path)
{
	return path->base > 0 ? path->base - 1 : 0;
}

int layer_dir_go(struct layer_dir *d, const struct layer_path *path, struct err *e)
{
	size_t len = parent_len(path);
	int r = layer_dir_leave(d, shared_levels(d, path->text, len), e);

	while (r == 0 && layer_dir_here(d)->end < len) {
		const char *name = path->text + layer_dir_here(d)->end;

		if (*name == '/')
			name++;
		r = layer_dir_enter(d, name, strcspn(name, "/"), false, e);
	}
	return r;
}

int layer_dir_find(struct layer_dir *d, const struct layer_path *path, int *ret, int *ret_owned,
		   struct err *e)
{
	_cleanup_close_ int owned = -EBADF;
	size_t len = parent_len(path), n = shared_levels(d, path->text, len);
	size_t at = d->levels[n - 1].end;
	int fd = d->levels[n - 1].fd;

	while (at < len) {
		char component[LAYER_COMPONENT_MAX + 1];
		size_t word;

		at += path->text[at] == '/';
		word = strcspn(path->text + at, "/");
		memcpy(component, path->text + at, word);
		component[word] = '\0';
		fd = layer_open_below(fd, component, O_PATH | O_DIRECTORY, 0);
		if (fd < 0)
			return err_invalid(e, "no such file in this layer so far");
		fd_close(owned);
		owned = fd;
		at += word;
	}
	*ret = fd;
	*ret_owned = TAKE_FD(owned);
	return 0;
}
