/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict on this host's KVM. The trial (kvm_trial.c) runs in a process of its own under a time
 * limit, because what is to be found out may hang. It takes milliseconds where KVM works; still the
 * verdict is kept for the boot, so that starting a VM does not create two.
 *
 * The cache file's first line is a key: the boot's id and the identity of /dev/kvm (a module that
 * is loaded anew makes a new device node, and may well work now). A verdict that was reached by
 * running out of time is not kept: the host may just have been busy. The file is believed only if
 * it is ours and nobody else can write it.
 */
#include "kvm_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "hypervisor/vm.h"

#define CACHE_NAME       ".kvm-probe"
#define CACHE_BYTES_MAX  512
#define TRIAL_LIMIT_MSEC 2000

static const char *const trial_texts[KVM_TRIAL_COUNT] = {
	[KVM_TRIAL_WORKS] = "runs 64-bit guests",
	[KVM_TRIAL_NO_VM] = "opens, but creates no virtual machine",
	[KVM_TRIAL_NO_VCPU] = "creates a virtual machine, but no processor for it",
	[KVM_TRIAL_NO_SETUP] = "refuses a 64-bit processor state",
	[KVM_TRIAL_EMULATION] = "only emulates guest kernel code, and not all of it",
	[KVM_TRIAL_CRASH] = "crashes a small 64-bit guest",
	[KVM_TRIAL_WRONG] = "runs a small 64-bit guest with wrong results",
	[KVM_TRIAL_STRANGE] = "leaves a small 64-bit guest for an unknown reason",
	[KVM_TRIAL_NO_ANSWER] = "does not run a small 64-bit guest to its end in time",
	[KVM_TRIAL_NO_PROCESS] = "could not be tried, as no process could be started",
};

const char *vm_kvm_verdict_name(enum vm_kvm_verdict v)
{
	switch (v) {
	case VM_KVM_WORKS:
		return "works";
	case VM_KVM_ABSENT:
		return "absent";
	case VM_KVM_FORBIDDEN:
		return "forbidden";
	case VM_KVM_TOO_WEAK:
		return "too weak";
	}
	return "unknown";
}

/* ---- cache ----------------------------------------------------------------------------------- */

/* "BOOT-ID DEVICE INODE CTIME" of this boot and this /dev/kvm. */
static int cache_key(int kvm_fd, char **ret)
{
	_cleanup_free_ char *boot_id = NULL;
	struct stat st;
	int r;

	r = path_read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &boot_id, NULL,
			      NULL);
	if (r < 0)
		return r;
	boot_id[strcspn(boot_id, "\n")] = '\0';
	if (fstat(kvm_fd, &st) < 0)
		return -errno;
	return str_printf(ret, "%s %jx %ju %jd.%09ld", boot_id, (uintmax_t)st.st_dev,
			  (uintmax_t)st.st_ino, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

/* A file that only we can have written, into a fresh string. */
static int read_trusted(int dirfd, char **ret)
{
	_cleanup_close_ int fd = openat(dirfd, CACHE_NAME,
					O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	return fd_read_all(fd, CACHE_BYTES_MAX, ret, NULL, CACHE_NAME, NULL);
}

/* The file is KEY, newline, number of the trial's outcome, newline. */
static bool cache_load(int dirfd, const char *key, enum kvm_trial *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t n = strlen(key);
	uint32_t outcome;

	if (dirfd < 0 || read_trusted(dirfd, &text) < 0)
		return false;
	if (strncmp(text, key, n) != 0 || text[n] != '\n')
		return false;
	text[n + 1 + strcspn(text + n + 1, "\n")] = '\0';
	if (parse_u32(text + n + 1, &outcome) < 0 || outcome >= KVM_TRIAL_NO_ANSWER)
		return false;
	*ret = (enum kvm_trial)outcome;
	return true;
}

/* A cache that cannot be written is none: the next VM tries again. */
static void cache_store(int dirfd, const char *key, enum kvm_trial outcome)
{
	_cleanup_free_ char *text = NULL;

	if (dirfd < 0 || outcome >= KVM_TRIAL_NO_ANSWER)
		return;
	if (str_printf(&text, "%s\n%d\n", key, (int)outcome) == 0)
		path_replace_file_at(dirfd, CACHE_NAME, text, strlen(text), 0600, false, NULL);
}

/* ---- trial ----------------------------------------------------------------------------------- */

static enum kvm_trial try_in_child(int kvm_fd)
{
	_cleanup_close_ int pidfd = -EBADF;
	enum kvm_trial outcome = KVM_TRIAL_NO_ANSWER;
	int status;
	pid_t pid;

	pid = proc_clone(0, SIGCHLD, -1, &pidfd);
	if (pid < 0)
		return KVM_TRIAL_NO_PROCESS;
	if (pid == 0)
		_exit(kvm_trial_run(kvm_fd));
	if (proc_wait_exit(pidfd, TRIAL_LIMIT_MSEC, NULL) < 0)
		kill(pid, SIGKILL); /* ours and not reaped: the pid is still its own */
	if (proc_reap(pid, &status, NULL) < 0)
		return KVM_TRIAL_NO_PROCESS;
	if (WIFEXITED(status) && WEXITSTATUS(status) < KVM_TRIAL_COUNT)
		outcome = (enum kvm_trial)WEXITSTATUS(status);
	return outcome;
}

static enum vm_kvm_verdict tell(enum vm_kvm_verdict v, const char *why, char **ret_why)
{
	char *s = NULL;

	/* Out of memory, the verdict still stands. */
	if (ret_why)
		*ret_why = str_printf(&s, "/dev/kvm %s", why) < 0 ? NULL : s;
	return v;
}

enum vm_kvm_verdict vm_kvm_probe(int cache_dirfd, char **ret_why)
{
	_cleanup_close_ int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	_cleanup_free_ char *key = NULL;
	enum kvm_trial outcome;

	if (kvm_fd < 0 && (errno == EACCES || errno == EPERM))
		return tell(VM_KVM_FORBIDDEN, "may not be opened by this user", ret_why);
	if (kvm_fd < 0)
		return tell(VM_KVM_ABSENT, errno == ENOENT ? "is absent" : "is not usable",
			    ret_why);
	if (cache_key(kvm_fd, &key) < 0)
		cache_dirfd = -1;
	if (!cache_load(cache_dirfd, key, &outcome)) {
		outcome = try_in_child(kvm_fd);
		cache_store(cache_dirfd, key, outcome);
	}
	return tell(outcome == KVM_TRIAL_WORKS ? VM_KVM_WORKS : VM_KVM_TOO_WEAK,
		    trial_texts[outcome], ret_why);
}
