/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting EROFS images that lie in files.
 *
 * A loop device is looked for before one is made: two mounts of one device are one file system, with one page cache. Whether the
 * device is that of our file is asked of the device itself once it is open, since until then it may become
 * another's; it takes itself apart when nobody has it open or mounted (LO_FLAGS_AUTOCLEAR).
 */
#include "isolate/erofs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "mountfd.h"

#define ATTRS     (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)
#define NAME_SIZE 32
#define TRIES     64 /* others take free devices, too */

static int mount_source(const char *source, struct err *e)
{
	_cleanup_close_ int fs_fd = mountfd_fs_open("erofs", e);
	int r = fs_fd;

	if (r >= 0)
		r = mountfd_fs_set(fs_fd, "source", source, e);
	if (r >= 0)
		r = mountfd_fs_set(fs_fd, "ro", NULL, e);
	return r < 0 ? r : mountfd_fs_mount(fs_fd, ATTRS, e);
}

/* ---- loop devices --------------------------------------------------------------------------------- */

/* Returns the descriptor. */
static int open_device(const char *name, struct err *e)
{
	_cleanup_close_ int root = path_open_dir("/", e);

	return root < 0 ? root : path_open_in_root(root, name, O_RDONLY, 0, e);
}

static bool is_of(int loop_fd, const struct stat *image)
{
	struct loop_info64 info;

	return ioctl(loop_fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == image->st_dev &&
	       info.lo_inode == image->st_ino && info.lo_offset == 0 && info.lo_sizelimit == 0 &&
	       (info.lo_flags & LO_FLAGS_READ_ONLY) && (info.lo_flags & LO_FLAGS_AUTOCLEAR);
}

/* One that others use already: -ENOENT without an error text when there is none. */
static int find_loop(const struct stat *image, char name[NAME_SIZE])
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/block");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		_cleanup_close_ int fd = -EBADF;
		struct stat st;
		char used[NAME_SIZE + 32];
		unsigned n;

		if (sscanf(d->d_name, "loop%u", &n) != 1)
			continue;
		/* There only while it has a file; opening all the idle ones would be slow. */
		snprintf(used, sizeof(used), "/sys/block/loop%u/loop", n);
		if (fstatat(AT_FDCWD, used, &st, 0) < 0)
			continue;
		snprintf(name, NAME_SIZE, "/dev/loop%u", n);
		fd = open_device(name, NULL);
		if (fd >= 0 && is_of(fd, image))
			return TAKE_FD(fd);
	}
	return -ENOENT;
}

static int make_loop(int image_fd, char name[NAME_SIZE], struct err *e)
{
	const struct loop_config config = {
		.fd = (uint32_t)image_fd,
		.info = {.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
			 .lo_file_name = "insula"},
	};
	_cleanup_close_ int control = open_device("/dev/loop-control", e);

	if (control < 0)
		return control;
	for (int i = 0; i < TRIES; i++) {
		_cleanup_close_ int fd = -EBADF;
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		if (n < 0)
			return err_sys(e, errno, "get a loop device");
		snprintf(name, NAME_SIZE, "/dev/loop%d", n);
		fd = open_device(name, e);
		if (fd < 0)
			return fd;
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return TAKE_FD(fd);
		if (errno != EBUSY)
			return err_sys(e, errno, "set up '%s'", name);
	}
	return err_sys(e, EBUSY, "get a loop device that stays free");
}

static int mount_loop(int image_fd, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	char name[NAME_SIZE];
	struct stat image;

	if (fstat(image_fd, &image) < 0)
		return err_sys(e, errno, "look at the image");
	fd = find_loop(&image, name);
	if (fd < 0)
		fd = make_loop(image_fd, name, e);
	return fd < 0 ? fd : mount_source(name, e);
}

int iso_erofs_mount(int image_fd, struct err *e)
{
	struct err first = ERR_INIT;
	char path[PATH_FD_MAX];
	int r = mount_source(path_of_fd(image_fd, path), &first);

	/* A file is no device to kernels before 6.12, nor to later ones on a file system that cannot be read from so. */
	if (r == -ENOTBLK || r == -EINVAL)
		r = mount_loop(image_fd, e);
	else if (r < 0 && e)
		*e = first;
	return r < 0 ? err_wrap(e, "mount a layer") : r;
}
