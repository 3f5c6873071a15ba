/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is peculiar to a layer as an EROFS image: places in blocks, the order of names, attributes that nobody else would
 * look at, devices, sameness, and files that were not finished. What layers mean is test_layer.c.
 * fsck.erofs looks at every image; where the kernel has EROFS it is mounted in a mount namespace of the test, too.
 * Expectations: kernel Documentation/filesystems/erofs.rst; setxattr(2); acl(5).
 */
#include "tar_make.h"

#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../../../images/digest.h"
#include "../../../images/layer_erofs.h"
#include "../runtime/scratch_dir.h"
#include "base/cleanup.h"
#include "isolate/erofs.h"

static struct scratch *scratch;
static struct layer_report report;
static struct err error;
static bool mountable;

static char *in(const char *name)
{
	static char path[8192];

	snprintf(path, sizeof(path), "%s/%s", scratch->path, name);
	return path;
}

static int write_image(int fd, struct archive *a)
{
	struct tar_memory m = {.data = a->data, .len = a->len};
	struct tar_source source = tar_source_memory(&m);
	char digest[DIGEST_MAX];
	struct layer_sink sink;
	struct layer_erofs *l;
	int r;

	report = (struct layer_report){0};
	error = ERR_INIT;
	r = layer_erofs_new(&(struct layer_erofs_params){.fd = fd, .directories = 1000000}, &report,
			    &l, &error);
	assert_int_equal(r, 0);
	sink = layer_erofs_sink(l);
	r = layer_read(&source, &layer_limits_default, &sink, &report, &error);
	digest_of(a->data, a->len, digest);
	if (r == 0)
		r = layer_erofs_seal(l, digest, &error);
	layer_erofs_free(l);
	return r;
}

/* Written, looked at by fsck, and mounted on DIR/layer where that can be. */
static void image(struct archive *a)
{
	char command[8300];
	int fd, mnt;

	archive_end(a);
	fd = open(in("image"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	if (write_image(fd, a) < 0)
		fail_msg("%s", error.text);
	free(a->data);
	*a = (struct archive){0};
	snprintf(command, sizeof(command), "exec fsck.erofs --extract '%s' >'%s/log' 2>&1",
		 in("image"), scratch->path);
	assert_int_equal(system(command), 0);
	if (mountable) {
		mnt = iso_erofs_mount(fd, &error);
		if (mnt < 0)
			fail_msg("%s", error.text);
		umount2(in("layer"), MNT_DETACH);
		assert_int_equal(
			move_mount(mnt, "", AT_FDCWD, in("layer"), MOVE_MOUNT_F_EMPTY_PATH), 0);
		close(mnt);
	}
	close(fd);
}

#define NEED_MOUNT()            \
	do {                    \
		if (!mountable) \
			skip(); \
	} while (0)

static int make(void **state)
{
	(void)state;
	scratch = scratch_new();
	assert_int_equal(mkdir(in("layer"), 0700), 0);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	umount2(in("layer"), MNT_DETACH);
	scratch_free(scratch);
	return 0;
}

static struct stat look(const char *name)
{
	struct stat st;

	if (lstat(in(name), &st) < 0)
		fail_msg("%s: %s", name, strerror(errno));
	return st;
}

static void pattern(char *buf, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		buf[i] = (char)(seed >> 16);
	}
}

static void assert_same(const char *name, const char *want, size_t len)
{
	char *have = malloc(len + 1);
	int fd = open(in(name), O_RDONLY | O_NOFOLLOW);

	if (fd < 0)
		fail_msg("%s: %s", name, strerror(errno));
	assert_int_equal(read(fd, have, len + 1), len);
	assert_memory_equal(have, want, len);
	close(fd);
	free(have);
}

/* ---- data ----------------------------------------------------------------------------------------- */

/* Around every border of a block, with and without attributes that push the end out of the inode's block. */
static void sizes(void **state)
{
	static const size_t sizes[] = {0,    1,    31,   32,    1000,  4000,  4031,
				       4032, 4033, 4063, 4064,  4065,  4095,  4096,
				       4097, 8191, 8192, 12287, 40000, 300000};
	char *data = malloc(300000), *value = malloc(3000), name[32];
	struct archive a = {0}, x = {0};

	(void)state;
	pattern(data, 300000, 7);
	memset(value, 'v', 3000);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (int with = 0; with < 3; with++) {
			snprintf(name, sizeof(name), "f%zu-%d", sizes[i], with);
			if (with) {
				record(&x, "SCHILY.xattr.user.big", value, with == 1 ? 64 : 3000);
				archive_pax(&a, 'x', &x);
			}
			/* also another time: the compact form is lost */
			archive_header(&a, &(struct made){.name = name,
							  .size = sizes[i],
							  .mtime = i % 2 ? 5 : 0});
			archive_data(&a, data, sizes[i]);
		}
	image(&a);
	NEED_MOUNT();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (int with = 0; with < 3; with++) {
			char have[3000];

			snprintf(name, sizeof(name), "layer/f%zu-%d", sizes[i], with);
			assert_int_equal(look(name).st_size, sizes[i]);
			assert_int_equal(look(name).st_mtime, i % 2 ? 5 : 0);
			assert_same(name, data, sizes[i]);
			assert_int_equal(lgetxattr(in(name), "user.big", have, sizeof(have)),
					 with == 0   ? -1
					 : with == 1 ? 64
						     : 3000);
		}
	free(value);
	free(data);
}

static void long_symlinks(void **state)
{
	static const int lengths[] = {1, 100, 4000, 4031, 4032, 4063, 4064, 4095};
	char *target = calloc(1, 4096), *have = malloc(4097), name[32];
	struct archive a = {0}, x = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(target, 'a' + (char)i, (size_t)lengths[i]);
		target[lengths[i]] = '\0';
		snprintf(name, sizeof(name), "l%d", lengths[i]);
		record_text(&x, "linkpath", target);
		archive_pax(&a, 'x', &x);
		archive_add(&a, (struct made){.name = name, .type = '2', .link = "x"});
	}
	image(&a);
	NEED_MOUNT();
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		snprintf(name, sizeof(name), "layer/l%d", lengths[i]);
		assert_int_equal(readlink(in(name), have, 4097), lengths[i]);
		assert_int_equal(have[lengths[i] - 1], 'a' + (char)i);
	}
	free(have);
	free(target);
}

/* Data at both ends of 3 TiB and in the middle: the file is small, and what it holds is in its places. */
static void huge_sparse(void **state)
{
	static const char map[] = "0,3,1649267441665,3,3298534883325,3";
	struct archive a = {0}, x = {0};
	char buf[8] = "";
	int fd;

	(void)state;
	record_text(&x, "GNU.sparse.size", "3298534883328");
	record_text(&x, "GNU.sparse.numblocks", "3");
	record_text(&x, "GNU.sparse.map", map);
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "holes", .data = "onemidend"});
	record_text(&x, "GNU.sparse.size", "9000");
	record_text(&x, "GNU.sparse.numblocks", "0");
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "nothing"});
	/* fsck would read all of the holes */
	archive_end(&a);
	fd = open(in("image"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (write_image(fd, &a) < 0)
		fail_msg("%s", error.text);
	free(a.data);
	assert_true(look("image").st_blocks < 16 * 1024);
	if (mountable) {
		int mnt = iso_erofs_mount(fd, &error), file;

		if (mnt < 0)
			fail_msg("%s", error.text);
		file = openat(mnt, "holes", O_RDONLY);
		assert_int_equal(pread(file, buf, 4, 0), 4);
		assert_memory_equal(buf, "one\0", 4);
		assert_int_equal(pread(file, buf, 5, 1649267441664), 5);
		assert_memory_equal(buf, "\0mid\0", 5);
		assert_int_equal(pread(file, buf, 8, 3298534883324), 4);
		assert_memory_equal(buf, "\0end", 4);
		close(file);
		file = openat(mnt, "nothing", O_RDONLY);
		assert_int_equal(lseek(file, 0, SEEK_END), 9000);
		assert_int_equal(pread(file, buf, 8, 8995), 5);
		assert_memory_equal(buf, "\0\0\0\0\0", 5);
		close(file);
		close(mnt);
	}
	close(fd);
}

/* ---- names ------------------------------------------------------------------------------------------- */

/* Thousands in one directory, in no order, some of which sort before "." and between it and "..". */
static void many_names(void **state)
{
	static const char *const odd[] = {"!",    "-",        ".",   "..",  ".\x01",
					  ".-",   "./",       "..a", "...", "\x01",
					  "\xff", "\x80\x80", "a",   "ab",  "a\x7f"};
	struct archive a = {0};
	unsigned count = 0;
	char name[128];
	struct dirent *d;
	DIR *dir;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "d/%u-%.*s", i * 7919 % 5000, (int)(i % 60),
			 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		archive_add(&a, (struct made){.name = name, .data = "x"});
	}
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		if (odd[i][0] == '.' &&
		    (!odd[i][1] || odd[i][1] == '/' || (odd[i][1] == '.' && !odd[i][2])))
			continue;
		snprintf(name, sizeof(name), "d/%s", odd[i]);
		archive_add(&a, (struct made){.name = name, .data = odd[i]});
		snprintf(name, sizeof(name), "odd/%s", odd[i]);
		archive_add(&a, (struct made){.name = name, .data = odd[i]});
	}
	image(&a);
	NEED_MOUNT();
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "layer/d/%u-%.*s", i * 7919 % 5000, (int)(i % 60),
			 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		look(name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		snprintf(name, sizeof(name), "layer/odd/%s", odd[i]);
		look(name);
	}
	dir = opendir(in("layer/d"));
	while ((d = readdir(dir)))
		count++;
	closedir(dir);
	assert_int_equal(count, 2 + 5000 + ARRAY_SIZE(odd) - 3);
	assert_int_equal(look("layer").st_nlink, 4);
	assert_int_equal(look("layer/d").st_ino, look("layer/d/.").st_ino);
	assert_int_equal(look("layer").st_ino, look("layer/odd/..").st_ino);
}

/* The root's inode shares a block with the superblock: neither its names nor its attributes need fit there. */
static void large_root(void **state)
{
	struct archive a = {0}, x = {0};
	char name[64], *value = calloc(1, 4000);

	(void)state;
	memset(value, 'v', 4000);
	record(&x, "SCHILY.xattr.user.some", value, 2000);
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "./", .type = '5', .mode = 0711});
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "directory-%u/", i);
		archive_add(&a, (struct made){.name = name, .type = '5', .mode = 0755});
	}
	image(&a);
	assert_int_equal(report.xattrs_left, 0);
	if (mountable) {
		assert_int_equal(lgetxattr(in("layer"), "user.some", value, 4000), 2000);
		assert_int_equal(look("layer").st_nlink, 1002);
		look("layer/directory-999/.");
	}
	memset(value, 'v', 4000);
	record(&x, "SCHILY.xattr.user.much", value, 4000);
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "./", .type = '5', .mode = 0711});
	image(&a);
	assert_int_equal(report.xattrs_left, 1);
	assert_non_null(strstr(report.note, "the root's attributes"));
	free(value);
}

static void links(void **state)
{
	struct archive a = {0};

	(void)state;
	archive_add(&a, (struct made){.name = "a", .data = "one"});
	archive_add(&a, (struct made){.name = "b", .type = '1', .link = "a"});
	archive_add(&a, (struct made){.name = "c", .type = '1', .link = "b"});
	archive_add(&a, (struct made){.name = "d", .data = "two", .mtime = 9}); /* extended */
	archive_add(&a, (struct made){.name = "e", .type = '1', .link = "d"});
	archive_add(&a, (struct made){.name = "b", .data = "another"});
	archive_add(&a, (struct made){.name = "d", .data = "another"});
	image(&a);
	NEED_MOUNT();
	/* What was replaced is a name less. */
	assert_int_equal(look("layer/a").st_nlink, 2);
	assert_int_equal(look("layer/c").st_ino, look("layer/a").st_ino);
	assert_int_equal(look("layer/b").st_nlink, 1);
	assert_int_equal(look("layer/e").st_nlink, 1);
	assert_int_equal(look("layer/e").st_mtime, 9);
	assert_same("layer/e", "two", 3);
}

/* ---- attributes, devices ------------------------------------------------------------------------------- */

static void add_device(struct archive *a, const char *name, char type, const char *major,
		       const char *minor)
{
	unsigned char *h;
	unsigned sum = 0;

	archive_header(a, &(struct made){.name = name, .type = type, .mode = 0620, .gid = 5});
	h = a->data + a->len - 512;
	memcpy(h + 329, major, 8);
	memcpy(h + 337, minor, 8);
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
}

static void devices(void **state)
{
	struct archive a = {0};

	(void)state;
	add_device(&a, "null", '3', "0000001", "0000003");
	add_device(&a, "wide", '4', "0000403", "0200001");
	add_device(&a, "whiteout", '3', "0000000", "0000000");
	add_device(&a, "too-wide", '4', "0010000", "0000001");
	image(&a);
	assert_int_equal(report.devices_left, 2);
	NEED_MOUNT();
	assert_int_equal(look("layer/null").st_mode, S_IFCHR | 0620);
	assert_int_equal(look("layer/null").st_rdev, makedev(1, 3));
	assert_int_equal(look("layer/null").st_gid, 5);
	assert_int_equal(look("layer/wide").st_mode, S_IFBLK | 0620);
	assert_int_equal(look("layer/wide").st_rdev, makedev(0403, 0200001));
	assert_int_equal(lstat(in("layer/whiteout"), &(struct stat){0}), -1);
	assert_int_equal(lstat(in("layer/too-wide"), &(struct stat){0}), -1);
}

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

static size_t acl(char *out, const struct acl_entry *v, size_t n)
{
	uint32_t version = htole32(2);

	memcpy(out, &version, 4);
	for (size_t i = 0; i < n; i++) {
		const struct acl_entry le = {htole16(v[i].tag), htole16(v[i].perm),
					     htole32(v[i].id)};

		memcpy(out + 4 + i * 8, &le, 8);
	}
	return 4 + n * 8;
}

/* The names are those of acl(5): USER_OBJ 1, USER 2, GROUP_OBJ 4, GROUP 8, MASK 16, OTHER 32. */
static void access_lists(void **state)
{
	const struct acl_entry good[] = {
		{1, 7, -1u}, {2, 5, 1000}, {4, 4, -1u}, {16, 5, -1u}, {32, 0, -1u}};
	const struct acl_entry plain[] = {{1, 6, -1u}, {4, 4, -1u}, {32, 4, -1u}};
	const struct acl_entry no_mask[] = {{1, 7, -1u}, {2, 5, 1000}, {4, 4, -1u}, {32, 0, -1u}};
	const struct acl_entry order[] = {{4, 4, -1u}, {1, 7, -1u}, {32, 0, -1u}};
	const struct acl_entry perm[] = {{1, 8, -1u}, {4, 4, -1u}, {32, 0, -1u}};
	const struct {
		const char *name;
		const struct acl_entry *v;
		size_t n;
		bool kept, left;
		unsigned mode;
	} rows[] = {
		{"good", good, 5, true, false, 0750},       {"plain", plain, 3, false, false, 0644},
		{"no-mask", no_mask, 4, false, true, 0600}, {"order", order, 3, false, true, 0600},
		{"perm", perm, 3, false, true, 0600},       {"cut", good, 4, false, true, 0600},
	};
	struct archive a = {0}, x = {0};
	char value[64], name[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = acl(value, rows[i].v, rows[i].n);

		record(&x, "SCHILY.xattr.system.posix_acl_access", value, len);
		archive_pax(&a, 'x', &x);
		archive_add(&a, (struct made){.name = rows[i].name, .data = "x", .mode = 0600});
	}
	record(&x, "SCHILY.xattr.system.posix_acl_default", value, acl(value, good, 5));
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "dir", .type = '5', .mode = 0700});
	record(&x, "SCHILY.xattr.system.posix_acl_default", value, acl(value, good, 5));
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "file", .data = "x", .mode = 0600});
	image(&a);
	assert_int_equal(report.xattrs_left, 5);
	NEED_MOUNT();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ssize_t n;

		snprintf(name, sizeof(name), "layer/%s", rows[i].name);
		assert_int_equal(look(name).st_mode, S_IFREG | rows[i].mode);
		n = lgetxattr(in(name), "system.posix_acl_access", value, sizeof(value));
		if (n < 0 && errno == EOPNOTSUPP)
			skip(); /* a kernel without them in EROFS */
		assert_int_equal(n, rows[i].kept ? (int)(4 + rows[i].n * 8) : -1);
	}
	assert_int_equal(lgetxattr(in("layer/dir"), "system.posix_acl_default", value, 64), 44);
	assert_int_equal(look("layer/dir").st_mode, S_IFDIR | 0700);
}

static void wrong_capabilities(void **state)
{
	static const unsigned char caps[][24] = {
		{1, 0, 0, 2}, /* of 19 bytes */
		{1, 0, 0, 2}, /* of 24 */
		{1, 0, 0, 1}, /* version 1 */
		{1, 0, 0, 9},
	};
	static const size_t lengths[] = {19, 24, 12, 20};
	struct archive a = {0}, x = {0};
	char name[32], *value = calloc(1, 70000);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		snprintf(name, sizeof(name), "c%zu", i);
		record(&x, "SCHILY.xattr.security.capability", caps[i], lengths[i]);
		archive_pax(&a, 'x', &x);
		archive_add(&a, (struct made){.name = name, .data = "x"});
	}
	memset(value, 'v', 70000);
	record(&x, "SCHILY.xattr.user.largest", value, 65535);
	record(&x, "SCHILY.xattr.user.too_large", value, 65536);
	record(&x, "SCHILY.xattr.user.", "v", 1);
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "f", .data = "x"});
	image(&a);
	assert_int_equal(report.xattrs_left, 4 + 2);
	if (mountable) {
		assert_int_equal(lgetxattr(in("layer/c0"), "security.capability", value, 64), -1);
		memset(value, 0, 70000);
		assert_int_equal(lgetxattr(in("layer/f"), "user.largest", value, 70000), 65535);
		assert_int_equal(value[65534], 'v');
		assert_same("layer/f", "x", 1);
	}
	free(value);
}

/* ---- the file --------------------------------------------------------------------------------------------- */

static void add_tree(struct archive *a)
{
	char name[64];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d%d/e/f%d", i % 17, i);
		archive_add(a, (struct made){.name = name, .data = name, .mtime = (unsigned)i % 3});
	}
	archive_add(a, (struct made){.name = "d3/.wh.gone"});
	archive_add(a, (struct made){.name = "l", .type = '1', .link = "d1/e/f1"});
}

static void same_bytes(void **state)
{
	struct archive a = {0};
	char first[DIGEST_MAX], again[DIGEST_MAX], *text;
	size_t len;

	(void)state;
	add_tree(&a);
	image(&a);
	assert_int_equal(path_read_file_at(AT_FDCWD, in("image"), 1 << 24, &text, &len, NULL), 0);
	assert_int_equal(len % 4096, 0);
	digest_of(text, len, first);
	free(text);
	add_tree(&a);
	image(&a);
	assert_int_equal(path_read_file_at(AT_FDCWD, in("image"), 1 << 24, &text, &len, NULL), 0);
	digest_of(text, len, again);
	free(text);
	assert_string_equal(first, again);
}

/* Cut off anywhere, it has no superblock: nobody mounts half an image. */
static void unfinished(void **state)
{
	struct archive a = {0};
	char magic[4] = "none";
	int fd;

	(void)state;
	add_tree(&a); /* and no end */
	fd = open(in("image"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(write_image(fd, &a) < 0);
	free(a.data);
	if (pread(fd, magic, 4, 1024) == 4)
		assert_memory_equal(magic, "\0\0\0\0", 4);
	if (mountable)
		assert_true(iso_erofs_mount(fd, &error) < 0);
	close(fd);
}

/* The disk is full: told as such. */
static void no_room(void **state)
{
	static char data[1 << 20];
	struct archive a = {0};
	struct rlimit old, small;
	int fd, r;

	(void)state;
	archive_header(&a, &(struct made){.name = "big", .size = sizeof(data)});
	archive_data(&a, data, sizeof(data));
	archive_end(&a);
	fd = open(in("image"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){100000, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	r = write_image(fd, &a);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(r, -EFBIG);
	assert_non_null(strstr(error.text, "'big'"));
	free(a.data);
	close(fd);
}

/* ---- memory ----------------------------------------------------------------------------------------------- */

/* A tar of many small files, made as it is read. */
struct endless {
	struct archive a;
	unsigned left;
	size_t at;
};

static int endless_peek(void *arg, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	struct endless *s = arg;
	static const char data[1500];

	(void)e;
	if (s->at == s->a.len && s->left > 0) {
		char name[64];

		s->a.len = s->at = 0;
		snprintf(name, sizeof(name), "usr/share/doc/package-%u/file-%u", s->left / 20,
			 s->left);
		archive_add(&s->a, (struct made){.name = name, .data = data, .size = sizeof(data)});
		if (--s->left == 0)
			archive_end(&s->a);
	}
	*ret = s->a.data + s->at;
	*ret_len = s->a.len - s->at;
	return 0;
}

static void endless_consume(void *arg, size_t n)
{
	((struct endless *)arg)->at += n;
}

/* In a process of its own, so that its peak is its own: 64 MiB and 200 bytes for each file at most. */
static void memory(void **state)
{
	const unsigned n = getenv("TEST_SHORT") ? 5000 : 100000;
	struct rusage usage;
	int status;
	pid_t pid;

	(void)state;
	limit_time(120);
	pid = fork_tied();
	if (pid == 0) {
		struct endless s = {.left = n};
		struct tar_source source = {
			.peek = endless_peek, .consume = endless_consume, .arg = &s};
		int fd = open(in("image"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		struct layer_sink sink;
		struct layer_erofs *l;
		char digest[DIGEST_MAX];

		digest_of("", 0, digest);
		if (layer_erofs_new(&(struct layer_erofs_params){.fd = fd, .directories = n},
				    &report, &l, &error) < 0)
			_exit(1);
		sink = layer_erofs_sink(l);
		if (layer_read(&source, &layer_limits_default, &sink, &report, &error) < 0 ||
		    layer_erofs_seal(l, digest, &error) < 0)
			_exit(2);
		getrusage(RUSAGE_SELF, &usage);
		_exit(usage.ru_maxrss * 1024 < (64 << 20) + (long)n * 200 ? 0 : 3);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	alarm(0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	/* The ends of files lie with their inodes: far from a block for each. */
	assert_true(look("image").st_size < (off_t)n * 4096);
}

static void probe(void)
{
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return;
	fd = fsopen("erofs", FSOPEN_CLOEXEC);
	mountable = fd >= 0;
	if (fd >= 0)
		close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sizes),      TEST(long_symlinks), TEST(huge_sparse),
		TEST(many_names), TEST(large_root),    TEST(links),
		TEST(devices),    TEST(access_lists),  TEST(wrong_capabilities),
		TEST(same_bytes), TEST(unfinished),    TEST(no_room),
		TEST(memory),
	};

	umask(022);
	probe();
	if (getenv("TEST_SHORT"))
		print_message("# short: 5,000 files in place of 100,000\n");
	if (!mountable)
		print_message(
			"# images are not mounted: no EROFS in this kernel, or no privilege\n");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
