/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader: blocks from a source, headers with what extended headers changed of them, data in pieces.
 *
 * Where the data of an entry ends is decided in one place (settle_size()), from the pax size or the header's, and what remains of
 * it is left out before the next header; so a caller that does not want an entry's data cannot lose the place.
 * Data is handed out where it lies in the source: nothing is copied but headers that the source cut in two.
 */
#include "tar_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tar_header.h"
#include "tar_pax.h"
#include "tar_sparse.h"

/* Before one entry: an extended header, a global one, long names, a label, and a few more. */
#define HEADERS_MAX 16

struct tar_reader {
	struct tar_source source;
	struct tar_limits limits;
	uint64_t offset, n_entries;
	uint8_t bounce[TAR_BLOCK]; /* a block that the source had in two pieces */
	size_t pending;            /* consume before the next look at the source */
	struct tar_header header;
	struct tar_pax global, local;
	char *gnu_name, *gnu_link; /* owned; of 'L' and 'K' */
	struct tar_entry entry;
	/* the data of the entry */
	uint64_t stored; /* bytes of it still in the source */
	unsigned padding;
	size_t extent;        /* which one of a sparse file */
	uint64_t extent_done; /* how much of it */
	uint64_t file_offset; /* of a plain file */
	bool ended;
};

int tar_reader_new(const struct tar_source *source, const struct tar_limits *limits,
		   struct tar_reader **ret, struct err *e)
{
	struct tar_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(e);
	r->source = *source;
	r->limits = *limits;
	*ret = r;
	return 0;
}

void tar_reader_free(struct tar_reader *r)
{
	if (!r)
		return;
	tar_pax_done(&r->global);
	tar_pax_done(&r->local);
	free(r->gnu_name);
	free(r->gnu_link);
	free(r);
}

uint64_t tar_reader_entries(const struct tar_reader *r)
{
	return r->n_entries;
}

uint64_t tar_reader_offset(const struct tar_reader *r)
{
	return r->offset;
}

/* ---- the source -------------------------------------------------------------------------- */

static int peek(struct tar_reader *r, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	if (r->pending) {
		r->source.consume(r->source.arg, r->pending);
		r->pending = 0;
	}
	return r->source.peek(r->source.arg, ret, ret_len, e);
}

static void use(struct tar_reader *r, size_t n)
{
	r->pending = n;
	r->offset += n;
}

static int truncated(struct err *e)
{
	return err_invalid(e, "the archive ends in the middle");
}

/* 1 and a block, 0 at a clean end. */
static int read_block(struct tar_reader *r, const uint8_t **ret, struct err *e)
{
	const uint8_t *data;
	size_t have = 0, len;
	int rc;

	while (have < TAR_BLOCK) {
		rc = peek(r, &data, &len, e);
		if (rc < 0)
			return rc;
		if (len == 0)
			return have ? truncated(e) : 0;
		if (have == 0 && len >= TAR_BLOCK) {
			use(r, TAR_BLOCK);
			*ret = data;
			return 1;
		}
		if (len > TAR_BLOCK - have)
			len = TAR_BLOCK - have;
		memcpy(r->bounce + have, data, len);
		use(r, len);
		have += len;
	}
	*ret = r->bounce;
	return 1;
}

static int need_block(struct tar_reader *r, const uint8_t **ret, struct err *e)
{
	int rc = read_block(r, ret, e);

	return rc == 0 ? truncated(e) : rc;
}

static int skip(struct tar_reader *r, uint64_t n, struct err *e)
{
	const uint8_t *data;
	size_t len;
	int rc;

	if (n && r->source.skip) {
		rc = peek(r, &data, &len, e);
		if (rc == 0)
			rc = r->source.skip(r->source.arg, n, e);
		r->offset += n;
		return rc;
	}
	while (n > 0) {
		rc = peek(r, &data, &len, e);
		if (rc < 0)
			return rc;
		if (len == 0)
			return truncated(e);
		if (len > n)
			len = (size_t)n;
		use(r, len);
		n -= len;
	}
	return 0;
}

/* The data of an extended header or a long name, terminated. */
static int read_text(struct tar_reader *r, char **ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t size = (size_t)r->header.size, have = 0;
	int rc;

	if (r->header.size > r->limits.extended_bytes)
		return err_set(e, ERR_LIMIT, E2BIG,
			       "an extended header of %llu bytes, more than %llu",
			       (unsigned long long)r->header.size,
			       (unsigned long long)r->limits.extended_bytes);
	text = malloc(size + 1);
	if (!text)
		return err_nomem(e);
	while (have < size) {
		const uint8_t *block;
		size_t len = size - have < TAR_BLOCK ? size - have : TAR_BLOCK;

		rc = need_block(r, &block, e);
		if (rc < 0)
			return rc;
		memcpy(text + have, block, len);
		have += len;
	}
	text[size] = '\0';
	*ret = TAKE_PTR(text);
	return 0;
}

/* ---- extended headers -------------------------------------------------------------------- */

static int read_long(struct tar_reader *r, char **target, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t size = (size_t)r->header.size;
	int rc = read_text(r, &text, e);

	if (rc < 0)
		return rc;
	while (size > 0 && text[size - 1] == '\0')
		size--;
	if (*target)
		return err_invalid(e, "two long names for one entry");
	if (size == 0 || strlen(text) != size)
		return err_invalid(e, "a long name that is empty or has a NUL byte in it");
	*target = TAKE_PTR(text);
	return 0;
}

static int read_local(struct tar_reader *r, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int rc = read_text(r, &text, e);

	return rc < 0 ? rc : tar_pax_read(&r->local, text, (size_t)r->header.size, &r->limits, e);
}

/* Times and owners for all that follows are plain. A name, size or attribute for all entries is something that
 * nobody writes and readers disagree on. */
static int read_global(struct tar_reader *r, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int rc = read_text(r, &text, e);

	if (rc == 0)
		rc = tar_pax_read(&r->global, text, (size_t)r->header.size, &r->limits, e);
	if (rc < 0)
		return err_wrap(e, "global extended header");
	if ((r->global.has & ~(unsigned)(PAX_UID | PAX_GID | PAX_MTIME)) || r->global.n_xattrs)
		return err_unsupported(e, "a global extended header with a name, a size, holes or "
					  "extended attributes");
	return 0;
}

/* ---- from header to entry ---------------------------------------------------------------- */

static int settle_type(struct tar_reader *r, struct err *e)
{
	static const struct {
		char flag;
		enum tar_type type;
	} types[] = {
		{'0', TAR_FILE},        {'\0', TAR_FILE},        {'7', TAR_FILE},
		{'S', TAR_FILE},        {'1', TAR_HARDLINK},     {'2', TAR_SYMLINK},
		{'3', TAR_CHAR_DEVICE}, {'4', TAR_BLOCK_DEVICE}, {'5', TAR_DIRECTORY},
		{'6', TAR_FIFO},
	};
	struct tar_entry *n = &r->entry;
	size_t len = strlen(n->name);

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (types[i].flag != r->header.type)
			continue;
		n->type = types[i].type;
		/* Before ustar a directory was a file with a slash at its end. */
		if (n->type == TAR_FILE && len > 0 && n->name[len - 1] == '/')
			n->type = TAR_DIRECTORY;
		return 0;
	}
	if (r->header.type > ' ' && r->header.type < 127)
		return err_unsupported(e, "entries of type '%c'", r->header.type);
	return err_invalid(e, "an unknown type (%d)", (unsigned char)r->header.type);
}

static int settle_owner(struct tar_reader *r, struct err *e)
{
	const struct tar_pax *l = &r->local, *g = &r->global;
	uint64_t uid = r->header.uid, gid = r->header.gid;

	if (l->has & PAX_UID)
		uid = l->uid;
	else if (g->has & PAX_UID & ~l->deleted)
		uid = g->uid;
	if (l->has & PAX_GID)
		gid = l->gid;
	else if (g->has & PAX_GID & ~l->deleted)
		gid = g->gid;
	/* The last one is "no id" to the kernel. */
	if (uid >= UINT32_MAX || gid >= UINT32_MAX)
		return err_invalid(e, "its owner %llu:%llu is no user or group",
				   (unsigned long long)uid, (unsigned long long)gid);
	r->entry.uid = (uint32_t)uid;
	r->entry.gid = (uint32_t)gid;
	if (l->has & PAX_MTIME)
		r->entry.mtime = l->mtime;
	else if (g->has & PAX_MTIME & ~l->deleted)
		r->entry.mtime = g->mtime;
	else
		r->entry.mtime = (struct timespec){.tv_sec = r->header.mtime};
	return 0;
}

static void settle_names(struct tar_reader *r)
{
	const struct tar_pax *l = &r->local;

	r->entry.name = l->has & PAX_SPARSE_NAME ? l->sparse_name
			: l->has & PAX_PATH      ? l->path
			: r->gnu_name            ? r->gnu_name
						 : r->header.name;
	r->entry.link = l->has & PAX_LINKPATH ? l->linkpath
			: r->gnu_link         ? r->gnu_link
					      : r->header.link;
}

static int read_gnu_sparse(struct tar_reader *r, const uint8_t *block, struct err *e)
{
	bool more = false;
	int rc;

	if (r->local.has & PAX_ANY_SPARSE)
		return err_invalid(e, "two maps of holes");
	rc = tar_sparse_header(block, &r->local, &more, &r->limits, e);
	while (rc >= 0 && more) {
		rc = need_block(r, &block, e);
		if (rc >= 0)
			rc = tar_sparse_block(block, &r->local, &more, &r->limits, e);
	}
	return rc < 0 ? rc : 0;
}

/* pax 1.0: the map is the beginning of the data. */
static int read_map_in_data(struct tar_reader *r, struct err *e)
{
	struct tar_sparse_lines lines = {0};
	const uint8_t *block;
	int rc = 1;

	while (rc == 1) {
		if (r->stored < TAR_BLOCK)
			return err_invalid(e, "its map of holes is longer than its data");
		r->stored -= TAR_BLOCK;
		rc = need_block(r, &block, e);
		if (rc >= 0)
			rc = tar_sparse_lines(&lines, block, &r->local, &r->limits, e);
	}
	return rc;
}

static int read_pax_sparse(struct tar_reader *r, struct err *e)
{
	struct tar_pax *l = &r->local;
	bool in_data = l->has & PAX_SPARSE_MAJOR;

	if (!(l->has & PAX_SPARSE_SIZE))
		return err_invalid(e, "holes, but no size with them");
	if (in_data && (l->sparse_major != 1 || (l->has & PAX_SPARSE_MINOR && l->sparse_minor)))
		return err_unsupported(e, "sparse files of format %llu.%llu",
				       (unsigned long long)l->sparse_major,
				       (unsigned long long)l->sparse_minor);
	if (in_data && l->n_extents)
		return err_invalid(e, "two maps of holes");
	if (in_data)
		return read_map_in_data(r, e);
	if (!(l->has & PAX_SPARSE_BLOCKS) || l->sparse_blocks != l->n_extents)
		return err_invalid(e, "its map of holes has another number of pieces than it says");
	return 0;
}

static int settle_sparse(struct tar_reader *r, const uint8_t *block, struct err *e)
{
	int rc = r->header.type == 'S' ? read_gnu_sparse(r, block, e) : read_pax_sparse(r, e);

	if (rc < 0)
		return rc;
	r->entry.sparse = true;
	r->entry.size = r->local.sparse_size;
	return tar_extents_check(r->local.extents, r->local.n_extents, r->entry.size, r->stored, e);
}

static int settle_size(struct tar_reader *r, const uint8_t *block, struct err *e)
{
	struct tar_entry *n = &r->entry;
	bool sparse = r->header.type == 'S' || (r->local.has & PAX_ANY_SPARSE);

	r->stored = r->local.has & PAX_SIZE ? r->local.size : r->header.size;
	r->padding = (unsigned)(-r->stored & (TAR_BLOCK - 1));
	if (n->type != TAR_FILE && (r->stored || sparse))
		return err_invalid(e, "data on an entry that can have none: readers disagree where "
				      "the next one begins");
	if (sparse)
		return settle_sparse(r, block, e);
	n->size = r->stored;
	return 0;
}

static int make_entry(struct tar_reader *r, const uint8_t *block, struct err *e)
{
	struct tar_entry *n = &r->entry;
	int rc;

	settle_names(r);
	rc = settle_type(r, e);
	if (rc == 0)
		rc = settle_owner(r, e);
	if (rc == 0)
		rc = settle_size(r, block, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", n->name);
	n->mode = r->header.mode;
	n->major = r->header.major;
	n->minor = r->header.minor;
	n->xattrs = r->local.xattrs;
	n->n_xattrs = r->local.n_xattrs;
	n->data_offset = r->offset;
	return 0;
}

/* ---- the walk ---------------------------------------------------------------------------- */

static bool has_extended(const struct tar_reader *r)
{
	return r->gnu_name || r->gnu_link || r->local.has || r->local.deleted || r->local.n_xattrs;
}

static void forget_entry(struct tar_reader *r)
{
	tar_pax_done(&r->local);
	free(r->gnu_name);
	free(r->gnu_link);
	r->gnu_name = r->gnu_link = NULL;
	r->entry = (struct tar_entry){0};
	r->extent = 0;
	r->extent_done = r->file_offset = 0;
}

/* A header of one kind or the other: 1 when an entry is complete, 0 to go on with the next block. */
static int take_header(struct tar_reader *r, const uint8_t *block, struct err *e)
{
	int rc = tar_header_read(block, &r->header, e);

	if (rc < 0)
		return rc;
	switch (r->header.type) {
	case 'x':
		if (r->local.has || r->local.deleted || r->local.n_xattrs)
			return err_invalid(e, "two extended headers for one entry");
		return read_local(r, e);
	case 'g':
		return read_global(r, e);
	case 'L':
		return read_long(r, &r->gnu_name, e);
	case 'K':
		return read_long(r, &r->gnu_link, e);
	case 'V': /* a volume's label */
		return skip(r, r->header.size + (-r->header.size & (TAR_BLOCK - 1)), e);
	default:
		rc = make_entry(r, block, e);
		return rc < 0 ? rc : 1;
	}
}

/* The first zero block came: another one or the end must follow, and then nothing but zeros (tape blocks). */
static int take_end(struct tar_reader *r, struct err *e)
{
	const uint8_t *data;
	size_t len;
	int rc;

	if (has_extended(r))
		return err_invalid(e, "an extended header that no entry follows");
	for (;;) {
		rc = peek(r, &data, &len, e);
		if (rc < 0)
			return rc;
		if (len == 0)
			break;
		if (data[0] != 0 || memcmp(data, data + 1, len - 1) != 0)
			return err_invalid(e, "bytes behind the end of the archive");
		use(r, len);
	}
	r->ended = true;
	return 0;
}

static int next_entry(struct tar_reader *r, struct err *e)
{
	int rc = skip(r, r->stored, e), headers = 0;

	if (rc == 0)
		rc = skip(r, r->padding, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", r->entry.name);
	r->stored = r->padding = 0;
	forget_entry(r);
	do {
		const uint8_t *block;

		rc = read_block(r, &block, e);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			err_invalid(e, "the archive ends without its end mark");
			return err_hint(e, "it was probably cut off");
		}
		if (tar_block_is_zero(block))
			return take_end(r, e);
		if (r->n_entries >= r->limits.entries)
			return err_set(e, ERR_LIMIT, E2BIG, "more than %llu entries",
				       (unsigned long long)r->limits.entries);
		if (++headers > HEADERS_MAX)
			return err_set(e, ERR_LIMIT, E2BIG, "more than %d headers in a row",
				       HEADERS_MAX);
		rc = take_header(r, block, e);
	} while (rc == 0);
	r->n_entries += rc > 0;
	return rc;
}

int tar_next(struct tar_reader *r, const struct tar_entry **ret, struct err *e)
{
	uint64_t at = r->offset;
	int rc;

	if (r->ended)
		return 0;
	rc = next_entry(r, e);
	if (rc < 0)
		return err_wrap(e, "entry %llu, after byte %llu",
				(unsigned long long)r->n_entries + 1, (unsigned long long)at);
	if (rc > 0)
		*ret = &r->entry;
	return rc;
}

/* ---- data -------------------------------------------------------------------------------- */

/* Where the next byte of the data goes, and how many follow it there. */
static uint64_t place(struct tar_reader *r, uint64_t *ret_offset)
{
	const struct tar_extent *v;

	if (!r->entry.sparse) {
		*ret_offset = r->file_offset;
		return r->stored;
	}
	while (r->extent_done == r->local.extents[r->extent].len) {
		r->extent++; /* ends before the array does: some byte is still stored */
		r->extent_done = 0;
	}
	v = &r->local.extents[r->extent];
	*ret_offset = v->offset + r->extent_done;
	return v->len - r->extent_done;
}

int tar_data(struct tar_reader *r, uint64_t *ret_offset, const uint8_t **ret, size_t *ret_len,
	     struct err *e)
{
	const uint8_t *data;
	uint64_t room, offset;
	size_t len;
	int rc;

	if (r->stored == 0)
		return 0;
	rc = peek(r, &data, &len, e);
	if (rc == 0 && len == 0)
		rc = truncated(e);
	if (rc < 0)
		return rc;
	room = place(r, &offset);
	if (len > room)
		len = (size_t)room;
	use(r, len);
	r->stored -= len;
	r->file_offset += len;
	r->extent_done += len;
	*ret_offset = offset;
	*ret = data;
	*ret_len = len;
	return 1;
}

/* ---- memory ------------------------------------------------------------------------------ */

static int memory_peek(void *arg, const uint8_t **ret, size_t *ret_len, _unused_ struct err *e)
{
	const struct tar_memory *m = arg;

	*ret = m->data;
	*ret_len = m->len;
	return 0;
}

static void memory_consume(void *arg, size_t n)
{
	struct tar_memory *m = arg;

	m->data += n;
	m->len -= n;
}

struct tar_source tar_source_memory(struct tar_memory *m)
{
	return (struct tar_source){.peek = memory_peek, .consume = memory_consume, .arg = m};
}
