/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlays over directories on a disk: the layers of an image, and throwaway layers whose changes go to a disk. As root and in a
 * user namespace, since overlayfs keeps its notes elsewhere there, and not every file system can hold them.
 */
#include <ftw.h>
#include <sys/xattr.h>

#include "isolate/mount.h"
#include "isolate/rootfs.h"
#include "private_ns.h"

static char disk[64]; /* beside `scratch`, which is a tmpfs */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* Overlayfs leaves a directory that not even its owner may enter. */
static int open_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)ftw;
	return type == FTW_DNR || type == FTW_D ? chmod(path, 0700) : 0;
}

static void on_disk(void (*fn)(void), int flags)
{
	int status;

	strcpy(disk, "/tmp/isolate-disk-XXXXXX");
	assert_non_null(mkdtemp(disk));
	if (setxattr(disk, "user.overlay.trial", "y", 1, 0) < 0) {
		print_message("# skip: /tmp has no user attributes: no layers can be there\n");
		status = CHILD_SKIP << 8;
	} else {
		status = run_child(fn, flags);
	}
	nftw(disk, open_entry, 16, FTW_PHYS);
	nftw(disk, remove_entry, 16, FTW_PHYS | FTW_DEPTH);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIP)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static const char *on(const char *rest)
{
	static char path[4][256];
	static unsigned n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", disk, rest);
	return path[n];
}

static void make_dir(const char *rest)
{
	CHECK(mkdir(on(rest), 0755) == 0);
}

/* ---- throwaway layers --------------------------------------------------------------------------------- */

/* All that can be done to directories, and what overlayfs has notes for. */
static void change_all(void)
{
	CHECK(unlink("at/dir/sub/file") == 0 && rmdir("at/dir/sub") == 0 && rmdir("at/dir") == 0);
	CHECK(mkdir("at/dir", 0755) == 0);
	CHECK(access("at/dir/sub", F_OK) < 0 && errno == ENOENT);
	write_file("at/dir/sub", "a file now");
	CHECK(rename("at/file", "at/renamed") == 0 && access("at/file", F_OK) < 0);
	CHECK(file_is(AT_FDCWD, "at/renamed", "home"));
}

static void make_home(void)
{
	make_dir("home");
	make_dir("home/dir");
	make_dir("home/dir/sub");
	write_file(on("home/dir/sub/file"), "sub");
	write_file(on("home/file"), "home");
	CHECK(mkdir("at", 0755) == 0);
}

static void check_home(void)
{
	CHECK(file_is(AT_FDCWD, on("home/dir/sub/file"), "sub"));
	CHECK(file_is(AT_FDCWD, on("home/file"), "home"));
	CHECK(access(on("home/renamed"), F_OK) < 0);
}

static void throw_away(const char *disk_dir)
{
	struct err err_ = ERR_INIT;
	int fd = iso_mount_throwaway(on("home"), disk_dir, &err_);

	CHECK_OK(fd);
	CHECK(move_mount(fd, "", AT_FDCWD, "at", MOVE_MOUNT_F_EMPTY_PATH) == 0);
}

static void throwaway_beside(void)
{
	make_home();
	make_dir("layers");
	throw_away(on("layers"));
	change_all();
	check_home();
	CHECK(file_is(AT_FDCWD, on("layers/0/0/upper/dir/sub"), "a file now"));
	/* A second one does not meet the first. */
	CHECK(umount2("at", MNT_DETACH) == 0);
	throw_away(on("layers"));
	CHECK(file_is(AT_FDCWD, "at/file", "home"));
	CHECK(access(on("layers/1/0/upper"), F_OK) == 0);
}

/* The usual case: the store is in the home. */
static void throwaway_within(void)
{
	struct stat st;

	make_home();
	make_dir("home/.share");
	make_dir("home/.share/store");
	make_dir("home/.share/store/layers");
	write_file(on("home/.share/other"), "other");
	CHECK(chmod(on("home/.share"), 0710) == 0);
	throw_away(on("home/.share/store/layers"));
	change_all();
	check_home();
	CHECK(access("at/.share/store", F_OK) == 0 && access("at/.share/store/layers", F_OK) < 0);
	CHECK(file_is(AT_FDCWD, "at/.share/other", "other"));
	CHECK(stat("at/.share", &st) == 0 && (st.st_mode & 07777) == 0710);
}

/* What cannot be an upper layer is not used, and all but one thing works as on a disk. */
static void throwaway_elsewhere(void)
{
	make_home();
	throw_away("/proc");
	write_file("at/file", "changed");
	CHECK(mkdir("at/new", 0755) == 0 && file_is(AT_FDCWD, "at/file", "changed"));
	check_home();
	CHECK(umount2("at", MNT_DETACH) == 0);
	throw_away(on("none"));
	write_file("at/file", "changed");
	check_home();
}

#define BOTH(name, fn)                                     \
	static void name(void **state)                     \
	{                                                  \
		(void)state;                               \
		on_disk(fn, 0);                            \
	}                                                  \
	static void name##_in_user_namespace(void **state) \
	{                                                  \
		(void)state;                               \
		on_disk(fn, CLONE_NEWUSER | CLONE_NEWNS);  \
	}

BOTH(test_throwaway_beside, throwaway_beside)
BOTH(test_throwaway_within, throwaway_within)
BOTH(test_throwaway_elsewhere, throwaway_elsewhere)

/* ---- layers of an image --------------------------------------------------------------------------------- */

static int open_layers(char **layers, const char *upper)
{
	char path[96];
	struct iso_rootfs r = {.kind = ISO_ROOTFS_LAYERS, .fd = -1, .path = path, .layers = layers};
	struct err err_ = ERR_INIT;
	int fd;

	snprintf(path, sizeof(path), "%s/root", scratch);
	CHECK(mkdir("root", 0755) == 0);
	r.upper = (char *)upper;
	CHECK_OK(iso_rootfs_mount(&r, &fd, NULL, &err_));
	return fd;
}

/* As the worker leaves them: a whiteout is a device 0:0, an opaque directory has the user's attribute. */
static void hiding(const char *upper)
{
	char *layers[3] = {NULL};
	int fd;

	make_dir("base");
	make_dir("base/opaque");
	make_dir("base/kept");
	write_file(on("base/opaque/hidden"), "base");
	write_file(on("base/kept/file"), "base");
	write_file(on("base/gone"), "base");
	make_dir("top");
	make_dir("top/opaque");
	write_file(on("top/opaque/shown"), "top");
	CHECK(mknod(on("top/gone"), S_IFCHR, makedev(0, 0)) == 0);
	CHECK(setxattr(on("top/opaque"), "user.overlay.opaque", "y", 1, 0) == 0);
	layers[0] = strdup(on("top"));
	layers[1] = strdup(on("base"));
	fd = open_layers(layers, upper);
	CHECK(faccessat(fd, "gone", F_OK, 0) < 0 && faccessat(fd, "opaque/hidden", F_OK, 0) < 0);
	CHECK(file_is(fd, "opaque/shown", "top") && file_is(fd, "kept/file", "base"));
	CHECK(fchdir(fd) == 0);
	write_file("kept/file", "changed");
	write_file("gone", "new");
	CHECK(file_is(fd, "gone", "new") && file_is(AT_FDCWD, on("base/kept/file"), "base"));
	CHECK(unlink("opaque/shown") == 0);
}

static void hiding_on_tmpfs(void)
{
	hiding(NULL);
}

/* And with a disk, a directory that was there can be removed and made again. */
static void hiding_on_disk(void)
{
	char upper[96];

	make_dir("upper");
	make_dir("upper/diff");
	make_dir("upper/work");
	snprintf(upper, sizeof(upper), "%s", on("upper"));
	hiding(upper);
	CHECK(rmdir("opaque") == 0 && mkdir("opaque", 0755) == 0);
	CHECK(access("opaque/hidden", F_OK) < 0 && access("opaque/shown", F_OK) < 0);
	CHECK(unlink("kept/file") == 0 && rmdir("kept") == 0 && mkdir("kept", 0755) == 0);
	CHECK(access("kept/file", F_OK) < 0);
}

/* A store on a file system that cannot be changed by an overlay is told with the way out. */
static void upper_on_overlay(void)
{
	char path[96], upper[96], options[512], *layers[] = {strdup(on("low")), NULL};
	struct iso_rootfs r = {.kind = ISO_ROOTFS_LAYERS,
			       .fd = -1,
			       .path = path,
			       .layers = layers,
			       .upper = upper};
	struct err err_ = ERR_INIT;
	int fd;

	make_dir("low");
	make_dir("up");
	make_dir("work");
	CHECK(mkdir("at", 0755) == 0 && mkdir("root", 0755) == 0);
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", on("low"),
		 on("up"), on("work"));
	CHECK(mount("o", "at", "overlay", 0, options) == 0);
	CHECK(mkdir("at/diff", 0755) == 0 && mkdir("at/work", 0755) == 0);
	snprintf(path, sizeof(path), "%s/root", scratch);
	snprintf(upper, sizeof(upper), "%s/at", scratch);
	CHECK(iso_rootfs_mount(&r, &fd, NULL, &err_) == -EINVAL);
	CHECK_TEXT(err_.hint, "--store");
}

static void test_upper_on_overlay(void **state)
{
	(void)state;
	on_disk(upper_on_overlay, 0);
}

BOTH(test_hiding_on_tmpfs, hiding_on_tmpfs)
BOTH(test_hiding_on_disk, hiding_on_disk)

/* A layer that hides all below it. */
static void opaque_root(void)
{
	static const char *const names[] = {"top", "whole", "base"};
	char *layers[4] = {NULL}, path[96];
	int fd;

	for (unsigned i = 0; i < 3; i++) {
		make_dir(names[i]);
		layers[i] = strdup(on(names[i]));
		snprintf(path, sizeof(path), "%s/%s", layers[i], names[i]);
		write_file(path, "here");
	}
	CHECK(setxattr(layers[1], "user.overlay.opaque", "y", 1, 0) == 0);
	fd = open_layers(layers, NULL);
	CHECK(file_is(fd, "top", "here") && file_is(fd, "whole", "here"));
	CHECK(faccessat(fd, "base", F_OK, 0) < 0 && errno == ENOENT);
}

BOTH(test_opaque_root, opaque_root)

/* More than many images have; older kernels take all their names in one page. */
#define MANY 60

static void many(void)
{
	char *layers[MANY + 1] = {NULL}, name[160];
	int fd;

	/* The store's path may be long: it is not what the kernel is given. */
	make_dir("a-store-with-a-path-of-some-length-that-would-fill-a-page-many-times-over-if-it-"
		 "were-used");
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name),
			 "a-store-with-a-path-of-some-length-that-would-fill-a-page-many-times-"
			 "over-if-"
			 "it-were-used/%u",
			 i);
		make_dir(name);
		layers[i] = strdup(on(name));
		snprintf(name, sizeof(name), "%s/which", layers[i]);
		write_file(name, i ? "lower" : "top");
		snprintf(name, sizeof(name), "%s/%u", layers[i], i);
		write_file(name, "here");
	}
	fd = open_layers(layers, NULL);
	CHECK(file_is(fd, "which", "top"));
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%u", i);
		CHECK(file_is(fd, name, "here"));
	}
}

BOTH(test_many, many)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_throwaway_beside),
		cmocka_unit_test(test_throwaway_beside_in_user_namespace),
		cmocka_unit_test(test_throwaway_within),
		cmocka_unit_test(test_throwaway_within_in_user_namespace),
		cmocka_unit_test(test_throwaway_elsewhere),
		cmocka_unit_test(test_throwaway_elsewhere_in_user_namespace),
		cmocka_unit_test(test_upper_on_overlay),
		cmocka_unit_test(test_hiding_on_tmpfs),
		cmocka_unit_test(test_hiding_on_tmpfs_in_user_namespace),
		cmocka_unit_test(test_hiding_on_disk),
		cmocka_unit_test(test_hiding_on_disk_in_user_namespace),
		cmocka_unit_test(test_opaque_root),
		cmocka_unit_test(test_opaque_root_in_user_namespace),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_many_in_user_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
