/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest that conquered its VMM would find: a process of a user that owns nothing and that no other process
 * has, without capabilities or a way to get any, in an empty read-only file system, without a network, without names
 * of anybody else's processes, sockets or memory. All it has are the descriptors that the VM works with.
 *
 * As root, the user is one of a range that nobody gives to people, services or containers, numbered by our process
 * id. Where that number means nothing (an ordinary user's namespace), and for ordinary users, a user namespace without
 * any mapping does the same.
 *
 * Sources: pivot_root(2), mount_setattr(2) and fsmount (kernel Documentation/filesystems/mount_api.rst),
 * user_namespaces(7), capabilities(7).
 */
#include "kvm_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Between what container managers hand out and the end of signed numbers. */
#define JAIL_UID_BASE 0x70000000u

#define JAIL_NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

static int make_empty_root(void)
{
	_cleanup_close_ int fs = (int)syscall(SYS_fsopen, "tmpfs", 1 /* FSOPEN_CLOEXEC */);

	if (fs < 0 || syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) < 0)
		return -errno;
	return (int)syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */,
			    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				    MOUNT_ATTR_NOEXEC);
}

/* pivot_root(".", ".") lays the old root over the new one, from where it is taken off as a whole. */
static int enter_empty_root(struct err *e)
{
	_cleanup_close_ int root = -EBADF;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, errno, "make the mounts private");
	root = make_empty_root();
	if (root < 0)
		return err_sys(e, root, "make an empty root");
	if (syscall(SYS_move_mount, root, "", AT_FDCWD, "/", 4 /* MOVE_MOUNT_F_EMPTY_PATH */) < 0)
		return err_sys(e, errno, "mount the empty root");
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(e, errno, "pivot_root to the empty root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, errno, "detach the old root");
	return chdir("/") < 0 ? err_sys(e, errno, "chdir to the empty root") : 0;
}

/* A user of ours alone, or, where there is no such number, one without any. */
static int become_nobody(bool root, struct err *e)
{
	uid_t id = JAIL_UID_BASE + (uid_t)getpid();

	if (root && setgroups(0, NULL) == 0 && setresgid(id, id, id) == 0) {
		if (setresuid(id, id, id) == 0)
			return 0;
		return err_sys(e, errno, "become user %u", id);
	}
	if (root && errno != EINVAL && errno != EPERM)
		return err_sys(e, errno, "become group %u", id);
	/* Ordinary users made their namespace before the others, as those need its capabilities. */
	if (root && unshare(CLONE_NEWUSER) < 0)
		return err_sys(e, errno, "make a user namespace");
	return 0;
}

/* What we hold stays ours until the next step; but nothing can be had back. It needs CAP_SETPCAP, so it comes first. */
static int empty_bounding_set(struct err *e)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_sys(e, errno, "drop capability %d", cap);
	return 0;
}

static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capset, &head, none) < 0)
		return err_sys(e, errno, "drop all capabilities");
	return 0;
}

int kvm_jail_enter(struct err *e)
{
	const struct rlimit none = {0, 0};
	bool root = geteuid() == 0;
	int r;

	if (!root && unshare(CLONE_NEWUSER) < 0)
		return err_sys(e, errno, "make a user namespace");
	if (unshare(JAIL_NAMESPACES) < 0)
		return err_sys(e, errno, "make namespaces");
	r = enter_empty_root(e);
	if (r < 0)
		return r;
	r = empty_bounding_set(e);
	if (r == 0)
		r = become_nobody(root, e);
	if (r == 0)
		r = drop_capabilities(e);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, errno, "give up new privileges");
	setrlimit(RLIMIT_CORE, &none);
	/* A change of the user took the order of the one who started us away. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_sys(e, errno, "tie us to the monitor");
	return 0;
}
