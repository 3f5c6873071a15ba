/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths in a root, by the kernel's openat2 and by the walk that stands in for it. Both must agree with
 * one table; the second pass runs in a child whose system call filter takes openat2 away. The host's
 * files that a leak would reach are real ones (/etc/passwd), so an escape shows.
 */
#include "check.h"

#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

/*
 * root/a/b/file         regular
 * root/a/abs            -> /a/b
 * root/a/rel            -> b
 * root/up               -> ../../../../../../../../etc
 * root/etc/passwd       regular ("inside")
 * root/hostetc          -> /etc
 * root/dangling         -> /nowhere
 * root/dangling-out     -> /../../outside
 * root/loop1 <-> loop2
 * root/self             -> self
 * root/chain0 .. chain41   chainN -> chainN+1, chain41 -> a
 */
static struct scratch scratch;
static int root = -1;

static void put_file(int dirfd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int make_tree(void **state)
{
	(void)state;
	scratch_make(&scratch);
	assert_int_equal(mkdirat(scratch.fd, "root", 0755), 0);
	root = openat(scratch.fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	mkdirat(root, "a", 0755);
	mkdirat(root, "a/b", 0755);
	mkdirat(root, "etc", 0755);
	mkdirat(root, "proc", 0755);
	put_file(root, "a/b/file", "deep");
	put_file(root, "etc/passwd", "inside");
	put_file(scratch.fd, "outside-file", "outside");
	symlinkat("/a/b", root, "a/abs");
	symlinkat("b", root, "a/rel");
	symlinkat("../../../../../../../../etc", root, "up");
	symlinkat("/etc", root, "hostetc");
	symlinkat("/nowhere", root, "dangling");
	symlinkat("/../../outside", root, "dangling-out");
	symlinkat("loop2", root, "loop1");
	symlinkat("loop1", root, "loop2");
	symlinkat("self", root, "self");
	symlinkat("a/b/", root, "slashed");
	symlinkat("a/b/file/", root, "slashed-file");
	for (int i = 0; i < 42; i++) {
		char name[32], target[32];

		snprintf(name, sizeof(name), "chain%d", i);
		snprintf(target, sizeof(target), "chain%d", i + 1);
		symlinkat(i == 41 ? "a" : target, root, name);
	}
	return 0;
}

static int drop_tree(void **state)
{
	(void)state;
	close(root);
	scratch_drop(&scratch);
	return 0;
}

/* ---- one table for both ways ---- */

struct row {
	const char *path;
	int flags;
	int r;            /* 0 or -errno */
	const char *same; /* what it must be, below root; opened by plain means */
};

static const struct row rows[] = {
	{"a/b/file", O_RDONLY, 0, "a/b/file"},
	{"/a/b/file", O_RDONLY, 0, "a/b/file"},
	{"//a///b//file", O_RDONLY, 0, "a/b/file"},
	{"./a/./b/./file", O_RDONLY, 0, "a/b/file"},
	{"a/b/../b/file", O_RDONLY, 0, "a/b/file"},
	{"../../../../a/b/file", O_RDONLY, 0, "a/b/file"},
	{"/../../../../../../../../../etc/passwd", O_RDONLY, 0, "etc/passwd"},
	{"a/../../../../../../../../../etc/passwd", O_RDONLY, 0, "etc/passwd"},
	{"up/passwd", O_RDONLY, 0, "etc/passwd"},
	{"hostetc/passwd", O_RDONLY, 0, "etc/passwd"},
	{"a/abs/file", O_RDONLY, 0, "a/b/file"},
	{"a/abs/../../etc/passwd", O_RDONLY, 0, "etc/passwd"},
	{"a/rel/../../up/passwd", O_RDONLY, 0, "etc/passwd"},
	{"a/rel", O_RDONLY | O_DIRECTORY, 0, "a/b"},
	{"a/rel/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, "a/b"},
	{"slashed", O_RDONLY, 0, "a/b"},
	{"slashed", O_PATH | O_DIRECTORY, 0, "a/b"},
	{"/", O_RDONLY | O_DIRECTORY, 0, "."},
	{"..", O_PATH, 0, "."},
	{".", O_PATH | O_DIRECTORY, 0, "."},
	{"a/..", O_PATH | O_DIRECTORY, 0, "."},
	{"a/b/", O_PATH | O_DIRECTORY, 0, "a/b"},
	{"a/b/.", O_PATH | O_DIRECTORY, 0, "a/b"},
	{"a/rel", O_PATH | O_NOFOLLOW, 0, "a/rel"},
	{"chain3", O_PATH | O_DIRECTORY, 0, "a"}, /* 39 links */
	{"chain2", O_PATH | O_DIRECTORY, 0, "a"}, /* 40 links: as many as the kernel follows */
	{"chain1", O_PATH | O_DIRECTORY, -ELOOP, NULL},
	{"a/rel", O_RDONLY | O_NOFOLLOW, -ELOOP, NULL},
	{"loop1", O_RDONLY, -ELOOP, NULL},
	{"self/x", O_RDONLY, -ELOOP, NULL},
	{"dangling", O_RDONLY, -ENOENT, NULL},
	{"dangling-out", O_RDONLY, -ENOENT, NULL},
	{"", O_RDONLY, -ENOENT, NULL},
	{"nothing", O_RDONLY, -ENOENT, NULL},
	{"nothing/..", O_RDONLY, -ENOENT, NULL},
	{"a/b/file/", O_RDONLY, -ENOTDIR, NULL},
	{"a/b/file/.", O_RDONLY, -ENOTDIR, NULL},
	{"a/b/file/..", O_RDONLY, -ENOTDIR, NULL},
	{"a/b/file/x", O_RDONLY, -ENOTDIR, NULL},
	{"slashed-file", O_RDONLY, -ENOTDIR, NULL},
	{"a/b/file", O_RDONLY | O_DIRECTORY, -ENOTDIR, NULL},
	{"a/b/file", O_PATH | O_DIRECTORY, -ENOTDIR, NULL},
	{"a/b", O_WRONLY, -EISDIR, NULL},
	{"new/", O_WRONLY | O_CREAT, -EISDIR, NULL},
	{"..", O_WRONLY | O_CREAT, -EISDIR, NULL},
	{"a/b/file", O_WRONLY | O_CREAT | O_EXCL, -EEXIST, NULL},
	{"dangling", O_WRONLY | O_CREAT | O_EXCL, -EEXIST, NULL},
	{"a/rel", O_WRONLY | O_CREAT | O_EXCL, -EEXIST, NULL},
};

static bool is_same_file(int fd, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(root, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The number of the first row that is wrong, or 0. */
static int check_rows(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_close_ int fd = -EBADF;
		struct err e = ERR_INIT;

		fd = path_open_in_root(root, rows[i].path, rows[i].flags, 0644, &e);
		if ((fd < 0 ? fd : 0) == rows[i].r &&
		    (fd < 0 ||
		     (is_same_file(fd, rows[i].same) && fcntl(fd, F_GETFD) == FD_CLOEXEC)) &&
		    (fd >= 0 || (strstr(e.text, rows[i].path) && e.errnum == -fd)))
			continue;
		print_message("row %zu, '%s' flags 0x%x: %d (%s), expected %d\n", i + 1,
			      rows[i].path, (unsigned)rows[i].flags, fd, e.text, rows[i].r);
		return (int)i + 1;
	}
	return 0;
}

static int without_openat2(void *arg)
{
	int (*fn)(void *) = (int (*)(void *))(uintptr_t)arg;

	if (forbid_syscall(SYS_openat2, ENOSYS) < 0)
		return 250;
	if (syscall(SYS_openat2, -1, "", NULL, 0) != -1 || errno != ENOSYS)
		return 251; /* the filter does not work: the test would prove nothing */
	return fn(NULL);
}

static int with_eperm(void *arg)
{
	if (forbid_syscall(SYS_openat2, EPERM) < 0)
		return 250;
	return ((int (*)(void *))(uintptr_t)arg)(NULL);
}

static int with_eagain(void *arg)
{
	if (forbid_syscall(SYS_openat2, EAGAIN) < 0)
		return 250;
	return ((int (*)(void *))(uintptr_t)arg)(NULL);
}

/* Also says which of the ways failed. */
static void both_ways(int (*fn)(void *))
{
	void *arg = (void *)(uintptr_t)fn;

	assert_int_equal(in_child(fn, NULL), 0);
	assert_int_equal(in_child(without_openat2, arg), 0);
}

static void kernel_and_walk_agree(void **state)
{
	(void)state;
	both_ways(check_rows);
	assert_int_equal(in_child(with_eperm, (void *)(uintptr_t)check_rows), 0);
	/* A host so busy with renames that openat2 never gets through must not fail either. */
	assert_int_equal(in_child(with_eagain, (void *)(uintptr_t)check_rows), 0);
}

/* ---- creating by open ---- */

static int check_create(void *arg)
{
	_cleanup_close_ int fd = -EBADF, again = -EBADF;
	struct stat st;

	(void)arg;
	umask(027);
	fd = path_open_in_root(root, "hostetc/new", O_WRONLY | O_CREAT | O_EXCL, 0666, NULL);
	if (fd < 0 || !is_same_file(fd, "etc/new") || fstat(fd, &st) < 0)
		return 1;
	if ((st.st_mode & 07777) != 0640)
		return 2;
	/* O_CREAT through a dangling link makes the target, inside. */
	symlinkat("/etc/made", root, "to-be-made");
	again = path_open_in_root(root, "to-be-made", O_WRONLY | O_CREAT, 0600, NULL);
	if (again < 0 || !is_same_file(again, "etc/made"))
		return 3;
	unlinkat(root, "etc/new", 0);
	unlinkat(root, "etc/made", 0);
	unlinkat(root, "to-be-made", 0);
	return 0;
}

static void creating_stays_inside(void **state)
{
	(void)state;
	both_ways(check_create);
}

/* ---- magic links ---- */

static int check_magic(void *arg)
{
	_cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -EBADF,
			    ordinary = -EBADF;

	(void)arg;
	if (proc < 0)
		return 1;
	fd = path_open_in_root(proc, "self/root/etc/passwd", O_RDONLY, 0, NULL);
	if (fd != -ELOOP)
		return 2;
	fd = path_open_in_root(proc, "self/exe", O_RDONLY, 0, NULL);
	if (fd != -ELOOP)
		return 3;
	fd = path_open_in_root(proc, "self/ns/mnt", O_RDONLY, 0, NULL);
	if (fd != -ELOOP)
		return 4;
	fd = path_open_in_root(proc, "self/fd/0", O_RDONLY, 0, NULL);
	if (fd != -ELOOP)
		return 5;
	/* procfs's ordinary links are followed: self, and mounts -> self/mounts. */
	ordinary = path_open_in_root(proc, "mounts", O_RDONLY, 0, NULL);
	if (ordinary < 0)
		return 6;
	return 0;
}

static void magic_links_are_refused(void **state)
{
	(void)state;
	both_ways(check_magic);
}

/* ---- mkdirs, mkfile, parent ---- */

static int check_mkdirs(void *arg)
{
	_cleanup_close_ int fd = -EBADF, there = -EBADF;
	struct err e = ERR_INIT;
	struct stat st;

	(void)arg;
	umask(077);
	fd = path_mkdirs_in_root(root, "/hostetc/x/../y/./z/", 0751, &e);
	if (fd < 0 || !is_same_file(fd, "etc/y/z"))
		return 1;
	if (fstat(fd, &st) < 0 || (st.st_mode & 07777) != 0751)
		return 2;
	if ((fcntl(fd, F_GETFL) & O_PATH) == 0 || fcntl(fd, F_GETFD) != FD_CLOEXEC)
		return 3;
	there = path_mkdirs_in_root(root, "a/abs", 0700, &e); /* nothing to make */
	if (there < 0 || !is_same_file(there, "a/b"))
		return 4;
	if (path_mkdirs_in_root(root, "dangling", 0755, &e) != -ENOENT)
		return 5;
	if (path_mkdirs_in_root(root, "dangling/x", 0755, &e) != -ENOENT)
		return 6;
	if (path_mkdirs_in_root(root, "dangling-out/x", 0755, &e) != -ENOENT)
		return 7;
	if (faccessat(root, "nowhere", F_OK, 0) == 0 ||
	    faccessat(scratch.fd, "outside", F_OK, 0) == 0)
		return 8;
	if (path_mkdirs_in_root(root, "a/b/file/x", 0755, &e) != -ENOTDIR)
		return 9;
	if (path_mkdirs_in_root(root, "loop1/x", 0755, &e) != -ELOOP)
		return 10;
	unlinkat(root, "etc/x", AT_REMOVEDIR);
	unlinkat(root, "etc/y/z", AT_REMOVEDIR);
	unlinkat(root, "etc/y", AT_REMOVEDIR);
	return 0;
}

static void mkdirs_makes_what_is_missing(void **state)
{
	(void)state;
	both_ways(check_mkdirs);
}

static int check_mkfile(void *arg)
{
	_cleanup_close_ int fd = -EBADF, again = -EBADF, link = -EBADF;
	struct err e = ERR_INIT;
	struct stat st;

	(void)arg;
	umask(077);
	fd = path_mkfile_in_root(root, "hostetc/d/f", 0755, 0644, &e);
	if (fd < 0 || !is_same_file(fd, "etc/d/f") || fstat(fd, &st) < 0)
		return 1;
	if (!S_ISREG(st.st_mode) || (st.st_mode & 07777) != 0644 || st.st_size != 0)
		return 2;
	if ((fcntl(fd, F_GETFL) & O_PATH) == 0)
		return 3;
	again = path_mkfile_in_root(root, "etc/passwd", 0755, 0600, &e);
	if (again < 0 || fstat(again, &st) < 0 || st.st_size != 6)
		return 4; /* what is there stays as it is */
	link = path_mkfile_in_root(root, "hostetc/passwd", 0755, 0600, &e);
	if (link < 0 || !is_same_file(link, "etc/passwd"))
		return 5;
	if (path_mkfile_in_root(root, "a/b", 0755, 0644, &e) != -EISDIR)
		return 6;
	if (path_mkfile_in_root(root, "a/rel", 0755, 0644, &e) != -EISDIR)
		return 7;
	if (path_mkfile_in_root(root, "dangling", 0755, 0644, &e) != -ENOENT)
		return 8;
	if (path_mkfile_in_root(root, "x/", 0755, 0644, &e) != -EISDIR)
		return 9;
	if (path_mkfile_in_root(root, "x/..", 0755, 0644, &e) != -EINVAL)
		return 10;
	if (path_mkfile_in_root(root, "/", 0755, 0644, &e) != -EINVAL)
		return 11;
	if (path_mkfile_in_root(root, "", 0755, 0644, &e) != -EINVAL)
		return 12;
	if (faccessat(root, "x", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 13;
	unlinkat(root, "etc/d/f", 0);
	unlinkat(root, "etc/d", AT_REMOVEDIR);
	return 0;
}

static void mkfile_makes_a_mount_target(void **state)
{
	(void)state;
	both_ways(check_mkfile);
}

static int check_parent(void *arg)
{
	static const struct {
		const char *path, *parent, *name;
	} good[] = {
		{"a/b/c", "a/b", "c"},       {"/c", ".", "c"},      {"c", ".", "c"},
		{"hostetc/c//", "etc", "c"}, {"a/rel", "a", "rel"}, {"../c", ".", "c"},
		{"a/abs/../c", "a", "c"},
	};
	static const char *const bad[] = {"/", "", ".", "..", "a/.", "a/..", "//", "a/../"};
	char name[NAME_MAX + 1];

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_close_ int fd =
			path_open_parent_in_root(root, good[i].path, name, sizeof(name), NULL);

		if (fd < 0 || !is_same_file(fd, good[i].parent) || !STREQ(name, good[i].name))
			return (int)i + 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (path_open_parent_in_root(root, bad[i], name, sizeof(name), NULL) != -EINVAL)
			return 50 + (int)i;
	if (path_open_parent_in_root(root, "a/long", name, 4, NULL) != -ENAMETOOLONG)
		return 100;
	if (path_open_parent_in_root(root, "missing/x", name, sizeof(name), NULL) != -ENOENT)
		return 101;
	return 0;
}

static void parent_and_name(void **state)
{
	(void)state;
	both_ways(check_parent);
}

/* ---- nodes and symlinks ---- */

static void nodes_have_their_exact_mode(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/x", "/x"};
	struct err e = ERR_INIT;
	mode_t before = umask(0777);
	struct stat st;

	(void)state;
	assert_ok(path_mknod_at(root, "fifo", S_IFIFO | 0666, 0, &e), &e);
	assert_ok(path_mknod_at(root, "null", S_IFCHR | 0640, makedev(1, 3), &e), &e);
	umask(before);
	assert_int_equal(fstatat(root, "fifo", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFIFO | 0666);
	assert_int_equal(fstatat(root, "null", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFCHR | 0640);
	assert_int_equal(st.st_rdev, makedev(1, 3));
	assert_int_equal(path_mknod_at(root, "fifo", S_IFIFO | 0666, 0, &e), -EEXIST);
	assert_int_equal(path_mknod_at(root, "dangling", S_IFIFO | 0666, 0, &e), -EEXIST);
	assert_ok(path_symlink_at(root, "/proc/self/fd", "fd", &e), &e);
	assert_int_equal(path_symlink_at(root, "x", "fd", &e), -EEXIST);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(path_mknod_at(root, bad[i], S_IFIFO, 0, &e), -EINVAL);
		assert_int_equal(path_symlink_at(root, "x", bad[i], &e), -EINVAL);
	}
	unlinkat(root, "fifo", 0);
	unlinkat(root, "null", 0);
	unlinkat(root, "fd", 0);
}

/* ---- deep and long ---- */

static int check_deep(void *arg)
{
	_cleanup_close_ int fd = -EBADF, up = -EBADF;
	char path[PATH_MAX + 16] = "";

	(void)arg;
	for (int i = 0; i < 300; i++)
		strcat(path, "dddddd/");
	fd = path_mkdirs_in_root(root, path, 0755, NULL);
	if (fd < 0)
		return 1;
	for (int i = 0; i < 300; i++)
		strcat(path, "../");
	strcat(path, "a/b/file");
	up = path_open_in_root(root, path, O_RDONLY, 0, NULL);
	if (up < 0 || !is_same_file(up, "a/b/file"))
		return 2;
	memset(path, 'x', PATH_MAX);
	path[PATH_MAX] = '\0';
	if (path_open_in_root(root, path, O_RDONLY, 0, NULL) != -ENAMETOOLONG)
		return 3;
	path[300] = '\0';
	if (path_open_in_root(root, path, O_RDONLY, 0, NULL) != -ENAMETOOLONG)
		return 4;
	if (path_mkdirs_in_root(root, path, 0755, NULL) != -ENAMETOOLONG)
		return 5;
	return path_remove_tree_at(root, "dddddd", NULL) == 0 ? 0 : 6;
}

static void deep_paths_and_long_names(void **state)
{
	(void)state;
	both_ways(check_deep);
}

/* ---- text ---- */

static void normalize_is_lexical(void **state)
{
	static const struct {
		const char *path, *want;
	} texts[] = {
		{"", "."},
		{".", "."},
		{"/", "/"},
		{"//", "/"},
		{"a/..", "."},
		{"/..", "/"},
		{"/../..", "/"},
		{"/a/../..", "/"},
		{"a//b/./c/", "a/b/c"},
		{"/a//b/./c/", "/a/b/c"},
		{"..", ".."},
		{"../a", "../a"},
		{"a/../../b", "../b"},
		{"../../x/..", "../.."},
		{"a/b/../../c", "c"},
		{"/a/b/../../c", "/c"},
		{"...", "..."},
		{"a/.../b", "a/.../b"},
		{"..a/..", "."},
		{"../..a/..", ".."},
		{"a/../", "."},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ char *got = NULL;

		assert_int_equal(path_normalize(texts[i].path, &got), 0);
		assert_string_equal(got, texts[i].want);
	}
}

static void names_of_descriptors(void **state)
{
	char buf[PATH_FD_MAX];

	(void)state;
	assert_string_equal(path_of_fd(INT_MAX, buf), "/proc/self/fd/2147483647");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_and_walk_agree),
		cmocka_unit_test(creating_stays_inside),
		cmocka_unit_test(magic_links_are_refused),
		cmocka_unit_test(mkdirs_makes_what_is_missing),
		cmocka_unit_test(mkfile_makes_a_mount_target),
		cmocka_unit_test(parent_and_name),
		cmocka_unit_test(nodes_have_their_exact_mode),
		cmocka_unit_test(deep_paths_and_long_names),
		cmocka_unit_test(normalize_is_lexical),
		cmocka_unit_test(names_of_descriptors),
	};

	return cmocka_run_group_tests(tests, make_tree, drop_tree);
}
