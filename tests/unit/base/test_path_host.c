/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's paths: directories, kernel files, whole files that are replaced at once.
 */
#include "check.h"

#include <dirent.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/path.h"

static struct scratch scratch;

static int make_scratch(void **state)
{
	(void)state;
	scratch_make(&scratch);
	return 0;
}

static int drop_scratch(void **state)
{
	(void)state;
	scratch_drop(&scratch);
	return 0;
}

static unsigned mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(scratch.fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static unsigned count_entries(void)
{
	_cleanup_closedir_ DIR *d = fdopendir(openat(scratch.fd, ".", O_RDONLY | O_DIRECTORY));
	unsigned n = 0;

	while (readdir(d))
		n++;
	return n - 2;
}

static void mkdir_p_makes_parents(void **state)
{
	struct err e = ERR_INIT;
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/a//b/./c/", scratch.path);
	assert_ok(path_mkdir_p(path, 0700, &e), &e);
	assert_ok(path_mkdir_p(path, 0755, &e), &e); /* there already */
	assert_int_equal(mode_of("a/b/c"), 0700);
	assert_int_equal(mode_of("a"), 0700);
	symlinkat("a/b", scratch.fd, "link");
	snprintf(path, sizeof(path), "%s/link/d", scratch.path);
	assert_ok(path_mkdir_p(path, 0700, &e), &e);
	assert_int_equal(mode_of("a/b/d"), 0700);
	close(openat(scratch.fd, "file", O_CREAT | O_WRONLY, 0644));
	snprintf(path, sizeof(path), "%s/file", scratch.path);
	assert_int_equal(path_mkdir_p(path, 0700, &e), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/file/x", scratch.path);
	assert_int_equal(path_mkdir_p(path, 0700, &e), -ENOTDIR);
	assert_has(e.text, "/file/x'");
	assert_ok(path_mkdir_p("/", 0700, &e), &e);
	assert_int_equal(path_mkdir_p("/proc/self/nothing/x", 0700, &e), -ENOENT);
}

static void mkdir_at_ignores_umask(void **state)
{
	struct err e = ERR_INIT;
	mode_t before = umask(0777);

	(void)state;
	assert_ok(path_mkdir_at(scratch.fd, "d", 0751, &e), &e);
	umask(before);
	assert_int_equal(mode_of("d"), 0751);
	assert_int_equal(path_mkdir_at(scratch.fd, "d", 0751, &e), -EEXIST);
}

static void open_dir_at_does_not_follow(void **state)
{
	_cleanup_close_ int a = -EBADF, b = -EBADF;
	struct err e = ERR_INIT;

	(void)state;
	mkdirat(scratch.fd, "d", 0755);
	symlinkat("d", scratch.fd, "link");
	a = path_open_dir_at(scratch.fd, "d", &e);
	assert_ok(a, &e);
	assert_true(path_open_dir_at(scratch.fd, "link", &e) < 0);
	assert_has(e.text, "open directory 'link'");
	assert_int_equal(path_open_dir_at(scratch.fd, "none", &e), -ENOENT);
	b = path_open_dir(scratch.path, &e);
	assert_ok(b, &e);
	assert_int_equal(fcntl(b, F_GETFD), FD_CLOEXEC);
	assert_int_equal(path_open_dir("/dev/null", &e), -ENOTDIR);
}

static void read_and_write_kernel_files(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	assert_ok(path_write_file_at(AT_FDCWD, "/proc/self/comm", "insula-test", &e), &e);
	assert_ok(path_read_file_at(AT_FDCWD, "/proc/self/comm", 64, &text, &len, &e), &e);
	assert_string_equal(text, "insula-test\n");
	assert_int_equal(len, 12);
	assert_int_equal(path_write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "x", &e),
			 -EINVAL);
	assert_string_equal(e.text, "write 'x' to '/proc/self/oom_score_adj': Invalid argument");
	/* never makes a file */
	assert_int_equal(path_write_file_at(scratch.fd, "new", "x", &e), -ENOENT);
	assert_int_equal(path_read_file_at(scratch.fd, "new", 64, &text, &len, &e), -ENOENT);
	assert_string_equal(e.text, "open 'new': No such file or directory");
	assert_int_equal(path_read_file_at(AT_FDCWD, "/proc/self/status", 10, &text, &len, &e),
			 -EFBIG);
	assert_int_equal(path_read_file_at(AT_FDCWD, "/proc", 10, &text, &len, &e), -EISDIR);
}

static void replace_is_whole(void **state)
{
	_cleanup_close_ int dir = openat(scratch.fd, ".", O_PATH | O_DIRECTORY), old = -EBADF;
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;
	mode_t before = umask(0777);
	char path[PATH_MAX], buf[8] = "";

	(void)state;
	assert_ok(path_replace_file_at(dir, "state", "one", 3, 0640, true, &e), &e);
	old = openat(scratch.fd, "state", O_RDONLY);
	assert_ok(path_replace_file_at(dir, "state", "second", 6, 0600, false, &e), &e);
	umask(before);
	assert_ok(path_read_file_at(dir, "state", 10, &text, NULL, &e), &e);
	assert_string_equal(text, "second");
	assert_int_equal(mode_of("state"), 0600);
	assert_int_equal(read(old, buf, 8), 3); /* a reader keeps the old content */
	assert_string_equal(buf, "one");
	assert_int_equal(count_entries(), 1);
	/* with a directory, absolute */
	snprintf(path, sizeof(path), "%s/pid", scratch.path);
	assert_ok(path_replace_file_at(AT_FDCWD, path, "1", 1, 0644, true, &e), &e);
	assert_int_equal(mode_of("pid"), 0644);
	assert_int_equal(path_replace_file_at(AT_FDCWD, "/nonexistent/x", "1", 1, 0644, true, &e),
			 -ENOENT);
	/* a symlink is replaced, not written through */
	symlinkat("pid", scratch.fd, "link");
	assert_ok(path_replace_file_at(dir, "link", "new", 3, 0644, false, &e), &e);
	free(text);
	text = NULL;
	assert_ok(path_read_file_at(dir, "pid", 10, &text, NULL, &e), &e);
	assert_string_equal(text, "1");
}

static void failed_replace_leaves_nothing_behind(void **state)
{
	struct err e = ERR_INIT;
	char longest[300];

	(void)state;
	mkdirat(scratch.fd, "dir", 0755);
	assert_true(path_replace_file_at(scratch.fd, "dir", "x", 1, 0644, false, &e) < 0);
	assert_has(e.text, "'dir'");
	memset(longest, 'n', sizeof(longest));
	longest[299] = '\0';
	assert_true(path_replace_file_at(scratch.fd, longest, "x", 1, 0644, false, &e) < 0);
	longest[255] = '\0';
	assert_ok(path_replace_file_at(scratch.fd, longest, "x", 1, 0644, false, &e), &e);
	assert_int_equal(path_replace_file_at(scratch.fd, "", "x", 1, 0644, false, &e), -EINVAL);
	assert_int_equal(path_replace_file_at(scratch.fd, "dir/..", "x", 1, 0644, false, &e),
			 -EINVAL);
	assert_int_equal(count_entries(), 2);
}

static void create_is_exclusive(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(path_create_file_at(scratch.fd, "f", "x", 1, 0600, &e), &e);
	assert_int_equal(path_create_file_at(scratch.fd, "f", "y", 1, 0600, &e), -EEXIST);
	symlinkat("target", scratch.fd, "link");
	assert_int_equal(path_create_file_at(scratch.fd, "link", "y", 1, 0600, &e), -EEXIST);
	assert_int_equal(faccessat(scratch.fd, "target", F_OK, 0), -1);
}

static void log_appends(void **state)
{
	_cleanup_close_ int a = -EBADF, b = -EBADF;
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/log", scratch.path);
	a = path_open_log(path, &e);
	assert_ok(a, &e);
	b = path_open_log(path, &e);
	assert_ok(b, &e);
	assert_int_equal(write(a, "a\n", 2), 2);
	assert_int_equal(write(b, "b\n", 2), 2);
	assert_int_equal(write(a, "c\n", 2), 2);
	assert_ok(path_read_file_at(AT_FDCWD, path, 100, &text, NULL, &e), &e);
	assert_string_equal(text, "a\nb\nc\n");
	assert_int_equal(path_open_log("/nonexistent/log", &e), -ENOENT);
}

static void null_is_the_null_device(void **state)
{
	_cleanup_close_ int fd = -EBADF;
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	fd = path_open_null(&e);
	assert_ok(fd, &e);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_rdev, makedev(1, 3));
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
}

static void file_systems_are_told_apart(void **state)
{
	_cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(path_check_fstype(proc, PROC_SUPER_MAGIC, "'/proc'", &e), 0);
	assert_int_equal(path_check_fstype(scratch.fd, PROC_SUPER_MAGIC, "'x'", &e), -EINVAL);
	assert_has(e.text, "'x': on a file system of type 0x");
	assert_int_equal(path_check_fstype(-1, PROC_SUPER_MAGIC, "'x'", &e), -EBADF);
}

static void program_dir_is_where_we_are(void **state)
{
	_cleanup_free_ char *dir = NULL;
	struct err e = ERR_INIT;
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	assert_true(n > 0);
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	setenv("INSULA_SELF", "/evil/insula", 1); /* believed only in a sealed copy */
	assert_ok(path_program_dir(&dir, &e), &e);
	unsetenv("INSULA_SELF");
	assert_string_equal(dir, self);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_scratch, drop_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(mkdir_p_makes_parents),
		T(mkdir_at_ignores_umask),
		T(open_dir_at_does_not_follow),
		T(read_and_write_kernel_files),
		T(replace_is_whole),
		T(failed_replace_leaves_nothing_behind),
		T(create_is_exclusive),
		T(log_appends),
		T(null_is_the_null_device),
		T(file_systems_are_told_apart),
		T(program_dir_is_where_we_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
