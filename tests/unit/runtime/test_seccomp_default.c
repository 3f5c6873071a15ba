/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default filter: it compiles for every set of capabilities; in a child that runs under it,
 * dangerous calls are refused with the errno we promise, ordinary ones work, and so do ordinary
 * programs.
 */
#include "oci_document.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "isolate/seccomp.h"
#include "runtime/oci.h"
#include "runtime/seccomp_default.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CAP(c)   (UINT64_C(1) << (c))

/* docker's fourteen. */
static const uint64_t usual_caps = CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_FSETID) |
				   CAP(CAP_FOWNER) | CAP(CAP_MKNOD) | CAP(CAP_NET_RAW) |
				   CAP(CAP_SETGID) | CAP(CAP_SETUID) | CAP(CAP_SETFCAP) |
				   CAP(CAP_SETPCAP) | CAP(CAP_NET_BIND_SERVICE) |
				   CAP(CAP_SYS_CHROOT) | CAP(CAP_KILL) | CAP(CAP_AUDIT_WRITE);

/* Through the parser and the compiler, as any profile goes. */
static void compile(uint64_t caps, struct iso_bpf *ret)
{
	struct json *document = document_with(NULL, NULL), *profile = rt_seccomp_default(caps);
	struct oci_config c;
	struct err e = ERR_INIT;

	assert_non_null(profile);
	document_put(document, "linux.seccomp", profile);
	if (oci_config_read(document, "/b", &c, &e) < 0 ||
	    iso_seccomp_compile(&c.isolation.seccomp, ret, &e) < 0)
		fail_msg("%s", e.text);
	oci_config_done(&c);
}

/* Run `body` in a child under the filter; returns its exit status as of waitpid. */
static int run_filtered(uint64_t caps, void (*body)(const void *arg), const void *arg)
{
	struct iso_bpf bpf;
	int status;
	pid_t pid;

	compile(caps, &bpf);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    iso_seccomp_install(&bpf, NULL) < 0)
			_exit(99);
		body(arg);
		_exit(98);
	}
	iso_bpf_done(&bpf);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_compiles(void **state)
{
	const uint64_t sets[] = {0, usual_caps, CAP(CAP_SYS_ADMIN), UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT(sets); i++) {
		struct iso_bpf bpf;

		compile(sets[i], &bpf);
		assert_true(bpf.n > 50);
		assert_false(bpf.wants_notify);
		iso_bpf_done(&bpf);
	}
}

/* The rules must make a program on other architectures, too; libseccomp can tell here. */
static void test_compiles_elsewhere(void **state)
{
	static const char *const arches[] = {"[\"SCMP_ARCH_X86_64\"]",
					     "[\"SCMP_ARCH_AARCH64\", \"SCMP_ARCH_ARM\"]",
					     "[\"SCMP_ARCH_RISCV64\"]"};

	(void)state;
	for (size_t i = 0; i < COUNT(arches); i++) {
		struct json *document = document_with(NULL, NULL);
		struct json *profile = rt_seccomp_default(usual_caps);
		struct oci_config c;
		struct iso_bpf bpf;
		struct err e = ERR_INIT;

		assert_int_equal(json_set(profile, "architectures", document_parse(arches[i])), 0);
		document_put(document, "linux.seccomp", profile);
		if (oci_config_read(document, "/b", &c, &e) < 0 ||
		    iso_seccomp_compile(&c.isolation.seccomp, &bpf, &e) < 0)
			fail_msg("%s: %s", arches[i], e.text);
		assert_true(bpf.n > 50);
		iso_bpf_done(&bpf);
		oci_config_done(&c);
	}
}

/* ---- refused ---------------------------------------------------------------------------- */

struct call {
	const char *name;
	long nr;
	long args[6];
	int want;   /* errno */
	int unless; /* capability that lets it through, or -1 */
};

static const struct call refused[] = {
	{"keyctl", SYS_keyctl, {0}, EPERM, -1},
	{"add_key", SYS_add_key, {0}, EPERM, -1},
	{"request_key", SYS_request_key, {0}, EPERM, -1},
	{"bpf", SYS_bpf, {-1}, EPERM, CAP_BPF},
	{"perf_event_open", SYS_perf_event_open, {0}, EPERM, CAP_PERFMON},
	{"mount", SYS_mount, {0}, EPERM, CAP_SYS_ADMIN},
	{"umount2", SYS_umount2, {0}, EPERM, CAP_SYS_ADMIN},
	{"pivot_root", SYS_pivot_root, {0}, EPERM, CAP_SYS_ADMIN},
	{"fsopen", SYS_fsopen, {0}, EPERM, CAP_SYS_ADMIN},
	{"open_tree", SYS_open_tree, {-1}, EPERM, CAP_SYS_ADMIN},
	{"move_mount", SYS_move_mount, {-1}, EPERM, CAP_SYS_ADMIN},
	{"mount_setattr", SYS_mount_setattr, {-1}, EPERM, CAP_SYS_ADMIN},
	{"setns", SYS_setns, {-1}, EPERM, CAP_SYS_ADMIN},
	{"unshare", SYS_unshare, {CLONE_NEWUSER}, EPERM, CAP_SYS_ADMIN},
	{"kexec_load", SYS_kexec_load, {0}, EPERM, CAP_SYS_BOOT},
	{"kexec_file_load", SYS_kexec_file_load, {-1, -1}, EPERM, CAP_SYS_BOOT},
	{"init_module", SYS_init_module, {0}, EPERM, CAP_SYS_MODULE},
	{"finit_module", SYS_finit_module, {-1}, EPERM, CAP_SYS_MODULE},
	{"delete_module", SYS_delete_module, {0}, EPERM, CAP_SYS_MODULE},
	{"open_by_handle_at", SYS_open_by_handle_at, {-1}, EPERM, CAP_DAC_READ_SEARCH},
	{"userfaultfd", SYS_userfaultfd, {-1}, EPERM, CAP_SYS_PTRACE},
	{"pidfd_getfd", SYS_pidfd_getfd, {-1}, EPERM, CAP_SYS_PTRACE},
	{"kcmp", SYS_kcmp, {-1, -1, -1}, EPERM, CAP_SYS_PTRACE},
	{"settimeofday", SYS_settimeofday, {1}, EPERM, CAP_SYS_TIME},
	{"clock_settime", SYS_clock_settime, {0}, EPERM, CAP_SYS_TIME},
	{"syslog", SYS_syslog, {-1}, EPERM, CAP_SYSLOG},
	{"acct", SYS_acct, {1}, EPERM, CAP_SYS_PACCT},
	{"swapon", SYS_swapon, {0}, EPERM, CAP_SYS_ADMIN},
	{"sethostname", SYS_sethostname, {0, -1}, EPERM, CAP_SYS_ADMIN},
	{"quotactl", SYS_quotactl, {-1}, EPERM, CAP_SYS_ADMIN},
	{"move_pages", SYS_move_pages, {-1}, EPERM, CAP_SYS_NICE},
	{"clone into a user namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}, EPERM, -1},
	{"clone into a network namespace", SYS_clone, {CLONE_NEWNET | SIGCHLD}, EPERM, -1},
	{"clone into two", SYS_clone, {CLONE_NEWNS | CLONE_NEWPID | SIGCHLD}, EPERM, -1},
	/* libc falls back on these two answers. */
	{"clone3", SYS_clone3, {0}, ENOSYS, CAP_SYS_ADMIN},
	{"io_uring_setup", SYS_io_uring_setup, {0}, ENOSYS, -1},
	{"a call of a later kernel", 4000, {0}, ENOSYS, -1},
	{"socket AF_VSOCK", SYS_socket, {AF_VSOCK, SOCK_STREAM}, EAFNOSUPPORT, -1},
	{"socket AF_ALG", SYS_socket, {AF_ALG, SOCK_SEQPACKET}, EAFNOSUPPORT, -1},
	{"socket AF_CAN", SYS_socket, {AF_CAN, SOCK_RAW}, EAFNOSUPPORT, -1},
	{"socket AF_AX25", SYS_socket, {AF_AX25, SOCK_RAW}, EAFNOSUPPORT, -1},
	{"socket AF_KEY", SYS_socket, {AF_KEY, SOCK_RAW}, EAFNOSUPPORT, -1},
	{"personality ADDR_NO_RANDOMIZE", SYS_personality, {ADDR_NO_RANDOMIZE}, ENOSYS, -1},
#ifdef __x86_64__
	{"iopl", SYS_iopl, {99}, EPERM, CAP_SYS_RAWIO},
	{"ioperm", SYS_ioperm, {-1, -1}, EPERM, CAP_SYS_RAWIO},
#endif
};

/* Exits with the errno of the call, 0 for success. */
static void make_call(const void *arg)
{
	const struct call *c = arg;
	long r = syscall(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4],
			 c->args[5]);

	/* Also where a clone() went through, against all we want. */
	_exit(r < 0 ? errno : 0);
}

static void test_refused_calls(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		int status = run_filtered(usual_caps, make_call, &refused[i]);

		if (!WIFEXITED(status) || WEXITSTATUS(status) != refused[i].want)
			fail_msg("%s: status %#x, wanted errno %d", refused[i].name, status,
				 refused[i].want);
	}
}

/* Each family below AF_MAX: the five go through, the others look like a kernel without them. */
static void try_families(const void *arg)
{
	(void)arg;
	for (int family = 0; family < 64; family++) {
		bool allowed = family == AF_UNIX || family == AF_INET || family == AF_INET6 ||
			       family == AF_NETLINK || family == AF_PACKET;
		/* A type that no family has: the kernel answers EINVAL by itself. */
		long r = syscall(SYS_socket, family, 15, 0);

		if (r >= 0 || errno != (allowed ? EINVAL : EAFNOSUPPORT))
			_exit(family + 1);
	}
	_exit(0);
}

static void test_families(void **state)
{
	int status;

	(void)state;
	status = run_filtered(usual_caps, try_families, NULL);
	if (status != 0)
		fail_msg("family %d", WEXITSTATUS(status) - 1);
}

/* A pair of a family that is not let through would load its module before the kernel says that it has no pairs. */
static void try_pairs(const void *arg)
{
	int pair[2];

	(void)arg;
	for (int family = 0; family < 64; family++) {
		long r = syscall(SYS_socketpair, family, 15, 0, pair);

		if (r >= 0 || errno != (family == AF_UNIX ? EINVAL : EOPNOTSUPP))
			_exit(family + 1);
	}
	_exit(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ? 100 : 0);
}

static void test_pairs(void **state)
{
	int status;

	(void)state;
	status = run_filtered(usual_caps, try_pairs, NULL);
	if (status != 0)
		fail_msg("family %d", WEXITSTATUS(status) - 1);
}

/* Every number of 16 bits, with single bits of the other 48 set: the two and no other, whatever the upper half, which the
 * kernel does not look at. */
static void try_ioctls(const void *arg)
{
	static const uint64_t upper[] = {0,          1u << 16,   1u << 30,       1u << 31,
					 1ull << 32, 1ull << 63, 0xffffull << 48};

	(void)arg;
	for (size_t i = 0; i < COUNT(upper); i++) {
		for (uint64_t low = 0; low < 1u << 16; low++) {
			uint64_t number = upper[i] | low;
			bool want = (uint32_t)number == TIOCSTI || (uint32_t)number == TIOCLINUX;

			if (syscall(SYS_ioctl, -1, number, 0) >= 0 ||
			    errno != (want ? EPERM : EBADF))
				_exit(1);
		}
	}
	_exit(0);
}

static void test_ioctls(void **state)
{
	(void)state;
	assert_int_equal(run_filtered(usual_caps, try_ioctls, NULL), 0);
}

/* With its capability a call reaches the kernel, which answers for itself: the arguments are such
 * that it fails, and not by EPERM or ENOSYS. */
static void test_capabilities_open_calls(void **state)
{
	static const struct call opened[] = {
		{"bpf", SYS_bpf, {-1}, EINVAL, CAP_BPF},
		{"open_tree", SYS_open_tree, {-1, 0, ~0L}, EINVAL, CAP_SYS_ADMIN},
		{"setns", SYS_setns, {-1}, EBADF, CAP_SYS_ADMIN},
		{"clone3", SYS_clone3, {0, 1}, EINVAL, CAP_SYS_ADMIN},
		{"settimeofday", SYS_settimeofday, {1}, EFAULT, CAP_SYS_TIME},
		{"syslog", SYS_syslog, {-1}, EINVAL, CAP_SYSLOG},
		{"pidfd_getfd", SYS_pidfd_getfd, {-1}, EBADF, CAP_SYS_PTRACE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(opened); i++) {
		int status =
			run_filtered(usual_caps | CAP(opened[i].unless), make_call, &opened[i]);

		if (!WIFEXITED(status) || WEXITSTATUS(status) != opened[i].want)
			fail_msg("%s: status %#x, wanted errno %d", opened[i].name, status,
				 opened[i].want);
	}
}

/* ---- allowed ---------------------------------------------------------------------------- */

static void ordinary_calls(const void *arg)
{
	char buf[16];
	int fd, pair[2];
	void *p;

	(void)arg;
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
		_exit(1);
	if (socket(AF_INET, SOCK_STREAM, 0) < 0)
		_exit(2);
	if (socket(AF_INET6, SOCK_DGRAM, 0) < 0 && errno != EAFNOSUPPORT)
		_exit(3);
	if (socket(AF_NETLINK, SOCK_RAW, 0) < 0)
		_exit(4);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		_exit(5);
	if (personality(0xffffffff) < 0)
		_exit(6);
	if (memfd_create("x", MFD_CLOEXEC) < 0)
		_exit(7);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ) < 0)
		_exit(8);
	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, buf, sizeof(buf)) <= 0)
		_exit(9);
	if (syscall(SYS_gettid) < 0 || syscall(SYS_getrandom, buf, sizeof(buf), 0) < 0)
		_exit(10);
	if (chroot("/") < 0) /* CAP_SYS_CHROOT is of the usual set */
		_exit(11);
	_exit(0);
}

static void run_shell(const void *arg)
{
	execl("/bin/sh", "sh", "-c", arg, (char *)NULL);
}

static void test_ordinary_calls(void **state)
{
	(void)state;
	assert_int_equal(run_filtered(usual_caps, ordinary_calls, NULL), 0);
}

static void test_ordinary_programs(void **state)
{
	static const char *const scripts[] = {
		"exit 0",
		"ls -la / >/dev/null",
		"test \"$(echo hello | tr a-z A-Z | cat)\" = HELLO",
		"d=$(mktemp -d) && touch $d/a && ln -s a $d/b && chmod 600 $d/a && mv $d/a $d/c "
		"&& rm -r $d",
		"(sleep 0.01 & wait) && kill -0 $$",
		"id >/dev/null && uname -a >/dev/null && date >/dev/null",
		"awk 'BEGIN { exit 0 }' && sort </dev/null && tar --version >/dev/null",
		/* threads, where there is one that makes them */
		"command -v python3 >/dev/null || exit 0; python3 -c 'import threading, subprocess;"
		" t = threading.Thread(target=lambda: None); t.start(); t.join();"
		" subprocess.run([\"true\"], check=True)'",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(scripts); i++) {
		int status = run_filtered(usual_caps, run_shell, scripts[i]);

		if (status != 0)
			fail_msg("'%s': status %#x", scripts[i], status);
	}
}

#ifdef __x86_64__
/* A 32-bit program would reach socket(2) by socketcall(2), past the rule about families: it must not
 * get that far. */
static void call32(const void *arg)
{
	unsigned *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long r;

	(void)arg;
	if (words == MAP_FAILED)
		_exit(1);
	words[0] = AF_ALG;
	words[1] = SOCK_SEQPACKET;
	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(102L), "b"(1L), "c"((long)words), "d"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	_exit(r >= 0 ? 2 : 0);
}

static void test_no_way_round_by_32_bit(void **state)
{
	int status;

	(void)state;
	status = run_filtered(usual_caps, call32, NULL);
	/* SIGSEGV: a kernel without the entry. */
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compiles),
		cmocka_unit_test(test_compiles_elsewhere),
		cmocka_unit_test(test_refused_calls),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_ioctls),
		cmocka_unit_test(test_capabilities_open_calls),
		cmocka_unit_test(test_ordinary_calls),
		cmocka_unit_test(test_ordinary_programs),
#ifdef __x86_64__
		cmocka_unit_test(test_no_way_round_by_32_bit),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
