/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to insula-layer once it has shut itself in: tables of capabilities, limits and system calls for iso_jail_enter().
 */
#include "layer_jail.h"

#include <linux/capability.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "isolate/jail.h"

#define BIT(cap) (UINT64_C(1) << (cap))

/* What giving files an owner, a mode and attributes takes, whoever's directory they are in. */
#define FILE_CAPS                                                                     \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | \
	 BIT(CAP_SETFCAP))

/* Sorted by what for. A name that an architecture does not have is left out. */
static const char *const calls[] = {
	/* input, output */
	"read",
	"write",
	"writev",
	"pread64",
	"pwrite64",
	"lseek",
	"poll",
	"ppoll",
	"close",
	/* files below the directory */
	"openat",
	"openat2",
	"fstat",
	"newfstatat",
	"statx",
	"fstatfs",
	"getdents64",
	"mkdirat",
	"mknodat",
	"symlinkat",
	"linkat",
	"unlinkat",
	"fchown",
	"fchownat",
	"fchmod",
	"fchmodat",
	"utimensat",
	"ftruncate",
	"fsetxattr",
	"dup3",
	"fcntl",
	/* memory */
	"brk",
	"munmap",
	"mremap",
	"madvise",
	/* one thread more */
	"set_robust_list",
	"rseq",
	"futex",
	"sched_getaffinity",
	"sched_yield",
	"gettid",
	"getpid",
	"rt_sigprocmask",
	"rt_sigaction",
	"rt_sigreturn",
	"restart_syscall",
	"eventfd2",
	/* ids that new files get; the umask that they are made with */
	"geteuid",
	"getegid",
	"umask",
	/* the C library's own */
	"clock_gettime",
	"clock_nanosleep",
	"getrandom",
	"tgkill",
	"exit",
	"exit_group",
};

/* zstd's window of 128 MiB, buffers and two stacks fit with room; a directory is held per level of depth. */
static const struct iso_rlimit limits[] = {
	{RLIMIT_AS, UINT64_C(1) << 30, UINT64_C(1) << 30},
	{RLIMIT_NOFILE, 1024, 1024},
	{RLIMIT_CPU, 4 * 3600, 4 * 3600},
	{RLIMIT_CORE, 0, 0},
};

int layer_jail_enter(int directory_fd, struct err *e)
{
	size_t first = 0;
#ifdef __SANITIZE_ADDRESS__
	first = 1; /* their shadow alone is terabytes of address space */
#endif
	const struct iso_jail jail = {
		.root_fd = directory_fd,
		.caps = directory_fd >= 0 ? FILE_CAPS : 0,
		.rlimits = limits + first,
		.n_rlimits = ARRAY_SIZE(limits) - first,
		.calls = calls,
		.n_calls = ARRAY_SIZE(calls),
	};

	return iso_jail_enter(&jail, e);
}
