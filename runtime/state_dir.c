/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of sandboxes: making, locking, listing, removing them, and the state file in
 * them.
 *
 * The lock is flock(2) on the directory. It belongs to the open file description, so a child that
 * inherited the descriptor would share it: it is dropped with LOCK_UN, never by closing alone. A
 * directory can be removed while somebody waits for its lock; whoever gets the lock therefore looks
 * whether ROOT/ID still is the directory he has open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "state_internal.h"

/* Somebody who can write here can choose which cgroup we empty and which pid we signal. */
static int check_root(int fd, const char *root, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "state directory '%s'", root);
	if (st.st_uid != geteuid()) {
		err_set(e, ERR_INVALID, EPERM, "state directory '%s' belongs to uid %u, not to %u",
			root, (unsigned)st.st_uid, (unsigned)geteuid());
		return err_hint(e, "name another one with --root");
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		err_set(e, ERR_INVALID, EPERM, "state directory '%s' is writable by others (%04o)",
			root, (unsigned)(st.st_mode & 07777));
		return err_hint(e, "chmod go-w '%s', or name another one with --root", root);
	}
	return 0;
}

static int open_root(const char *root, bool make, struct err *e)
{
	_cleanup_close_ int fd = path_open_dir(root, e);
	int r;

	if (fd == -ENOENT && make) {
		r = path_mkdir_p(root, 0700, e);
		if (r < 0)
			return err_wrap(e, "make the state directory");
		fd = path_open_dir(root, e);
	}
	if (fd < 0)
		return fd;
	r = check_root(fd, root, e);
	if (r < 0)
		return r;
	return TAKE_FD(fd);
}

int state_check_id(const char *id, struct err *e)
{
	if (id && str_is_name(id))
		return 0;
	err_invalid(e, "'%s' is not a valid id", id ? id : "");
	return err_hint(e, "an id starts with a letter or digit, then letters, digits and _ . + - "
			   "follow, at most 128 in all");
}

static int not_found(const char *id, struct err *e)
{
	/* "does not exist": containerd and podman look for these words. */
	return err_set(e, ERR_NOT_FOUND, ENOENT, "container '%s' does not exist", id);
}

static void dir_init(struct state_dir *d)
{
	*d = (struct state_dir){.rootfd = -1, .fd = -1};
}

void state_dir_done(struct state_dir *d)
{
	state_dir_unlock(d);
	d->fd = fd_close(d->fd);
	d->rootfd = fd_close(d->rootfd);
	free(d->id);
	d->id = NULL;
}

/* ROOT/ID is still the directory that we have open. Link counts would not do: overlay file systems
 * report 1 for a removed directory. */
static bool is_still_there(const struct state_dir *d)
{
	struct stat mine, named;

	if (fstat(d->fd, &mine) < 0 || fstatat(d->rootfd, d->id, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

int state_dir_lock(struct state_dir *d, struct err *e)
{
	if (!d->locked) {
		while (flock(d->fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return err_sys(e, errno, "lock the state of '%s'", d->id);
		d->locked = true;
	}
	if (!is_still_there(d)) {
		state_dir_unlock(d);
		return not_found(d->id, e);
	}
	return 0;
}

void state_dir_unlock(struct state_dir *d)
{
	if (!d->locked)
		return;
	(void)flock(d->fd, LOCK_UN);
	d->locked = false;
}

int state_dir_reopen(struct state_dir *d, struct err *e)
{
	int fd = path_open_dir_at(d->fd, ".", e);

	if (fd < 0)
		return err_wrap(e, "state of '%s'", d->id);
	fd_close(d->fd);
	d->fd = fd;
	return 0;
}

/* Open and perhaps lock. -ESTALE: it was removed while we waited for its lock. */
static int open_entry(struct state_dir *d, bool lock, struct err *e)
{
	int r;

	d->fd = path_open_dir_at(d->rootfd, d->id, e);
	if (d->fd == -ENOENT)
		return not_found(d->id, e);
	if (d->fd < 0)
		return err_wrap(e, "state of '%s'", d->id);
	if (!lock)
		return 0;
	r = state_dir_lock(d, e);
	return r == -ENOENT ? -ESTALE : r;
}

int state_dir_open(const char *root, const char *id, bool lock, struct state_dir *ret,
		   struct err *e)
{
	struct err local = ERR_INIT;
	struct state_dir d;
	int r;

	e = e ? e : &local; /* a frame put on no error would lose the number */
	r = state_check_id(id, e);
	if (r < 0)
		return r;
	dir_init(&d);
	d.rootfd = open_root(root, false, e);
	if (d.rootfd == -ENOENT)
		return not_found(id, e);
	if (d.rootfd < 0)
		return d.rootfd;
	d.id = strdup(id);
	if (!d.id) {
		state_dir_done(&d);
		return err_nomem(e);
	}
	/* Removed while we waited: perhaps there is a new one of that name. */
	while ((r = open_entry(&d, lock, e)) == -ESTALE)
		d.fd = fd_close(d.fd);
	if (r < 0) {
		state_dir_done(&d);
		return r;
	}
	err_clear(e);
	*ret = d;
	return 0;
}

static int in_use(const char *id, struct err *e)
{
	err_set(e, ERR_EXISTS, EEXIST, "a container with this id exists already");
	return err_hint(e, "remove it with 'delete %s', or choose another id", id);
}

int state_dir_check_free(const char *root, const char *id, struct err *e)
{
	_cleanup_close_ int fd = open_root(root, false, NULL);

	if (fd < 0 || faccessat(fd, id, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return in_use(id, e);
}

/* One try to make and lock it. -ESTALE: between making and locking, somebody's cleanup took the
 * empty directory for a dead creation. */
static int make_entry(struct state_dir *d, struct err *e)
{
	int r = path_mkdir_at(d->rootfd, d->id, 0700, e);

	if (r == -EEXIST) {
		err_clear(e);
		return in_use(d->id, e);
	}
	if (r < 0)
		return err_wrap(e, "make the state directory");
	r = open_entry(d, true, e);
	return r == -ENOENT ? -ESTALE : r;
}

int state_dir_create(const char *root, const char *id, struct state_dir *ret, struct err *e)
{
	struct err local = ERR_INIT;
	struct state_dir d;
	int r;

	e = e ? e : &local;
	r = state_check_id(id, e);
	if (r < 0)
		return r;
	dir_init(&d);
	d.rootfd = open_root(root, true, e);
	if (d.rootfd < 0)
		return d.rootfd;
	d.id = strdup(id);
	if (!d.id) {
		state_dir_done(&d);
		return err_nomem(e);
	}
	while ((r = make_entry(&d, e)) == -ESTALE)
		d.fd = fd_close(d.fd);
	if (r < 0) {
		state_dir_done(&d);
		return r;
	}
	err_clear(e);
	*ret = d;
	return 0;
}

int state_dir_remove(struct state_dir *d, struct err *e)
{
	int r = path_remove_tree_at(d->rootfd, d->id, e);

	if (r < 0)
		return err_wrap(e, "remove the state of '%s'", d->id);
	state_dir_unlock(d);
	return 0;
}

int state_save(const struct state_dir *d, const struct state *s, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = state_to_file_text(s, &text, &len, e);

	if (r == 0)
		r = path_replace_file_at(d->fd, STATE_FILE, text, len, 0600, false, e);
	if (r < 0)
		return err_wrap(e, "save the state");
	return 0;
}

/* The creation died before its first save. */
static int load_nothing(const struct state_dir *d, struct state *ret, struct err *e)
{
	char *id = strdup(d->id);

	if (!id)
		return err_nomem(e);
	state_init(ret);
	ret->id = id;
	return err_set(e, ERR_NOT_FOUND, ENOENT,
		       "container '%s' has no state: its creation did not get that far", id);
}

int state_load(const struct state_dir *d, struct state *ret, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	struct err local = ERR_INIT;
	struct state s;
	int r;

	e = e ? e : &local;
	r = json_parse_file_at(d->fd, STATE_FILE, STATE_FILE_MAX, &doc, e);
	if (r == -ENOENT)
		return load_nothing(d, ret, e);
	if (r == 0)
		r = state_from_file(doc, &s, e);
	if (r < 0) {
		err_wrap(e, "state of '%s' cannot be read", d->id);
		err_hint(e, "'delete --force %s' removes it", d->id);
		return r;
	}
	s.id = strdup(d->id);
	if (!s.id) {
		state_done(&s);
		return err_nomem(e);
	}
	*ret = s;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_sandbox_entry(int rootfd, const struct dirent *de)
{
	struct stat st;

	if (!str_is_name(de->d_name))
		return false;
	if (de->d_type != DT_UNKNOWN)
		return de->d_type == DT_DIR;
	return fstatat(rootfd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int read_ids(DIR *dir, char ***ids, struct err *e)
{
	struct dirent *de;

	while ((errno = 0, de = readdir(dir)))
		if (is_sandbox_entry(dirfd(dir), de) && strv_push(ids, de->d_name) < 0)
			return err_nomem(e);
	if (errno)
		return err_sys(e, errno, "read the state directory");
	return 0;
}

int state_list(const char *root, char ***ret_ids, struct err *e)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_strv_ char **ids = NULL;
	struct err local = ERR_INIT;
	int fd, r;

	e = e ? e : &local;
	fd = open_root(root, false, e);
	if (fd == -ENOENT) {
		err_clear(e);
		*ret_ids = NULL;
		return 0;
	}
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		r = err_sys(e, errno, "state directory '%s'", root);
		close(fd);
		return r;
	}
	r = read_ids(dir, &ids, e);
	if (r < 0)
		return r;
	if (ids)
		qsort(ids, strv_len(ids), sizeof(*ids), compare_ids);
	*ret_ids = TAKE_PTR(ids);
	return 0;
}
