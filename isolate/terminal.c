/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals. The pair comes from the container's own devpts, so that its names mean something
 * inside; but everything below the container's /dev may have been arranged by its image. So nothing
 * is believed by name (CVE-2025-52565): the multiplexer's directory must be a devpts, the
 * multiplexer device 5:2 on it, and the slave is asked of the master itself (TIOCGPTPEER), never
 * opened as /dev/pts/N. What is bound on /dev/console is that very descriptor.
 */
#include "terminal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "inside.h"

#define PTMX_MAJOR      5
#define PTMX_MINOR      2
#define PTS_MAJOR_FIRST 136 /* Documentation/admin-guide/devices.txt: 136..143 */
#define PTS_MAJOR_LAST  143
#define SLAVE_MODE      0620 /* as login(1) leaves it: others may write(1), not read */

static int open_devpts(int root_fd, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	int r;

	fd = path_open_in_root(root_fd, "dev/pts", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, e);
	if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP)
		return fd;
	if (fd >= 0) {
		r = path_check_fstype(fd, DEVPTS_SUPER_MAGIC, "/dev/pts", NULL);
		if (r == 0)
			return TAKE_FD(fd);
	}
	err_unsupported(e, "a terminal needs a devpts at /dev/pts of the container");
	return err_hint(e, "add {\"type\": \"devpts\", \"destination\": \"/dev/pts\"} to mounts");
}

static int check_device(int fd, unsigned major_first, unsigned major_last, int minor_or_any,
			const char *what, struct err *e)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat %s", what);
	r = path_check_fstype(fd, DEVPTS_SUPER_MAGIC, what, e);
	if (r < 0)
		return r;
	if (!S_ISCHR(st.st_mode) || major(st.st_rdev) < major_first ||
	    major(st.st_rdev) > major_last ||
	    (minor_or_any >= 0 && minor(st.st_rdev) != (unsigned)minor_or_any))
		return err_invalid(e, "%s is not the device it should be", what);
	return 0;
}

static int open_master(int root_fd, struct err *e)
{
	_cleanup_close_ int pts = -EBADF, fd = -EBADF;
	int unlock = 0, r;

	pts = open_devpts(root_fd, e);
	if (pts < 0)
		return pts;
	fd = path_open_in_root(pts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW, 0, e);
	if (fd < 0) {
		err_wrap(e, "open /dev/pts/ptmx of the container");
		if (fd == -EACCES)
			err_hint(e, "mount the devpts with ptmxmode=0666");
		return fd;
	}
	r = check_device(fd, PTMX_MAJOR, PTMX_MAJOR, PTMX_MINOR, "/dev/pts/ptmx", e);
	if (r < 0)
		return r;
	if (ioctl(fd, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, errno, "unlock the terminal");
	return TAKE_FD(fd);
}

static int open_slave(int master, const struct iso_process *p, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	int r;

	fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open the terminal's other end");
	r = check_device(fd, PTS_MAJOR_FIRST, PTS_MAJOR_LAST, -1, "the terminal", e);
	if (r < 0)
		return r;
	/* The group stays as the devpts mount says (gid=5, tty). */
	if (fchown(fd, p->user.uid, (gid_t)-1) < 0)
		return err_sys(e, errno, "give the terminal to user %u", p->user.uid);
	if (fchmod(fd, SLAVE_MODE) < 0)
		return err_sys(e, errno, "set the terminal's mode");
	return TAKE_FD(fd);
}

int terminal_open(int root_fd, const struct iso_process *p, int *ret_master, int *ret_slave,
		  struct err *e)
{
	_cleanup_close_ int master = -EBADF, slave = -EBADF;

	master = open_master(root_fd, e);
	if (master < 0)
		return master;
	slave = open_slave(master, p, e);
	if (slave < 0)
		return slave;
	if (p->rows || p->cols) {
		struct winsize size = {.ws_row = p->rows, .ws_col = p->cols};

		if (ioctl(master, TIOCSWINSZ, &size) < 0)
			return err_sys(e, errno, "set the terminal's size");
	}
	*ret_master = TAKE_FD(master);
	*ret_slave = TAKE_FD(slave);
	return 0;
}

int terminal_control(int slave_fd, struct err *e)
{
	if (ioctl(slave_fd, TIOCSCTTY, 0) < 0)
		return err_sys(e, errno, "make the terminal the controlling one");
	return 0;
}

/* Is /dev of the new tree a mount made for this container? Otherwise it belongs to the image (or,
 * bound, to the host), and nothing may be created in it. */
static int open_own_dev(int root_fd, struct err *e)
{
	_cleanup_close_ int dev = -EBADF;
	struct statx st;

	dev = path_open_in_root(root_fd, "dev", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, e);
	if (dev < 0)
		return dev;
	if (statx(dev, "", AT_EMPTY_PATH, STATX_TYPE, &st) < 0)
		return err_sys(e, errno, "stat /dev of the container");
	if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return -ENOENT;
	/* A directory of a disk that was bound there outlives the container: nothing is left in it. */
	if (path_check_fstype(dev, TMPFS_MAGIC, "/dev", NULL) < 0)
		return -ENOENT;
	return TAKE_FD(dev);
}

static int bind_console(int root_fd, int slave, struct err *e)
{
	_cleanup_close_ int dev = -EBADF, target = -EBADF, tree = -EBADF;
	struct stat st;

	dev = open_own_dev(root_fd, e);
	if (dev == -ENOENT)
		return 0;
	if (dev < 0)
		return dev;
	target = path_open_in_root(dev, "console", O_PATH | O_NOFOLLOW, 0, NULL);
	if (target < 0)
		target = path_mkfile_in_root(dev, "console", 0755, 0600, e);
	if (target < 0)
		return err_wrap(e, "create /dev/console");
	if (fstat(target, &st) < 0)
		return err_sys(e, errno, "stat /dev/console");
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		return err_invalid(e, "/dev/console is a link or a directory");
	tree = open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_sys(e, errno, "clone the terminal's mount");
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, errno, "bind the terminal on /dev/console");
	return 0;
}

int inside_terminal(struct inside *in, int *ret_master, struct err *e)
{
	const struct iso_process *p = in->params->process;
	_cleanup_close_ int master = -EBADF, slave = -EBADF;
	int r;

	r = terminal_open(in->root_fd, p, &master, &slave, e);
	if (r == 0)
		r = bind_console(in->root_fd, slave, e);
	if (r < 0)
		return err_wrap(e, "terminal");
	in->console_fd = TAKE_FD(slave);
	*ret_master = TAKE_FD(master);
	return 0;
}
