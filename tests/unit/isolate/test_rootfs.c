/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system: both kinds, what of it the host may notice (nothing), and entering it.
 */
#include <dirent.h>
#include <sys/statfs.h>

#include <linux/magic.h>

#include "../../../isolate/mountinfo.h"
#include "base/path.h"
#include "base/str.h"
#include "isolate/rootfs.h"
#include "private_ns.h"

static int open_rootfs(enum iso_rootfs_kind kind, const char *path, char ***ret_readonly)
{
	struct iso_rootfs r = {.kind = kind, .path = (char *)path, .fd = -1};
	struct err err_ = ERR_INIT;
	int fd;

	r.throwaway_bytes = 64 << 20;
	CHECK_OK(iso_rootfs_mount(&r, &fd, ret_readonly, &err_));
	return fd;
}

static size_t count_entries(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	size_t n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void write_at(int dirfd, const char *path, const char *text)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void directory(void)
{
	struct statx stx;
	char path[96];
	int fd;

	CHECK(mkdir("root", 0755) == 0);
	CHECK(mkdir("root/sub", 0755) == 0);
	CHECK(mount("sub", "root/sub", "tmpfs", 0, NULL) == 0);
	write_file("root/sub/file", "inner");
	snprintf(path, sizeof(path), "%s/root", scratch);
	fd = open_rootfs(ISO_ROOTFS_DIRECTORY, path, NULL);
	CHECK(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) == 0);
	CHECK(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
	CHECK(file_is(fd, "sub/file", "inner")); /* mounts below come along */
	write_at(fd, "new", "kept");             /* and it is the directory itself */
	CHECK(file_is(AT_FDCWD, "root/new", "kept"));
}

static void test_directory(void **state)
{
	(void)state;
	run_private(directory, 0);
}

static void bad_path(void)
{
	struct iso_rootfs r = {.kind = ISO_ROOTFS_DIRECTORY, .path = "/nonexistent/x", .fd = -1};
	struct err e = ERR_INIT;
	int fd = -7;

	CHECK(iso_rootfs_mount(&r, &fd, NULL, &e) == -ENOENT);
	CHECK_TEXT(e.text, "root file system '/nonexistent/x'");
	r.path = "relative";
	CHECK(iso_rootfs_mount(&r, &fd, NULL, &e) == -EINVAL);
	r.path = "/etc/passwd";
	CHECK(iso_rootfs_mount(&r, &fd, NULL, &e) == -ENOTDIR);
	CHECK(fd == -7);
	/* the opened directory was exchanged meanwhile */
	CHECK(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
	r.fd = open("a", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) == 0);
	CHECK(str_printf(&r.path, "%s/a", scratch) == 0);
	CHECK(iso_rootfs_mount(&r, &fd, NULL, &e) == -ESTALE);
}

static void test_bad_path(void **state)
{
	(void)state;
	run_private(bad_path, 0);
}

/* A host of our own: everything shared, a container in a namespace copied from it. */
static void in_container_of_shared_host(void (*fn)(void))
{
	char *before, *after;
	int status;
	pid_t pid;

	CHECK(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) == 0);
	before = read_mountinfo();
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHECK(unshare(CLONE_NEWNS) == 0);
		fn();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(status == 0);
	after = read_mountinfo();
	CHECK(strcmp(before, after) == 0);
}

static uint64_t wanted_propagation;

static void build_and_pivot(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;

	char path[96];

	snprintf(path, sizeof(path), "%s/root", scratch);
	CHECK(mkdir(path, 0755) == 0 || errno == EEXIST);
	fixture_init(&f, path);
	f.config.rootfs.propagation = wanted_propagation;
	CHECK_OK(iso_rootfs_mount(&f.config.rootfs, &f.in.root_fd, NULL, &err_));
	add_mount(&f, "/proc", "proc", "proc", "");
	add_mount(&f, "/dev", "tmpfs", "tmpfs", "mode=755");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK_OK(inside_devices(&f.in, &err_));
	CHECK_OK(inside_masks(&f.in, &err_));
	CHECK_OK(inside_pivot(&f.in, &err_));
	CHECK(access("/dev/null", F_OK) == 0);
	CHECK(access("/etc", F_OK) < 0);
}

static void no_leak(void)
{
	static const uint64_t all[] = {
		0,         MS_SLAVE | MS_REC,  MS_PRIVATE | MS_REC, MS_PRIVATE,
		MS_SHARED, MS_SHARED | MS_REC, MS_UNBINDABLE,
	};

	CHECK(mkdir("root", 0755) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		wanted_propagation = all[i];
		in_container_of_shared_host(build_and_pivot);
	}
}

static void test_nothing_reaches_the_host(void **state)
{
	(void)state;
	run_private(no_leak, 0);
}

static void check_tag(const char *tag, bool want)
{
	char *info = read_mountinfo(), *line = strstr(info, " / rw,");

	CHECK(line);
	*strchrnul(line, '\n') = '\0';
	CHECK((strstr(line, tag) != NULL) == want);
	free(info);
}

static void check_shared(void)
{
	build_and_pivot();
	check_tag(" shared:", wanted_propagation == MS_SHARED);
	check_tag(" unbindable", wanted_propagation == MS_UNBINDABLE);
}

static void propagation(void)
{
	wanted_propagation = MS_SHARED;
	in_container_of_shared_host(check_shared);
	wanted_propagation = MS_UNBINDABLE;
	in_container_of_shared_host(check_shared);
	wanted_propagation = MS_PRIVATE;
	in_container_of_shared_host(check_shared);
}

static void test_root_propagation(void **state)
{
	(void)state;
	run_private(propagation, 0);
}

/* The host's own "/". */
static void throwaway_host(void)
{
	char path[128];
	struct stat st, inner;
	char **readonly = NULL;
	int fd;

	CHECK(mkdir("mounted", 0755) == 0);
	CHECK(mount("mounted", "mounted", "tmpfs", MS_NOSUID | MS_NODEV, "mode=700") == 0);
	write_file("mounted/file", "host");
	write_file("single", "one");
	write_file("over", "host's");
	CHECK(mount("single", "over", NULL, MS_BIND, NULL) == 0);

	fd = open_rootfs(ISO_ROOTFS_THROWAWAY, "/", &readonly);
	/* the root's own mount */
	CHECK(file_is(fd, "etc/hostname", "x") || faccessat(fd, "etc/passwd", F_OK, 0) == 0);
	CHECK(stat("/", &st) == 0 && fstat(fd, &inner) == 0);
	CHECK(st.st_mode == inner.st_mode && st.st_uid == inner.st_uid);
	snprintf(path, sizeof(path), "etc/insula-test-%d", getpid());
	write_at(fd, path, "thrown away");
	CHECK(file_is(fd, path, "thrown away"));
	snprintf(path, sizeof(path), "/etc/insula-test-%d", getpid());
	CHECK(access(path, F_OK) < 0);
	/* a mount below it */
	snprintf(path, sizeof(path), "%s/mounted/file", scratch + 1);
	CHECK(file_is(fd, path, "host"));
	CHECK((flags_at(fd, path) & (ST_NOSUID | ST_NODEV)) == (ST_NOSUID | ST_NODEV));
	write_at(fd, path, "changed");
	CHECK(file_is(fd, path, "changed"));
	CHECK(file_is(AT_FDCWD, "mounted/file", "host"));
	/* a mounted file: read-only and named */
	snprintf(path, sizeof(path), "%s/over", scratch + 1);
	CHECK(file_is(fd, path, "one"));
	CHECK(openat(fd, path, O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
	snprintf(path, sizeof(path), "%s/over", scratch);
	CHECK(readonly && STREQ(readonly[0], path));
	/* left out */
	CHECK(count_entries(fd, "proc") == 0);
	CHECK(count_entries(fd, "sys") == 0);
	CHECK(count_entries(fd, "dev") == 0);
	CHECK(count_entries(fd, "run") == 0);
	/* the private tmpfs is on no path */
	CHECK(!strstr(read_mountinfo(), " - tmpfs throwaway "));
}

static void test_throwaway_of_host(void **state)
{
	(void)state;
	run_private(throwaway_host, 0);
}

static void throwaway_enter(void)
{
	struct err err_ = ERR_INIT;
	struct fixture f;

	write_file("file", "host");
	fixture_init(&f, "/");
	f.config.rootfs.kind = ISO_ROOTFS_THROWAWAY;
	CHECK_OK(iso_rootfs_mount(&f.config.rootfs, &f.in.root_fd, NULL, &err_));
	add_mount(&f, "/proc", "proc", "proc", "");
	add_mount(&f, "/dev", "tmpfs", "tmpfs", "mode=755");
	add_mount(&f, "/run", "tmpfs", "tmpfs", "");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK_OK(inside_devices(&f.in, &err_));
	CHECK_OK(inside_pivot(&f.in, &err_));
	CHECK(chdir(scratch) == 0);
	CHECK(file_is(AT_FDCWD, "file", "host"));
	CHECK(!strstr(read_mountinfo(), " / / rw,relatime - ext4"));
	CHECK(!strstr(read_mountinfo(), "cgroup"));
}

static void test_throwaway_enter(void **state)
{
	(void)state;
	run_private(throwaway_enter, 0);
}

/* Whatever is covered on the host is covered inside; a directory that is no mount; attributes. */
static void throwaway_directory(void)
{
	char path[128];
	char **readonly = NULL;
	struct stat st;
	int fd;

	CHECK(mkdir("root", 0751) == 0 && chown("root", 7, 8) == 0);
	CHECK(mkdir("root/a", 0755) == 0 && mkdir("root/ro", 0755) == 0 &&
	      mkdir("root/run", 0755) == 0);
	write_file("root/run/socket", "secret");
	CHECK(mkdir("root/a/b", 0755) == 0);
	CHECK(mount("below", "root/a/b", "tmpfs", MS_NOEXEC, NULL) == 0);
	write_file("root/a/b/covered", "no");
	CHECK(mount("above", "root/a", "tmpfs", 0, NULL) == 0);
	write_file("root/a/file", "visible");
	CHECK(mkdir("root/a/b", 0755) == 0); /* of that name, and no mount */
	CHECK(mount("ro", "root/ro", "tmpfs", MS_RDONLY | MS_NOEXEC | MS_NOATIME, NULL) == 0);
	snprintf(path, sizeof(path), "%s/root", scratch);

	fd = open_rootfs(ISO_ROOTFS_THROWAWAY, path, &readonly);
	CHECK(!readonly);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0751 && st.st_uid == 7 &&
	      st.st_gid == 8);
	CHECK(file_is(fd, "a/file", "visible"));
	CHECK(faccessat(fd, "a/b/covered", F_OK, 0) < 0);
	CHECK(!(flags_at(fd, "a/b") & ST_NOEXEC));
	CHECK(count_entries(fd, "run") == 0);
	CHECK((flags_at(fd, "ro") & (ST_RDONLY | ST_NOEXEC | ST_NOATIME)) ==
	      (ST_RDONLY | ST_NOEXEC | ST_NOATIME));
	/* whole directories of the lower layer can be removed and made again, empty */
	write_at(fd, "a/new", "x");
	CHECK(unlinkat(fd, "a/file", 0) == 0);
	CHECK(faccessat(fd, "a/file", F_OK, 0) < 0);
	CHECK(umount2("root", MNT_DETACH) == 0); /* ours, which sits on the directory */
	CHECK(file_is(AT_FDCWD, "root/a/file", "visible"));
	CHECK(access("root/a/new", F_OK) < 0);
}

static void test_throwaway_of_directory(void **state)
{
	(void)state;
	run_private(throwaway_directory, 0);
}

/* The host's root is an overlay itself, as on an appliance or inside a container: one more fits, two
 * do not, and then it is a read-only copy. */
static void overlay_on(const char *name, const char *lower)
{
	char options[256], dir[64];

	snprintf(dir, sizeof(dir), "%s-d", name);
	CHECK(mkdir(dir, 0755) == 0 && mkdir(name, 0755) == 0);
	CHECK(mount("d", dir, "tmpfs", 0, NULL) == 0);
	snprintf(options, sizeof(options), "%s/u", dir);
	CHECK(mkdir(options, 0755) == 0);
	snprintf(options, sizeof(options), "%s/w", dir);
	CHECK(mkdir(options, 0755) == 0);
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s/u,workdir=%s/w", lower, dir,
		 dir);
	CHECK(mount("o", name, "overlay", 0, options) == 0);
}

static void throwaway_nested(void)
{
	char path[128];
	char **readonly = NULL;
	int fd;

	CHECK(mkdir("base", 0755) == 0 && mkdir("base/run", 0755) == 0);
	write_file("base/file", "host");
	write_file("base/run/socket", "secret");
	overlay_on("one", "base");
	snprintf(path, sizeof(path), "%s/one", scratch);
	fd = open_rootfs(ISO_ROOTFS_THROWAWAY, path, &readonly);
	CHECK(!readonly);
	write_at(fd, "file", "changed");
	CHECK(umount2("one", MNT_DETACH) == 0);
	CHECK(file_is(AT_FDCWD, "one/file", "host"));

	overlay_on("two", "one");
	snprintf(path, sizeof(path), "%s/two", scratch);
	fd = open_rootfs(ISO_ROOTFS_THROWAWAY, path, &readonly);
	CHECK(readonly && STREQ(readonly[0], "/") && !readonly[1]);
	CHECK(file_is(fd, "file", "host"));
	CHECK(openat(fd, "file", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
	CHECK(count_entries(fd, "run") == 0); /* hidden there, too */
}

static void test_throwaway_of_overlay(void **state)
{
	(void)state;
	run_private(throwaway_nested, 0);
}

static void throwaway_limit(void)
{
	struct iso_rootfs r = {.kind = ISO_ROOTFS_THROWAWAY, .fd = -1, .throwaway_bytes = 1 << 20};
	struct err err_ = ERR_INIT;
	static char block[1 << 16];
	int root_fd, fd;
	ssize_t n = 0;

	CHECK(mkdir("root", 0755) == 0);
	CHECK(str_printf(&r.path, "%s/root", scratch) == 0);
	CHECK_OK(iso_rootfs_mount(&r, &root_fd, NULL, &err_));
	fd = openat(root_fd, "big", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0);
	for (int i = 0; i < 32 && n >= 0; i++)
		n = write(fd, block, sizeof(block));
	CHECK(n < 0 && errno == ENOSPC);
}

static void test_throwaway_limit(void **state)
{
	(void)state;
	run_private(throwaway_limit, 0);
}

/* Without privileges: a directory that has no mounts below it can be covered. The host's "/" has, and its entries are
 * bound read-only instead. */
static void throwaway_userns(void)
{
	struct iso_rootfs r = {.kind = ISO_ROOTFS_THROWAWAY, .path = (char *)"/", .fd = -1};
	struct err err_ = ERR_INIT;
	char path[128], **readonly = NULL;
	int fd;

	CHECK(mkdir("root", 0755) == 0 && mkdir("root/run", 0755) == 0);
	write_file("root/run/socket", "secret");
	write_file("root/file", "host");
	snprintf(path, sizeof(path), "%s/root", scratch);
	fd = open_rootfs(ISO_ROOTFS_THROWAWAY, path, NULL);
	write_at(fd, "file", "changed");
	CHECK(file_is(fd, "file", "changed"));
	CHECK(count_entries(fd, "run") == 0);
	CHECK(umount2("root", MNT_DETACH) == 0);
	CHECK(file_is(AT_FDCWD, "root/file", "host"));
	CHECK_OK(iso_rootfs_mount(&r, &fd, &readonly, &err_));
	CHECK(readonly && strcmp(readonly[0], "/") == 0 && !readonly[1]);
	CHECK(faccessat(fd, "bin/sh", X_OK, 0) == 0);
	CHECK(openat(fd, "usr/insula-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0 &&
	      errno == EROFS);
	CHECK(flags_at(fd, "usr") & ST_NOSUID);
	CHECK(count_entries(fd, "proc") == 0 && count_entries(fd, "run") == 0 &&
	      count_entries(fd, "dev") == 0);
	CHECK(!strstr(read_mountinfo(), " - tmpfs throwaway "));
}

/* A directory of the host, with a file system mounted in it, as a mount whose changes are lost. */
static void throwaway_mount(void)
{
	struct err err_ = ERR_INIT;
	char path[128];
	int fd;

	CHECK(mkdir("dir", 0750) == 0 && mkdir("dir/run", 0755) == 0 && mkdir("at", 0755) == 0);
	CHECK(mkdir("dir/sub", 0755) == 0 && mount("sub", "dir/sub", "tmpfs", 0, NULL) == 0);
	write_file("dir/file", "host");
	write_file("dir/run/file", "host");
	write_file("dir/sub/file", "host");
	snprintf(path, sizeof(path), "%s/dir", scratch);
	fd = iso_mount_throwaway(path, NULL, &err_);
	CHECK_OK(fd);
	CHECK(move_mount(fd, "", AT_FDCWD, "at", MOVE_MOUNT_F_EMPTY_PATH) == 0);
	CHECK(file_is(AT_FDCWD, "at/run/file", "host"));
	write_file("at/file", "changed");
	write_file("at/sub/file", "changed");
	CHECK(unlink("at/run/file") == 0);
	CHECK(file_is(AT_FDCWD, "at/file", "changed") && file_is(AT_FDCWD, "dir/file", "host"));
	CHECK(file_is(AT_FDCWD, "dir/run/file", "host"));
	CHECK(file_is(AT_FDCWD, "dir/sub/file", "host"));
	snprintf(path, sizeof(path), "%s/dir/file", scratch);
	CHECK(iso_mount_throwaway(path, NULL, &err_) == -ENOTSUP);
	CHECK_TEXT(err_.text, "no directory");
	/* Nothing of it stays on the directory. */
	CHECK(umount2("at", MNT_DETACH) == 0);
	CHECK(!strstr(read_mountinfo(), " - overlay throwaway "));
}

static void test_throwaway_mount(void **state)
{
	(void)state;
	run_private(throwaway_mount, 0);
}

/* A mount below that the host's namespace made is locked. */
static void throwaway_mount_userns(void)
{
	struct err err_ = ERR_INIT;
	char path[128];
	int fd;

	CHECK(mkdir("dir", 0750) == 0 && mkdir("at", 0755) == 0);
	write_file("dir/file", "host");
	snprintf(path, sizeof(path), "%s/dir", scratch);
	fd = iso_mount_throwaway(path, NULL, &err_);
	CHECK_OK(fd);
	CHECK(move_mount(fd, "", AT_FDCWD, "at", MOVE_MOUNT_F_EMPTY_PATH) == 0);
	write_file("at/file", "changed");
	CHECK(mkdir("at/made", 0755) == 0);
	CHECK(file_is(AT_FDCWD, "dir/file", "host"));
	CHECK(iso_mount_throwaway("/", NULL, &err_) < 0);
	CHECK_TEXT(err_.hint, "mounts below it");
}

static void test_throwaway_mount_in_user_namespace(void **state)
{
	(void)state;
	run_private(throwaway_mount_userns, CLONE_NEWUSER | CLONE_NEWNS);
}

static void test_throwaway_in_user_namespace(void **state)
{
	(void)state;
	run_private(throwaway_userns, CLONE_NEWUSER | CLONE_NEWNS);
}

static void pivot_readonly(bool no_pivot)
{
	struct err err_ = ERR_INIT;
	struct fixture f;
	struct stat st;

	CHECK(mkdir("root", 0755) == 0);
	CHECK(mkdir("volume", 0755) == 0);
	char volume[96];

	snprintf(volume, sizeof(volume), "%s/volume", scratch);
	fixture_root(&f);
	f.config.rootfs.readonly = true;
	f.params.no_pivot = no_pivot;
	add_mount(&f, "/v", "bind", volume, "rbind");
	CHECK_OK(inside_mounts(&f.in, &err_));
	CHECK_OK(inside_pivot(&f.in, &err_));
	CHECK(fstat(f.in.root_fd, &st) == 0);
	CHECK(open("/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0 && errno == EROFS);
	write_file("/v/file", "volumes stay writable");
	CHECK(access("/etc", F_OK) < 0 && access("/../etc", F_OK) < 0);
	/* the working directory is inside as well */
	CHECK(access("etc", F_OK) < 0 && access("../../../etc", F_OK) < 0);
}

static void pivot_plain(void)
{
	pivot_readonly(false);
	/* of the old root nothing is left */
	CHECK(mkdir("/v/p", 0755) == 0 && mount("proc", "/v/p", "proc", 0, NULL) == 0);
	{
		char buf[65536];
		int fd = open("/v/p/self/mounts", O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, buf, sizeof(buf) - 1);

		CHECK(n > 0);
		buf[n] = '\0';
		CHECK(!strstr(buf, "cgroup") && !strstr(buf, "ext4") && !strstr(buf, "sysfs"));
	}
}

/* No unmasked procfs or sysfs of the host's may be left behind the chroot. */
static void pivot_none(void)
{
	int host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs st;
	int fd;

	pivot_readonly(true);
	fd = openat(host_fd, "proc", O_PATH | O_CLOEXEC);
	CHECK(fd >= 0 && fstatfs(fd, &st) == 0 && st.f_type != PROC_SUPER_MAGIC);
	fd = openat(host_fd, "sys", O_PATH | O_CLOEXEC);
	CHECK(fd >= 0 && fstatfs(fd, &st) == 0 && st.f_type != SYSFS_MAGIC);
}

static void test_pivot(void **state)
{
	(void)state;
	run_private(pivot_plain, 0);
}

static void test_no_pivot(void **state)
{
	(void)state;
	run_private(pivot_none, 0);
}

static void test_mountinfo(void **state)
{
	_cleanup_mountinfo_ struct mountinfo info = {0};
	struct err e = ERR_INIT;
	char text[] = "36 35 98:0 /mnt1 /mnt\\0402\\134x rw,noatime,nosuid master:1 shared:2 - "
		      "ext3 /dev/r "
		      "rw\n37 36 0:1 / /p ro - proc proc rw\n";
	char broken[] = "36 35 98:0 / /x rw\n";

	(void)state;
	assert_int_equal(mountinfo_parse(text, &info, &e), 0);
	assert_int_equal(info.n, 2);
	assert_string_equal(info.v[0].mountpoint, "/mnt 2\\x");
	assert_string_equal(info.v[0].fstype, "ext3");
	assert_int_equal(info.v[0].attrs, MOUNT_ATTR_NOATIME | MOUNT_ATTR_NOSUID);
	assert_int_equal(info.v[1].attrs, MOUNT_ATTR_RDONLY);
	assert_ptr_equal(mountinfo_by_id(&info, 37), &info.v[1]);
	assert_null(mountinfo_by_id(&info, 1));
	mountinfo_done(&info);
	assert_int_equal(mountinfo_parse(broken, &info, &e), -EBADMSG);
	assert_int_equal(info.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_bad_path),
		cmocka_unit_test(test_nothing_reaches_the_host),
		cmocka_unit_test(test_root_propagation),
		cmocka_unit_test(test_throwaway_of_host),
		cmocka_unit_test(test_throwaway_enter),
		cmocka_unit_test(test_throwaway_of_directory),
		cmocka_unit_test(test_throwaway_of_overlay),
		cmocka_unit_test(test_throwaway_limit),
		cmocka_unit_test(test_throwaway_in_user_namespace),
		cmocka_unit_test(test_throwaway_mount),
		cmocka_unit_test(test_throwaway_mount_in_user_namespace),
		cmocka_unit_test(test_pivot),
		cmocka_unit_test(test_no_pivot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
