/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system call filters of insula-kvm: what the VMM does is allowed, what whoever took it over would want is the end of the
 * process. Each call is tried in a child of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../runtime/kvm_jail.h"

static int pipes[2];

static void try_open(void)
{
	syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY);
}
static void try_socket(void)
{
	syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}
static void try_connect(void)
{
	syscall(SYS_connect, pipes[0], NULL, 0);
}
static void try_execve(void)
{
	syscall(SYS_execve, "/", NULL, NULL);
}
static void try_fork(void)
{
	syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static void try_clone3(void)
{
	syscall(SYS_clone3, NULL, 0);
}
static void try_map_code(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void try_protect_code(void)
{
	syscall(SYS_mprotect, NULL, 4096, PROT_EXEC);
}
static void try_kill(void)
{
	syscall(SYS_kill, getppid(), 0);
}
static void try_kill_other(void)
{
	syscall(SYS_tgkill, 1, 1, 0);
}
static void try_ptrace(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
}
static void try_terminal_input(void)
{
	ioctl(0, 0x5412 /* TIOCSTI */, "x");
}
static void try_unshare(void)
{
	syscall(SYS_unshare, 0);
}
static void try_seccomp(void)
{
	syscall(SYS_seccomp, 99, 0, NULL);
}
static void try_disk(void)
{
	syscall(SYS_preadv, -1, NULL, 0, 0);
}
static void try_usual(void)
{
	char c = 'x';
	void *p;

	write(pipes[1], &c, 1);
	read(pipes[0], &c, 1);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p, 4096);
	syscall(SYS_tgkill, getpid(), gettid(), 0);
	syscall(SYS_futex, &c, 129, 1, NULL, NULL, 0);
	ioctl(-1, 0xae80 /* KVM_RUN */, 0);
}

static const struct {
	const char *name;
	void (*call)(void);
	bool all, vcpu; /* survives under the filter of all threads; of a vCPU's */
} rows[] = {
	{"usual", try_usual, true, true},
	{"disk", try_disk, true, false},
	{"seccomp", try_seccomp, true, false},
	{"open", try_open, false, false},
	{"socket", try_socket, false, false},
	{"connect", try_connect, false, false},
	{"execve", try_execve, false, false},
	{"fork", try_fork, false, false},
	{"clone3", try_clone3, false, false},
	{"map code", try_map_code, false, false},
	{"protect code", try_protect_code, false, false},
	{"kill", try_kill, false, false},
	{"kill another", try_kill_other, false, false},
	{"ptrace", try_ptrace, false, false},
	{"terminal input", try_terminal_input, false, false},
	{"unshare", try_unshare, false, false},
};

/* Does a child live through it? */
static bool survives(void (*call)(void), bool vcpu)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct kvm_filters f;

		/* The filter names our own pid: compiled here. */
		if (kvm_filters_compile(&f, NULL) < 0 ||
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    iso_seccomp_install(&f.all, NULL) < 0 ||
		    (vcpu && iso_seccomp_install(&f.vcpu, NULL) < 0))
			_exit(3);
		call();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		assert_int_equal(WTERMSIG(status), SIGSYS);
	else
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFEXITED(status);
}

static void test_filters(void **state)
{
	(void)state;
	assert_int_equal(pipe(pipes), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (survives(rows[i].call, false) != rows[i].all)
			fail_msg("%s under the filter of all threads", rows[i].name);
		if (survives(rows[i].call, true) != rows[i].vcpu)
			fail_msg("%s under the filter of a vCPU", rows[i].name);
	}
	close(pipes[0]);
	close(pipes[1]);
}

static void *open_later(void *arg)
{
	char c;

	(void)arg;
	if (read(pipes[0], &c, 1) == 1)
		try_open();
	return NULL;
}

/* A thread that was there before is under the filter as well. */
static void test_earlier_threads(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		struct kvm_filters f;
		pthread_t t;

		if (kvm_filters_compile(&f, NULL) < 0 ||
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    pthread_create(&t, NULL, open_later, NULL) != 0 ||
		    iso_seccomp_install(&f.all, NULL) < 0 || write(pipes[1], "x", 1) != 1)
			_exit(3);
		pthread_join(t, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_earlier_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
