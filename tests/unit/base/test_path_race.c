/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody in the container exchanges a directory and a symlink to outside while we resolve and make
 * paths through it (CVE-2021-30465 and its kin). Whatever the outcome of one call, nothing outside may
 * be opened or made. Run for a number of rounds in which both faces were really seen, for the kernel's
 * resolution and for the walk.
 */
#include "check.h"

#include <limits.h>
#include <signal.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/path.h"

#define ROUNDS_MAX  200000
#define SEEN_WANTED 50 /* of each face */

static struct scratch scratch;
static int root = -1;

/*
 * scratch/outside/deep/victim      what must never be reached
 * scratch/root/d/deep/victim       ours; "d" is exchanged with "evil", or moved out of the root
 * scratch/root/evil                -> the absolute path of scratch/outside
 */
static int make_tree(void **state)
{
	char target[128];

	(void)state;
	scratch_make(&scratch);
	mkdirat(scratch.fd, "outside", 0755);
	mkdirat(scratch.fd, "outside/deep", 0755);
	close(openat(scratch.fd, "outside/deep/victim", O_CREAT | O_WRONLY, 0644));
	mkdirat(scratch.fd, "root", 0755);
	root = openat(scratch.fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	mkdirat(root, "d", 0755);
	mkdirat(root, "d/deep", 0755);
	close(openat(root, "d/deep/victim", O_CREAT | O_WRONLY, 0644));
	snprintf(target, sizeof(target), "%s/outside", scratch.path);
	symlinkat(target, root, "evil");
	return 0;
}

static int drop_tree(void **state)
{
	(void)state;
	close(root);
	scratch_drop(&scratch);
	return 0;
}

/* Exchange for ever; it dies with us, or by the kill of the test. */
static pid_t start_exchange(int from_dir, const char *from, int to_dir, const char *to)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		syscall(SYS_renameat2, from_dir, from, to_dir, to, RENAME_EXCHANGE);
	_exit(0);
}

static void stop_exchange(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool is_outside(int fd)
{
	struct stat a, b;

	if (fstat(fd, &a) < 0)
		return true;
	for (const char *const *p =
		     (const char *const[]){"outside", "outside/deep", "outside/deep/victim", NULL};
	     *p; p++)
		if (fstatat(scratch.fd, *p, &b, 0) == 0 && a.st_dev == b.st_dev &&
		    a.st_ino == b.st_ino)
			return true;
	return false;
}

/* 0: nothing leaked and both faces were seen. */
static int open_rounds(void *arg)
{
	unsigned got = 0, missed = 0;

	(void)arg;
	for (int i = 0; i < ROUNDS_MAX && (got < SEEN_WANTED || missed < SEEN_WANTED); i++) {
		_cleanup_close_ int fd = path_open_in_root(
			root, i % 2 ? "d/deep/victim" : "d/deep/../deep/victim", O_RDONLY, 0, NULL);

		if (fd >= 0 && is_outside(fd))
			return 1;
		/* Through the link the path is <root>/tmp/.../outside: it does not exist. Or the
		 * walk met a name that changed under it, too often. */
		if (fd < 0 && fd != -ENOENT && fd != -EAGAIN)
			return 2;
		fd >= 0 ? got++ : missed++;
	}
	return got >= SEEN_WANTED && missed >= SEEN_WANTED ? 0 : 3;
}

static int make_rounds(void *arg)
{
	unsigned got = 0, missed = 0;

	(void)arg;
	for (int i = 0; i < ROUNDS_MAX && (got < SEEN_WANTED || missed < SEEN_WANTED); i++) {
		_cleanup_close_ int fd = -EBADF, file = -EBADF;
		char path[64];

		snprintf(path, sizeof(path), "d/new%d/x", i % 64);
		fd = path_mkdirs_in_root(root, path, 0755, NULL);
		snprintf(path, sizeof(path), "d/file%d", i % 64);
		file = path_mkfile_in_root(root, path, 0755, 0644, NULL);
		if ((fd >= 0 && is_outside(fd)) || (file >= 0 && is_outside(file)))
			return 1;
		fd >= 0 ? got++ : missed++;
	}
	for (int i = 0; i < 64; i++) {
		char name[32];

		snprintf(name, sizeof(name), "outside/new%d", i);
		if (faccessat(scratch.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return 4;
		snprintf(name, sizeof(name), "outside/file%d", i);
		if (faccessat(scratch.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return 5;
	}
	return got >= SEEN_WANTED && missed >= SEEN_WANTED ? 0 : 3;
}

/* ".." of a directory that is moved out of the root at that moment. */
static int dotdot_rounds(void *arg)
{
	unsigned got = 0;

	(void)arg;
	for (int i = 0; i < 20000; i++) {
		_cleanup_close_ int fd = path_open_in_root(root, "d/deep/../../../outside",
							   O_PATH | O_DIRECTORY, 0, NULL);
		_cleanup_close_ int here =
			path_open_in_root(root, "d/deep/../..", O_PATH | O_DIRECTORY, 0, NULL);
		struct stat a, b;

		if (fd >= 0)
			return 1;
		if (here < 0)
			continue;
		if (fstat(here, &a) < 0 || fstatat(root, "", &b, AT_EMPTY_PATH) < 0 ||
		    a.st_ino != b.st_ino)
			return 2;
		got++;
	}
	return got >= SEEN_WANTED ? 0 : 3;
}

static int walk_of(void *arg)
{
	if (forbid_syscall(SYS_openat2, ENOSYS) < 0)
		return 250;
	return ((int (*)(void *))(uintptr_t)arg)(NULL);
}

static void both_ways(int (*fn)(void *), int from, const char *a, int to, const char *b)
{
	pid_t racer = start_exchange(from, a, to, b);
	int kernel = in_child(fn, NULL);
	int walk = in_child(walk_of, (void *)(uintptr_t)fn);

	stop_exchange(racer);
	assert_int_equal(kernel, 0);
	assert_int_equal(walk, 0);
}

static void opening_never_leaves_the_root(void **state)
{
	(void)state;
	both_ways(open_rounds, root, "d", root, "evil");
}

static void making_never_leaves_the_root(void **state)
{
	(void)state;
	both_ways(make_rounds, root, "d", root, "evil");
}

static void dotdot_of_a_moved_directory_stays_inside(void **state)
{
	(void)state;
	both_ways(dotdot_rounds, root, "d", scratch.fd, "outside");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opening_never_leaves_the_root, make_tree,
						drop_tree),
		cmocka_unit_test_setup_teardown(making_never_leaves_the_root, make_tree, drop_tree),
		cmocka_unit_test_setup_teardown(dotdot_of_a_moved_directory_stays_inside, make_tree,
						drop_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
