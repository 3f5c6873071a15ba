/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting virtiofsd. It gets a listening socket and the tree as descriptors, so it resolves no
 * path that somebody else could exchange, and the engine gets the other end of a connection that is
 * already made; the socket's name in the run directory lives for the few microseconds between.
 *
 * The options, and why:
 *
 *   sandbox=chroot    One process, which dies with one SIGKILL and can be waited for. The other
 *                     mode (namespace) forks into a pid namespace whose init outlives a killed
 *                     parent for a moment. Mount, network and pid namespaces are those of the
 *                     monitor that starts us; virtiofsd itself adds a seccomp allow-list without
 *                     mount, chroot and socket calls, and keeps only file capabilities.
 *   modcaps=-mknod    A hostile guest makes no device nodes in a tree of the host's. FIFOs, sockets
 *                     and overlay whiteouts need no capability.
 *   announce_submounts  Each mount below the tree is a mount of its own in the guest, so
 *                     equal inode numbers of two file systems are not taken for one file.
 *   xattr             File capabilities (security.capability) work as they do in a container.
 *   cache=auto        Data is read anew when a file is opened after a change; names and attributes
 *                     are kept for one second. `none` breaks shared writable mappings, `always`
 *                     never sees a change that the host makes to a volume.
 *   no_flock, no_posix_lock  Locks are the guest's own: a lock that blocks would block the server.
 *   rlimit-nofile     It holds a descriptor for each inode that the guest knows: as many as the
 *                     hard limit allows. More cannot be asked for without CAP_SYS_RESOURCE.
 *
 * They are written in the form that the C version (QEMU up to 7.2) knows and that the later
 * stand-alone virtiofsd accepts for compatibility.
 */
#include "virtiofsd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"

/* Where distributions put it, which is never on PATH. */
static const char *const programs[] = {
	"/usr/lib/qemu/virtiofsd",
	"/usr/libexec/virtiofsd",
	"/usr/lib/virtiofsd",
};

/* What it keeps for its work (it creates files as the guest's users, and root there may change owners and modes), and what it
 * needs to get there: chroot and emptying its bounding set. In a user namespace all of it reaches the ids mapped there. */
#define CAP_BIT(cap) (UINT64_C(1) << (cap))
#define VIRTIOFSD_CAPS                                                                            \
	(CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_FOWNER) |                   \
	 CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_SETGID) | CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETFCAP) | \
	 CAP_BIT(CAP_SYS_CHROOT) | CAP_BIT(CAP_SETPCAP))

#define SOCKET_NAME "virtiofsd.sock"

/* Descriptor numbers in virtiofsd. */
enum { CHILD_FD_LISTEN = 3, CHILD_FD_TREE = 4 };

/* Enough for any tree, and below what a 32-bit index would overflow. */
#define NOFILE_MAX (1u << 20)

static const char *virtiofsd_program(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (access(programs[i], X_OK) == 0)
			return programs[i];
	return NULL;
}

int virtiofsd_check(struct err *e)
{
	if (virtiofsd_program())
		return 0;
	err_set(e, ERR_NOT_FOUND, ENOENT, "find virtiofsd: not installed (looked for %s)",
		programs[0]);
	return err_hint(e, "install qemu-system-common (or virtiofsd)");
}

/* A listening socket in run_dir and a connection to it. The name is reached through the directory's
 * descriptor, since sun_path has room for 107 bytes only. */
static int connected_pair(const char *run_dir, int *ret_listen, int *ret_connected, struct err *e)
{
	_cleanup_close_ int dirfd = -EBADF, listener = -EBADF, connected = -EBADF;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *step = "bind";
	int r, saved = 0;

	dirfd = path_open_dir(run_dir, e);
	if (dirfd < 0)
		return dirfd;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	connected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || connected < 0)
		return err_sys(e, errno, "socket");
	r = path_unlink_at(dirfd, SOCKET_NAME, e);
	if (r < 0)
		return r;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" SOCKET_NAME, dirfd);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    (step = "listen", listen(listener, 1) < 0) ||
	    (step = "connect", connect(connected, (struct sockaddr *)&addr, sizeof(addr)) < 0))
		saved = errno;
	path_unlink_at(dirfd, SOCKET_NAME, NULL);
	if (saved)
		return err_sys(e, saved, "%s '%s/" SOCKET_NAME "'", step, run_dir);
	*ret_listen = TAKE_FD(listener);
	*ret_connected = TAKE_FD(connected);
	return 0;
}

static int build_argv(const char *program, char ***ret)
{
	_cleanup_strv_ char **argv = NULL;
	_cleanup_free_ char *nofile = NULL;
	struct rlimit limit = {.rlim_max = 0};
	const char *const fixed[] = {
		program,
		"--fd=3",
		"-f",
		"-o",
		"source=/proc/self/fd/4/.",
		"-o",
		"sandbox=chroot,announce_submounts,xattr,cache=auto,no_flock,no_posix_lock",
		"-o",
		"modcaps=-mknod",
		"-o",
		"log_level=warn",
	};
	uint64_t max;
	int r;

	_Static_assert(CHILD_FD_LISTEN == 3 && CHILD_FD_TREE == 4, "as in the options");
	getrlimit(RLIMIT_NOFILE, &limit);
	max = limit.rlim_max < NOFILE_MAX ? limit.rlim_max : NOFILE_MAX;
	r = str_printf(&nofile, "--rlimit-nofile=%ju", (uintmax_t)max);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fixed); i++)
		r = strv_push(&argv, fixed[i]);
	if (r == 0)
		r = strv_push(&argv, nofile);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(argv);
	return 0;
}

int virtiofsd_start(struct vm_child *c, const char *share_dir, const char *run_dir, int *ret_fd,
		    struct err *e)
{
	_cleanup_close_ int tree = -EBADF, listener = -EBADF, connected = -EBADF;
	_cleanup_strv_ char **argv = NULL;
	const char *program = virtiofsd_program();
	int r;

	if (!program)
		return virtiofsd_check(e);
	r = connected_pair(run_dir, &listener, &connected, e);
	if (r < 0)
		return err_wrap(e, "start virtiofsd");
	tree = path_open_dir(share_dir, e);
	if (tree < 0)
		return err_wrap(e, "start virtiofsd");
	if (build_argv(program, &argv) < 0)
		return err_nomem(e);

	const struct proc_fd_map fds[] = {
		{.from = listener, .to = CHILD_FD_LISTEN},
		{.from = tree, .to = CHILD_FD_TREE},
	};
	*c = VM_CHILD_INIT("virtiofsd");
	c->caps = VIRTIOFSD_CAPS;
	r = vm_child_start(c, argv, fds, ARRAY_SIZE(fds), e);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(connected);
	return 0;
}
