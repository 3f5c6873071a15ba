/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device nodes and the usual symlinks of /dev. The image may have anything there, /dev itself may
 * be a symlink (CVE-2026-41579): every node is made as one plain name below an O_PATH descriptor
 * that was resolved inside the root, and what is there already is accepted only if it is that very
 * device.
 *
 * A user namespace may not make nodes; there the host's are bound, opened by us on the host's side
 * and compared with the configured numbers.
 *
 * Spec: OCI runtime-spec config-linux.md "Devices", "Default Devices"; runtime-linux.md "Dev
 * symbolic links".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "inside.h"
#include "mountfd.h"

static const struct iso_device default_devices[] = {
	{.path = "/dev/null", .type = 'c', .major = 1, .minor = 3, .mode = 0666},
	{.path = "/dev/zero", .type = 'c', .major = 1, .minor = 5, .mode = 0666},
	{.path = "/dev/full", .type = 'c', .major = 1, .minor = 7, .mode = 0666},
	{.path = "/dev/random", .type = 'c', .major = 1, .minor = 8, .mode = 0666},
	{.path = "/dev/urandom", .type = 'c', .major = 1, .minor = 9, .mode = 0666},
	{.path = "/dev/tty", .type = 'c', .major = 5, .minor = 0, .mode = 0666},
};

static const struct {
	const char *name, *target;
} dev_links[] = {
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
};

static mode_t node_type(const struct iso_device *d)
{
	switch (d->type) {
	case 'b':
		return S_IFBLK;
	case 'p':
		return S_IFIFO;
	default: /* 'c' and 'u', which is a character device without buffer */
		return S_IFCHR;
	}
}

static dev_t node_number(const struct iso_device *d)
{
	return d->type == 'p' ? 0 : makedev((unsigned)d->major, (unsigned)d->minor);
}

static bool is_same(const struct iso_device *d, const struct stat *st)
{
	return (st->st_mode & S_IFMT) == node_type(d) &&
	       (d->type == 'p' || st->st_rdev == node_number(d));
}

static bool is_there(const struct iso_device *d, int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_same(d, &st);
}

static int explain_make(const struct iso_device *d, int r, struct err *e)
{
	if (r == -EROFS)
		err_hint(e,
			 "the root file system is read-only and has no '%s'; mount a tmpfs on /dev",
			 d->path);
	else if (r == -EPERM)
		err_hint(e, "making a node needs CAP_MKNOD and a file system that is not in a user "
			    "namespace");
	return r;
}

static int make_node(const struct iso_device *d, int dir_fd, const char *name, struct err *e)
{
	mode_t mode = d->has_mode || d->mode ? d->mode & 07777 : 0666;
	int r;

	r = path_mknod_at(dir_fd, name, node_type(d) | mode, node_number(d), e);
	if (r == -EEXIST || r == -EROFS) {
		if (is_there(d, dir_fd, name)) {
			if (e)
				err_clear(e);
			return 0;
		}
		if (r == -EROFS)
			return explain_make(d, r, e);
		err_set(e, ERR_INVALID, EEXIST,
			"the root file system has something else of that name");
		return err_hint(e, "mount a tmpfs on /dev");
	}
	if (r < 0)
		return explain_make(d, r, e);
	if ((d->uid || d->gid) && fchownat(dir_fd, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "set owner %u:%u", d->uid, d->gid);
	return 0;
}

static int host_node(const struct iso_device *d, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = mountfd_clone_path(d->path, false, e);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "look at the host's node");
	if (!is_same(d, &st))
		return err_set(e, ERR_UNSUPPORTED, ENODEV,
			       "in a user namespace only the host's own nodes can be used, and its "
			       "'%s' is another device",
			       d->path);
	return TAKE_FD(fd);
}

static int bind_node(const struct iso_device *d, int dir_fd, const char *name, struct err *e)
{
	_cleanup_close_ int node_fd = -1, target_fd = -1;
	struct stat st;
	int r;

	if (is_there(d, dir_fd, name))
		return 0;
	node_fd = host_node(d, e);
	if (node_fd < 0)
		return node_fd;
	target_fd = path_open_in_root(dir_fd, name, O_PATH | O_NOFOLLOW, 0, NULL);
	if (target_fd == -ENOENT) {
		_cleanup_close_ int made = -1;

		made = path_open_in_root(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
					 0644, e);
		if (made < 0)
			return explain_make(d, made, e);
		target_fd = path_open_in_root(dir_fd, name, O_PATH | O_NOFOLLOW, 0, e);
	}
	if (target_fd < 0)
		return err_sys(e, target_fd, "open the place of the node");
	if (fstat(target_fd, &st) < 0)
		return err_sys(e, errno, "look at the place of the node");
	if (!S_ISREG(st.st_mode)) {
		err_set(e, ERR_INVALID, EEXIST,
			"the root file system has something else of that name");
		return err_hint(e, "mount a tmpfs on /dev");
	}
	r = mountfd_attach(node_fd, target_fd, e);
	return r;
}

static int add_device(const struct inside *in, const struct iso_device *d, int dir_fd,
		      const char *name, struct err *e)
{
	int r;

	if (in->userns && d->type != 'p')
		r = bind_node(d, dir_fd, name, e);
	else
		r = make_node(d, dir_fd, name, e);
	return r < 0 ? err_wrap(e, "device '%s'", d->path) : 0;
}

/* A configured one: anywhere in the root. */
static int add_configured(const struct inside *in, const struct iso_device *d, struct err *e)
{
	_cleanup_close_ int dir_fd = -1;
	_cleanup_free_ char *clean = NULL;
	char *name;

	if (path_normalize(d->path, &clean) < 0)
		return err_nomem(e);
	name = strrchr(clean, '/');
	if (clean[0] != '/' || !name[1])
		return err_invalid(e, "device '%s': the path is not an absolute one of a file",
				   d->path);
	*name++ = '\0';
	dir_fd = path_mkdirs_in_root(in->root_fd, *clean ? clean : "/", 0755, e);
	if (dir_fd < 0)
		return err_wrap(e, "device '%s'", d->path);
	return add_device(in, d, dir_fd, name, e);
}

static bool is_configured(const struct iso_config *c, const char *path)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (STREQ(c->devices[i].path, path))
			return true;
	return false;
}

/* The image's own entry of that name stays: it can deceive but itself. */
static int add_link(int dev_fd, const char *target, const char *name, struct err *e)
{
	int r = path_symlink_at(dev_fd, target, name, e);
	struct stat st;

	if (r == -EROFS && fstatat(dev_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		r = -EEXIST;
	if (r == -EEXIST) {
		r = 0;
		if (e)
			err_clear(e);
	}
	return r;
}

static bool is_link_to(int dir_fd, const char *name, const char *target)
{
	char text[64];
	ssize_t n = readlinkat(dir_fd, name, text, sizeof(text));

	return n >= 0 && (size_t)n == strlen(target) && memcmp(text, target, (size_t)n) == 0;
}

/* A multiplexer that is a node, as installers of systems leave it, is the one of the host's devpts:
 * replaced. */
static int add_ptmx(int dev_fd, struct err *e)
{
	const char *target = "pts/ptmx";
	int r;

	if (is_link_to(dev_fd, "ptmx", target))
		return 0;
	r = path_symlink_at(dev_fd, target, "ptmx", e);
	if (r != -EEXIST)
		return r;
	if (e)
		err_clear(e);
	r = path_unlink_at(dev_fd, "ptmx", e);
	return r < 0 ? r : path_symlink_at(dev_fd, target, "ptmx", e);
}

static int add_links(const struct inside *in, int dev_fd, struct err *e)
{
	_cleanup_close_ int core_fd = -1;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(dev_links); i++) {
		r = add_link(dev_fd, dev_links[i].target, dev_links[i].name, e);
		if (r < 0)
			return r;
	}
	core_fd = path_open_in_root(in->root_fd, "/proc/kcore", O_PATH | O_NOFOLLOW, 0, NULL);
	if (core_fd >= 0) {
		r = add_link(dev_fd, "/proc/kcore", "core", e);
		if (r < 0)
			return r;
	}
	return add_ptmx(dev_fd, e);
}

/* Somebody who binds a whole /dev wants that one, untouched. */
static bool dev_is_bound(const struct iso_config *c)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct iso_mount *m = &c->mounts[i];
		bool bind = (m->flags & ISO_MOUNT_BIND) ||
			    (m->type && (STREQ(m->type, "bind") || STREQ(m->type, "rbind")));

		if (bind && m->destination &&
		    (STREQ(m->destination, "/dev") || STREQ(m->destination, "/dev/")))
			return true;
	}
	return false;
}

static int add_defaults(const struct inside *in, struct err *e)
{
	_cleanup_close_ int dev_fd = -1;
	int r;

	dev_fd = path_mkdirs_in_root(in->root_fd, "/dev", 0755, e);
	if (dev_fd < 0)
		return dev_fd;
	for (size_t i = 0; i < ARRAY_SIZE(default_devices); i++) {
		const struct iso_device *d = &default_devices[i];

		if (is_configured(in->config, d->path))
			continue;
		r = add_device(in, d, dev_fd, d->path + strlen("/dev/"), e);
		if (r < 0)
			return r;
	}
	r = add_links(in, dev_fd, e);
	return r < 0 ? err_wrap(e, "symlinks in /dev") : 0;
}

/* Engines that hand over all of the host's devices name its terminal multiplexer too. A sandbox has that of its own
 * devpts, and its link stays. */
static bool is_multiplexer(const struct iso_device *d)
{
	return d->type == 'c' && STREQ(d->path, "/dev/ptmx");
}

int inside_devices(struct inside *in, struct err *e)
{
	bool bound = dev_is_bound(in->config);
	int r = 0;

	if (!bound)
		r = add_defaults(in, e);
	for (size_t i = 0; i < in->config->n_devices && r == 0; i++) {
		const struct iso_device *d = &in->config->devices[i];

		if (!is_multiplexer(d) && (!bound || !str_has_prefix(d->path, "/dev/")))
			r = add_configured(in, d, e);
	}
	return r;
}
