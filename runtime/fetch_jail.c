/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to insula-fetch once it has shut itself in: tables of files, limits and system calls for iso_jail_enter().
 */
#include "fetch_jail.h"

#include <sys/resource.h>

#include "base/cleanup.h"
#include "isolate/jail.h"

/* What resolving a name reads. Certificates come by descriptor. */
static const char *const files[] = {
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
};

/* Sorted by what for. A name that an architecture does not have is left out. */
static const char *const calls[] = {
	/* input, output */
	"read",
	"write",
	"writev",
	"readv",
	"pread64",
	"lseek",
	"poll",
	"ppoll",
	"close",
	"fcntl",
	"ioctl",
	"fstat",
	"newfstatat",
	"stat",
	"statx",
	"open",
	"openat",
	"access",
	"faccessat",
	"faccessat2",
	/* the network: socket() itself is for the Internet and the list of our addresses (isolate/jail.h) */
	"socketpair",
	"connect",
	"bind",
	"getsockname",
	"getpeername",
	"getsockopt",
	"setsockopt",
	"sendto",
	"recvfrom",
	"sendmsg",
	"recvmsg",
	"sendmmsg",
	"shutdown",
	"uname",
	/* memory */
	"brk",
	"munmap",
	"mremap",
	"madvise",
	/* the thread that resolves names */
	"set_robust_list",
	"rseq",
	"futex",
	"sched_getaffinity",
	"sched_yield",
	"gettid",
	"getpid",
	"getuid",
	"geteuid",
	"rt_sigprocmask",
	"rt_sigaction",
	"rt_sigreturn",
	"restart_syscall",
	"eventfd2",
	"pipe2",
	/* the C library's own */
	"clock_gettime",
	"clock_getres",
	"clock_nanosleep",
	"gettimeofday",
	"time",
	"getrandom",
	"tgkill",
	"exit",
	"exit_group",
};

static const struct iso_rlimit limits[] = {
	{RLIMIT_AS, UINT64_C(1) << 30, UINT64_C(1) << 30},
	{RLIMIT_NOFILE, 256, 256},
	{RLIMIT_CORE, 0, 0},
};

int fetch_jail_enter(struct err *e)
{
	size_t first = 0;
#ifdef __SANITIZE_ADDRESS__
	first = 1; /* their shadow alone is terabytes of address space */
#endif
	const struct iso_jail jail = {
		.root_fd = -1,
		.files = files,
		.n_files = ARRAY_SIZE(files),
		.internet = true,
		.rlimits = limits + first,
		.n_rlimits = ARRAY_SIZE(limits) - first,
		.calls = calls,
		.n_calls = ARRAY_SIZE(calls),
	};

	return iso_jail_enter(&jail, e);
}
