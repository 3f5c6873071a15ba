/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at disk images (hypervisor/disk.h). A qcow2 header can name any file of the host as its backing or data file, and
 * a guest that once had the disk for writing as raw could have put one there; so the format comes from outside and the
 * header is read before anybody else does. Source: QEMU docs/interop/qcow2.txt.
 */
#include "hypervisor/disk.h"

#include <endian.h>
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define SECTOR_BYTES 512

#define QCOW2_MAGIC         0x514649fbu /* "QFI\xfb" */
#define QCOW2_DIRTY         (1ull << 0) /* refcounts are rebuilt when it is opened for writing */
#define QCOW2_CORRUPT       (1ull << 1)
#define QCOW2_DATA_FILE     (1ull << 2)
#define QCOW2_COMPRESSION   (1ull << 3)
#define QCOW2_EXTENDED_L2   (1ull << 4)
#define QCOW2_EXT_BACKING   0xe2792acau
#define QCOW2_EXT_DATA_FILE 0x44415441u
#define QCOW2_BYTES_MAX     (1ull << 53)

/* The fixed part, big-endian on disk. Version 2 ends before `incompatible`. */
struct qcow2_header {
	uint32_t magic, version;
	uint64_t backing_offset;
	uint32_t backing_size, cluster_bits;
	uint64_t size;
	uint32_t crypt_method, l1_size;
	uint64_t l1_offset, refcount_table_offset;
	uint32_t refcount_table_clusters, n_snapshots;
	uint64_t snapshots_offset;
	uint64_t incompatible, compatible, autoclear;
	uint32_t refcount_order, header_length;
};
_Static_assert(sizeof(struct qcow2_header) == 104, "on-disk format");

static const struct {
	const char *name;
	enum vm_disk_format format;
} extensions[] = {{".img", VM_DISK_RAW}, {".raw", VM_DISK_RAW}, {".qcow2", VM_DISK_QCOW2}};

const char *vm_disk_format_name(enum vm_disk_format f)
{
	return f == VM_DISK_QCOW2 ? "qcow2" : "raw";
}

int vm_disk_format_of(const char *path, const char *stated, enum vm_disk_format *ret, struct err *e)
{
	size_t len = strlen(path);

	if (stated) {
		if (!STREQ(stated, "raw") && !STREQ(stated, "qcow2"))
			return err_invalid(e, "disk format '%s' is not raw or qcow2", stated);
		*ret = STREQ(stated, "raw") ? VM_DISK_RAW : VM_DISK_QCOW2;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		size_t n = strlen(extensions[i].name);

		if (len > n && STREQ(path + len - n, extensions[i].name)) {
			*ret = extensions[i].format;
			return 0;
		}
	}
	err_invalid(e, "'%s': its name does not say which format it has", path);
	return err_hint(e, ".img and .raw are raw, .qcow2 is qcow2; a disk's content is never "
			   "asked for its format; --format states it");
}

/* ---- sizes ------------------------------------------------------------------------------ */

static int file_bytes(int fd, uint64_t *ret, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat");
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, ret) < 0 ? err_sys(e, errno, "size") : 0;
	if (!S_ISREG(st.st_mode))
		return err_invalid(e, "not a file and not a block device");
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int read_at(int fd, void *buf, size_t len, uint64_t at, struct err *e)
{
	ssize_t n = pread(fd, buf, len, (off_t)at);

	if (n < 0)
		return err_sys(e, errno, "read");
	return (size_t)n == len ? 0 : err_invalid(e, "it ends too early: not a disk, or cut off");
}

/* ---- qcow2 ------------------------------------------------------------------------------ */

static int refuse_feature(uint64_t incompatible, struct err *e)
{
	static const struct {
		uint64_t bit;
		const char *text;
	} refused[] = {
		{QCOW2_DIRTY, "it was not closed properly; qemu-img check -r leaks repairs it"},
		{QCOW2_CORRUPT, "it is marked as corrupt; qemu-img check tells more"},
		{QCOW2_DATA_FILE, "it keeps its data in another file, which is not followed"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (incompatible & refused[i].bit)
			return err_unsupported(e, "qcow2: %s", refused[i].text);
	if (incompatible & ~(QCOW2_COMPRESSION | QCOW2_EXTENDED_L2))
		return err_unsupported(e, "qcow2: it has features that are not known here (%#llx)",
				       (unsigned long long)incompatible);
	return 0;
}

/* Header extensions name formats and files, too. They end at the first cluster's end at the latest. */
static int check_extensions(int fd, uint32_t header_length, uint32_t cluster_bits, struct err *e)
{
	uint64_t at = header_length, end = 1ull << cluster_bits;

	while (at + 8 <= end) {
		uint32_t head[2];
		int r = read_at(fd, head, sizeof(head), at, e);
		uint32_t type = be32toh(head[0]), len = be32toh(head[1]);

		if (r < 0)
			return r;
		if (type == 0)
			return 0;
		if (type == QCOW2_EXT_BACKING || type == QCOW2_EXT_DATA_FILE)
			return err_unsupported(e, "qcow2: it refers to another file, which is not "
						  "followed");
		if (len > end - at - 8)
			return err_invalid(e, "qcow2: a header extension is too long");
		at += 8 + (((uint64_t)len + 7) & ~7ull);
	}
	return 0;
}

static int check_qcow2(int fd, uint64_t file, uint64_t *ret_bytes, struct err *e)
{
	struct qcow2_header h;
	uint32_t version, length = 72;
	int r;

	if (file < sizeof(h))
		return err_invalid(e, "not a qcow2 image: too short");
	r = read_at(fd, &h, sizeof(h), 0, e);
	if (r < 0)
		return r;
	version = be32toh(h.version);
	if (be32toh(h.magic) != QCOW2_MAGIC)
		return err_invalid(e, "not a qcow2 image");
	if (version != 2 && version != 3)
		return err_unsupported(e, "qcow2: version %u is not 2 or 3", version);
	if (h.backing_offset || h.backing_size) {
		err_unsupported(e, "qcow2: it has a backing file, which is not followed");
		return err_hint(e, "qemu-img convert makes one file of it");
	}
	if (h.crypt_method)
		return err_unsupported(e, "qcow2: it is encrypted");
	if (be32toh(h.cluster_bits) < 9 || be32toh(h.cluster_bits) > 21)
		return err_invalid(e, "qcow2: impossible cluster size");
	if (version == 3) {
		length = be32toh(h.header_length);
		if (length < sizeof(h) || length > 4096)
			return err_invalid(e, "qcow2: impossible header length");
		r = refuse_feature(be64toh(h.incompatible), e);
	}
	if (r == 0)
		r = check_extensions(fd, length, be32toh(h.cluster_bits), e);
	if (r < 0)
		return r;
	*ret_bytes = be64toh(h.size);
	if (be64toh(h.l1_offset) >= file || be64toh(h.refcount_table_offset) >= file)
		return err_invalid(e, "qcow2: it ends before its own tables: cut off");
	return 0;
}

int vm_disk_check(int fd, enum vm_disk_format format, uint64_t *ret_bytes, struct err *e)
{
	uint64_t file, bytes;
	int r = file_bytes(fd, &file, e);

	if (r < 0)
		return r;
	bytes = file;
	if (format == VM_DISK_QCOW2)
		r = check_qcow2(fd, file, &bytes, e);
	if (r < 0)
		return r;
	if (bytes == 0)
		return err_invalid(e, "it is empty");
	if (bytes % SECTOR_BYTES || bytes > QCOW2_BYTES_MAX)
		return err_invalid(e,
				   "a disk has whole sectors of %d bytes, and this has %llu "
				   "bytes: not a disk, or cut off",
				   SECTOR_BYTES, (unsigned long long)bytes);
	*ret_bytes = bytes;
	return 0;
}

/* ---- booting ---------------------------------------------------------------------------- */

#define EXT_MAGIC_AT     1080 /* superblock at 1024, s_magic at 56 */
#define EXT_BLOCKS_AT    1028
#define EXT_LOG_BLOCK_AT 1048
#define BOOT_CODE_BYTES  440
#define LOOK_BYTES       2048

static uint32_t le32_at(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A file system that is longer than the file was cut off: its kernel would say so less clearly. */
static int check_ext(int fd, const uint8_t *head, struct err *e)
{
	uint64_t file = 0, want = le32_at(head + EXT_BLOCKS_AT);
	uint32_t log = le32_at(head + EXT_LOG_BLOCK_AT);
	int r = file_bytes(fd, &file, e);

	if (r < 0)
		return r;
	if (log > 6 || (want << (10 + log)) > file)
		return err_invalid(e, "its file system is larger than the disk: cut off");
	return 0;
}

int vm_disk_boot_of(int fd, enum vm_disk_format format, enum vm_boot *ret, struct err *e)
{
	uint8_t head[LOOK_BYTES];
	bool code = false;
	int r;

	if (format != VM_DISK_RAW) {
		*ret = VM_BOOT_BIOS;
		return 0;
	}
	r = read_at(fd, head, sizeof(head), 0, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < BOOT_CODE_BYTES; i++)
		code |= head[i] != 0;
	if (head[EXT_MAGIC_AT] == 0x53 && head[EXT_MAGIC_AT + 1] == 0xef) {
		*ret = VM_BOOT_KERNEL;
		return check_ext(fd, head, e);
	}
	if (code && head[510] == 0x55 && head[511] == 0xaa) {
		*ret = VM_BOOT_BIOS;
		return 0;
	}
	if (memcmp(head + SECTOR_BYTES, "EFI PART", 8) == 0) {
		*ret = VM_BOOT_UEFI;
		return 0;
	}
	err_invalid(e, "no system disk: it has no ext4 file system as a whole, no boot code and no "
		       "GPT");
	return err_hint(e, "--boot kernel|bios|uefi and --root-partition N say how to start it");
}

/* ---- overlays --------------------------------------------------------------------------- */

#define CLUSTER_BITS    16u
#define CLUSTER_BYTES   (1ull << CLUSTER_BITS)
#define L2_COVERS_BYTES (CLUSTER_BYTES / 8 * CLUSTER_BYTES) /* 512 MiB per entry of L1 */
#define OVERLAY_MAX     (64ull << 40)

static int write_at(int fd, const void *buf, size_t len, uint64_t at, struct err *e)
{
	ssize_t n = pwrite(fd, buf, len, (off_t)at);

	if (n < 0)
		return err_sys(e, errno, "write");
	return (size_t)n == len ? 0 : err_set(e, ERR_SYSTEM, ENOSPC, "write");
}

/*
 * Clusters of 64 KiB: header, table of refcount blocks, one such block (of 16-bit counts, enough for 2 GiB of file; QEMU
 * adds more), then the first-level table, all zero.
 */
int vm_disk_overlay_write(int fd, uint64_t bytes, struct err *e)
{
	uint64_t entries = (bytes + L2_COVERS_BYTES - 1) / L2_COVERS_BYTES;
	uint64_t l1_clusters = (entries * 8 + CLUSTER_BYTES - 1) / CLUSTER_BYTES;
	uint64_t block_at = htobe64(2 * CLUSTER_BYTES);
	uint16_t counts[3 + OVERLAY_MAX / L2_COVERS_BYTES * 8 / CLUSTER_BYTES] = {0};
	struct qcow2_header h = {
		.magic = htobe32(QCOW2_MAGIC),
		.version = htobe32(3),
		.cluster_bits = htobe32(CLUSTER_BITS),
		.size = htobe64(bytes),
		.l1_size = htobe32((uint32_t)entries),
		.l1_offset = htobe64(3 * CLUSTER_BYTES),
		.refcount_table_offset = htobe64(CLUSTER_BYTES),
		.refcount_table_clusters = htobe32(1),
		.refcount_order = htobe32(4),
		.header_length = htobe32(sizeof(h)),
	};
	int r;

	if (bytes > OVERLAY_MAX)
		return err_unsupported(e, "disks of more than 64 TiB can only be used with "
					  "--persist");
	for (size_t i = 0; i < 3 + l1_clusters; i++)
		counts[i] = htobe16(1);
	if (ftruncate(fd, (off_t)((3 + l1_clusters) * CLUSTER_BYTES)) < 0)
		return err_sys(e, errno, "size");
	r = write_at(fd, &h, sizeof(h), 0, e);
	if (r == 0)
		r = write_at(fd, &block_at, sizeof(block_at), CLUSTER_BYTES, e);
	return r < 0 ? r : write_at(fd, counts, sizeof(counts), 2 * CLUSTER_BYTES, e);
}
