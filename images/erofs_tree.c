/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of an image in the making.
 */
#include "erofs_tree.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "layer_path.h"

struct erofs_tree {
	void *names; /* of tsearch(3) */
	size_t n_names;
	struct erofs_directory *directories;
	uint32_t n_directories, cap_directories;
	struct erofs_name **collected;
	size_t n_collected;
};

int erofs_tree_new(struct erofs_tree **ret, struct err *e)
{
	struct erofs_tree *t = calloc(1, sizeof(*t));
	uint32_t root;
	int r = t ? erofs_tree_add_directory(t, 0, &root, e) : err_nomem(e);

	if (r < 0) {
		erofs_tree_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void erofs_tree_free(struct erofs_tree *t)
{
	if (!t)
		return;
	tdestroy(t->names, free);
	for (uint32_t i = 0; i < t->n_directories; i++)
		free(t->directories[i].xattrs);
	free(t->directories);
	free(t->collected);
	free(t);
}

/* ---- names ---------------------------------------------------------------------------------------- */

/* strcmp(3) compares as EROFS sorts: bytes without sign, the shorter one first. */
static int compare(const void *a, const void *b)
{
	const struct erofs_name *x = a, *y = b;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return strcmp(x->text, y->text);
}

struct erofs_name *erofs_tree_find(struct erofs_tree *t, uint32_t parent, const char *name,
				   size_t len)
{
	char text[LAYER_COMPONENT_MAX + 1];
	const struct erofs_name key = {.parent = parent, .text = text};
	struct erofs_name **found;

	memcpy(text, name, len);
	text[len] = '\0';
	found = tfind(&key, &t->names, compare);
	return found ? *found : NULL;
}

int erofs_tree_have(struct erofs_tree *t, uint32_t parent, const char *name, size_t len,
		    struct erofs_name **ret, struct err *e)
{
	struct erofs_name *n = erofs_tree_find(t, parent, name, len);
	char *text;

	if (n) {
		*ret = n;
		return 0;
	}
	n = calloc(1, sizeof(*n) + len + 1);
	if (!n)
		return err_nomem(e);
	text = (char *)(n + 1);
	memcpy(text, name, len);
	n->parent = parent;
	n->text = text;
	if (!tsearch(n, &t->names, compare)) {
		free(n);
		return err_nomem(e);
	}
	t->n_names++;
	*ret = n;
	return 0;
}

/* ---- directories ---------------------------------------------------------------------------------- */

int erofs_tree_add_directory(struct erofs_tree *t, uint32_t parent, uint32_t *ret, struct err *e)
{
	if (t->n_directories == t->cap_directories) {
		uint32_t cap = t->cap_directories ? t->cap_directories * 2 : 64;
		struct erofs_directory *more =
			reallocarray(t->directories, cap, sizeof(*t->directories));

		if (!more)
			return err_nomem(e);
		t->directories = more;
		t->cap_directories = cap;
	}
	t->directories[t->n_directories] = (struct erofs_directory){.parent = parent, .mode = 0755};
	*ret = t->n_directories++;
	return 0;
}

struct erofs_directory *erofs_tree_directory(struct erofs_tree *t, uint32_t number)
{
	return &t->directories[number];
}

uint32_t erofs_tree_n_directories(const struct erofs_tree *t)
{
	return t->n_directories;
}

/* ---- the end -------------------------------------------------------------------------------------- */

/* Parents have smaller numbers, so that it is known whether one is alive when its names come. */
static void collect(const void *node, VISIT which, void *arg)
{
	struct erofs_name *n = *(struct erofs_name *const *)node;
	struct erofs_tree *t = arg;
	struct erofs_directory *parent = &t->directories[n->parent];

	if (which != postorder && which != leaf)
		return;
	if (!parent->alive || n->type == EROFS_TYPE_NONE)
		return;
	if (parent->n++ == 0)
		parent->first = t->n_collected;
	if (n->type == EROFS_TYPE_DIRECTORY) {
		t->directories[n->ref].alive = true;
		parent->n_below++;
	}
	t->collected[t->n_collected++] = n;
}

int erofs_tree_collect(struct erofs_tree *t, struct erofs_name ***ret, size_t *ret_n, struct err *e)
{
	t->collected = calloc(t->n_names + 1, sizeof(*t->collected));
	if (!t->collected)
		return err_nomem(e);
	t->directories[0].alive = true;
	twalk_r(t->names, collect, t);
	*ret = t->collected;
	*ret_n = t->n_collected;
	return 0;
}
