/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS on disk, as much of it as we write: uncompressed, blocks of 4 KiB, nothing that Linux 5.15 does not mount. Numbers are
 * little endian. Internal to the writer.
 *
 * An inode is named by its place: its number is the distance from the metadata's beginning (for us the image's) in units of 32
 * bytes. Behind it lie its extended attributes, then the end of its data (inline) or the addresses of its chunks.
 *
 * Spec: kernel Documentation/filesystems/erofs.rst; fs/erofs/erofs_fs.h.
 */
#pragma once

#include <stdint.h>

#define EROFS_BLOCK_BITS   12
#define EROFS_BLOCK        4096u
#define EROFS_SLOT         32u /* inodes begin at multiples of it */
#define EROFS_SUPER_OFFSET 1024u
#define EROFS_SUPER_MAGIC  0xE0F5E1E2u
#define EROFS_NULL_ADDRESS UINT32_MAX /* of a chunk: a hole */
#define EROFS_ROOT_OFFSET  (EROFS_SUPER_OFFSET + sizeof(struct erofs_super))
#define EROFS_ROOT_BYTES \
	(EROFS_BLOCK - EROFS_ROOT_OFFSET) /* of the first block, for the root's inode */

#define EROFS_COMPAT_CHECKSUM 0x1u
#define EROFS_COMPAT_MTIME    0x2u
#define EROFS_INCOMPAT_CHUNKS 0x4u

struct erofs_super {
	uint32_t magic, checksum, feature_compat;
	uint8_t block_bits, extension_slots;
	uint16_t root_nid;
	uint64_t inodes;
	uint64_t build_sec; /* the time of compact inodes */
	uint32_t build_nsec;
	uint32_t blocks, meta_block, xattr_block;
	uint8_t uuid[16], volume_name[16];
	uint32_t feature_incompat;
	uint8_t unused[44];
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_super) == 128, "the superblock's size");

/* How the data of an inode lies. */
enum erofs_layout {
	EROFS_PLAIN = 0, /* in blocks that follow each other */
	EROFS_INLINE =
		2, /* the same, but the end that fills no block is behind the inode, in the same block */
	EROFS_CHUNKS = 4, /* in chunks of a power of two of blocks, some of them holes */
};

#define EROFS_FORMAT_EXTENDED     0x1u
#define EROFS_FORMAT_LAYOUT_SHIFT 1

struct erofs_compact {
	uint16_t format, xattr_count, mode, nlink;
	uint32_t size, unused;
	uint32_t u; /* first block, device number, or format of chunks */
	uint32_t ino;
	uint16_t uid, gid;
	uint32_t unused2;
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_compact) == 32, "a compact inode's size");

struct erofs_extended {
	uint16_t format, xattr_count, mode, unused;
	uint64_t size;
	uint32_t u, ino, uid, gid;
	uint64_t mtime_sec;
	uint32_t mtime_nsec, nlink;
	uint8_t unused2[16];
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_extended) == 64, "an extended inode's size");

/* Extended attributes: this header, then entries, each at a multiple of 4. xattr_count is 1 for the header and 1
 * for each 4 bytes behind it. */
struct erofs_xattr_header {
	uint32_t name_filter;
	uint8_t shared, unused[7];
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_xattr_header) == 12, "the attributes' header");

struct erofs_xattr_entry {
	uint8_t name_len, prefix;
	uint16_t value_len;
	/* the name without its prefix, the value */
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_xattr_entry) == 4, "an attribute's header");

enum erofs_prefix {
	EROFS_PREFIX_USER = 1,
	EROFS_PREFIX_ACL_ACCESS = 2,
	EROFS_PREFIX_ACL_DEFAULT = 3,
	EROFS_PREFIX_SECURITY = 6,
};

/* A block of a directory: these for all its names in order (of their bytes), then the names, without ends. */
struct erofs_dirent {
	uint64_t nid;
	uint16_t name_offset;
	uint8_t type, unused;
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_dirent) == 12, "a directory entry's size");

enum erofs_type {
	EROFS_TYPE_FILE = 1,
	EROFS_TYPE_DIRECTORY,
	EROFS_TYPE_CHAR,
	EROFS_TYPE_BLOCK,
	EROFS_TYPE_FIFO,
	EROFS_TYPE_SOCKET,
	EROFS_TYPE_SYMLINK,
};
