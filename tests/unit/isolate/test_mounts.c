/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configured mounts: what a user sees of them inside.
 */
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "mounts.h"

static void standard(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;
	struct stat st;

	fixture_root(&f);
	add_standard(&f);
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(fs_type(f.in.root_fd, "proc") == PROC_SUPER_MAGIC);
	CHECK(fs_type(f.in.root_fd, "sys") == SYSFS_MAGIC);
	CHECK(fs_type(f.in.root_fd, "dev") == TMPFS_MAGIC);
	CHECK(fs_type(f.in.root_fd, "dev/pts") == DEVPTS_SUPER_MAGIC);
	CHECK(flags_at(f.in.root_fd, "sys") & ST_RDONLY);
	CHECK((flags_at(f.in.root_fd, "dev/shm") & (ST_NOSUID | ST_NODEV | ST_NOEXEC)) ==
	      (ST_NOSUID | ST_NODEV | ST_NOEXEC));
	/* strictatime is neither of the other two */
	CHECK(!(flags_at(f.in.root_fd, "dev") & (ST_NOATIME | ST_RELATIME)));
	CHECK(fstatat(f.in.root_fd, "dev/shm", &st, 0) == 0 && (st.st_mode & 07777) == 01777);
	CHECK(fstatat(f.in.root_fd, "dev/pts/ptmx", &st, 0) == 0 && (st.st_mode & 0777) == 0666);
	/* outside, the directory of the root is as it was, but for the mount points */
	CHECK(fs_type(AT_FDCWD, scratch) == TMPFS_MAGIC);
}

static void test_standard(void **state)
{
	(void)state;
	run_private(standard, CLONE_NEWIPC);
}

static void bind(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;

	CHECK(mkdir("src", 0755) == 0 && mkdir("src/sub", 0755) == 0);
	CHECK(mount("sub", "src/sub", "tmpfs", 0, NULL) == 0);
	write_file("src/file", "1");
	write_file("src/sub/file", "2");
	fixture_root(&f);
	add_mount(&f, "/a", NULL, in_scratch("src"), "bind ro");
	add_mount(&f, "/b", "bind", in_scratch("src"), "rbind ro nosuid");
	add_mount(&f, "/c", "none", in_scratch("src"), "rbind rro");
	add_mount(&f, "/new/dir/file", "none", in_scratch("src/file"), "bind");
	add_mount(&f, "/d", "bind", in_scratch("src"), "rbind noatime");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(file_is(f.in.root_fd, "a/file", "1"));
	CHECK(flags_at(f.in.root_fd, "a") & ST_RDONLY);
	CHECK(faccessat(f.in.root_fd, "a/sub/file", F_OK, 0) < 0); /* bind is not recursive */
	CHECK(file_is(f.in.root_fd, "b/sub/file", "2"));
	CHECK((flags_at(f.in.root_fd, "b") & (ST_RDONLY | ST_NOSUID)) == (ST_RDONLY | ST_NOSUID));
	CHECK(!(flags_at(f.in.root_fd, "b/sub") & (ST_RDONLY | ST_NOSUID)));
	CHECK(flags_at(f.in.root_fd, "c") & ST_RDONLY);
	CHECK(flags_at(f.in.root_fd, "c/sub") & ST_RDONLY);
	CHECK(file_is(f.in.root_fd, "new/dir/file", "1"));
	CHECK(flags_at(f.in.root_fd, "d") & ST_NOATIME);
	CHECK(!(flags_at(f.in.root_fd, "d") & ST_RELATIME));
	CHECK(!(flags_at(AT_FDCWD, "src") & (ST_RDONLY | ST_NOATIME)));
}

static void test_bind(void **state)
{
	(void)state;
	run_private(bind, 0);
}

/* Attributes of a source are kept but for what the options name. */
static void keeps(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;

	CHECK(mkdir("src", 0755) == 0);
	CHECK(mount("src", "src", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOATIME, NULL) == 0);
	fixture_root(&f);
	add_mount(&f, "/a", NULL, in_scratch("src"), "bind ro");
	add_mount(&f, "/b", NULL, in_scratch("src"), "bind dev atime");
	add_mount(&f, "/b", NULL, NULL, "remount bind noexec");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK((flags_at(f.in.root_fd, "a") & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOATIME)) ==
	      (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOATIME));
	CHECK((flags_at(f.in.root_fd, "b") & (ST_NOSUID | ST_NODEV | ST_NOATIME | ST_RELATIME)) ==
	      (ST_NOSUID | ST_RELATIME));
	CHECK(flags_at(f.in.root_fd, "b") & ST_NOEXEC);
}

static void test_bind_keeps_attributes(void **state)
{
	(void)state;
	run_private(keeps, 0);
}

/* A source that the runtime opened, before our namespace was made or as a detached tree. */
static int path_fd, tree_fd;

static void opened_in_namespace(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;

	CHECK(unshare(CLONE_NEWNS) == 0);
	fixture_root(&f);
	add_mount(&f, "/a", NULL, "/nonexistent", "bind ro")->source_fd = path_fd;
	add_mount(&f, "/b", NULL, "/nonexistent", "bind ro")->source_fd = tree_fd;
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(file_is(f.in.root_fd, "a/file", "1"));
	CHECK(file_is(f.in.root_fd, "b/file", "2"));
	CHECK(flags_at(f.in.root_fd, "b") & ST_RDONLY);
	/* borrowed: still the configuration's */
	CHECK(fcntl(path_fd, F_GETFD) >= 0 && fcntl(tree_fd, F_GETFD) >= 0);
}

static void opened(void)
{
	CHECK(mkdir("src", 0755) == 0 && mkdir("src/sub", 0755) == 0);
	write_file("src/file", "1");
	write_file("src/sub/file", "2");
	path_fd = open("src", O_PATH | O_CLOEXEC);
	tree_fd = open_tree(AT_FDCWD, "src/sub", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	CHECK(path_fd >= 0 && tree_fd >= 0);
	in_child(opened_in_namespace);
}

static void test_opened_source(void **state)
{
	(void)state;
	run_private(opened, 0);
}

/* Kernels before 6.15 copy no detached tree (EINVAL): then the tree itself is taken. A mount of our own
 * that cannot be copied must stay where it is. */
static void refuse_open_tree(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open_tree, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {ARRAY_SIZE(filter), filter};

	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void old_kernel(void)
{
	struct err err_ = ERR_INIT;
	struct err e = ERR_INIT;
	struct fixture f;
	int own_fd, detached_fd;

	CHECK(mkdir("src", 0755) == 0 && mkdir("own", 0755) == 0);
	write_file("src/file", "1");
	CHECK(mount("own", "own", "tmpfs", 0, NULL) == 0);
	own_fd = open("own", O_PATH | O_CLOEXEC);
	detached_fd = open_tree(AT_FDCWD, "src", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	CHECK(own_fd >= 0 && detached_fd >= 0);
	fixture_root(&f);
	refuse_open_tree();
	add_mount(&f, "/a", NULL, "/nonexistent", "bind ro")->source_fd = detached_fd;
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(file_is(f.in.root_fd, "a/file", "1") && (flags_at(f.in.root_fd, "a") & ST_RDONLY));
	f.config.n_mounts = 0;
	add_mount(&f, "/b", NULL, "/nonexistent", "bind")->source_fd = own_fd;
	CHECK(inside_mounts(&f.in, &e) == -EINVAL);
	CHECK(strstr(read_mountinfo(), "/own "));
}

static void test_tree_on_an_old_kernel(void **state)
{
	(void)state;
	run_private(old_kernel, 0);
}

struct refusal {
	const char *destination, *type, *source, *options;
	int errnum;
	const char *text, *hint;
};

static void refusals(void)
{
	static const struct refusal table[] = {
		{"relative", "tmpfs", "tmpfs", "", EINVAL, "mount 'tmpfs' on 'relative'", ""},
		{"/", "tmpfs", "tmpfs", "", ENOTSUP, "root of the container", ""},
		{"/a/..//./", "tmpfs", "tmpfs", "", ENOTSUP, "root of the container", ""},
		{"/...", "tmpfs", "tmpfs", "x=1", EINVAL, "Unknown parameter 'x'", ""},
		{"/x", "tmpfs", "tmpfs", "nonsense=1", EINVAL, "Unknown parameter 'nonsense'", ""},
		{"/x", "tmpfs", "tmpfs", "size=abc", EINVAL, "size", ""},
		{"/x", "nosuchfs", "x", "", ENODEV, "no file system 'nosuchfs'", ""},
		{"/x", NULL, NULL, "", EINVAL, "file system type", ""},
		{"/x", "bind", "/nonexistent", "bind", ENOENT, "mount '/nonexistent' on '/x'", ""},
		{"/x", "bind", "relative", "bind", EINVAL, "absolute", ""},
		{"/x", "bind", "/etc", "bind size=1", EINVAL, "'size=1' is no option of a bind",
		 ""},
		{"/x", "bind", "/etc", "bind idmap", ENOTSUP, "idmap", ""},
		{"/x", "tmpfs", "tmpfs", "idmap", ENOTSUP, "idmap", ""},
		{"/x", "proc", "proc", "tmpcopyup", EINVAL, "tmpcopyup", ""},
		{"/file", "bind", "/etc", "bind", ENOTDIR, "mount '/etc' on '/file'", "file"},
		{"/dir", "bind", "/etc/passwd", "bind", ENOTDIR, "mount '/etc/passwd' on '/dir'",
		 "directory"},
		{"/dir", NULL, NULL, "remount ro", EINVAL, "", "mount point"},
		{"/loop", "tmpfs", "tmpfs", "", ELOOP, "", ""},
	};
	struct fixture f;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/dir", 0755) == 0);
	write_file("root/file", "");
	CHECK(symlink("loop", "root/loop") == 0);
	fixture_root(&f);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct refusal *x = &table[i];
		struct err e = ERR_INIT;
		int r;

		f.config.n_mounts = 0;
		add_mount(&f, x->destination, x->type, x->source, x->options);
		r = inside_mounts(&f.in, &e);
		if (r != -x->errnum && !(x->errnum == ENOTDIR && r < 0)) {
			fprintf(stderr, "row %zu: %d: %s\n", i, r, e.text);
			_exit(1);
		}
		CHECK(e.kind != ERR_NONE);
		CHECK_TEXT(e.text, x->text);
		CHECK_TEXT(e.hint, x->hint);
	}
}

static void test_refusals(void **state)
{
	(void)state;
	run_private(refusals, 0);
}

static void copy_symlink(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;
	char text[64] = "";

	CHECK(symlink("/somewhere/else", "link") == 0);
	write_file("plain", "plain");
	fixture_root(&f);
	add_mount(&f, "/etc/link", NULL, in_scratch("link"), "bind copy-symlink");
	add_mount(&f, "/etc/plain", NULL, in_scratch("plain"), "bind copy-symlink");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(readlinkat(f.in.root_fd, "etc/link", text, sizeof(text)) > 0);
	CHECK(STREQ(text, "/somewhere/else"));
	CHECK(file_is(f.in.root_fd, "etc/plain", "plain"));
	CHECK_OK(inside_mounts(&f.in, &err_)); /* an equal link is fine */
}

static void test_copy_symlink(void **state)
{
	(void)state;
	run_private(copy_symlink, 0);
}

static void copyup(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;
	struct stat st;
	char value[16] = "";

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/d", 0) == 0);
	CHECK(chmod("root/d", 01775) == 0 && chown("root/d", 3, 4) == 0);
	CHECK(mkdir("root/d/sub", 0755) == 0 && chmod("root/d/sub", 02750) == 0);
	write_file("root/d/sub/file", "content");
	CHECK(chown("root/d/sub/file", 1000, 1001) == 0);
	CHECK(chmod("root/d/sub/file", 04751) == 0);
	CHECK(setxattr("root/d/sub/file", "trusted.t", "v", 1, 0) == 0);
	CHECK(symlink("/etc/passwd", "root/d/link") == 0);
	CHECK(lchown("root/d/link", 12, 13) == 0);
	CHECK(mkfifo("root/d/fifo", 0640) == 0);
	CHECK(mknod("root/d/null", S_IFCHR | 0600, makedev(1, 3)) == 0);
	CHECK(mkdir("root/d/mounted", 0755) == 0);
	CHECK(mount("m", "root/d/mounted", "tmpfs", 0, NULL) == 0);
	write_file("root/d/mounted/file", "not the image's");
	fixture_root(&f);
	add_mount(&f, "/d", "tmpfs", "tmpfs", "tmpcopyup ro nodev nosuid size=1m");
	add_mount(&f, "/e", "tmpfs", "tmpfs", "tmpcopyup mode=700");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(fs_type(f.in.root_fd, "d") == TMPFS_MAGIC &&
	      (flags_at(f.in.root_fd, "d") & ST_RDONLY));
	CHECK(fstatat(f.in.root_fd, "d", &st, 0) == 0 && (st.st_mode & 07777) == 01775);
	CHECK(st.st_uid == 3 && st.st_gid == 4);
	CHECK(file_is(f.in.root_fd, "d/sub/file", "content"));
	CHECK(fstatat(f.in.root_fd, "d/sub/file", &st, 0) == 0);
	CHECK((st.st_mode & 07777) == 04751 && st.st_uid == 1000 && st.st_gid == 1001);
	CHECK(fstatat(f.in.root_fd, "d/sub", &st, 0) == 0 && (st.st_mode & 07777) == 02750);
	CHECK(fchdir(f.in.root_fd) == 0);
	CHECK(getxattr("d/sub/file", "trusted.t", value, sizeof(value)) == 1 && value[0] == 'v');
	CHECK(readlink("d/link", value, sizeof(value)) == 11);
	CHECK(lstat("d/link", &st) == 0 && st.st_uid == 12 && st.st_gid == 13);
	CHECK(lstat("d/fifo", &st) == 0 && S_ISFIFO(st.st_mode) && (st.st_mode & 0777) == 0640);
	CHECK(lstat("d/null", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
	CHECK(access("d/mounted", F_OK) == 0 && access("d/mounted/file", F_OK) < 0);
}

static void test_tmpcopyup(void **state)
{
	(void)state;
	run_private(copyup, 0);
}

/* A volume is filled once: what is in it stays, and it has the mode of what it covers. */
static void fill(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;
	struct stat st;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/d", 0) == 0 && mkdir("root/e", 0755) == 0);
	CHECK(chmod("root/d", 02770) == 0 && chown("root/d", 3, 4) == 0);
	write_file("root/d/file", "content");
	write_file("root/e/file", "the image's");
	CHECK(mkdir("empty", 0755) == 0 && mkdir("used", 0755) == 0 && mkdir("new", 0755) == 0);
	write_file("used/own", "mine");
	fixture_root(&f);
	add_mount(&f, "/d", "bind", in_scratch("empty"), "rbind fill ro");
	add_mount(&f, "/e", "bind", in_scratch("used"), "rbind fill");
	add_mount(&f, "/missing", "bind", in_scratch("new"), "rbind fill");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(file_is(f.in.root_fd, "d/file", "content"));
	CHECK(fstatat(f.in.root_fd, "d", &st, 0) == 0 && (st.st_mode & 07777) == 02770);
	CHECK(st.st_uid == 3 && st.st_gid == 4);
	CHECK(flags_at(f.in.root_fd, "d") & ST_RDONLY);
	CHECK(file_is(f.in.root_fd, "e/own", "mine"));
	CHECK(faccessat(f.in.root_fd, "e/file", F_OK, 0) < 0);
	CHECK(faccessat(f.in.root_fd, "missing", F_OK, 0) == 0);
}

static void test_fill(void **state)
{
	(void)state;
	run_private(fill, 0);
}

static void copyup_full(void)
{
	static char big[256 << 10];
	struct err e = ERR_INIT;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/d", 0755) == 0);
	memset(big, 'x', sizeof(big) - 1);
	write_file("root/d/big", big);
	CHECK(one_mount("/d", "tmpfs", "tmpfs", "tmpcopyup size=64k", &e) == -ENOSPC);
	CHECK_TEXT(e.text, "mount 'tmpfs' on '/d'");
	CHECK_TEXT(e.text, "'big'");
}

static void test_tmpcopyup_too_big(void **state)
{
	(void)state;
	run_private(copyup_full, 0);
}

/* A tmpfs on an existing directory has its mode, unless one is given. */
static void tmpfs_mode(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;
	struct stat st;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/secret", 0700) == 0);
	fixture_root(&f);
	add_mount(&f, "/secret", "tmpfs", "tmpfs", "size=64k");
	add_mount(&f, "/fresh", "tmpfs", "tmpfs", "");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(fstatat(f.in.root_fd, "secret", &st, 0) == 0 && (st.st_mode & 07777) == 0700);
	CHECK(fstatat(f.in.root_fd, "fresh", &st, 0) == 0 && (st.st_mode & 07777) == 01777);
}

static void test_tmpfs_mode(void **state)
{
	(void)state;
	run_private(tmpfs_mode, 0);
}

/* Engines give overlayfs paths that fsconfig(2) does not take. */
static void long_option(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;
	char name[200], option[512];
	char *options;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CHECK(mkdir(name, 0755) == 0);
	CHECK(chdir(name) == 0 && mkdir(name, 0755) == 0 && chdir(name) == 0);
	write_file("file", "lower");
	CHECK(mkdir(in_scratch("u"), 0755) == 0 && mkdir(in_scratch("w"), 0755) == 0);
	fixture_root(&f);
	snprintf(option, sizeof(option), "%s/%s/%s", scratch, name, name);
	CHECK(str_printf(&options, "ro nosuid lowerdir=%s upperdir=%s workdir=%s", option,
			 in_scratch("u"), in_scratch("w")) == 0);
	add_mount(&f, "/o", "overlay", "overlay", options);
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK(file_is(f.in.root_fd, "o/file", "lower"));
	CHECK((flags_at(f.in.root_fd, "o") & (ST_RDONLY | ST_NOSUID)) == (ST_RDONLY | ST_NOSUID));
}

static void test_long_option(void **state)
{
	(void)state;
	run_private(long_option, 0);
}

/* The path of every start: no figure is asserted on a shared machine, but it is shown. */
static void speed(void)
{
	struct timespec a, b;
	double best = 1e9;

	for (int i = 0; i < 50; i++) {
		struct err err_ = ERR_INIT;
		struct fixture f;
		double ms;

		CHECK(mkdir("root", 0755) == 0 || errno == EEXIST);
		fixture_init(&f, in_scratch("root"));
		add_standard(&f);
		clock_gettime(CLOCK_MONOTONIC, &a);
		CHECK_OK(iso_rootfs_mount(&f.config.rootfs, &f.in.root_fd, NULL, &err_));
		CHECK_OK(inside_mounts(&f.in, &err_));
		CHECK_OK(inside_devices(&f.in, &err_));
		clock_gettime(CLOCK_MONOTONIC, &b);
		ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
		best = ms < best ? ms : best;
		CHECK(umount2("root", MNT_DETACH) == 0);
	}
	fprintf(stderr, "# root, standard mounts and devices: best of 50 %.3f ms\n", best);
}

static void test_speed(void **state)
{
	(void)state;
	run_private(speed, CLONE_NEWIPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standard),
		cmocka_unit_test(test_bind),
		cmocka_unit_test(test_bind_keeps_attributes),
		cmocka_unit_test(test_opened_source),
		cmocka_unit_test(test_tree_on_an_old_kernel),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_copy_symlink),
		cmocka_unit_test(test_tmpcopyup),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_tmpcopyup_too_big),
		cmocka_unit_test(test_tmpfs_mode),
		cmocka_unit_test(test_long_option),
		cmocka_unit_test(test_speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
