/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolving a path in a root without openat2(2), for hosts on which an outer seccomp filter forbids
 * it. Theory of operation:
 *
 * We stand on a directory, held as an O_PATH descriptor, and remember by which names we came there
 * from the root (`trail`; none of them is a symlink). One component is taken at a time and opened with
 * O_PATH|O_NOFOLLOW, so the kernel never follows anything for us:
 *
 *  - a directory: stand on it, add its name to the trail;
 *  - a symlink: read it and put its text in front of what is left to do. If it is absolute, go
 *    back to the root first. At most 40 of them, as in the kernel;
 *  - "..": drop the last name of the trail and walk the trail anew from the root. The directory's own
 *    ".." is never opened: had somebody moved the directory out of the root meanwhile, it would
 *    lead outside. At the root, ".." stays;
 *  - the last component: opened with the caller's flags and O_NOFOLLOW.
 *
 * A name of the trail that has become a symlink, or the last component becoming one between our look
 * and our open, is somebody's race: the walk starts again, a bounded number of times, then it is
 * -EAGAIN. Magic links (procfs) jump to objects instead of paths: refused with ELOOP, as
 * RESOLVE_NO_MAGICLINKS does.
 */
#include "path_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define LINKS_MAX   40 /* MAXSYMLINKS of the kernel */
#define RETRIES_MAX 16

#ifndef AAFS_MAGIC
#define AAFS_MAGIC 0x5a3c69f0 /* AppArmor's, the other file system with magic links */
#endif
#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000 /* since 5.10 */
#endif

struct walk {
	int rootfd;
	int cur; /* where we stand; rootfd itself is never stored here but as a copy */
	int flags;
	mode_t mode;
	unsigned links;
	size_t trail_len;
	char trail[PATH_MAX];    /* "a/b/c" */
	char todo[4 * PATH_MAX]; /* what is left, at its end */
	char *at;
};

static void walk_done(struct walk *w)
{
	w->cur = fd_close(w->cur);
}

static int go_to_root(struct walk *w)
{
	int fd = openat(w->rootfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	fd_close(w->cur);
	w->cur = fd;
	w->trail_len = 0;
	w->trail[0] = '\0';
	return 0;
}

/* Stand on the directory `fd` (taken), which is entry `name` of where we stood. */
static int go_into(struct walk *w, int fd, const char *name)
{
	size_t n = strlen(name), slash = w->trail_len > 0;

	if (w->trail_len + slash + n >= sizeof(w->trail)) {
		fd_close(fd);
		return -ENAMETOOLONG;
	}
	if (slash)
		w->trail[w->trail_len] = '/';
	memcpy(w->trail + w->trail_len + slash, name, n + 1);
	w->trail_len += slash + n;
	fd_close(w->cur);
	w->cur = fd;
	return 0;
}

static int go_up(struct walk *w)
{
	char old[PATH_MAX], name[NAME_MAX + 1];
	const char *p = old, *start;
	size_t n;
	int r;

	while (w->trail_len > 0 && w->trail[w->trail_len - 1] != '/')
		w->trail_len--;
	if (w->trail_len > 0)
		w->trail_len--;
	w->trail[w->trail_len] = '\0';
	memcpy(old, w->trail, w->trail_len + 1);
	r = go_to_root(w);
	while (r == 0 && path_next_component(&p, &start, &n)) {
		int fd;

		memcpy(name, start, n);
		name[n] = '\0';
		fd = openat(w->cur, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0) /* it was a directory a moment ago: a race, unless the reason is ours */
			return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? -EAGAIN
										     : -errno;
		r = go_into(w, fd, name);
	}
	return r;
}

/* Put `text` in front of what is left to do. */
static int push_todo(struct walk *w, const char *text, size_t n)
{
	if ((size_t)(w->at - w->todo) < n)
		return -ENAMETOOLONG;
	w->at -= n;
	memcpy(w->at, text, n);
	return 0;
}

/* May the text of this link be taken for a path? */
static int check_link(int fd, const char *text)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_flags & ST_NOSYMFOLLOW)
		return -ELOOP;
	if (fs.f_type != PROC_SUPER_MAGIC && fs.f_type != AAFS_MAGIC)
		return 0;
	/* procfs has ordinary links, all relative ("self", "mounts -> self/mounts"), and magic ones,
	 * whose text is an absolute path or no path at all ("pipe:[12]", "anon_inode:x"). */
	return text[0] == '/' || strchr(text, ':') || text[0] == '(' ? -ELOOP : 0;
}

static int follow(struct walk *w, int fd)
{
	char text[PATH_MAX];
	ssize_t n;
	int r;

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	n = readlinkat(fd, "", text, sizeof(text));
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ENOENT;
	if ((size_t)n == sizeof(text))
		return -ENAMETOOLONG;
	text[n] = '\0';
	r = check_link(fd, text);
	if (r == 0)
		r = push_todo(w, text, (size_t)n);
	if (r == 0 && text[0] == '/')
		r = go_to_root(w);
	return r;
}

/* The path ends on the directory where we stand ("/", "a/..", "."). */
static int open_here(struct walk *w)
{
	int fd;

	if (w->flags & O_CREAT)
		return w->flags & O_EXCL ? -EEXIST : -EISDIR;
	fd = openat(w->cur, ".", w->flags | O_CLOEXEC, w->mode);
	return fd < 0 ? -errno : fd;
}

/* The last component, which is no symlink (or one that shall not be followed, or nothing yet). */
static int open_last(struct walk *w, const char *name)
{
	bool follows = !(w->flags & O_NOFOLLOW) && !((w->flags & O_CREAT) && (w->flags & O_EXCL));
	struct stat st;
	int fd;

	fd = openat(w->cur, name, w->flags | O_NOFOLLOW | O_CLOEXEC, w->mode);
	if (fd < 0) /* it became a symlink behind our back */
		return errno == ELOOP && follows ? -EAGAIN : -errno;
	if (follows && (w->flags & O_PATH)) {
		if (fstat(fd, &st) < 0) {
			fd_close(fd);
			return -EIO;
		}
		if (S_ISLNK(st.st_mode)) {
			fd_close(fd);
			return -EAGAIN;
		}
	}
	return fd;
}

/* One component. Returns 1 to go on, or the final result: an fd (in *ret_fd, 0) or -errno. */
static int step(struct walk *w, const char *name, bool slash, bool last, int *ret_fd)
{
	_cleanup_close_ int fd = -EBADF;
	bool creates = last && !slash && (w->flags & O_CREAT);
	struct stat st;
	int r;

	if (STREQ(name, ".") || STREQ(name, "..")) {
		r = name[1] == '.' ? go_up(w) : 0;
		return r < 0 ? r : 1;
	}
	if (last && slash && (w->flags & O_CREAT))
		return -EISDIR;
	fd = openat(w->cur, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && !(errno == ENOENT && creates))
		return -errno;
	if (fd >= 0 && fstat(fd, &st) < 0)
		return -errno;
	if (fd >= 0 && S_ISLNK(st.st_mode) &&
	    (!last || slash || (!(w->flags & O_NOFOLLOW) && !(creates && (w->flags & O_EXCL))))) {
		r = follow(w, fd);
		return r < 0 ? r : 1;
	}
	if (last && !slash) {
		r = open_last(w, name);
		if (r >= 0)
			*ret_fd = r;
		return r < 0 ? r : 0;
	}
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	r = go_into(w, TAKE_FD(fd), name);
	return r < 0 ? r : 1;
}

static int walk_once(struct walk *w)
{
	char name[NAME_MAX + 1];
	const char *at, *start;
	int fd = -EBADF, r;
	size_t n;

	for (;;) {
		at = w->at;
		if (!path_next_component(&at, &start, &n))
			return open_here(w);
		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, start, n);
		name[n] = '\0';
		w->at += at - w->at;
		r = step(w, name, *at == '/', at[strspn(at, "/")] == '\0', &fd);
		if (r <= 0)
			return r < 0 ? r : fd;
	}
}

int path_resolve_by_walk(int rootfd, const char *path, int flags, mode_t mode)
{
	size_t len = strlen(path);
	struct walk w;
	int r;

	if (len == 0)
		return -ENOENT;
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	for (unsigned i = 0; i < RETRIES_MAX; i++) {
		w = (struct walk){.rootfd = rootfd, .cur = -EBADF, .flags = flags, .mode = mode};
		w.at = w.todo + sizeof(w.todo) - len - 1;
		memcpy(w.at, path, len + 1);
		r = go_to_root(&w);
		if (r == 0)
			r = walk_once(&w);
		walk_done(&w);
		if (r != -EAGAIN)
			break;
	}
	return r;
}
