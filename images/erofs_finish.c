/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an image.
 *
 * A directory holds the numbers of the inodes of what is in it, and of its parent, and an inode's number is its place. So all
 * directories get their places first, one behind the other in the order in which they came, their inodes and short ends in front and
 * their whole blocks after them; then they are written in that order. The root's inode lies beside the
 * superblock, which has 16 bits for its number.
 */
#include "erofs_finish.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "erofs_xattr.h"

struct finish {
	struct erofs_image *image;
	struct erofs_tree *tree;
	struct erofs_name **names;
	size_t n_names;
	uint64_t whiteout;          /* the inode of all of them */
	uint64_t written;           /* the directories' inodes, up to here */
	struct erofs_xattrs xattrs; /* scratch */
	uint8_t *record;            /* scratch, of two blocks and the longest attributes */
	size_t record_cap;
	struct erofs_root *root;
};

/* ---- links, whiteouts ------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* How many names are left of each inode that ever had two. */
static int set_links(struct finish *f, struct err *e)
{
	_cleanup_free_ uint64_t *nids = NULL;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < f->n_names; i++)
		n += f->names[i]->linked;
	nids = malloc((n + 1) * sizeof(*nids));
	if (!nids)
		return err_nomem(e);
	n = 0;
	for (size_t i = 0; i < f->n_names; i++)
		if (f->names[i]->linked)
			nids[n++] = f->names[i]->ref;
	qsort(nids, n, sizeof(*nids), compare_numbers);
	for (size_t i = 0, k; r == 0 && i < n; i = k) {
		for (k = i; k < n && nids[k] == nids[i]; k++)
			;
		if (k - i > 1)
			r = erofs_image_set_nlink(f->image, nids[i], (uint32_t)(k - i), e);
	}
	return r;
}

static int add_whiteouts(struct finish *f, struct err *e)
{
	const struct erofs_inode n = {.mode = S_IFCHR, .nlink = 1};
	bool any = false;

	for (size_t i = 0; i < f->n_names && !any; i++)
		any = f->names[i]->type == EROFS_TYPE_WHITEOUT;
	return any ? erofs_image_add_inode(f->image, &n, NULL, 0, &f->whiteout, e) : 0;
}

/* ---- what is in a directory --------------------------------------------------------------------------- */

/* "." and ".." stand where their names belong. */
struct listing {
	const struct finish *f;
	const struct erofs_directory *d;
	size_t at;
	unsigned dots; /* given so far */
};

struct item {
	const char *name;
	size_t len;
	uint8_t type;
	uint64_t nid;
};

static bool next_item(struct listing *l, struct item *ret)
{
	static const char *const dots[] = {".", ".."};
	const struct finish *f = l->f;
	const struct erofs_name *n = l->at < l->d->n ? f->names[l->d->first + l->at] : NULL;

	if (l->dots < 2 && (!n || strcmp(dots[l->dots], n->text) < 0)) {
		const struct erofs_directory *to =
			l->dots == 0 ? l->d : erofs_tree_directory(f->tree, l->d->parent);

		*ret = (struct item){dots[l->dots], l->dots + 1, EROFS_TYPE_DIRECTORY, to->nid};
		l->dots++;
		return true;
	}
	if (!n)
		return false;
	l->at++;
	*ret = (struct item){n->text, strlen(n->text), n->type, n->ref};
	if (n->type == EROFS_TYPE_DIRECTORY)
		ret->nid = erofs_tree_directory(f->tree, (uint32_t)n->ref)->nid;
	if (n->type == EROFS_TYPE_WHITEOUT) {
		ret->type = EROFS_TYPE_CHAR;
		ret->nid = f->whiteout;
	}
	return true;
}

static size_t item_bytes(const struct item *i)
{
	return sizeof(struct erofs_dirent) + i->len;
}

static uint64_t listing_size(const struct finish *f, const struct erofs_directory *d)
{
	struct listing l = {.f = f, .d = d};
	uint64_t blocks = 0;
	size_t used = 0;
	struct item i;

	while (next_item(&l, &i)) {
		if (used + item_bytes(&i) > EROFS_BLOCK) {
			blocks++;
			used = 0;
		}
		used += item_bytes(&i);
	}
	return blocks * EROFS_BLOCK + used;
}

/* One block's worth; how many bytes of it are used. */
static size_t fill_block(struct listing *l, uint8_t block[EROFS_BLOCK])
{
	struct listing look = *l;
	size_t used = 0, n = 0, name_at;
	struct item i;

	while (next_item(&look, &i) && used + item_bytes(&i) <= EROFS_BLOCK) {
		used += item_bytes(&i);
		n++;
	}
	memset(block, 0, EROFS_BLOCK);
	name_at = n * sizeof(struct erofs_dirent);
	for (size_t k = 0; k < n && next_item(l, &i); k++) {
		const struct erofs_dirent d = {.nid = htole64(i.nid),
					       .name_offset = htole16((uint16_t)name_at),
					       .type = i.type};

		memcpy(block + k * sizeof(d), &d, sizeof(d));
		memcpy(block + name_at, i.name, i.len);
		name_at += i.len;
	}
	return used;
}

/* ---- its inode ---------------------------------------------------------------------------------------- */

/* The attributes that it came with, and the mark of an opaque one. */
static int gather_xattrs(struct finish *f, const struct erofs_directory *d, struct err *e)
{
	const char *why;
	uint32_t mode = 0;
	int r;

	erofs_xattrs_clear(&f->xattrs);
	if (d->xattrs_len) {
		r = erofs_xattrs_copy(&f->xattrs, d->xattrs, d->xattrs_len, e);
		if (r < 0)
			return r;
	}
	if (!d->opaque)
		return 0;
	r = erofs_xattrs_take(&f->xattrs, true, EROFS_OPAQUE, "y", 1, &mode, &why, e);
	return r == 0 ? err_set(e, ERR_LIMIT, E2BIG, "the attributes of an opaque directory: %s",
				why)
		      : (r < 0 ? r : 0);
}

static struct erofs_inode inode_of(const struct finish *f, const struct erofs_directory *d)
{
	return (struct erofs_inode){
		.mode = S_IFDIR | d->mode,
		.uid = d->uid,
		.gid = d->gid,
		.mtime = d->mtime,
		.size = d->size,
		.nlink = (uint32_t)d->n_below + 2,
		.u = d->block,
		.xattrs = f->xattrs.data,
		.xattrs_len = f->xattrs.len,
	};
}

static size_t inline_bytes(const struct erofs_directory *d, size_t head, size_t room)
{
	size_t tail = d->size % EROFS_BLOCK;

	return tail > 0 && head + tail <= room ? tail : 0;
}

static size_t room_of(const struct finish *f, const struct erofs_directory *d)
{
	return d == erofs_tree_directory(f->tree, 0) ? EROFS_ROOT_BYTES : EROFS_BLOCK;
}

/* Relative places: inodes in bytes, blocks from the first. */
static int place(struct finish *f, struct erofs_directory *d, uint64_t *inodes, uint64_t *blocks,
		 struct err *e)
{
	size_t room = room_of(f, d), head, len;
	struct erofs_inode n;
	int r = gather_xattrs(f, d, e);

	if (r < 0)
		return r;
	d->size = listing_size(f, d);
	n = inode_of(f, d);
	head = erofs_inode_size(f->image, &n) + n.xattrs_len;
	len = head + inline_bytes(d, head, room);
	d->block = (uint32_t)*blocks;
	*blocks += (d->size - (len - head) + EROFS_BLOCK - 1) / EROFS_BLOCK;
	if (room == EROFS_ROOT_BYTES)
		return 0;
	if (*inodes % EROFS_BLOCK + len > EROFS_BLOCK)
		*inodes = (*inodes + EROFS_BLOCK - 1) / EROFS_BLOCK * EROFS_BLOCK;
	d->at = *inodes;
	*inodes = (*inodes + len + EROFS_SLOT - 1) / EROFS_SLOT * EROFS_SLOT;
	return 0;
}

static int place_all(struct finish *f, struct err *e)
{
	uint64_t inodes = 0, blocks = 0;
	uint32_t first;
	int r = 0;

	for (uint32_t k = 0; r == 0 && k < erofs_tree_n_directories(f->tree); k++) {
		struct erofs_directory *d = erofs_tree_directory(f->tree, k);

		if (d->alive)
			r = place(f, d, &inodes, &blocks, e);
	}
	if (r < 0)
		return r;
	inodes = (inodes + EROFS_BLOCK - 1) / EROFS_BLOCK;
	r = erofs_image_allocate(f->image, inodes + blocks, &first, e);
	if (r < 0)
		return r;
	f->written = (uint64_t)first << EROFS_BLOCK_BITS;
	for (uint32_t k = 0; k < erofs_tree_n_directories(f->tree); k++) {
		struct erofs_directory *d = erofs_tree_directory(f->tree, k);

		d->at += (uint64_t)first << EROFS_BLOCK_BITS;
		d->nid = d->at / EROFS_SLOT;
		d->block += first + (uint32_t)inodes;
	}
	erofs_tree_directory(f->tree, 0)->nid = EROFS_ROOT_NID;
	return 0;
}

/* ---- writing ---------------------------------------------------------------------------------------------- */

static int write_blocks(struct finish *f, const struct erofs_directory *d, struct listing *l,
			uint64_t n, struct err *e)
{
	uint64_t at = (uint64_t)d->block << EROFS_BLOCK_BITS;
	uint8_t block[EROFS_BLOCK];
	int r = 0;

	for (; r == 0 && n > 0; n--, at += EROFS_BLOCK) {
		fill_block(l, block);
		r = erofs_image_write(f->image, at, block, sizeof(block), e);
	}
	return r;
}

/* The inode and what is inline. */
static int make_record(struct finish *f, const struct erofs_directory *d, struct listing *l,
		       size_t *ret_len, struct err *e)
{
	struct erofs_inode n = inode_of(f, d);
	size_t need = EROFS_INODE_MAX + n.xattrs_len + EROFS_BLOCK;
	size_t head = erofs_inode_size(f->image, &n) + n.xattrs_len;
	size_t tail = inline_bytes(d, head, room_of(f, d));
	uint8_t block[EROFS_BLOCK];
	uint64_t whole = (d->size - tail + EROFS_BLOCK - 1) / EROFS_BLOCK;

	if (need > f->record_cap) {
		uint8_t *more = realloc(f->record, need);

		if (!more)
			return err_nomem(e);
		f->record = more;
		f->record_cap = need;
	}
	n.layout = tail ? EROFS_INLINE : EROFS_PLAIN;
	erofs_inode_encode(f->image, &n, f->record);
	if (tail) {
		for (uint64_t k = 0; k <= whole; k++)
			fill_block(l, block);
		memcpy(f->record + head, block, tail);
	}
	*ret_len = head + tail;
	return 0;
}

/* Up to the next inode, which is less than a block away: the writes stay one. */
static int write_zeros(struct finish *f, uint64_t to, struct err *e)
{
	static const uint8_t zeros[EROFS_BLOCK];

	return to > f->written ? erofs_image_write(f->image, f->written, zeros,
						   (size_t)(to - f->written), e)
			       : 0;
}

static int write_inode(struct finish *f, const struct erofs_directory *d, struct err *e)
{
	struct listing l = {.f = f, .d = d};
	size_t len;
	int r = gather_xattrs(f, d, e);

	if (r == 0)
		r = make_record(f, d, &l, &len, e);
	if (r < 0)
		return r;
	if (d->nid == EROFS_ROOT_NID) {
		memcpy(f->root->record, f->record, len);
		f->root->len = len;
		return 0;
	}
	r = write_zeros(f, d->at, e);
	if (r == 0)
		r = erofs_image_write(f->image, d->at, f->record, len, e);
	f->written = d->at + len;
	return r;
}

static int write_data(struct finish *f, const struct erofs_directory *d, struct err *e)
{
	struct listing l = {.f = f, .d = d};
	struct erofs_inode n;
	size_t head, tail;
	int r = gather_xattrs(f, d, e);

	if (r < 0)
		return r;
	n = inode_of(f, d);
	head = erofs_inode_size(f->image, &n) + n.xattrs_len;
	tail = inline_bytes(d, head, room_of(f, d));
	return write_blocks(f, d, &l, (d->size - tail + EROFS_BLOCK - 1) / EROFS_BLOCK, e);
}

/* All inodes first, then all blocks: each in ascending order. */
static int write_all(struct finish *f, struct err *e)
{
	int r = 0;

	for (uint32_t k = 0; r == 0 && k < erofs_tree_n_directories(f->tree); k++)
		if (erofs_tree_directory(f->tree, k)->alive)
			r = write_inode(f, erofs_tree_directory(f->tree, k), e);
	for (uint32_t k = 0; r == 0 && k < erofs_tree_n_directories(f->tree); k++)
		if (erofs_tree_directory(f->tree, k)->alive)
			r = write_data(f, erofs_tree_directory(f->tree, k), e);
	return r;
}

/* There is no place but the superblock's block for it. */
static int fit_root(struct finish *f, bool *ret_left, struct err *e)
{
	struct erofs_directory *root = erofs_tree_directory(f->tree, 0);
	int r = gather_xattrs(f, root, e);

	*ret_left = false;
	if (r < 0 || sizeof(struct erofs_extended) + f->xattrs.len <= EROFS_ROOT_BYTES)
		return r;
	root->xattrs_len = 0;
	*ret_left = true;
	return 0;
}

int erofs_finish(struct erofs_image *i, struct erofs_tree *t, struct erofs_root *ret,
		 bool *ret_root_left, struct err *e)
{
	struct finish f = {.image = i, .tree = t, .root = ret};
	int r = erofs_tree_collect(t, &f.names, &f.n_names, e);

	if (r == 0)
		r = add_whiteouts(&f, e);
	if (r == 0)
		r = erofs_image_flush(i, e);
	if (r == 0)
		r = set_links(&f, e);
	if (r == 0)
		r = fit_root(&f, ret_root_left, e);
	if (r == 0)
		r = place_all(&f, e);
	if (r == 0)
		r = write_all(&f, e);
	erofs_xattrs_done(&f.xattrs);
	free(f.record);
	return r;
}
