/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-layer: unpacks layers of images, and is the only program that reads what may be a hostile archive. It is started by the
 * runtime (runtime/image_worker.c) in namespaces of its own, never by people, and is given everything as descriptors
 * (images/worker.h). Before it reads the first byte it shuts itself in: the directory that it fills is all there is of a
 * file tree, there is no network, no other process, no capability but those over files, and few system calls.
 */
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "images/layer_worker.h"
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

static int shut_in(const struct layer_mode *mode, struct err *e)
{
	size_t first = 0;
#ifdef __SANITIZE_ADDRESS__
	first = 1; /* their shadow alone is terabytes of address space */
#endif
	const struct iso_jail jail = {
		.root_fd = mode->directory_fd,
		.caps = mode->directory_fd >= 0 ? FILE_CAPS : 0,
		.rlimits = limits + first,
		.n_rlimits = ARRAY_SIZE(limits) - first,
		.calls = calls,
		.n_calls = ARRAY_SIZE(calls),
	};

	return iso_jail_enter(&jail, e);
}

/* One id alone is mapped: nothing can be given to another. */
static int has_other_ids(bool *ret, struct err *e)
{
	_cleanup_free_ char *map = NULL;
	unsigned inside, outside, count;
	int r, n = 0;

	r = path_read_file_at(-1, "/proc/self/uid_map", 1u << 16, &map, NULL, e);
	if (r < 0)
		return r;
	if (sscanf(map, "%u %u %u %n", &inside, &outside, &count, &n) != 3)
		return err_set(e, ERR_INTERNAL, EINVAL, "the map of user ids is not understood");
	*ret = count > 1 || map[n] != '\0';
	return 0;
}

static int prepare(const struct layer_mode *mode, bool *ret_keep_owners, struct err *e)
{
	int r = has_other_ids(ret_keep_owners, e);

	if (r < 0)
		return r;
	/* Modes are exact, and a reader that went away is an error like others. */
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return shut_in(mode, e);
}

int main(int argc, char **argv)
{
	const struct layer_mode *mode = argc > 1 ? layer_mode_find(argv[1]) : NULL;
	struct img_worker_report report = {0};
	struct stat st;
	bool keep_owners;
	int status;

	if (!mode || argc != 2 + mode->n_args || fstat(mode->report_fd, &st) < 0 ||
	    !S_ISFIFO(st.st_mode)) {
		fprintf(stderr, "insula-layer: a part of insula, which starts it by itself\n");
		return 125;
	}
	if (prepare(mode, &keep_owners, &report.error) == 0)
		layer_mode_run(mode, argv + 2, keep_owners, &report);
	status = layer_mode_report(mode, &report);
	/* Nothing is left that exit() could be needed for. */
	proc_exit_as(status << 8);
}
