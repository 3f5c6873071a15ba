/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory sink: what each kind of entry becomes.
 *
 * Every entry is made new, under a held directory; if something is there already, it is taken away first, a
 * directory with all that is in it. The exceptions: a directory on a directory, and whiteouts, which concern lower
 * layers only and leave what this layer has.
 */
#include "layer_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "layer_dir_internal.h"

static const char *base_of(const struct layer_path *path)
{
	return path->text + path->base;
}

/* ---- directories, whiteouts -------------------------------------------------------------- */

/* Hold the directory at path itself. */
static int go_into(struct layer_dir *d, const struct layer_path *path, bool replace, struct err *e)
{
	int r;

	if (path->len == 0)
		return layer_dir_leave(d, 1, e);
	r = layer_dir_go(d, path, e);
	return r < 0 ? r : layer_dir_enter(d, base_of(path), path->len - path->base, replace, e);
}

static int dir_directory(void *sink, const struct layer_path *path, const struct layer_meta *m,
			 struct err *e)
{
	struct layer_dir *d = sink;
	struct layer_level *here;
	int r = go_into(d, path, true, e);

	if (r < 0)
		return r;
	here = layer_dir_here(d);
	/* An earlier entry or the parent may have given it another owner than a new one has. */
	r = layer_dir_apply(d, here->fd, m, true, false, e);
	here->mtime = m->mtime;
	here->setgid = m->mode & S_ISGID;
	return r;
}

static int dir_opaque(void *sink, const struct layer_path *path, struct err *e)
{
	struct layer_dir *d = sink;
	int r = go_into(d, path, false, e);

	return r < 0 ? r : layer_dir_hide_lower(d, layer_dir_here(d)->fd, e);
}

static int dir_whiteout(void *sink, const struct layer_path *path, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	struct layer_dir *d = sink;
	int r = layer_dir_go(d, path, e);

	if (r < 0)
		return r;
	if (mknodat(layer_dir_here(d)->fd, base_of(path), S_IFCHR, makedev(0, 0)) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(e, errno, "make a whiteout");
	/* A file of this layer hides lower ones by itself; a directory would be merged with theirs. */
	fd = layer_open_below(layer_dir_here(d)->fd, base_of(path), O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? 0 : layer_dir_hide_lower(d, fd, e);
}

/* ---- files ------------------------------------------------------------------------------- */

static int dir_file(void *sink, const struct layer_path *path, const struct layer_meta *m,
		    uint64_t size, bool sparse, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL;
	struct layer_dir *d = sink;
	int fd, r = layer_dir_go(d, path, e);

	if (r < 0)
		return r;
	fd = layer_open_below(layer_dir_here(d)->fd, base_of(path), flags, m->mode & 0777);
	if (fd == -EEXIST) {
		r = layer_dir_clear(d, base_of(path), e);
		if (r < 0)
			return r;
		fd = layer_open_below(layer_dir_here(d)->fd, base_of(path), flags, m->mode & 0777);
	}
	if (fd < 0)
		return err_sys(e, fd, "make the file");
	fd_close(d->file);
	d->file = fd;
	d->file_size = size;
	d->file_sparse = sparse;
	d->file_setgid = layer_dir_here(d)->setgid;
	d->file_meta = *m;
	return 0;
}

static int dir_file_data(void *sink, uint64_t offset, const void *data, size_t len, struct err *e)
{
	struct layer_dir *d = sink;
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(d->file, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "write its data");
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int dir_file_end(void *sink, struct err *e)
{
	struct layer_dir *d = sink;
	const struct layer_meta *m = &d->file_meta;
	const struct timespec times[2] = {m->mtime, m->mtime};
	int r;

	/* A hole at the end has no data to make the file as long as it is. */
	if (d->file_sparse && ftruncate(d->file, (off_t)d->file_size) < 0)
		return err_sys(e, errno, "set its size");
	r = layer_dir_apply(d, d->file, m, d->file_setgid, (m->mode & d->umask) == 0, e);
	if (r == 0 && futimens(d->file, times) < 0)
		r = err_sys(e, errno, "set its time");
	if (close(d->file) < 0 && r == 0)
		r = err_sys(e, errno, "close it");
	d->file = -EBADF;
	return r;
}

/* ---- links and nodes --------------------------------------------------------------------- */

static int dir_symlink(void *sink, const struct layer_path *path, const char *target,
		       const struct layer_meta *m, struct err *e)
{
	struct layer_dir *d = sink;
	int r = layer_dir_go(d, path, e);

	if (r < 0)
		return r;
	r = path_symlink_at(layer_dir_here(d)->fd, target, base_of(path), e);
	if (r == -EEXIST) {
		err_clear(e);
		r = layer_dir_clear(d, base_of(path), e);
		if (r == 0)
			r = path_symlink_at(layer_dir_here(d)->fd, target, base_of(path), e);
	}
	return r < 0 ? r : layer_dir_apply_at(d, base_of(path), m, true, e);
}

static int check_target(int dirfd, const char *name, struct stat *ret, struct err *e)
{
	if (fstatat(dirfd, name, ret, AT_SYMLINK_NOFOLLOW) < 0 || layer_is_whiteout(ret))
		return err_invalid(e, "no such file in this layer so far");
	return S_ISDIR(ret->st_mode) ? err_invalid(e, "it is a directory") : 0;
}

/* Without AT_SYMLINK_FOLLOW a link to a symlink is one more name of the symlink. */
static int link_to(struct layer_dir *d, const struct layer_path *path, int target_dir,
		   const char *target, struct err *e)
{
	int here = layer_dir_here(d)->fd;
	struct stat have, want;
	int r = check_target(target_dir, target, &want, e);

	if (r < 0 || linkat(target_dir, target, here, base_of(path), 0) == 0)
		return r;
	if (errno != EEXIST)
		return err_sys(e, errno, "make the link");
	if (fstatat(here, base_of(path), &have, AT_SYMLINK_NOFOLLOW) == 0 &&
	    have.st_ino == want.st_ino && have.st_dev == want.st_dev)
		return 0;
	r = layer_dir_clear(d, base_of(path), e);
	/* The target may have lain in what was cleared. */
	if (r == 0)
		r = check_target(target_dir, target, &want, e);
	if (r == 0 && linkat(target_dir, target, here, base_of(path), 0) < 0)
		r = err_sys(e, errno, "make the link");
	return r;
}

static int dir_hardlink(void *sink, const struct layer_path *path, const struct layer_path *target,
			struct err *e)
{
	_cleanup_close_ int owned = -EBADF;
	struct layer_dir *d = sink;
	int target_dir, r = layer_dir_go(d, path, e);

	if (r == 0)
		r = layer_dir_find(d, target, &target_dir, &owned, e);
	return r < 0 ? r : link_to(d, path, target_dir, base_of(target), e);
}

static int dir_node(void *sink, const struct layer_path *path, const struct layer_meta *m,
		    uint32_t major, uint32_t minor, struct err *e)
{
	struct layer_dir *d = sink;
	int r;

	if (!S_ISFIFO(m->mode)) {
		d->report->devices_left++;
		layer_note(d->report, "'%s': a device (%u:%u)", path->text, major, minor);
		return 0;
	}
	r = layer_dir_go(d, path, e);
	if (r < 0)
		return r;
	r = mknodat(layer_dir_here(d)->fd, base_of(path), m->mode, 0);
	if (r < 0 && errno == EEXIST) {
		r = layer_dir_clear(d, base_of(path), e);
		if (r < 0)
			return r;
		r = mknodat(layer_dir_here(d)->fd, base_of(path), m->mode, 0);
	}
	if (r < 0)
		return err_sys(e, errno, "make the FIFO");
	return layer_dir_apply_at(d, base_of(path), m, false, e);
}

/* ---- life -------------------------------------------------------------------------------- */

static int dir_finish(void *sink, struct err *e)
{
	return layer_dir_leave(sink, 0, e);
}

static const struct layer_sink_ops ops = {
	.directory = dir_directory,
	.file = dir_file,
	.file_data = dir_file_data,
	.file_end = dir_file_end,
	.symlink = dir_symlink,
	.hardlink = dir_hardlink,
	.node = dir_node,
	.whiteout = dir_whiteout,
	.opaque = dir_opaque,
	.finish = dir_finish,
};

struct layer_sink layer_dir_sink(struct layer_dir *d)
{
	return (struct layer_sink){.ops = &ops, .data = d};
}

int layer_dir_new(const struct layer_dir_params *p, struct layer_report *report,
		  struct layer_dir **ret, struct err *e)
{
	const struct layer_meta root = {.mode = 0755};
	struct layer_dir *d = calloc(1, sizeof(*d));
	int fd, r;

	if (!d)
		return err_nomem(e);
	d->params = *p;
	d->report = report;
	d->file = -EBADF;
	d->uid = geteuid();
	d->gid = getegid();
	d->umask = umask(0);
	umask(d->umask);
	fd = fcntl(p->dirfd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0) {
		free(d);
		return err_sys(e, errno, "hold the directory");
	}
	d->levels[d->n_levels++] = (struct layer_level){.fd = fd};
	/* Until an entry says otherwise. */
	r = layer_dir_apply(d, fd, &root, true, false, e);
	if (r < 0) {
		layer_dir_free(d);
		return err_wrap(e, "the layer's root");
	}
	*ret = d;
	return 0;
}

void layer_dir_free(struct layer_dir *d)
{
	if (!d)
		return;
	layer_dir_leave(d, 0, NULL);
	fd_close(d->file);
	free(d);
}
