/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of an image in the making: which entry of which directory is what. Internal to the writer.
 *
 * One balanced tree of (directory, name) holds all of them, so that whatever names an archive has, finding one is cheap, and
 * a walk through it gives each directory's names together and in the order in which EROFS wants them. Directories are numbered as
 * they come, so parents before what is in them. What is replaced is not removed: a directory that no name leads to any
 * more is left out, with all that is in it, when the names are collected.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "erofs_format.h"

/* Types of our own beside those of the disk. */
#define EROFS_TYPE_NONE     0   /* nothing (any more) */
#define EROFS_TYPE_WHITEOUT 100 /* a character device 0:0 */

struct erofs_name {
	uint32_t parent; /* number of its directory */
	uint8_t type;
	bool linked;  /* its inode has, or had, another name */
	uint64_t ref; /* its inode, or a directory's number; a whiteout has none */
	const char *text;
};

struct erofs_directory {
	uint32_t parent;
	uint32_t mode, uid, gid;
	struct timespec mtime;
	uint8_t *xattrs; /* owned; without the mark of an opaque one */
	uint32_t xattrs_len;
	bool opaque;
	/* found at the end */
	bool alive;
	size_t first, n, n_below; /* its names; how many of them are directories */
	uint64_t size, nid, at;
	uint32_t block;
};

struct erofs_tree;

/* With a root, number 0. */
int erofs_tree_new(struct erofs_tree **ret, struct err *e);
void erofs_tree_free(struct erofs_tree *t); /* NULL-safe */

/* NULL: there is none. `len` bytes of name. */
struct erofs_name *erofs_tree_find(struct erofs_tree *t, uint32_t parent, const char *name,
				   size_t len);
/* Find it or make it, of type NONE. */
int erofs_tree_have(struct erofs_tree *t, uint32_t parent, const char *name, size_t len,
		    struct erofs_name **ret, struct err *e);

/* One more directory: 0755, root's, of the epoch. */
int erofs_tree_add_directory(struct erofs_tree *t, uint32_t parent, uint32_t *ret, struct err *e);
/* Valid until the next one is added. */
struct erofs_directory *erofs_tree_directory(struct erofs_tree *t, uint32_t number);
uint32_t erofs_tree_n_directories(const struct erofs_tree *t);

/* All names that are reached from the root, directory by directory and sorted; what is `found at the end` of the directories
 * but places and sizes. *ret belongs to the tree. */
int erofs_tree_collect(struct erofs_tree *t, struct erofs_name ***ret, size_t *ret_n,
		       struct err *e);
