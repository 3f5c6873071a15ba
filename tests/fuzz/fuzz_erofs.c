/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a layer into an EROFS image, which is then read back by a reader of its own, as strict as a kernel should be: every
 * directory from the root, its blocks and the order of its names, every inode, its attributes and its data, all inside the
 * image. What the writer accepts must come out whole. Checksums of headers are put right first.
 */
#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "erofs_format.h"
#include "layer_erofs.h"
#include "tar_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct image {
	const uint8_t *data;
	uint64_t len;
	unsigned inodes; /* looked at; a hard link twice */
};

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static const uint8_t *at(const struct image *i, uint64_t offset, uint64_t len)
{
	CHECK(offset <= i->len && len <= i->len - offset);
	return i->data + offset;
}

struct inode {
	uint32_t mode, nlink, u;
	unsigned layout;
	uint64_t size, behind; /* where what follows inode and attributes begins */
};

static void check_xattrs(const struct image *i, uint64_t offset, unsigned count)
{
	uint64_t end = offset + 12 + 4 * (uint64_t)(count - 1);

	at(i, offset, end - offset);
	for (offset += 12; offset < end;) {
		struct erofs_xattr_entry x;

		memcpy(&x, at(i, offset, sizeof(x)), sizeof(x));
		CHECK(x.prefix == EROFS_PREFIX_USER || x.prefix == EROFS_PREFIX_ACL_ACCESS ||
		      x.prefix == EROFS_PREFIX_ACL_DEFAULT || x.prefix == EROFS_PREFIX_SECURITY);
		offset += (sizeof(x) + x.name_len + le16toh(x.value_len) + 3) / 4 * 4;
		CHECK(offset <= end);
	}
}

static struct inode read_inode(struct image *i, uint64_t nid)
{
	uint64_t offset = nid * EROFS_SLOT;
	struct erofs_compact c;
	struct erofs_extended x;
	struct inode n;
	unsigned format, xattrs;

	i->inodes++;
	memcpy(&c, at(i, offset, sizeof(c)), sizeof(c));
	format = le16toh(c.format);
	CHECK(format < 16);
	n.layout = format >> EROFS_FORMAT_LAYOUT_SHIFT;
	n.mode = le16toh(c.mode);
	n.u = le32toh(c.u);
	xattrs = le16toh(c.xattr_count);
	if (format & EROFS_FORMAT_EXTENDED) {
		memcpy(&x, at(i, offset, sizeof(x)), sizeof(x));
		CHECK(offset % EROFS_BLOCK + sizeof(x) <= EROFS_BLOCK);
		n.size = le64toh(x.size);
		n.nlink = le32toh(x.nlink);
		n.u = le32toh(x.u);
		offset += sizeof(x);
	} else {
		n.size = le32toh(c.size);
		n.nlink = le16toh(c.nlink);
		offset += sizeof(c);
	}
	CHECK(n.nlink >= 1);
	if (xattrs) {
		CHECK(xattrs > 1);
		check_xattrs(i, offset, xattrs);
		offset += 12 + 4 * (uint64_t)(xattrs - 1);
	}
	n.behind = offset;
	return n;
}

static void check_chunks(const struct image *i, const struct inode *n)
{
	unsigned bits = n->u & 0x1f;
	uint64_t chunk = UINT64_C(1) << (EROFS_BLOCK_BITS + bits);
	uint64_t count = (n->size + chunk - 1) / chunk;

	CHECK((n->u & ~0x1fu) == 0 && n->behind % 4 == 0);
	for (uint64_t k = 0; k < count; k++) {
		uint64_t left = n->size - k * chunk;
		uint32_t block;

		memcpy(&block, at(i, n->behind + 4 * k, 4), 4);
		block = le32toh(block);
		if (block != EROFS_NULL_ADDRESS)
			at(i, (uint64_t)block * EROFS_BLOCK, left < chunk ? left : chunk);
	}
}

/* Where a block of flat data lies. */
static const uint8_t *block_of(const struct image *i, const struct inode *n, uint64_t k,
			       size_t *ret)
{
	uint64_t left = n->size - k * EROFS_BLOCK;

	*ret = left < EROFS_BLOCK ? (size_t)left : EROFS_BLOCK;
	if (n->layout == EROFS_INLINE && left < EROFS_BLOCK) {
		CHECK(n->behind / EROFS_BLOCK == (n->behind + left - 1) / EROFS_BLOCK);
		return at(i, n->behind, left);
	}
	CHECK(n->layout == EROFS_PLAIN || n->layout == EROFS_INLINE);
	return at(i, (n->u + k) * EROFS_BLOCK, *ret);
}

static void check_data(const struct image *i, const struct inode *n)
{
	size_t len;

	if (n->layout == EROFS_CHUNKS) {
		check_chunks(i, n);
		return;
	}
	CHECK(n->layout != EROFS_INLINE || n->size % EROFS_BLOCK != 0);
	if (n->size == 0)
		return;
	block_of(i, n, 0, &len);
	block_of(i, n, (n->size - 1) / EROFS_BLOCK, &len);
}

static void check_entry(struct image *i, uint64_t nid, unsigned type);

static void check_directory(struct image *i, uint64_t nid, const struct inode *n)
{
	char last[256] = "", name[256];
	unsigned dots = 0, below = 0;

	for (uint64_t k = 0; k * EROFS_BLOCK < n->size; k++) {
		struct erofs_dirent d, next;
		size_t len, count;
		const uint8_t *b = block_of(i, n, k, &len);

		CHECK(len >= sizeof(d));
		memcpy(&d, b, sizeof(d));
		CHECK(le16toh(d.name_offset) % sizeof(d) == 0 && d.name_offset);
		count = le16toh(d.name_offset) / sizeof(d);
		CHECK(count * sizeof(d) <= len);
		for (size_t j = 0; j < count; j++) {
			size_t from, to = len;

			memcpy(&d, b + j * sizeof(d), sizeof(d));
			from = le16toh(d.name_offset);
			if (j + 1 < count) {
				memcpy(&next, b + (j + 1) * sizeof(d), sizeof(d));
				to = le16toh(next.name_offset);
			}
			CHECK(from < to && to <= len && to - from <= EROFS_BLOCK);
			to = from + strnlen((const char *)b + from, to - from);
			CHECK(to > from && to - from <= 255);
			memcpy(name, b + from, to - from);
			name[to - from] = '\0';
			CHECK(strcmp(last, name) < 0 && !strchr(name, '/'));
			strcpy(last, name);
			if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
				CHECK(name[1] || le64toh(d.nid) == nid);
				CHECK(d.type == EROFS_TYPE_DIRECTORY);
				dots++;
				continue;
			}
			below += d.type == EROFS_TYPE_DIRECTORY;
			check_entry(i, le64toh(d.nid), d.type);
		}
	}
	CHECK(dots == 2 && n->nlink == below + 2);
}

static void check_entry(struct image *i, uint64_t nid, unsigned type)
{
	static const uint32_t modes[] = {0,       S_IFREG, S_IFDIR, S_IFCHR,
					 S_IFBLK, S_IFIFO, 0,       S_IFLNK};
	struct inode n = read_inode(i, nid);

	CHECK(type < sizeof(modes) / sizeof(*modes) && modes[type] == (n.mode & S_IFMT));
	if (S_ISDIR(n.mode))
		check_directory(i, nid, &n);
	else if (S_ISREG(n.mode) || S_ISLNK(n.mode))
		check_data(i, &n);
}

static void check_image(int fd)
{
	struct image i = {0};
	struct erofs_super s;
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	i.len = (uint64_t)st.st_size;
	i.data = mmap(NULL, i.len, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(i.data != MAP_FAILED);
	memcpy(&s, at(&i, EROFS_SUPER_OFFSET, sizeof(s)), sizeof(s));
	CHECK(le32toh(s.magic) == EROFS_SUPER_MAGIC);
	CHECK((uint64_t)le32toh(s.blocks) * EROFS_BLOCK == i.len);
	check_entry(&i, le16toh(s.root_nid), EROFS_TYPE_DIRECTORY);
	munmap((void *)i.data, i.len);
}

static void put_checksums_right(uint8_t *tar, size_t len)
{
	for (; len >= TAR_BLOCK; tar += TAR_BLOCK, len -= TAR_BLOCK) {
		unsigned sum = 0;
		char text[8];

		if (memcmp(tar + 257, "ustar", 5) != 0)
			continue;
		memset(tar + 148, ' ', 8);
		for (int i = 0; i < TAR_BLOCK; i++)
			sum += tar[i];
		snprintf(text, sizeof(text), "%06o", sum);
		memcpy(tar + 148, text, 7);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct layer_limits limits = layer_limits_default;
	struct layer_report report = {0};
	struct err e = ERR_INIT;
	char digest[DIGEST_MAX];
	struct tar_memory m;
	struct tar_source source;
	struct layer_sink sink;
	struct layer_erofs *l;
	uint8_t *tar = malloc(size + !size);
	int fd = memfd_create("image", MFD_CLOEXEC), r;

	if (!tar || fd < 0)
		abort();
	memcpy(tar, data, size);
	put_checksums_right(tar, size);
	m = (struct tar_memory){.data = tar, .len = size};
	source = tar_source_memory(&m);
	limits.tar.extents = 1000;
	if (layer_erofs_new(&(struct layer_erofs_params){.fd = fd, .directories = 10000}, &report,
			    &l, &e) < 0)
		abort();
	sink = layer_erofs_sink(l);
	r = layer_read(&source, &limits, &sink, &report, &e);
	digest_of(tar, size, digest);
	if (r == 0)
		r = layer_erofs_seal(l, digest, &e);
	layer_erofs_free(l);
	if (r < 0 && (e.kind == ERR_INTERNAL || e.kind == ERR_NONE))
		abort();
	if (r == 0)
		check_image(fd);
	close(fd);
	free(tar);
	return 0;
}
