/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of an image as a root file system: one overlay, read from directories that many sandboxes share, written to two
 * of this sandbox's own, or to a tmpfs that goes with it. Theory of operation:
 *
 * A layer is a directory, or a file with an EROFS image, which is mounted for the time of the mounting of the overlay: that takes
 * mounts of its own of its lower directories, and holds them. A container's creator does it (rootfs_layers_prepare()): in a user
 * namespace no image can be mounted, and in a group with rules of devices none by a loop device. The kernel wants lower directories to be in our mount namespace, so they are
 * attached meanwhile, one over the other, on the directory that the overlay will cover. Files of several file systems would
 * have several device numbers in one overlay; "xino" gives them one.
 *
 * Layers keep their overlay marks in user.overlay.* (who extracts them may not write trusted.*), so the overlay is mounted with
 * "userxattr", as root and in a user namespace alike. All directories are opened first, in our mount namespace, and the kernel
 * is given them by the names of their descriptors: short, whatever the store's path is, and what was opened is what is mounted.
 *
 * Linux 6.8 takes lower layers one by one ("lowerdir+"), up to 500. Older kernels want one string, and fsconfig(2) copies no
 * more than 255 bytes of it: there mount(2) is used, whose page of options has room for some 220 layers.
 *
 * An opaque directory hides what the layers below have. Overlayfs looks for the mark on every directory but the root of a layer:
 * there we do, and leave the layers below out.
 *
 * A root that is to be read-only is made so later, by whoever made mount points in it; so it has an upper layer, too.
 *
 * "volatile" leaves out what only a crash of the host would miss: syncing the whole of the upper file system when
 * a sandbox ends. It is for uppers that go with the sandbox.
 *
 * Spec: kernel Documentation/filesystems/overlayfs.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "isolate/erofs.h"
#include "mountfd.h"
#include "rootfs_kinds.h"

#define LAYERS_MAX       500  /* OVL_MAX_STACK */
#define CLASSIC_DATA_MAX 4095 /* what mount(2) copies: a page, with the terminator */

struct overlay {
	int *lower; /* topmost first */
	size_t n;
	bool *attached; /* of each lower one: is it a mount on our directory? */
	bool images;    /* some are */
	int tmpfs;      /* attached on the directory while the overlay is made; -1: none */
	int upper, work;
	bool volatile_upper;
};

static void overlay_done(struct overlay *o)
{
	for (size_t i = 0; i < o->n; i++)
		fd_close(o->lower[i]);
	free(o->lower);
	free(o->attached);
	fd_close(o->upper);
	fd_close(o->work);
	fd_close(o->tmpfs);
}

/* ---- what it is made of ------------------------------------------------------------------------------ */

/* As overlayfs sees the mark on other directories: none that cannot be read. */
static bool is_opaque(int layer)
{
	char path[PATH_FD_MAX], value;

	return getxattr(path_of_fd(layer, path), "user.overlay.opaque", &value, 1) == 1 &&
	       value == 'y';
}

static int explain_open(const char *path, int r, struct err *e)
{
	if (r == -EMFILE)
		err_hint(e, "raise the limit of open files (RLIMIT_NOFILE)");
	return err_wrap(e, "layer '%s'", path);
}

/* The layer's directory; or a detached mount of its image, and true. */
static int open_layer(int root, const char *path, bool *ret_image, struct err *e)
{
	_cleanup_close_ int fd = path_open_in_root(root, path, O_PATH, 0, e), image = -1;
	struct stat st;

	*ret_image = false;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "look at it");
	if (S_ISDIR(st.st_mode))
		return TAKE_FD(fd);
	if (!S_ISREG(st.st_mode))
		return err_sys(e, ENOTDIR, "open it");
	*ret_image = true;
	image = path_open_in_root(root, path, O_RDONLY, 0, e);
	return image < 0 ? image : iso_erofs_mount(image, e);
}

int rootfs_layers_prepare(const struct iso_rootfs *r, int **ret, struct err *e)
{
	_cleanup_close_ int root = path_open_dir("/", e);
	size_t n = strv_len(r->layers);
	int *mounts, rc = 0;

	if (root < 0)
		return root;
	mounts = malloc((n + 1) * sizeof(*mounts));
	if (!mounts)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		mounts[i] = -1;
	for (size_t i = 0; i < n && rc >= 0; i++) {
		bool image;

		rc = open_layer(root, r->layers[i], &image, e);
		if (rc < 0)
			explain_open(r->layers[i], rc, e);
		else if (image)
			mounts[i] = rc;
		else
			fd_close(rc);
	}
	if (rc < 0)
		rootfs_layers_release(r, mounts);
	else
		*ret = mounts;
	return rc < 0 ? rc : 0;
}

void rootfs_layers_release(const struct iso_rootfs *r, int *mounts)
{
	for (size_t i = 0; mounts && i < strv_len(r->layers); i++)
		fd_close(mounts[i]);
	free(mounts);
}

static int take_layer(const struct iso_rootfs *r, int root, size_t i, int dir_fd, struct overlay *o,
		      struct err *e)
{
	bool image = r->layer_mounts && r->layer_mounts[i] >= 0;
	int fd = image ? fcntl(r->layer_mounts[i], F_DUPFD_CLOEXEC, 3)
		       : open_layer(root, r->layers[i], &image, e);

	if (fd < 0)
		return image && r->layer_mounts ? err_sys(e, errno, "hold it") : fd;
	o->lower[o->n] = fd;
	o->attached[o->n++] = false; /* closed from here on, whatever comes */
	if (!image)
		return 0;
	o->images = true;
	fd = mountfd_attach(fd, dir_fd, e);
	if (fd == 0)
		o->attached[o->n - 1] = true;
	return fd;
}

/* The overlay has mounts of its own now, or there is none. The last one lies on top. (Where mount(2) put the overlay on top of
 * them, they stay below it, and go with the old root.) */
static int take_off(struct overlay *o, struct err *e)
{
	char link[PATH_FD_MAX];
	int r = 0;

	for (size_t i = o->n; i-- > 0;) {
		if (!o->attached[i])
			continue;
		if (umount2(path_of_fd(o->lower[i], link), MNT_DETACH) < 0 && r == 0)
			r = err_sys(e, errno, "take a layer's mount off");
		o->attached[i] = false;
	}
	return r;
}

static int open_lower(const struct iso_rootfs *r, int dir_fd, struct overlay *o, struct err *e)
{
	_cleanup_close_ int root = path_open_dir("/", e);
	size_t n = strv_len(r->layers);

	if (root < 0)
		return root;
	if (n == 0)
		return err_invalid(e, "no layers");
	if (n > LAYERS_MAX)
		return err_unsupported(e, "%zu layers, and the kernel takes %d", n, LAYERS_MAX);
	o->lower = calloc(n, sizeof(*o->lower));
	o->attached = calloc(n, sizeof(*o->attached));
	if (!o->lower || !o->attached)
		return err_nomem(e);
	while (o->n < n && !(o->n > 0 && is_opaque(o->lower[o->n - 1]))) {
		const char *path = r->layers[o->n];
		int rc = take_layer(r, root, o->n, dir_fd, o, e);

		if (rc < 0)
			return explain_open(path, rc, e);
	}
	return 0;
}

static int open_at(int dirfd, const char *name, int *ret, struct err *e)
{
	*ret = path_open_in_root(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, e);
	return *ret < 0 ? *ret : 0;
}

static int open_upper(const char *path, struct overlay *o, struct err *e)
{
	_cleanup_close_ int dir = path_open_dir(path, e);
	int r = dir < 0 ? dir : open_at(dir, "diff", &o->upper, e);

	if (r == 0)
		r = open_at(dir, "work", &o->work, e);
	return r < 0 ? err_wrap(e, "upper layer '%s'", path) : 0;
}

/* The kernel wants the upper layer to be in our mount namespace while the overlay is made. */
static int make_tmpfs(uint64_t bytes, int dir_fd, struct overlay *o, struct err *e)
{
	_cleanup_close_ int fs_fd = mountfd_fs_open("tmpfs", e);
	char value[32];
	int r = fs_fd;

	if (r >= 0)
		r = mountfd_fs_data(fs_fd, "source=layers,mode=700", e);
	if (r >= 0 && bytes) {
		snprintf(value, sizeof(value), "%llu", (unsigned long long)bytes);
		r = mountfd_fs_set(fs_fd, "size", value, e);
	}
	if (r < 0)
		return r;
	o->tmpfs = mountfd_fs_mount(fs_fd, 0, e);
	r = o->tmpfs < 0 ? o->tmpfs : mountfd_attach(o->tmpfs, dir_fd, e);
	if (r < 0) {
		o->tmpfs = fd_close(o->tmpfs); /* nothing to take off */
		return r;
	}
	r = path_mkdir_at(o->tmpfs, "diff", 0755, e);
	if (r == 0)
		r = path_mkdir_at(o->tmpfs, "work", 0700, e);
	if (r == 0)
		r = open_at(o->tmpfs, "diff", &o->upper, e);
	return r < 0 ? r : open_at(o->tmpfs, "work", &o->work, e);
}

/* The root of an overlay is its upper directory's: it shall look as the image has it. */
static int copy_root(const struct overlay *o, struct err *e)
{
	_cleanup_close_ int fd = path_open_dir_at(o->upper, ".", e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(o->lower[0], &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0 ||
	    fchmod(fd, st.st_mode & 07777) < 0)
		return err_sys(e, errno, "give the root its owner and mode");
	return 0;
}

/* ---- mounting -------------------------------------------------------------------------------------------- */

static int set_dir(int fs_fd, const char *key, int dir, struct err *e)
{
	char path[PATH_FD_MAX];

	/* A string, not FSCONFIG_SET_FD: overlayfs takes descriptors only since 6.13. */
	return mountfd_fs_set(fs_fd, key, path_of_fd(dir, path), e);
}

/* Returns the detached mount. */
static int mount_one_by_one(const struct overlay *o, struct err *e)
{
	_cleanup_close_ int fs_fd = mountfd_fs_open("overlay", e);
	int r = fs_fd;

	if (r >= 0)
		r = mountfd_fs_set(fs_fd, "source", "image", e);
	for (size_t i = 0; i < o->n && r >= 0; i++)
		r = set_dir(fs_fd, "lowerdir+", o->lower[i], e);
	if (r >= 0)
		r = set_dir(fs_fd, "upperdir", o->upper, e);
	if (r >= 0)
		r = set_dir(fs_fd, "workdir", o->work, e);
	if (r >= 0)
		r = mountfd_fs_set(fs_fd, "userxattr", NULL, e);
	if (r >= 0 && o->images)
		r = mountfd_fs_set(fs_fd, "xino", "on", e);
	if (r >= 0 && o->volatile_upper)
		r = mountfd_fs_set(fs_fd, "volatile", NULL, e);
	return r < 0 ? r : mountfd_fs_mount(fs_fd, 0, e);
}

static int classic_data(const struct overlay *o, char **ret, struct err *e)
{
	struct strbuf b = {0};
	char path[PATH_FD_MAX];

	strbuf_add(&b, "lowerdir=");
	for (size_t i = 0; i < o->n; i++)
		strbuf_addf(&b, "%s%s", i ? ":" : "", path_of_fd(o->lower[i], path));
	strbuf_addf(&b, ",upperdir=%s", path_of_fd(o->upper, path));
	strbuf_addf(&b, ",workdir=%s,userxattr", path_of_fd(o->work, path));
	strbuf_add(&b, o->volatile_upper ? ",volatile" : "");
	strbuf_add(&b, o->images ? ",xino=on" : "");
	if (b.len > CLASSIC_DATA_MAX) {
		strbuf_done(&b);
		err_unsupported(e, "%zu layers are too many for this kernel's mount(2)", o->n);
		return err_hint(e, "Linux 6.8 and later take %d", LAYERS_MAX);
	}
	return strbuf_take(&b, ret) < 0 ? err_nomem(e) : 0;
}

/* Linux before 6.8. Attached on the directory at once; returns the mount's root. */
static int mount_at_once(const struct iso_rootfs *r, const struct overlay *o, int dir_fd,
			 struct err *e)
{
	_cleanup_close_ int root = path_open_dir("/", e);
	_cleanup_free_ char *data = NULL;
	char target[PATH_FD_MAX];
	int rc = root < 0 ? root : classic_data(o, &data, e);

	if (rc < 0)
		return rc;
	if (mount("image", path_of_fd(dir_fd, target), "overlay", 0, data) < 0)
		return err_sys(e, errno, "mount the overlay");
	return path_open_in_root(root, r->path, O_PATH | O_DIRECTORY, 0, e);
}

/* The overlay's root, attached. */
static int mount_overlay(const struct iso_rootfs *r, struct overlay *o, int dir_fd, struct err *e)
{
	struct err first = ERR_INIT, second = ERR_INIT;
	_cleanup_close_ int mnt = mount_one_by_one(o, &first);
	char link[PATH_FD_MAX];
	bool old_kernel = mnt == -EINVAL;
	int rc;

	/* The overlay holds the upper layer itself now. Off again, also after a failure. */
	if (!old_kernel && o->tmpfs >= 0 && umount2(path_of_fd(o->tmpfs, link), MNT_DETACH) < 0)
		return err_sys(e, errno, "take the private tmpfs off");
	rc = old_kernel ? 0 : take_off(o, e);
	if (rc < 0)
		return rc;
	if (mnt >= 0) {
		rc = mountfd_attach(mnt, dir_fd, e);
		return rc < 0 ? rc : TAKE_FD(mnt);
	}
	if (old_kernel) {
		rc = mount_at_once(r, o, dir_fd, &second);
		if (rc >= 0)
			return rc;
		/* What a newer kernel says of a layer is the better text. */
		if (rc != -EINVAL)
			first = second;
		if (o->tmpfs >= 0)
			umount2(path_of_fd(o->tmpfs, link), MNT_DETACH);
	}
	if (e)
		*e = first;
	if (r->upper && first.errnum == EINVAL)
		err_hint(e, "layers cannot be on an overlay or a network file system; use a store "
			    "on a disk (--store DIR)");
	return err_wrap(e, "overlay over %zu layers", o->n);
}

int rootfs_layers(const struct iso_rootfs *r, int dir_fd, int *ret_fd, struct err *e)
{
	_cleanup_(overlay_done) struct overlay o = {
		.tmpfs = -1, .upper = -1, .work = -1, .volatile_upper = !r->upper || r->ephemeral};
	int rc = open_lower(r, dir_fd, &o, e);

	if (rc == 0)
		rc = r->upper ? open_upper(r->upper, &o, e)
			      : make_tmpfs(r->throwaway_bytes, dir_fd, &o, e);
	if (rc == 0)
		rc = copy_root(&o, e);
	if (rc == 0)
		rc = mount_overlay(r, &o, dir_fd, e);
	if (rc < 0) {
		take_off(&o, NULL);
		return rc;
	}
	*ret_fd = rc;
	return 0;
}
