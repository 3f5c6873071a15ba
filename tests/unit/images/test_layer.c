/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers into a directory, and into an EROFS image: hostile entries, one entry in place of another, whiteouts, links, attributes.
 * Each test fills DIR/layer, or mounts the image there in a mount namespace of the test, looks at what is there, and that
 * DIR/outside is as it was. fsck.erofs looks at every image.
 * Expectations: OCI image-spec layer.md; overlayfs.rst.
 */
#include "tar_make.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../../../images/digest.h"
#include "../../../images/layer_dir.h"
#include "../../../images/layer_erofs.h"
#include "../../../images/layer_path.h"
#include "../runtime/scratch_dir.h"
#include "base/cleanup.h"
#include "isolate/erofs.h"

static struct scratch *scratch;
static struct layer_report report;
static struct err error;
static bool erofs; /* the image, not the directory */

static char *in(const char *name)
{
	static char path[8192];

	snprintf(path, sizeof(path), "%s/%s", scratch->path, name);
	return path;
}

/* Nothing of a former image may be seen any more. */
static void take_off(void)
{
	while (umount2(in("layer"), MNT_DETACH) == 0)
		;
}

static int fsck(const char *path)
{
	char command[8300];

	snprintf(command, sizeof(command), "exec fsck.erofs --extract '%s' >'%s.log' 2>&1", path,
		 path);
	return system(command);
}

static int image_of(struct tar_source *source, struct archive *a)
{
	struct layer_limits limits = layer_limits_default;
	char digest[DIGEST_MAX];
	struct layer_sink sink;
	struct layer_erofs *l;
	int fd, mnt, r;

	take_off();
	fd = open(in("image"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	limits.tar.entries = 5000;
	r = layer_erofs_new(&(struct layer_erofs_params){.fd = fd, .directories = 5000}, &report,
			    &l, &error);
	assert_int_equal(r, 0);
	sink = layer_erofs_sink(l);
	r = layer_read(source, &limits, &sink, &report, &error);
	digest_of(a->data, a->len, digest);
	free(a->data);
	*a = (struct archive){0};
	if (r == 0)
		r = layer_erofs_seal(l, digest, &error);
	layer_erofs_free(l);
	if (r == 0) {
		assert_int_equal(fsck(in("image")), 0);
		mnt = iso_erofs_mount(fd, &error);
		if (mnt < 0)
			fail_msg("%s", error.text);
		r = move_mount(mnt, "", AT_FDCWD, in("layer"), MOVE_MOUNT_F_EMPTY_PATH);
		assert_int_equal(r, 0);
		close(mnt);
	}
	close(fd);
	return r;
}

static int unpack_as(struct archive *a, bool keep_owners)
{
	struct tar_memory m = {.data = a->data, .len = a->len};
	struct tar_source source = tar_source_memory(&m);
	int fd, r;

	report = (struct layer_report){0};
	error = ERR_INIT;
	if (erofs)
		return image_of(&source, a);
	fd = open(in("layer"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct layer_dir_params p = {.dirfd = fd,
					   .opaque_xattr = LAYER_OPAQUE_USER,
					   .keep_owners = keep_owners,
					   .directories = 5000};
	struct layer_limits limits = layer_limits_default;
	struct layer_sink sink;
	struct layer_dir *d;

	assert_true(fd >= 0);
	limits.tar.entries = 5000;
	assert_int_equal(layer_dir_new(&p, &report, &d, &error), 0);
	sink = layer_dir_sink(d);
	r = layer_read(&source, &limits, &sink, &report, &error);
	layer_dir_free(d);
	close(fd);
	free(a->data);
	*a = (struct archive){0};
	return r;
}

static int unpack(struct archive *a)
{
	archive_end(a);
	return unpack_as(a, true);
}

#define assert_unpacked(a)                          \
	do {                                        \
		if (unpack(a) < 0)                  \
			fail_msg("%s", error.text); \
	} while (0)

static void assert_refused(struct archive *a, const char *why)
{
	assert_true(unpack(a) < 0);
	if (!strstr(error.text, why))
		fail_msg("'%s' is not in '%s'", why, error.text);
}

static int make(void **state)
{
	int fd;

	(void)state;
	scratch = scratch_new();
	assert_int_equal(mkdir(in("layer"), 0700), 0);
	assert_int_equal(mkdir(in("outside"), 0755), 0);
	fd = open(in("outside/file"), O_WRONLY | O_CREAT, 0640);
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	return 0;
}

static int unmake(void **state)
{
	struct stat st;
	char text[16] = "";
	int fd;

	(void)state;
	/* Whatever an archive held, this is as it was. */
	fd = open(in("outside/file"), O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "mine");
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	close(fd);
	assert_int_equal(stat(in("outside"), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(access(in("outside/new"), F_OK), -1);
	take_off();
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

static bool is_there(const char *name)
{
	return faccessat(AT_FDCWD, in(name), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_whiteout(const char *name)
{
	struct stat st = look(name);

	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

static bool is_opaque(const char *name)
{
	char v[8];

	return lgetxattr(in(name), "user.overlay.opaque", v, sizeof(v)) == 1 && v[0] == 'y';
}

static void assert_content(const char *name, const char *want)
{
	char text[256] = "";
	int fd = open(in(name), O_RDONLY | O_NOFOLLOW);

	if (fd < 0)
		fail_msg("%s: %s", name, strerror(errno));
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	close(fd);
	assert_string_equal(text, want);
}

#define FILE_(n, d)    archive_add(&a, (struct made){.name = n, .data = d})
#define DIR_(n)        archive_add(&a, (struct made){.name = n, .type = '5', .mode = 0755})
#define SYMLINK_(n, t) archive_add(&a, (struct made){.name = n, .type = '2', .link = t})
#define LINK_(n, t)    archive_add(&a, (struct made){.name = n, .type = '1', .link = t})

/* ---- hostile ----------------------------------------------------------------------------- */

static void through_symlinks(void **state)
{
	static const char *const targets[] = {"../outside", "/", "outside", "."};
	struct archive a = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		SYMLINK_("way", targets[i]);
		FILE_("way/new", "x");
		assert_refused(&a, "it lies in 'way', which is a symlink of this layer");
		SYMLINK_("way", targets[i]);
		FILE_("way/deep/new", "x");
		assert_refused(&a, "which is a symlink");
		SYMLINK_("way", targets[i]);
		DIR_("way/new");
		assert_refused(&a, "which is a symlink");
		SYMLINK_("way", targets[i]);
		FILE_("way/.wh.file", "");
		assert_refused(&a, "which is a symlink");
		SYMLINK_("way", targets[i]);
		FILE_("way/.wh..wh..opq", "");
		assert_refused(&a, "which is a symlink");
		SYMLINK_("way", targets[i]);
		LINK_("mine", "way/file");
		assert_refused(&a, "no such file in this layer");
	}
	/* a file on a symlink replaces it, and a directory likewise */
	SYMLINK_("way", "../outside/file");
	FILE_("way", "replaced");
	assert_unpacked(&a);
	assert_content("layer/way", "replaced");
	SYMLINK_("dir", "../outside");
	DIR_("dir");
	FILE_("dir/new", "inside");
	assert_unpacked(&a);
	assert_content("layer/dir/new", "inside");
}

static void names(void **state)
{
	static const struct {
		const char *name, *why;
	} rows[] = {
		{"../outside/new", "'..' in its name"},
		{"a/../../outside/new", "'..' in its name"},
		{"a/..", "'..' in its name"},
		{"/../outside/new", "'..' in its name"},
		{"", "its name is empty"},
		{"/", "the root of a layer"},
		{"./", "the root of a layer"},
		{".wh.", "a whiteout of nothing"},
		{".wh..", "a whiteout of nothing"},
		{".wh...", "a whiteout of nothing"},
		{"a/.wh.b/c", "it lies in a whiteout"},
	};
	struct archive a = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* a trailing slash would make a directory of it */
		bool root = rows[i].name[0] && rows[i].name[strlen(rows[i].name) - 1] == '/';

		archive_add(
			&a,
			(struct made){.name = rows[i].name, .type = root ? '2' : '0', .link = "x"});
		assert_refused(&a, rows[i].why);
	}
	/* these mean something plain */
	FILE_("/absolute", "1");
	FILE_("//two///slashes", "2");
	FILE_("./a/./dot", "3");
	FILE_("\xff\xfe not utf-8", "4");
	FILE_("...", "5");
	FILE_(".whatever", "6");
	assert_unpacked(&a);
	assert_content("layer/absolute", "1");
	assert_content("layer/two/slashes", "2");
	assert_content("layer/a/dot", "3");
	assert_content("layer/\xff\xfe not utf-8", "4");
	assert_content("layer/...", "5");
	assert_content("layer/.whatever", "6");
}

static void long_names(void **state)
{
	struct archive a = {0}, x = {0};
	char *name = malloc(30000), *at = name;

	(void)state;
	/* 10,000 levels */
	for (int i = 0; i < 10000; i++)
		at += sprintf(at, "d/");
	strcpy(at, "f");
	record_text(&x, "path", name);
	archive_pax(&a, 'x', &x);
	FILE_("f", "x");
	assert_refused(&a, "more than 256 directories deep");
	name[2 * 255 + 1] = '\0'; /* 255 directories and "d" */
	record_text(&x, "path", name);
	archive_pax(&a, 'x', &x);
	FILE_("f", "deep");
	assert_unpacked(&a);
	/* one part */
	memset(name, 'n', 300);
	name[256] = '\0';
	record_text(&x, "path", name);
	archive_pax(&a, 'x', &x);
	FILE_("f", "x");
	assert_refused(&a, "longer than 255 bytes");
	/* all of it */
	for (int i = 0; i < 20; i++)
		memset(name + i * 256, 'n', 255), name[i * 256 + 255] = '/';
	name[20 * 256 - 1] = '\0';
	record_text(&x, "path", name);
	archive_pax(&a, 'x', &x);
	FILE_("f", "x");
	assert_refused(&a, "longer than 4095 bytes");
	free(name);
}

static void too_much(void **state)
{
	struct archive a = {0}, x = {0};

	(void)state;
	for (int i = 0; i < 5001; i++)
		FILE_("same", NULL);
	assert_refused(&a, "more than 5000 entries");
	/* few entries, each of which asks for 250 directories */
	for (int i = 0; i < 30; i++) {
		char name[1024];
		int n = sprintf(name, "%d", i);

		for (int j = 0; j < 250; j++)
			n += sprintf(name + n, "/d");
		record_text(&x, "path", name);
		archive_pax(&a, 'x', &x);
		FILE_("f", NULL);
	}
	assert_refused(&a, "more than 5000 directories");
	/* a file of 8 EiB that has no data */
	record_text(&x, "GNU.sparse.size", "9223372036854775807");
	record_text(&x, "GNU.sparse.numblocks", "0");
	archive_pax(&a, 'x', &x);
	FILE_("giant", NULL);
	assert_refused(&a, "'giant': 9223372036854775807 bytes, more than");
}

static void devices(void **state)
{
	struct archive a = {0};

	(void)state;
	archive_add(&a, (struct made){.name = "null", .type = '3', .mode = 0666});
	archive_add(&a, (struct made){.name = "disk", .type = '4'});
	archive_add(&a,
		    (struct made){.name = "fifo", .type = '6', .mode = 0620, .uid = 5, .mtime = 9});
	assert_unpacked(&a);
	/* In an image 0:0 would be a whiteout, in a directory none can be made. */
	assert_int_equal(report.devices_left, 2);
	assert_non_null(strstr(report.note, "'null'"));
	assert_false(is_there("layer/null"));
	assert_false(is_there("layer/disk"));
	assert_int_equal(look("layer/fifo").st_mode, S_IFIFO | 0620);
	assert_int_equal(look("layer/fifo").st_uid, 5);
	assert_int_equal(look("layer/fifo").st_mtime, 9);
}

/* ---- one in place of another ------------------------------------------------------------- */

static void replacing(void **state)
{
	struct archive a = {0};

	(void)state;
	FILE_("x", "first");
	FILE_("x", "second");
	DIR_("d");
	FILE_("d/a", "goes");
	FILE_("d", "file over directory");
	FILE_("f", "goes");
	DIR_("f");
	FILE_("f/in", "directory over file");
	DIR_("m");
	FILE_("m/a", "stays");
	archive_add(&a, (struct made){.name = "m", .type = '5', .mode = 0700, .mtime = 77});
	FILE_("s", "goes");
	SYMLINK_("s", "x");
	FILE_("h", "goes");
	LINK_("h", "x");
	LINK_("h", "x");
	assert_unpacked(&a);
	assert_content("layer/x", "second");
	assert_content("layer/d", "file over directory");
	assert_content("layer/f/in", "directory over file");
	/* The file hid what lower layers have there; so does what came in its place. */
	assert_true(is_opaque("layer/f"));
	assert_content("layer/m/a", "stays");
	assert_false(is_opaque("layer/m"));
	assert_int_equal(look("layer/m").st_mode, S_IFDIR | 0700);
	assert_int_equal(look("layer/m").st_mtime, 77);
	assert_true(S_ISLNK(look("layer/s").st_mode));
	assert_int_equal(look("layer/h").st_ino, look("layer/x").st_ino);
	/* not what a file is in */
	FILE_("file", "x");
	FILE_("file/below", "x");
	assert_refused(&a, "it lies in 'file', which is no directory");
	FILE_("file", "x");
	FILE_("file/.wh..wh..opq", "");
	assert_refused(&a, "which is no directory");
	FILE_(".", "x");
	assert_refused(&a, "the root of a layer can be nothing but a directory");
	LINK_("./", "x");
	assert_refused(&a, "the root of a layer");
}

static void root(void **state)
{
	struct archive a = {0};

	(void)state;
	FILE_("f", "x");
	assert_unpacked(&a);
	assert_int_equal(look("layer").st_mode, S_IFDIR | 0755);
	assert_int_equal(look("layer").st_mtime, 0);
	archive_add(
		&a,
		(struct made){
			.name = "./", .type = '5', .mode = 01777, .uid = 3, .gid = 4, .mtime = 5});
	FILE_("g", "x");
	assert_unpacked(&a);
	assert_int_equal(look("layer").st_mode, S_IFDIR | 01777);
	assert_int_equal(look("layer").st_uid, 3);
	assert_int_equal(look("layer").st_gid, 4);
	assert_int_equal(look("layer").st_mtime, 5);
}

/* ---- whiteouts --------------------------------------------------------------------------- */

static void whiteouts(void **state)
{
	struct archive a = {0};

	(void)state;
	FILE_(".wh.gone", "");
	FILE_("new/dir/.wh.gone", "");
	/* of what this layer has, before and after: it stays, and what is lower is hidden */
	FILE_("file1", "stays");
	FILE_(".wh.file1", "");
	FILE_(".wh.file2", "");
	FILE_("file2", "stays");
	DIR_("dir1");
	FILE_("dir1/f", "stays");
	FILE_(".wh.dir1", "");
	FILE_(".wh.dir2", "");
	DIR_("dir2");
	FILE_("dir2/f", "stays");
	FILE_(".wh.dir3", "");
	FILE_("dir3/f", "stays");
	FILE_(".wh.link", "");
	SYMLINK_("link", "file1");
	FILE_(".wh.twice", "");
	FILE_(".wh.twice", "");
	assert_unpacked(&a);
	assert_true(is_whiteout("layer/gone"));
	assert_true(is_whiteout("layer/new/dir/gone"));
	assert_content("layer/file1", "stays");
	assert_content("layer/file2", "stays");
	for (int i = 1; i <= 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "layer/dir%d", i);
		assert_true(is_opaque(name));
		strcat(name, "/f");
		assert_content(name, "stays");
	}
	assert_true(S_ISLNK(look("layer/link").st_mode));
	assert_true(is_whiteout("layer/twice"));
	assert_false(is_there("layer/.wh.gone"));
	DIR_(".wh.d");
	assert_refused(&a, "a whiteout that is no file");
	SYMLINK_(".wh.s", "x");
	assert_refused(&a, "a whiteout that is no file");
	/* never the target of a link */
	FILE_(".wh.t", "");
	LINK_("l", "t");
	assert_refused(&a, "no such file in this layer");
}

static void opaque(void **state)
{
	struct archive a = {0};

	(void)state;
	FILE_("first/.wh..wh..opq", "");
	FILE_("first/f", "stays");
	DIR_("last");
	FILE_("last/f", "stays");
	FILE_("last/.wh..wh..opq", "");
	archive_add(&a, (struct made){.name = "first", .type = '5', .mode = 0711, .mtime = 3});
	assert_unpacked(&a);
	assert_true(is_opaque("layer/first"));
	assert_true(is_opaque("layer/last"));
	assert_false(is_opaque("layer"));
	assert_content("layer/first/f", "stays");
	assert_content("layer/last/f", "stays");
	assert_int_equal(look("layer/first").st_mode, S_IFDIR | 0711);
	assert_int_equal(look("layer/first").st_mtime, 3);
	FILE_(".wh..wh..opq", "");
	FILE_(".wh..wh.plnk/1.2", "aufs");
	FILE_(".wh..wh.aufs", "aufs");
	assert_unpacked(&a);
	assert_true(is_opaque("layer"));
	assert_int_equal(report.aufs_left, 2);
	assert_false(is_there("layer/.wh..wh.plnk"));
}

/* ---- links ------------------------------------------------------------------------------- */

static void hardlinks(void **state)
{
	struct archive a = {0};

	(void)state;
	FILE_("d/one", "same");
	LINK_("two", "./d//one");
	LINK_("d/three", "/d/one");
	SYMLINK_("sym", "../outside/file");
	LINK_("sym2", "sym");
	assert_unpacked(&a);
	assert_int_equal(look("layer/d/one").st_nlink, 3);
	assert_int_equal(look("layer/two").st_ino, look("layer/d/one").st_ino);
	assert_int_equal(look("layer/d/three").st_ino, look("layer/d/one").st_ino);
	assert_int_equal(look("layer/sym2").st_ino, look("layer/sym").st_ino);
	assert_int_equal(report.hardlinks, 3);
	LINK_("l", "/etc/shadow");
	assert_refused(&a, "no such file in this layer");
	LINK_("l", "../outside/file");
	assert_refused(&a, "'..' in its name");
	LINK_("l", "missing");
	assert_refused(&a, "no such file in this layer");
	DIR_("d");
	LINK_("l", "d");
	assert_refused(&a, "it is a directory");
	LINK_("l", "");
	assert_refused(&a, "its name is empty");
	LINK_("l", "l");
	assert_refused(&a, "a hard link to itself");
	LINK_("l", ".");
	assert_refused(&a, "a hard link to the root");
	/* what is replaced held the target */
	FILE_("r/target", "x");
	LINK_("r", "r/target");
	assert_refused(&a, "no such file in this layer");
}

/* ---- attributes -------------------------------------------------------------------------- */

static void attributes(void **state)
{
	static const unsigned char cap[20] = {1, 0, 0,
					      2, 0, 4}; /* cap_net_bind_service+ep, version 2 */
	struct archive a = {0}, x = {0};
	char v[64];

	(void)state;
	archive_add(&a, (struct made){.name = "dir",
				      .type = '5',
				      .mode = 02750,
				      .uid = 10,
				      .gid = 20,
				      .mtime = 1000});
	record_text(&x, "mtime", "1234567890.123456789");
	record_text(&x, "SCHILY.xattr.user.test", "value");
	record(&x, "SCHILY.xattr.security.capability", cap, sizeof(cap));
	record_text(&x, "SCHILY.xattr.user.overlay.opaque", "y");
	record_text(&x, "SCHILY.xattr.user.overlay.redirect", "/outside");
	record_text(&x, "SCHILY.xattr.trusted.overlay.redirect", "/outside");
	record_text(&x, "SCHILY.xattr.security.selinux", "label");
	archive_pax(&a, 'x', &x);
	archive_add(&a,
		    (struct made){
			    .name = "dir/f", .data = "x", .mode = 04755, .uid = 70000, .gid = 30});
	archive_add(&a, (struct made){.name = "dir/g", .data = "x", .mode = 0666});
	record_text(&x, "SCHILY.xattr.user.overlay.opaque", "y");
	archive_pax(&a, 'x', &x);
	archive_add(&a, (struct made){.name = "dir2", .type = '5', .mode = 0755});
	archive_add(&a, (struct made){.name = "dir/s",
				      .type = '2',
				      .link = "f",
				      .uid = 7,
				      .gid = 8,
				      .mtime = 99});
	FILE_("other", "x");
	FILE_("dir/late", "x");
	assert_unpacked(&a);
	assert_int_equal(look("layer/dir").st_mode, S_IFDIR | 02750);
	assert_int_equal(look("layer/dir").st_uid, 10);
	assert_int_equal(look("layer/dir").st_gid, 20);
	assert_int_equal(look("layer/dir").st_mtime, 1000);
	assert_int_equal(look("layer/dir/f").st_mode, S_IFREG | 04755);
	assert_int_equal(look("layer/dir/f").st_uid, 70000);
	assert_int_equal(look("layer/dir/f").st_gid, 30);
	assert_int_equal(look("layer/dir/f").st_mtim.tv_sec, 1234567890);
	assert_int_equal(look("layer/dir/f").st_mtim.tv_nsec, 123456789);
	/* not the umask's business, nor the group that the directory hands down */
	assert_int_equal(look("layer/dir/g").st_mode, S_IFREG | 0666);
	assert_int_equal(look("layer/dir/g").st_gid, 0);
	assert_int_equal(look("layer/dir/s").st_uid, 7);
	assert_int_equal(look("layer/dir/s").st_gid, 8);
	assert_int_equal(look("layer/dir/s").st_mtime, 99);
	assert_int_equal(lgetxattr(in("layer/dir/f"), "user.test", v, sizeof(v)), 5);
	assert_memory_equal(v, "value", 5);
	assert_int_equal(lgetxattr(in("layer/dir/f"), "security.capability", v, sizeof(v)), 20);
	assert_memory_equal(v, cap, 20);
	assert_int_equal(lgetxattr(in("layer/dir/f"), "user.overlay.opaque", v, sizeof(v)), -1);
	assert_int_equal(lgetxattr(in("layer/dir/f"), "user.overlay.redirect", v, sizeof(v)), -1);
	assert_int_equal(lgetxattr(in("layer/dir/f"), "trusted.overlay.redirect", v, sizeof(v)),
			 -1);
	assert_false(is_opaque("layer/dir2"));
	assert_int_equal(report.xattrs_left, 5);
}

static void one_id(void **state)
{
	struct archive a = {0};

	(void)state;
	archive_add(&a, (struct made){.name = "f", .data = "x", .uid = 1000, .mode = 04755});
	archive_add(&a, (struct made){.name = "d", .type = '5', .uid = 1000, .mode = 0755});
	archive_add(&a, (struct made){.name = "r", .data = "x"});
	archive_end(&a);
	if (unpack_as(&a, false) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(look("layer/f").st_uid, 0);
	assert_int_equal(look("layer/f").st_mode, S_IFREG | 04755);
	assert_int_equal(look("layer/d").st_uid, 0);
	assert_int_equal(report.owners_left, 2);
	assert_non_null(strstr(report.note, "subordinate ids"));
}

static void sparse(void **state)
{
	struct archive a = {0}, x = {0};
	char buf[8] = "";
	int fd;

	(void)state;
	record_text(&x, "GNU.sparse.size", "1073741824");
	record_text(&x, "GNU.sparse.numblocks", "1");
	record_text(&x, "GNU.sparse.map", "536870912,3");
	archive_pax(&a, 'x', &x);
	FILE_("holes", "mid");
	assert_unpacked(&a);
	assert_int_equal(look("layer/holes").st_size, 1 << 30);
	/* EROFS tells blocks by size alone. */
	assert_true(look(erofs ? "image" : "layer/holes").st_blocks < 3000);
	fd = open(in("layer/holes"), O_RDONLY);
	assert_int_equal(pread(fd, buf, 5, 536870911), 5);
	assert_memory_equal(buf, "\0mid", 5);
	close(fd);
}

/* Images are mounted in a namespace of our own, if the kernel has their file system at all. */
static bool erofs_is_missing(void)
{
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		err_sys(&error, errno, "make a mount namespace");
		return true;
	}
	fd = fsopen("erofs", FSOPEN_CLOEXEC);
	if (fd < 0) {
		err_sys(&error, errno, "EROFS");
		return true;
	}
	close(fd);
	return false;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(through_symlinks), TEST(names),     TEST(long_names), TEST(too_much),
		TEST(devices),          TEST(replacing), TEST(root),       TEST(whiteouts),
		TEST(opaque),           TEST(hardlinks), TEST(attributes), TEST(sparse),
	};
	const struct CMUnitTest of_directories[] = {TEST(one_id)};
	int failed;

	umask(022);
	failed = cmocka_run_group_tests_name("directory", tests, NULL, NULL);
	failed += cmocka_run_group_tests_name("one id", of_directories, NULL, NULL);
	if (erofs_is_missing()) {
		print_message("# skipped: images: %s\n", error.text);
		return failed;
	}
	erofs = true;
	return failed + cmocka_run_group_tests_name("EROFS", tests, NULL, NULL);
}
