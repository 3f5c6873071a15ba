/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The merged view of layers, one path at a time. Theory of operation:
 *
 * A directory of the view is a path and the set of layers whose directories of that path make it up. To step into it, the
 * layers of the parent's set are asked for the name, from the top: a whiteout ends the search, the first thing that is no
 * directory is what is seen (and hides all below, as a directory hides whatever is no directory below it), directories
 * join the set until one is opaque. A symlink is taken apart into the rest of the path, from the root if it is
 * absolute; ".." goes back to the parent's set. The path of a set is made of names that are real directories in each of its
 * layers, so opening it there follows nothing.
 *
 * Spec: OCI image-spec layer.md "Whiteouts"; kernel Documentation/filesystems/overlayfs.rst "whiteouts and opaque
 * directories", "userxattr". Everything is bounded: depth, length, symlinks.
 */
#include "merged.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "manifest.h"

#define DEPTH_MAX 64
#define HOPS_MAX  40 /* as the kernel has it */
#define WORDS     ((IMG_LAYERS_MAX + 63) / 64)

struct layer_set {
	uint64_t bits[WORDS];
};

/* Where the walk is. */
struct walk {
	const int *fds;
	size_t n;
	char path[PATH_MAX];    /* relative, "" is the root */
	size_t ends[DEPTH_MAX]; /* length of the path at each depth */
	struct layer_set sets[DEPTH_MAX + 1];
	size_t depth;
	char rest[PATH_MAX]; /* still to go */
	int hops;
};

static bool has(const struct layer_set *s, size_t i)
{
	return s->bits[i / 64] >> (i % 64) & 1;
}

static void add(struct layer_set *s, size_t i)
{
	s->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static bool is_opaque(int fd)
{
	static const char *const names[] = {"user.overlay.opaque", "trusted.overlay.opaque"};
	char path[PATH_FD_MAX], value[4];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (getxattr(path_of_fd(fd, path), names[i], value, sizeof(value)) == 1 &&
		    value[0] == 'y')
			return true;
	return false;
}

/* PATH/name in one layer, nothing followed. */
static int open_in_layer(const struct walk *w, size_t layer, const char *name, struct stat *st)
{
	_cleanup_close_ int fd = -1;
	char full[PATH_MAX + NAME_MAX + 2];

	snprintf(full, sizeof(full), "%s%s%s", w->path, *w->path ? "/" : "", name);
	fd = path_open_in_root(w->fds[layer], full, O_PATH | O_NOFOLLOW, 0, NULL);
	if (fd < 0)
		return fd;
	return fstat(fd, st) < 0 ? -errno : TAKE_FD(fd);
}

/* What the view has under that name: a descriptor of it from the topmost layer, or -ENOENT. For a directory *set is of
 * which layers it is made. */
static int look_up(const struct walk *w, const char *name, struct stat *ret, struct layer_set *set)
{
	_cleanup_close_ int found = -1;

	*set = (struct layer_set){0};
	for (size_t i = 0; i < w->n; i++) {
		_cleanup_close_ int fd = -1;
		struct stat st;

		if (!has(&w->sets[w->depth], i))
			continue;
		fd = open_in_layer(w, i, name, &st);
		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return fd;
		if (is_whiteout(&st))
			break;
		if (!S_ISDIR(st.st_mode)) {
			if (found >= 0)
				break;
			*ret = st;
			return TAKE_FD(fd);
		}
		add(set, i);
		if (found < 0) {
			*ret = st;
			found = fd_dup_above_stdio(fd);
			if (found < 0)
				return found;
		}
		if (is_opaque(fd))
			break;
	}
	return found < 0 ? -ENOENT : TAKE_FD(found);
}

static int enter(struct walk *w, const char *name, const struct layer_set *set)
{
	size_t len = strlen(w->path);

	if (w->depth == DEPTH_MAX || len + strlen(name) + 2 > sizeof(w->path))
		return -ENAMETOOLONG;
	w->ends[w->depth] = len;
	snprintf(w->path + len, sizeof(w->path) - len, "%s%s", len ? "/" : "", name);
	w->sets[++w->depth] = *set;
	return 0;
}

static void leave(struct walk *w)
{
	if (w->depth > 0)
		w->path[w->ends[--w->depth]] = '\0';
}

/* The link's target goes in front of what is still to go. */
static int follow(struct walk *w, int link)
{
	char target[PATH_MAX], joined[2 * PATH_MAX + 2];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (++w->hops > HOPS_MAX)
		return -ELOOP;
	snprintf(joined, sizeof(joined), "%s/%s", target, w->rest);
	if (strlen(joined) >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memcpy(w->rest, joined, strlen(joined) + 1);
	while (target[0] == '/' && w->depth > 0)
		leave(w);
	return 0;
}

/* Split the next name off; false at the end. */
static int next_name(struct walk *w, char name[NAME_MAX + 1])
{
	size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/");

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, w->rest + skip, len);
	name[len] = '\0';
	memmove(w->rest, w->rest + skip + len, strlen(w->rest + skip + len) + 1);
	return len > 0;
}

static bool at_end(const struct walk *w)
{
	return w->rest[strspn(w->rest, "/")] == '\0';
}

static int step(struct walk *w, const char *name, struct stat *st, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct layer_set set;

	if (STREQ(name, "."))
		return 0;
	if (STREQ(name, "..")) {
		leave(w);
		return 0;
	}
	fd = look_up(w, name, st, &set);
	if (fd < 0)
		return fd;
	if (S_ISLNK(st->st_mode))
		return follow(w, fd);
	if (!S_ISDIR(st->st_mode)) {
		if (!at_end(w))
			return -ENOTDIR;
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	return enter(w, name, &set);
}

static int walk(struct walk *w, struct stat *st)
{
	char name[NAME_MAX + 1];
	int fd = -1, r;

	while (fd < 0 && (r = next_name(w, name)) > 0) {
		r = step(w, name, st, &fd);
		if (r < 0)
			return r;
	}
	if (fd >= 0)
		return fd;
	if (r < 0)
		return r;
	/* It is a directory: that of the set's topmost layer. */
	for (size_t i = 0; i < w->n; i++)
		if (has(&w->sets[w->depth], i))
			return open_in_layer(w, i, ".", st);
	return -ENOENT;
}

int merged_open(const int *layer_fds, size_t n_layers, const char *path, struct stat *ret_stat,
		struct err *e)
{
	struct walk w = {.fds = layer_fds, .n = n_layers};
	int fd;

	if (n_layers > IMG_LAYERS_MAX)
		return err_invalid(e, "more than %d layers", IMG_LAYERS_MAX);
	if (strlen(path) >= sizeof(w.rest))
		return err_sys(e, ENAMETOOLONG, "'%.64s…' in the image", path);
	snprintf(w.rest, sizeof(w.rest), "%s", path);
	for (size_t i = 0; i < n_layers; i++)
		add(&w.sets[0], i);
	fd = walk(&w, ret_stat);
	if (fd >= 0 || fd == -ENOENT || fd == -ENOTDIR)
		return fd == -ENOTDIR ? -ENOENT : fd;
	return err_sys(e, fd, "'%s' in the image", path);
}
