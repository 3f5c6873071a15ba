/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail of insula-layer, fence by fence: a process in it tries what a taken-over one would. Each attempt is a process of its own,
 * in the namespaces that the worker gets; what it may not even ask for ends it with SIGSYS.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "../../../runtime/layer_jail.h"
#include "base/cleanup.h"
#include "base/proc.h"
#include "isolate/userns.h"
#include "scratch_dir.h"

#define NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWPID)

static struct scratch *scratch;
static int directory;

struct attempt {
	int (*try)(void); /* 0: could not do it; else it could */
	bool no_directory;
	int ready[2], go[2];
};

static int child(void *arg)
{
	struct attempt *a = arg;
	struct err e = ERR_INIT;
	char c = 'r';

	if (layer_jail_enter(a->no_directory ? -1 : directory, &e) < 0) {
		(void)!write(2, e.text, strlen(e.text));
		return 99;
	}
	if (a->ready[1] > 0) {
		(void)!write(a->ready[1], &c, 1);
		(void)!read(a->go[0], &c, 1);
	}
	return a->try ? a->try() : 0;
}

static pid_t spawn(struct attempt *a)
{
	struct iso_id_maps uid = {0}, gid = {0};
	struct err e = ERR_INIT;
	bool single;
	pid_t pid;

	assert_int_equal(iso_user_maps(&uid, &gid, &single, NULL, &e), 0);
	if (iso_userns_spawn(&uid, &gid, NAMESPACES, child, a, &pid, &e) < 0)
		fail_msg("%s", e.text);
	iso_id_maps_done(&uid);
	iso_id_maps_done(&gid);
	return pid;
}

static int run(int (*try)(void), bool no_directory)
{
	struct attempt a = {.try = try, .no_directory = no_directory};
	int status;

	assert_int_equal(proc_reap(spawn(&a), &status, NULL), 0);
	return status;
}

/* ---- attempts: 0 is a fence that held ---------------------------------------------------- */

static int refused(int fd, int errnum)
{
	return fd < 0 && errno == errnum ? 0 : 1;
}

static int host_file(void)
{
	return refused(open("/etc/passwd", O_RDONLY), ENOENT);
}

static int host_file_by_dots(void)
{
	return refused(openat(directory, "../../../../../../etc/passwd", O_RDONLY), ENOENT);
}

static int proc_file(void)
{
	return refused(open("/proc/self/status", O_RDONLY), ENOENT);
}

static int dots_stay(void)
{
	struct stat a, b;
	int up = openat(directory, "..", O_RDONLY | O_DIRECTORY);

	return up < 0 || fstat(up, &a) < 0 || fstat(directory, &b) < 0 || a.st_ino != b.st_ino ||
	       a.st_dev != b.st_dev;
}

static int symlink_to_host(void)
{
	return refused(openat(directory, "to-passwd", O_RDONLY), ENOENT);
}

static int make_device(void)
{
	return refused(mknodat(directory, "null", S_IFCHR | 0666, makedev(1, 3)), EPERM);
}

static int own_directory_works(void)
{
	int fd = openat(directory, "made", O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd < 0 || write(fd, "x", 1) != 1 || fchown(fd, 1234, 5678) < 0)
		return 1;
	return mknodat(directory, "whiteout", S_IFCHR, 0) < 0;
}

static void *in_thread(void *arg)
{
	return arg;
}

static int thread_works(void)
{
	static int token;
	pthread_t t;
	void *got = NULL;

	return pthread_create(&t, NULL, in_thread, &token) || pthread_join(t, &got) ||
	       got != &token;
}

static int write_without_directory(void)
{
	return refused(open("/new", O_CREAT | O_WRONLY, 0600), EROFS);
}

static int many_files(void)
{
	for (int i = 0; i < 2000; i++)
		if (openat(directory, ".", O_RDONLY) < 0)
			return errno == EMFILE ? 0 : 1;
	return 1;
}

static int much_memory(void)
{
#ifdef __SANITIZE_ADDRESS__
	return 0; /* they need more than any limit */
#endif
	return mmap(NULL, 2ul << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static void must_hold(void **state)
{
	static const struct {
		const char *what;
		int (*try)(void);
		bool no_directory;
	} rows[] = {
		{"host file", host_file, false},
		{"host file, no directory", host_file, true},
		{"host file by ..", host_file_by_dots, false},
		{"..", dots_stay, false},
		{"/proc", proc_file, false},
		{"/proc, no directory", proc_file, true},
		{"symlink", symlink_to_host, false},
		{"device", make_device, false},
		{"what it is for", own_directory_works, false},
		{"threads", thread_works, false},
		{"empty root", write_without_directory, true},
		{"descriptors", many_files, false},
		{"memory", much_memory, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int status = run(rows[i].try, rows[i].no_directory);

		if (status != 0)
			fail_msg("%s: status %x", rows[i].what, status);
	}
}

static int ask_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}
static int ask_unix(void)
{
	int p[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0;
}
static int ask_fork(void)
{
	return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static int ask_exec(void)
{
	return execl("/bin/true", "true", NULL);
}
static int ask_mount(void)
{
	return mount("proc", "/", "proc", 0, NULL);
}
static int ask_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}
static int ask_chroot(void)
{
	return chroot(".");
}
static int ask_executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED;
}
static int ask_ptrace(void)
{
	return (int)syscall(SYS_ptrace, 0, 0, 0, 0);
}
static int ask_kill(void)
{
	return (int)syscall(SYS_kill, -1, SIGTERM);
}
static int ask_bpf(void)
{
	return (int)syscall(SYS_bpf, 0, 0, 0);
}
static int ask_uring(void)
{
	return (int)syscall(SYS_io_uring_setup, 1, 0);
}
static int ask_handle(void)
{
	return (int)syscall(SYS_open_by_handle_at, directory, 0, 0);
}
static int ask_keys(void)
{
	return (int)syscall(SYS_keyctl, 0, 0);
}

/* The filter is not there under sanitizers (isolate/jail.c). */
static void ends_who_asks(void **state)
{
	static int (*const tries[])(void) = {
		ask_socket, ask_unix,
		ask_fork,   ask_exec,
		ask_mount,  ask_unshare,
		ask_chroot, ask_ptrace,
		ask_kill,   ask_bpf,
		ask_uring,  ask_handle,
		ask_keys,   ask_executable_memory,
	};

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		int status = run(tries[i], false);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("attempt %zu: status %x", i, status);
	}
}

/* ---- seen from outside ------------------------------------------------------------------- */

static void assert_status_line(const char *status, const char *line)
{
	if (!strstr(status, line))
		fail_msg("no '%s' in:\n%s", line, status);
}

static void looked_at(void **state)
{
	static const char *const ns[] = {"user", "mnt", "net", "ipc", "uts", "cgroup", "pid"};
	struct attempt a = {0};
	char path[64], ours[64], theirs[64];
	char *status;
	pid_t pid;
	char c;
	int st;

	(void)state;
	assert_int_equal(pipe2(a.ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(a.go, O_CLOEXEC), 0);
	pid = spawn(&a);
	assert_int_equal(read(a.ready[0], &c, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	status = read_file(path);
	assert_non_null(status);
	/* CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4, SETFCAP 31 */
	assert_status_line(status, "CapInh:\t0000000000000000");
	assert_status_line(status, "CapPrm:\t000000008000001b");
	assert_status_line(status, "CapEff:\t000000008000001b");
	assert_status_line(status, "CapBnd:\t000000008000001b");
	assert_status_line(status, "CapAmb:\t0000000000000000");
	assert_status_line(status, "NoNewPrivs:\t1");
#ifndef __SANITIZE_ADDRESS__
	assert_status_line(status, "Seccomp:\t2");
#endif
	free(status);
	for (size_t i = 0; i < ARRAY_SIZE(ns); i++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", ns[i]);
		n = readlink(path, ours, sizeof(ours) - 1);
		assert_true(n > 0);
		ours[n] = '\0';
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, ns[i]);
		n = readlink(path, theirs, sizeof(theirs) - 1);
		assert_true(n > 0);
		theirs[n] = '\0';
		assert_string_not_equal(ours, theirs);
	}
	/* One mount: the directory. */
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	status = read_file(path);
	assert_non_null(status);
	assert_ptr_equal(strchr(status, '\n'), strrchr(status, '\n'));
	assert_non_null(strstr(status, " / / ") ?: strstr(status, "/insula-test-"));
	free(status);
	assert_int_equal(write(a.go[1], &c, 1), 1);
	assert_int_equal(proc_reap(pid, &st, NULL), 0);
	assert_int_equal(st, 0);
	for (int i = 0; i < 2; i++) {
		close(a.ready[i]);
		close(a.go[i]);
	}
}

static int make(void **state)
{
	(void)state;
	limit_time(60);
	scratch = scratch_new();
	assert_int_equal(symlink("/etc/passwd", scratch_path(scratch, 0, "to-passwd")), 0);
	directory = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(directory >= 0);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	close(directory);
	scratch_free(scratch);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(must_hold, make, unmake),
		cmocka_unit_test_setup_teardown(ends_who_asks, make, unmake),
		cmocka_unit_test_setup_teardown(looked_at, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
