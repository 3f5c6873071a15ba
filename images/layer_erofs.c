/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EROFS sink: what each kind of entry becomes. What replaces what, and what is refused, is as the directory sink has it
 * (layer_dir.c): both are tested by the same cases.
 *
 * A file's data and inode are written as they come, and its name is remembered. What is replaced later leaves unused room in
 * the image.
 */
#include "layer_erofs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "digest.h"
#include "erofs_file.h"
#include "erofs_finish.h"
#include "erofs_image.h"
#include "erofs_tree.h"
#include "erofs_xattr.h"
#include "layer_path.h"

#define MAJOR_MAX 0xfffu /* of a device number in 32 bits, as the kernel has them */
#define MINOR_MAX 0xfffffu

struct layer_erofs {
	struct layer_erofs_params params;
	struct layer_report *report;
	struct erofs_image *image;
	struct erofs_tree *tree;
	struct erofs_root root;
	struct erofs_xattrs xattrs; /* of the current entry */
	/* The directory that entries came for last; most come for the same one. */
	char at[LAYER_PATH_MAX];
	size_t at_len;
	uint32_t at_number;
	/* The file that data comes for. */
	struct erofs_file file;
	struct erofs_inode inode;
	struct erofs_name *name;
};

/* ---- going about -------------------------------------------------------------------------------- */

/* Whatever this was, it is not any more. */
static void clear(struct layer_erofs *l, struct erofs_name *n)
{
	if (n->type == EROFS_TYPE_DIRECTORY) { /* the way to the last one may have led through it */
		l->at_len = 0;
		l->at_number = 0;
	}
	n->type = EROFS_TYPE_NONE;
	n->linked = false;
}

/* Directory `name` of another, made if it is missing. `replace`: also in place of something else; a whiteout is replaced in
 * any case. What was there and was no directory hid what lower layers have: so must the directory that replaces it. */
static int enter(struct layer_erofs *l, uint32_t parent, const char *name, size_t len, bool replace,
		 uint32_t *ret, struct err *e)
{
	struct erofs_name *n;
	uint32_t number;
	int r = erofs_tree_have(l->tree, parent, name, len, &n, e);

	if (r < 0)
		return r;
	if (n->type == EROFS_TYPE_DIRECTORY) {
		*ret = (uint32_t)n->ref;
		return 0;
	}
	if (erofs_tree_n_directories(l->tree) > l->params.directories)
		return err_set(e, ERR_LIMIT, E2BIG, "more than %llu directories",
			       (unsigned long long)l->params.directories);
	if (n->type != EROFS_TYPE_NONE && n->type != EROFS_TYPE_WHITEOUT && !replace)
		return err_invalid(e, "it lies in '%.*s', which is %s of this layer", (int)len,
				   name,
				   n->type == EROFS_TYPE_SYMLINK ? "a symlink" : "no directory");
	r = erofs_tree_add_directory(l->tree, parent, &number, e);
	if (r < 0)
		return r;
	erofs_tree_directory(l->tree, number)->opaque = n->type != EROFS_TYPE_NONE;
	clear(l, n);
	n->type = EROFS_TYPE_DIRECTORY;
	n->ref = number;
	*ret = number;
	return 0;
}

static size_t parent_len(const struct layer_path *path)
{
	return path->base > 0 ? path->base - 1 : 0;
}

/* The directory that `path` lies in, made if it is missing. */
static int go(struct layer_erofs *l, const struct layer_path *path, uint32_t *ret, struct err *e)
{
	size_t len = parent_len(path);
	uint32_t number = 0;

	if (len == l->at_len && memcmp(l->at, path->text, len) == 0) {
		*ret = l->at_number;
		return 0;
	}
	for (size_t at = 0; at < len;) {
		size_t word = strcspn(path->text + at, "/");
		int r = enter(l, number, path->text + at, word, false, &number, e);

		if (r < 0)
			return r;
		at += word + 1;
	}
	memcpy(l->at, path->text, len);
	l->at_len = len;
	l->at_number = number;
	*ret = number;
	return 0;
}

/* The directory at path itself. */
static int go_into(struct layer_erofs *l, const struct layer_path *path, bool replace,
		   uint32_t *ret, struct err *e)
{
	uint32_t parent;
	int r;

	if (path->len == 0) {
		*ret = 0;
		return 0;
	}
	r = go(l, path, &parent, e);
	return r < 0 ? r
		     : enter(l, parent, path->text + path->base, path->len - path->base, replace,
			     ret, e);
}

/* What is at path already, or a name for it, in a directory that is there. */
static int have(struct layer_erofs *l, const struct layer_path *path, struct erofs_name **ret,
		struct err *e)
{
	uint32_t parent;
	int r = go(l, path, &parent, e);

	return r < 0 ? r
		     : erofs_tree_have(l->tree, parent, path->text + path->base,
				       path->len - path->base, ret, e);
}

/* Nothing is made. NULL: nothing is there. */
static struct erofs_name *find(struct layer_erofs *l, const struct layer_path *path)
{
	uint32_t number = 0;

	for (size_t at = 0;;) {
		size_t word = strcspn(path->text + at, "/");
		struct erofs_name *n = erofs_tree_find(l->tree, number, path->text + at, word);

		if (!n || n->type == EROFS_TYPE_NONE || n->type == EROFS_TYPE_WHITEOUT)
			return NULL;
		at += word;
		if (!path->text[at])
			return n;
		if (n->type != EROFS_TYPE_DIRECTORY)
			return NULL;
		number = (uint32_t)n->ref;
		at++;
	}
}

/* ---- attributes ------------------------------------------------------------------------------------ */

static int take_xattrs(struct layer_erofs *l, bool directory, const struct layer_meta *m,
		       uint32_t *mode, struct err *e)
{
	const char *why;

	erofs_xattrs_clear(&l->xattrs);
	for (size_t i = 0; i < m->n_xattrs; i++) {
		const struct tar_xattr *x = &m->xattrs[i];
		int r = erofs_xattrs_take(&l->xattrs, directory, x->name, x->value, x->len, mode,
					  &why, e);

		if (r < 0)
			return r;
		if (r > 0)
			continue;
		l->report->xattrs_left++;
		layer_note(l->report, "the attribute %s: %s", x->name, why);
	}
	return 0;
}

/* As disks have it, attributes are of files and directories. */
static void leave_xattrs(struct layer_erofs *l, const struct layer_path *path,
			 const struct layer_meta *m)
{
	if (m->n_xattrs == 0)
		return;
	l->report->xattrs_left += m->n_xattrs;
	layer_note(l->report, "'%s': extended attributes of what is neither file nor directory",
		   path->text + path->base);
}

static struct erofs_inode inode_of(const struct layer_meta *m, uint32_t type)
{
	return (struct erofs_inode){.mode = type | (m->mode & 07777),
				    .uid = m->uid,
				    .gid = m->gid,
				    .mtime = m->mtime,
				    .nlink = 1};
}

/* ---- directories, whiteouts ------------------------------------------------------------------------- */

static int put_directory(void *sink, const struct layer_path *path, const struct layer_meta *m,
			 struct err *e)
{
	struct layer_erofs *l = sink;
	struct erofs_directory *d;
	uint32_t number, mode = m->mode & 07777;
	uint8_t *xattrs = NULL;
	int r = go_into(l, path, true, &number, e);

	if (r == 0)
		r = take_xattrs(l, true, m, &mode, e);
	if (r < 0)
		return r;
	if (l->xattrs.len) {
		xattrs = malloc(l->xattrs.len);
		if (!xattrs)
			return err_nomem(e);
		memcpy(xattrs, l->xattrs.data, l->xattrs.len);
	}
	d = erofs_tree_directory(l->tree, number);
	free(d->xattrs);
	d->xattrs = xattrs;
	d->xattrs_len = (uint32_t)l->xattrs.len;
	d->mode = mode;
	d->uid = m->uid;
	d->gid = m->gid;
	d->mtime = m->mtime;
	return 0;
}

static int put_opaque(void *sink, const struct layer_path *path, struct err *e)
{
	struct layer_erofs *l = sink;
	uint32_t number;
	int r = go_into(l, path, false, &number, e);

	if (r == 0)
		erofs_tree_directory(l->tree, number)->opaque = true;
	return r;
}

static int put_whiteout(void *sink, const struct layer_path *path, struct err *e)
{
	struct layer_erofs *l = sink;
	struct erofs_name *n;
	int r = have(l, path, &n, e);

	if (r < 0)
		return r;
	/* A file of this layer hides lower ones by itself; a directory would be merged with theirs. */
	if (n->type == EROFS_TYPE_NONE)
		n->type = EROFS_TYPE_WHITEOUT;
	else if (n->type == EROFS_TYPE_DIRECTORY)
		erofs_tree_directory(l->tree, (uint32_t)n->ref)->opaque = true;
	return 0;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void name_inode(struct layer_erofs *l, struct erofs_name *n, enum erofs_type type,
		       uint64_t nid)
{
	clear(l, n);
	n->type = (uint8_t)type;
	n->ref = nid;
}

static int put_file(void *sink, const struct layer_path *path, const struct layer_meta *m,
		    uint64_t size, bool sparse, struct err *e)
{
	struct layer_erofs *l = sink;
	int r = have(l, path, &l->name, e);

	l->inode = inode_of(m, S_IFREG);
	l->inode.size = size;
	if (r == 0)
		r = take_xattrs(l, false, m, &l->inode.mode, e);
	if (r < 0)
		return r;
	l->inode.xattrs = l->xattrs.data;
	l->inode.xattrs_len = l->xattrs.len;
	return erofs_file_begin(&l->file, l->image, size, sparse,
				erofs_inode_size(l->image, &l->inode) + l->xattrs.len, e);
}

static int put_data(void *sink, uint64_t offset, const void *data, size_t len, struct err *e)
{
	struct layer_erofs *l = sink;

	return erofs_file_data(&l->file, offset, data, len, e);
}

static int put_end(void *sink, struct err *e)
{
	struct layer_erofs *l = sink;
	uint64_t nid;
	int r = erofs_file_end(&l->file, &l->inode, &nid, e);

	if (r == 0)
		name_inode(l, l->name, EROFS_TYPE_FILE, nid);
	return r;
}

/* ---- links and nodes ------------------------------------------------------------------------------------ */

/* Its target is data like a file's. */
static int put_symlink(void *sink, const struct layer_path *path, const char *target,
		       const struct layer_meta *m, struct err *e)
{
	struct layer_erofs *l = sink;
	struct erofs_inode inode = inode_of(m, S_IFLNK);
	struct erofs_name *n;
	size_t len = strlen(target);
	uint64_t nid;
	int r = have(l, path, &n, e);

	inode.mode = S_IFLNK | 0777;
	inode.size = len;
	if (r == 0)
		r = erofs_file_begin(&l->file, l->image, len, false,
				     erofs_inode_size(l->image, &inode), e);
	if (r == 0)
		r = erofs_file_data(&l->file, 0, target, len, e);
	if (r == 0)
		r = erofs_file_end(&l->file, &inode, &nid, e);
	if (r < 0)
		return r;
	name_inode(l, n, EROFS_TYPE_SYMLINK, nid);
	leave_xattrs(l, path, m);
	return 0;
}

static int find_target(struct layer_erofs *l, const struct layer_path *target,
		       struct erofs_name **ret, struct err *e)
{
	*ret = find(l, target);
	if (!*ret)
		return err_invalid(e, "no such file in this layer so far");
	return (*ret)->type == EROFS_TYPE_DIRECTORY ? err_invalid(e, "it is a directory") : 0;
}

static int put_hardlink(void *sink, const struct layer_path *path, const struct layer_path *target,
			struct err *e)
{
	struct layer_erofs *l = sink;
	struct erofs_name *n, *to;
	int r = have(l, path, &n, e);

	if (r == 0)
		r = find_target(l, target, &to, e);
	if (r < 0 || n == to)
		return r;
	if (n->type == to->type && n->ref == to->ref)
		return 0;
	clear(l, n);
	/* The target may have lain in what was cleared. */
	r = find_target(l, target, &to, e);
	if (r < 0)
		return r;
	name_inode(l, n, to->type, to->ref);
	n->linked = to->linked = true;
	return 0;
}

/* 0:0 would be a whiteout, which is not for an entry to say in this way. */
static bool can_be(const struct layer_meta *m, uint32_t major, uint32_t minor)
{
	if (S_ISFIFO(m->mode))
		return true;
	return major <= MAJOR_MAX && minor <= MINOR_MAX && (major != 0 || minor != 0);
}

static int put_node(void *sink, const struct layer_path *path, const struct layer_meta *m,
		    uint32_t major, uint32_t minor, struct err *e)
{
	struct layer_erofs *l = sink;
	struct erofs_inode inode = inode_of(m, m->mode & S_IFMT);
	struct erofs_name *n;
	uint64_t nid;
	int r;

	if (!can_be(m, major, minor)) {
		l->report->devices_left++;
		layer_note(l->report, "'%s': a device (%u:%u)", path->text, major, minor);
		return 0;
	}
	r = have(l, path, &n, e);
	if (r < 0)
		return r;
	if (!S_ISFIFO(m->mode))
		inode.u = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
	r = erofs_image_add_inode(l->image, &inode, NULL, 0, &nid, e);
	if (r < 0)
		return r;
	name_inode(l, n,
		   S_ISFIFO(m->mode)  ? EROFS_TYPE_FIFO
		   : S_ISCHR(m->mode) ? EROFS_TYPE_CHAR
				      : EROFS_TYPE_BLOCK,
		   nid);
	leave_xattrs(l, path, m);
	return 0;
}

/* ---- life -------------------------------------------------------------------------------------------- */

static int put_all(void *sink, struct err *e)
{
	struct layer_erofs *l = sink;
	bool root_left = false;
	int r = erofs_finish(l->image, l->tree, &l->root, &root_left, e);

	if (r == 0 && root_left) {
		l->report->xattrs_left++;
		layer_note(l->report, "the root's attributes: larger than EROFS has room for");
	}
	return r;
}

static const struct layer_sink_ops ops = {
	.directory = put_directory,
	.file = put_file,
	.file_data = put_data,
	.file_end = put_end,
	.symlink = put_symlink,
	.hardlink = put_hardlink,
	.node = put_node,
	.whiteout = put_whiteout,
	.opaque = put_opaque,
	.finish = put_all,
};

struct layer_sink layer_erofs_sink(struct layer_erofs *l)
{
	return (struct layer_sink){.ops = &ops, .data = l};
}

int layer_erofs_new(const struct layer_erofs_params *p, struct layer_report *report,
		    struct layer_erofs **ret, struct err *e)
{
	struct layer_erofs *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_nomem(e);
	l->params = *p;
	l->report = report;
	r = erofs_image_new(p->fd, &l->image, e);
	if (r == 0)
		r = erofs_tree_new(&l->tree, e);
	if (r < 0) {
		layer_erofs_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void layer_erofs_free(struct layer_erofs *l)
{
	if (!l)
		return;
	erofs_file_done(&l->file);
	erofs_xattrs_done(&l->xattrs);
	erofs_tree_free(l->tree);
	erofs_image_free(l->image);
	free(l);
}

static uint8_t nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Its first half, marked as a UUID of a maker's own (version 8 of RFC 9562). */
int layer_erofs_seal(struct layer_erofs *l, const char *digest, struct err *e)
{
	const char *hex = digest_hex(digest);
	uint8_t uuid[16];

	for (size_t i = 0; i < sizeof(uuid); i++)
		uuid[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
	uuid[6] = (uuid[6] & 0x0f) | 0x80;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	return erofs_image_seal(l->image, l->root.record, l->root.len, uuid, e);
}
