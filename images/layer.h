/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer: a tar, understood as a change of a file system and handed to a sink, which makes something of it: a directory
 * for overlayfs today, a file system image later. Internal to this folder.
 *
 * This side knows what layers say (names, whiteouts, hard links inside the layer, which extended attributes
 * count); a sink knows how a file system says it. Paths given to a sink are plain (layer_path.h).
 *
 * Spec: OCI image-spec layer.md.
 */
#pragma once

#include "tar_reader.h"

struct layer_meta {
	uint32_t mode; /* permission bits */
	uint32_t uid, gid;
	struct timespec mtime;
	const struct tar_xattr *xattrs; /* those that may be tried; see layer_xattr_wanted() */
	size_t n_xattrs;
};

/* What became of it, and what did not. */
struct layer_report {
	uint64_t entries;
	uint64_t files, directories, symlinks, hardlinks, fifos, whiteouts, opaques;
	uint64_t devices_left; /* left out: a device cannot be made there */
	uint64_t
		xattrs_left; /* not set: of overlayfs or of a policy of the host, or not possible there */
	uint64_t aufs_left;
	uint64_t owners_left; /* other ids than the only one there is */
	char note[256];       /* the first thing that was left, for people; or "" */
};
void layer_note(struct layer_report *r, const char *fmt, ...) _printf_(2, 3);

struct layer_path;

/* Later entries replace earlier ones of the same path; a directory on a directory keeps what is in it. Missing parents are
 * made. */
struct layer_sink_ops {
	/* "" is the root. */
	int (*directory)(void *sink, const struct layer_path *path, const struct layer_meta *m,
			 struct err *e);
	/* Its data comes by file_data(), in ascending order, with holes if it is sparse; then file_end(). */
	int (*file)(void *sink, const struct layer_path *path, const struct layer_meta *m,
		    uint64_t size, bool sparse, struct err *e);
	int (*file_data)(void *sink, uint64_t offset, const void *data, size_t len, struct err *e);
	int (*file_end)(void *sink, struct err *e);
	int (*symlink)(void *sink, const struct layer_path *path, const char *target,
		       const struct layer_meta *m, struct err *e);
	/* `target` must have come before, and be no directory. */
	int (*hardlink)(void *sink, const struct layer_path *path, const struct layer_path *target,
			struct err *e);
	/* A FIFO or a device, told by the type bits of m->mode. */
	int (*node)(void *sink, const struct layer_path *path, const struct layer_meta *m,
		    uint32_t major, uint32_t minor, struct err *e);
	/* Hide what lower layers have at path; what this layer has there, before or after, stays. */
	int (*whiteout)(void *sink, const struct layer_path *path, struct err *e);
	/* The same for all that lower layers have in a directory. */
	int (*opaque)(void *sink, const struct layer_path *path, struct err *e);
	/* Once, after all entries. */
	int (*finish)(void *sink, struct err *e);
};

struct layer_sink {
	const struct layer_sink_ops *ops;
	void *data;
};

struct layer_limits {
	struct tar_limits tar;
	uint64_t file_bytes; /* of one file, holes included */
};
extern const struct layer_limits layer_limits_default;

/* Read it all, to the end of the source. Errors name the entry. */
int layer_read(const struct tar_source *source, const struct layer_limits *limits,
	       const struct layer_sink *sink, struct layer_report *report, struct err *e);

/* May this attribute of an image be set on a file of ours at all? */
bool layer_xattr_wanted(const char *name);

/* A sink that keeps nothing and checks what it is given (ERR_INTERNAL). Zero-initialise the counter. */
struct layer_counter {
	uint64_t bytes;        /* of data in all files */
	uint64_t size, offset; /* of the current one */
};
struct layer_sink layer_sink_count(struct layer_counter *c);
