/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the directory sink. */
#pragma once

#include <sys/stat.h>

#include "layer_dir.h"
#include "layer_path.h"

/* A directory that is held open, as deep as it lies. */
struct layer_level {
	int fd;
	size_t end;            /* how much of `at` names it */
	bool setgid;           /* new files in it get its group */
	struct timespec mtime; /* put back when it is left */
};

struct layer_dir {
	struct layer_dir_params params;
	struct layer_report *report;
	mode_t umask;
	uid_t uid; /* what new files get by themselves */
	gid_t gid;
	uint64_t n_made; /* directories */
	/* The directories from the root to the one that entries came for last; most come for the same one. */
	struct layer_level levels[LAYER_DEPTH_MAX + 1];
	size_t n_levels;
	char at[LAYER_PATH_MAX];
	/* The file that data comes for. */
	int file;
	uint64_t file_size;
	bool file_sparse, file_setgid;
	struct layer_meta file_meta;
};

/* ---- layer_dir_walk.c -------------------------------------------------------------------- */

/* Open one plain component, never through a symlink, never onto another mount. */
int layer_open_below(int dirfd, const char *name, int flags, mode_t mode);

/* Hold the first levels only, putting the times of the others back. */
int layer_dir_leave(struct layer_dir *d, size_t n_levels, struct err *e);

/* Hold the directory that `path` lies in, making what is missing. */
int layer_dir_go(struct layer_dir *d, const struct layer_path *path, struct err *e);
static inline struct layer_level *layer_dir_here(struct layer_dir *d)
{
	return &d->levels[d->n_levels - 1];
}

/* Hold directory `name` of the directory that is held, which is made if it is missing. `replace`: also in place of something
 * else; a whiteout is replaced in any case. */
int layer_dir_enter(struct layer_dir *d, const char *name, size_t len, bool replace, struct err *e);

/* Take away what is at `name` of the directory that is held. */
int layer_dir_clear(struct layer_dir *d, const char *name, struct err *e);

/* The directory that `path` lies in, without making any: *ret_owned is closed by the caller unless negative. */
int layer_dir_find(struct layer_dir *d, const struct layer_path *path, int *ret, int *ret_owned,
		   struct err *e);

static inline bool layer_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* ---- layer_dir_attr.c -------------------------------------------------------------------- */

int layer_dir_hide_lower(struct layer_dir *d, int fd, struct err *e);

/* Owner, mode and extended attributes of an open file or directory. `inherited`: its group came from the directory. */
int layer_dir_apply(struct layer_dir *d, int fd, const struct layer_meta *m, bool inherited,
		    bool mode_is_set, struct err *e);

/* Owner, mode (unless a symlink) and time of something that cannot be opened. */
int layer_dir_apply_at(struct layer_dir *d, const char *name, const struct layer_meta *m,
		       bool symlink, struct err *e);
