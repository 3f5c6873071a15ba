/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An EROFS image in the making: blocks, two buffers on the way to the file (data, inodes), inodes' form, the superblock.
 *
 * Inodes that carry the ends of small files come as often as files do, so they are not kept for the end: they
 * fill groups of blocks, small ones first (a layer may hold one file), that are taken between the data. The image's time
 * is that of the first inode; those that share it have the compact form.
 */
#include "erofs_image.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define GROUP_BLOCKS_MAX 16u
#define DATA_BYTES       (256u << 10)

/* A piece of the file that is filled in ascending order. */
struct pending {
	uint8_t *buf;
	size_t len, cap;
	uint64_t at;
};

struct erofs_image {
	int fd;
	uint64_t next_block;
	struct pending data, group;
	unsigned group_blocks; /* of the group that is filled; 0: none yet */
	uint64_t inodes;
	bool has_time, has_chunks;
	struct timespec time;
	uint8_t *record; /* scratch */
	size_t record_cap;
};

int erofs_image_new(int fd, struct erofs_image **ret, struct err *e)
{
	struct erofs_image *i = calloc(1, sizeof(*i));

	if (!i)
		return err_nomem(e);
	i->fd = fd;
	i->next_block = 1; /* the first has the superblock and the root */
	i->data.cap = DATA_BYTES;
	i->data.buf = malloc(i->data.cap);
	i->group.cap = (size_t)GROUP_BLOCKS_MAX * EROFS_BLOCK;
	i->group.buf = malloc(i->group.cap);
	if (!i->data.buf || !i->group.buf) {
		erofs_image_free(i);
		return err_nomem(e);
	}
	*ret = i;
	return 0;
}

void erofs_image_free(struct erofs_image *i)
{
	if (!i)
		return;
	free(i->data.buf);
	free(i->group.buf);
	free(i->record);
	free(i);
}

/* ---- bytes -------------------------------------------------------------------------------------- */

static int write_at(int fd, uint64_t at, const uint8_t *data, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "write to the layer's file");
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int flush(struct erofs_image *i, struct pending *p, struct err *e)
{
	int r = p->len ? write_at(i->fd, p->at, p->buf, p->len, e) : 0;

	p->at += p->len;
	p->len = 0;
	return r;
}

int erofs_image_allocate(struct erofs_image *i, uint64_t n_blocks, uint32_t *ret, struct err *e)
{
	if (n_blocks >= EROFS_NULL_ADDRESS || i->next_block + n_blocks >= EROFS_NULL_ADDRESS)
		return err_set(e, ERR_LIMIT, EFBIG,
			       "the layer is larger than a file system image can be");
	*ret = (uint32_t)i->next_block;
	i->next_block += n_blocks;
	return 0;
}

int erofs_image_write(struct erofs_image *i, uint64_t at, const void *data, size_t len,
		      struct err *e)
{
	struct pending *p = &i->data;
	int r = 0;

	if (at != p->at + p->len || len > p->cap - p->len) {
		r = flush(i, p, e);
		p->at = at;
	}
	if (r < 0)
		return r;
	if (len >= p->cap) {
		p->at = at + len;
		return write_at(i->fd, at, data, len, e);
	}
	memcpy(p->buf + p->len, data, len);
	p->len += len;
	return 0;
}

int erofs_image_pad(struct erofs_image *i, struct err *e)
{
	static const uint8_t zeros[EROFS_BLOCK];
	uint64_t end = i->data.at + i->data.len;
	size_t over = end % EROFS_BLOCK;

	return over ? erofs_image_write(i, end, zeros, EROFS_BLOCK - over, e) : 0;
}

int erofs_image_flush(struct erofs_image *i, struct err *e)
{
	int r = flush(i, &i->data, e);

	if (r == 0)
		r = flush(i, &i->group, e);
	i->group_blocks = 0; /* what is still placed begins a new one */
	return r;
}

/* ---- inodes ------------------------------------------------------------------------------------- */

static bool is_compact(struct erofs_image *i, const struct erofs_inode *n)
{
	if (!i->has_time) {
		i->has_time = true;
		i->time = n->mtime;
	}
	return n->mtime.tv_sec == i->time.tv_sec && n->mtime.tv_nsec == i->time.tv_nsec &&
	       n->uid <= UINT16_MAX && n->gid <= UINT16_MAX && n->nlink <= UINT16_MAX &&
	       n->size <= UINT32_MAX;
}

size_t erofs_inode_size(struct erofs_image *i, const struct erofs_inode *n)
{
	return is_compact(i, n) ? sizeof(struct erofs_compact) : sizeof(struct erofs_extended);
}

static uint16_t xattr_count(const struct erofs_inode *n)
{
	if (n->xattrs_len == 0)
		return 0;
	return (uint16_t)((n->xattrs_len - sizeof(struct erofs_xattr_header)) / 4 + 1);
}

size_t erofs_inode_encode(struct erofs_image *i, const struct erofs_inode *n, uint8_t *out)
{
	const uint16_t layout = (uint16_t)(n->layout << EROFS_FORMAT_LAYOUT_SHIFT);
	const size_t size = erofs_inode_size(i, n);

	i->inodes++;
	i->has_chunks |= n->layout == EROFS_CHUNKS;
	if (size == sizeof(struct erofs_compact)) {
		const struct erofs_compact c = {
			.format = htole16(layout),
			.xattr_count = htole16(xattr_count(n)),
			.mode = htole16((uint16_t)n->mode),
			.nlink = htole16((uint16_t)n->nlink),
			.size = htole32((uint32_t)n->size),
			.u = htole32(n->u),
			.ino = htole32((uint32_t)i->inodes),
			.uid = htole16((uint16_t)n->uid),
			.gid = htole16((uint16_t)n->gid),
		};

		memcpy(out, &c, sizeof(c));
	} else {
		const struct erofs_extended x = {
			.format = htole16(layout | EROFS_FORMAT_EXTENDED),
			.xattr_count = htole16(xattr_count(n)),
			.mode = htole16((uint16_t)n->mode),
			.size = htole64(n->size),
			.u = htole32(n->u),
			.ino = htole32((uint32_t)i->inodes),
			.uid = htole32(n->uid),
			.gid = htole32(n->gid),
			.mtime_sec = htole64((uint64_t)n->mtime.tv_sec),
			.mtime_nsec = htole32((uint32_t)n->mtime.tv_nsec),
			.nlink = htole32(n->nlink),
		};

		memcpy(out, &x, sizeof(x));
	}
	if (n->xattrs_len)
		memcpy(out + size, n->xattrs, n->xattrs_len);
	return size + n->xattrs_len;
}

/* What was taken and not used stays zero. */
static int begin_group(struct erofs_image *i, struct err *e)
{
	unsigned blocks = i->group_blocks ? i->group_blocks * 2 : 1;
	uint32_t first = 0;
	int r = flush(i, &i->group, e);

	if (blocks > GROUP_BLOCKS_MAX)
		blocks = GROUP_BLOCKS_MAX;
	if (r == 0)
		r = erofs_image_allocate(i, blocks, &first, e);
	if (r < 0)
		return r;
	i->group_blocks = blocks;
	i->group.at = (uint64_t)first << EROFS_BLOCK_BITS;
	return 0;
}

/* Where in the group a record of so many bytes goes. */
static size_t place_in_group(const struct erofs_image *i, size_t len)
{
	size_t at = (i->group.len + EROFS_SLOT - 1) / EROFS_SLOT * EROFS_SLOT;

	if (at % EROFS_BLOCK + len > EROFS_BLOCK)
		at = (at + EROFS_BLOCK - 1) / EROFS_BLOCK * EROFS_BLOCK;
	return at;
}

static int place_alone(struct erofs_image *i, const void *record, size_t len, uint64_t *ret_nid,
		       struct err *e)
{
	uint32_t first = 0;
	int r = erofs_image_allocate(i, (len + EROFS_BLOCK - 1) / EROFS_BLOCK, &first, e);
	uint64_t at = (uint64_t)first << EROFS_BLOCK_BITS;

	if (r == 0)
		r = write_at(i->fd, at, record, len, e);
	if (r == 0)
		*ret_nid = at / EROFS_SLOT;
	return r;
}

int erofs_image_place(struct erofs_image *i, const void *record, size_t len, uint64_t *ret_nid,
		      struct err *e)
{
	size_t at = place_in_group(i, len);
	int r;

	if (len > EROFS_BLOCK)
		return place_alone(i, record, len, ret_nid, e);
	if (at + len > (size_t)i->group_blocks * EROFS_BLOCK) {
		r = begin_group(i, e);
		if (r < 0)
			return r;
		at = 0;
	}
	memset(i->group.buf + i->group.len, 0, at - i->group.len);
	memcpy(i->group.buf + at, record, len);
	i->group.len = at + len;
	*ret_nid = (i->group.at + at) / EROFS_SLOT;
	return 0;
}

int erofs_image_add_inode(struct erofs_image *i, const struct erofs_inode *n, const void *rest,
			  size_t rest_len, uint64_t *ret_nid, struct err *e)
{
	size_t need = EROFS_INODE_MAX + n->xattrs_len + rest_len, len;

	if (need > i->record_cap) {
		uint8_t *more = realloc(i->record, need);

		if (!more)
			return err_nomem(e);
		i->record = more;
		i->record_cap = need;
	}
	len = erofs_inode_encode(i, n, i->record);
	if (rest_len)
		memcpy(i->record + len, rest, rest_len);
	return erofs_image_place(i, i->record, len + rest_len, ret_nid, e);
}

int erofs_image_set_nlink(struct erofs_image *i, uint64_t nid, uint32_t nlink, struct err *e)
{
	uint64_t at = nid * EROFS_SLOT;
	uint32_t wide = htole32(nlink);
	uint16_t narrow = htole16((uint16_t)nlink), format;

	if (pread(i->fd, &format, sizeof(format), (off_t)at) != sizeof(format))
		return err_sys(e, errno ?: EIO, "read the layer's file");
	if (le16toh(format) & EROFS_FORMAT_EXTENDED)
		return write_at(i->fd, at + offsetof(struct erofs_extended, nlink),
				(uint8_t *)&wide, sizeof(wide), e);
	if (nlink > UINT16_MAX)
		return err_set(e, ERR_LIMIT, EMLINK, "a file with more than %d names", UINT16_MAX);
	return write_at(i->fd, at + offsetof(struct erofs_compact, nlink), (uint8_t *)&narrow,
			sizeof(narrow), e);
}

/* ---- the end -------------------------------------------------------------------------------------- */

/* CRC-32C without its final complement, as EROFS has it. */
static uint32_t checksum(const uint8_t *data, size_t len)
{
	uint32_t crc = UINT32_MAX;

	while (len-- > 0) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
	}
	return crc;
}

int erofs_image_seal(struct erofs_image *i, const void *root, size_t root_len,
		     const uint8_t uuid[16], struct err *e)
{
	uint8_t block[EROFS_BLOCK] = {0};
	struct erofs_super s = {
		.magic = htole32(EROFS_SUPER_MAGIC),
		.feature_compat = htole32(EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME),
		.block_bits = EROFS_BLOCK_BITS,
		.root_nid = htole16(EROFS_ROOT_NID),
		.inodes = htole64(i->inodes),
		.build_sec = htole64((uint64_t)i->time.tv_sec),
		.build_nsec = htole32((uint32_t)i->time.tv_nsec),
		.blocks = htole32((uint32_t)i->next_block),
		.feature_incompat = htole32(i->has_chunks ? EROFS_INCOMPAT_CHUNKS : 0),
	};
	int r = erofs_image_flush(i, e);

	if (r < 0)
		return r;
	if (root_len > EROFS_ROOT_BYTES)
		return err_set(e, ERR_INTERNAL, EINVAL, "a root of %zu bytes", root_len);
	/* Blocks at the end that nothing was written to are part of the image. */
	if (ftruncate(i->fd, (off_t)(i->next_block << EROFS_BLOCK_BITS)) < 0)
		return err_sys(e, errno, "set the size of the layer's file");
	memcpy(s.uuid, uuid, sizeof(s.uuid));
	memcpy(block + EROFS_SUPER_OFFSET, &s, sizeof(s));
	memcpy(block + EROFS_ROOT_OFFSET, root, root_len);
	/* Over all that is left of the block, with this field 0. */
	s.checksum =
		htole32(checksum(block + EROFS_SUPER_OFFSET, EROFS_BLOCK - EROFS_SUPER_OFFSET));
	memcpy(block + EROFS_SUPER_OFFSET, &s, sizeof(s));
	return write_at(i->fd, 0, block, sizeof(block), e);
}
