/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed copy. This program executes itself with an argument; that process seals itself and then
 * says on its standard output what it found.
 */
#include "check.h"

#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/self.h"
#include "base/str.h"

static char own_path[PATH_MAX];

/* ---- the process that seals itself ---- */

static int try_to_write(void)
{
	int fd = open("/proc/self/exe", O_WRONLY);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, 0) < 0 || write(fd, "#!", 2) < 0)
		return -errno;
	return 0;
}

/* How many of our mappings are of the program's file. */
static int mappings_of(const char *program)
{
	_cleanup_free_ char *maps = NULL;
	int n = 0;

	if (path_read_file_at(AT_FDCWD, "/proc/self/maps", 1 << 20, &maps, NULL, NULL) < 0)
		return -1;
	for (const char *at = maps; (at = strstr(at, program)); at++)
		n++;
	return n;
}

/* The heap shrinks between the two steps, as free() makes it, and must go on without a hole. */
static int exchange_with_moving_heap(struct err *e)
{
	const intptr_t some = 16 * 4096;
	struct self_link link;
	char *more;
	int r;

	if (sbrk(some) == (void *)-1)
		return -ENOMEM;
	r = self_link_prepare(&link, e);
	if (sbrk(-some) == (void *)-1)
		return -ENOMEM;
	if (r == 0)
		r = self_link_exchange(&link, e);
	more = sbrk(2 * some);
	if (more == (void *)-1)
		return -ENOMEM;
	memset(more, 1, 2 * (size_t)some);
	return r;
}

/* As an ordinary user, whose link can be exchanged only in a user namespace of his. */
static int exchange_in_user_namespace(struct err *e)
{
	return unshare(CLONE_NEWUSER) < 0 ? -errno : exchange_with_moving_heap(e);
}

/* A kernel without CONFIG_CHECKPOINT_RESTORE, as far as prctl(2) shows. */
static int refuse_exchange(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_MM, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(f), .filter = f};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static int sealed_main(char **argv, bool user)
{
	_cleanup_free_ char *dir = NULL;
	struct err e = ERR_INIT;
	char name[32] = "", link[PATH_MAX] = "";

	if (user && !getenv("INSULA_SELF") && setresuid(65534, 65534, 65534) < 0)
		return 2;
	if (STREQ(argv[1], "--seal-copy") && refuse_exchange() < 0)
		return 7;
	if (self_seal(argv, &e) < 0) {
		printf("failed: %s (%s)\n", e.text, e.hint);
		return 0;
	}
	/* Root has no link to the program from the first call on. */
	if (!user && (readlink("/proc/self/exe", link, sizeof(link) - 1) < 0 ||
		      !str_has_prefix(link, "/memfd:")))
		return 8;
	if (user && self_seal(argv, &e) < 0) /* again, with a link that he may not exchange */
		return 9;
	if (user && exchange_in_user_namespace(&e) < 0) {
		printf("failed: %s (%s)\n", e.text, e.hint);
		return 0;
	}
	if (self_seal(argv, &e) < 0) /* twice is once */
		return 3;
	if (mappings_of(getenv("INSULA_SELF")) != 0)
		return 6;
	prctl(PR_GET_NAME, name);
	if (readlink("/proc/self/exe", link, sizeof(link) - 1) < 0)
		return 4;
	if (path_program_dir(&dir, &e) < 0)
		return 5;
	printf("exe %s\nwrite %d\nargs %s %s\nname %s\ndir %s\nenv %s\n",
	       str_has_prefix(link, "/memfd:") ? "memfd" : link, try_to_write(), argv[1], argv[2],
	       name, dir, getenv("KEPT"));
	for (int fd = 3; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("leaked %d\n", fd);
	return 0;
}

/* ---- the tests ---- */

static char *run_sealed_as(const char *program, const char *how, int status_wanted)
{
	char *argv[] = {(char *)program, (char *)how, (char *)"an argument", NULL};
	struct proc_fd_map map;
	struct proc_spawn s = {.argv = argv, .fds = &map, .n_fds = 1, .cgroup_fd = -1};
	struct err e = ERR_INIT;
	char *text = NULL;
	int p[2], status;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	map = (struct proc_fd_map){p[1], 1};
	assert_ok(proc_spawn(&s, &pid, NULL, &e), &e);
	close(p[1]);
	assert_ok(fd_read_all(p[0], 65536, &text, NULL, "output", &e), &e);
	close(p[0]);
	assert_ok(proc_reap(pid, &status, &e), &e);
	assert_int_equal(proc_exit_code(status), status_wanted);
	return text;
}

static char *run_sealed(const char *program, int status_wanted)
{
	return run_sealed_as(program, "--seal", status_wanted);
}

static void check_output(const char *text, const char *program)
{
	char *dir = strdup(program), *want = NULL;

	*strrchr(dir, '/') = '\0';
	assert_has(text, "exe memfd\n");
	assert_true(strstr(text, "write -26\n") || strstr(text, "write -1\n")); /* ETXTBSY, EPERM */
	assert_has(text, " an argument\n");
	str_printf(&want, "name %.15s\n", strrchr(program, '/') + 1);
	assert_has(text, want);
	free(want);
	str_printf(&want, "dir %s\n", dir);
	assert_has(text, want);
	assert_has(text, "env yes\n");
	assert_null(strstr(text, "leaked"));
	free(want);
	free(dir);
}

static void runs_from_a_sealed_copy(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	setenv("KEPT", "yes", 1);
	text = run_sealed(own_path, 0);
	check_output(text, own_path);
}

static void an_ordinary_user_in_a_user_namespace(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	setenv("KEPT", "yes", 1);
	text = run_sealed_as(own_path, "--seal-user", 0);
	check_output(text, own_path);
}

static void where_the_kernel_cannot_a_copy_is_executed(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	setenv("KEPT", "yes", 1);
	text = run_sealed_as(own_path, "--seal-copy", 0);
	check_output(text, own_path);
}

static void lying_environment_is_replaced(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	setenv("INSULA_SELF", "/evil/insula", 1);
	text = run_sealed(own_path, 0);
	unsetenv("INSULA_SELF");
	check_output(text, own_path);
}

/* A file on tmpfs answers F_GET_SEALS, but it is not sealed. Private mount namespace. */
static int from_tmpfs(void *arg)
{
	_cleanup_free_ char *text = NULL, *image = NULL;
	struct err e = ERR_INIT;
	size_t len;

	(void)arg;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0)
		return 1;
	if (path_read_file_at(AT_FDCWD, own_path, 64 << 20, &image, &len, &e) < 0 ||
	    path_replace_file_at(AT_FDCWD, "/mnt/copy", image, len, 0755, false, &e) < 0)
		return 2;
	text = run_sealed("/mnt/copy", 0);
	return strstr(text, "exe memfd\n") && strstr(text, "dir /mnt\n") ? 0 : 3;
}

static void program_on_tmpfs_is_not_taken_for_sealed(void **state)
{
	(void)state;
	assert_int_equal(in_child(from_tmpfs, NULL), 0);
}

static int without_proc(void *arg)
{
	struct err e = ERR_INIT;
	char *argv[] = {(char *)"x", NULL}, *dir = NULL;

	(void)arg;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/proc", "tmpfs", 0, NULL) < 0)
		return 1;
	if (self_seal(argv, &e) != -ENOENT)
		return 2;
	if (!strstr(e.text, "run from a sealed copy: open '/proc/self/exe'") ||
	    !strstr(e.hint, "/proc"))
		return 3;
	if (path_program_dir(&dir, &e) != -ENOENT || !strstr(e.hint, "/proc"))
		return 4;
	return 0;
}

static void missing_proc_is_told(void **state)
{
	(void)state;
	assert_int_equal(in_child(without_proc, NULL), 0);
}

static int undumpable(void *arg)
{
	(void)arg;
	self_undumpable();
	return prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1;
}

static void not_dumpable(void **state)
{
	(void)state;
	assert_int_equal(in_child(undumpable, NULL), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_from_a_sealed_copy),
		cmocka_unit_test(an_ordinary_user_in_a_user_namespace),
		cmocka_unit_test(where_the_kernel_cannot_a_copy_is_executed),
		cmocka_unit_test(lying_environment_is_replaced),
		cmocka_unit_test(program_on_tmpfs_is_not_taken_for_sealed),
		cmocka_unit_test(missing_proc_is_told),
		cmocka_unit_test(not_dumpable),
	};

	if (argc == 3 && str_has_prefix(argv[1], "--seal"))
		return sealed_main(argv, STREQ(argv[1], "--seal-user"));
	if (readlink("/proc/self/exe", own_path, sizeof(own_path) - 1) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
