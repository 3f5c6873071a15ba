/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox writes: directories of its own in the store. They are made after the state that names them was
 * saved and removed before it, so that whatever is killed in between is found by `delete --force`; what has no state (a
 * reboot emptied /run) is a leftover.
 *
 * Sandboxes of different state roots may have one name, so each root has a directory of its own.
 *
 * A sandbox can leave anything in them: trees of any depth, names of any bytes, files of ids that an ordinary user can only
 * reach inside his user namespace. The removal goes by descriptors and follows nothing.
 */
#include "storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "isolate/userns.h"

static const struct {
	const char *name;
	mode_t mode;
} parts[] = {
	{"diff", 0755}, /* becomes the sandbox's root directory */
	{"work", 0700},
	{"rootfs", 0755}, /* where that is mounted */
	{"volumes", 0711},
};

static int group_path(struct rt_ctx *ctx, char **ret, struct err *e)
{
	const char *store;
	int r = store_path(ctx, &store, e);

	if (r < 0)
		return r;
	return str_printf(ret, "%s/sandboxes/%016" PRIx64, store, store_hash(ctx->root)) < 0
		       ? err_nomem(e)
		       : 0;
}

int rt_storage_path(struct rt_ctx *ctx, const char *id, char **ret_path, struct err *e)
{
	_cleanup_free_ char *group = NULL;
	int r;

	if (!str_is_name(id))
		return err_invalid(e, "'%s' is not a valid id", id);
	r = group_path(ctx, &group, e);
	if (r < 0)
		return r;
	return str_printf(ret_path, "%s/%s", group, id) < 0 ? err_nomem(e) : 0;
}

/* The directory that a storage is in, and its plain name there. */
static int open_parent(const char *path, const char **ret_name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = NULL;

	if (!slash || slash == path || !str_is_name(slash + 1))
		return err_invalid(e, "'%s' is no storage", path);
	parent = strndup(path, (size_t)(slash - path));
	if (!parent)
		return err_nomem(e);
	*ret_name = slash + 1;
	return path_open_dir(parent, e);
}

/* ---- removing ----------------------------------------------------------------------------------- */

struct removal {
	int parent;
	const char *name;
	int tell; /* where the error goes */
};

static int remove_inside(void *arg)
{
	struct removal *r = arg;
	struct err e = ERR_INIT;

	if (path_remove_tree_at(r->parent, r->name, &e) == 0)
		return 0;
	if (write(r->tell, &e, sizeof(e)) < 0)
		return 2;
	return 1;
}

static int hear(int fd, int status, struct err *e)
{
	struct err told;

	if (status == 0)
		return 0;
	if (read(fd, &told, sizeof(told)) != (ssize_t)sizeof(told) || told.kind == ERR_NONE)
		return err_set(e, ERR_INTERNAL, EIO, "the process that removes it died");
	err_sanitize(&told);
	if (e)
		*e = told;
	return -told.errnum;
}

/* Among the ids that we may map: there we are root over all that our sandboxes could make. */
static int remove_as_owner(int parent, const char *name, struct err *e)
{
	_cleanup_(iso_id_maps_done) struct iso_id_maps uid = {0}, gid = {0};
	struct removal removal = {.parent = parent, .name = name};
	int tell[2], status, r;
	bool single;
	pid_t pid;

	r = iso_user_maps(&uid, &gid, &single, NULL, e);
	if (r < 0)
		return r;
	if (pipe2(tell, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe");
	removal.tell = tell[1];
	r = iso_userns_spawn(&uid, &gid, 0, remove_inside, &removal, &pid, e);
	if (r == 0)
		r = proc_reap(pid, &status, e);
	close(tell[1]);
	if (r == 0)
		r = hear(tell[0], status, e);
	close(tell[0]);
	return r;
}

static int remove_tree(int parent, const char *name, struct err *e)
{
	int r = path_remove_tree_at(parent, name, NULL);

	if ((r == -EACCES || r == -EPERM) && geteuid() != 0)
		return remove_as_owner(parent, name, e);
	return r < 0 ? path_remove_tree_at(parent, name, e) : 0;
}

int rt_storage_remove(struct rt_ctx *ctx, const char *path, struct err *e)
{
	_cleanup_close_ int parent = -1;
	const char *name = NULL;
	int r;

	(void)ctx;
	parent = open_parent(path, &name, e);
	if (parent == -ENOENT) {
		err_clear(e);
		return 0;
	}
	r = parent < 0 ? parent : remove_tree(parent, name, e);
	return r < 0 ? err_wrap(e, "remove storage '%s'", path) : 0;
}

/* ---- making ------------------------------------------------------------------------------------- */

/* Storage without a state. Best effort: what cannot be removed now stays one. */
static void sweep(struct rt_ctx *ctx, int group)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_close_ int fd = path_open_dir_at(group, ".", NULL);
	struct dirent *d;

	if (fd < 0 || !(dir = fdopendir(fd)))
		return;
	TAKE_FD(fd);
	while ((d = readdir(dir))) {
		_cleanup_free_ char *state = NULL;
		struct err why = ERR_INIT;

		if (!str_is_name(d->d_name) ||
		    str_printf(&state, "%s/%s", ctx->root, d->d_name) < 0 ||
		    access(state, F_OK) == 0 || errno != ENOENT)
			continue;
		if (remove_tree(group, d->d_name, &why) < 0)
			log_error_value(&ctx->log, &why);
	}
}

static int make_parts(int dir, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int r = path_mkdir_at(dir, parts[i].name, parts[i].mode, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int make(int group, const char *name, struct err *e)
{
	_cleanup_close_ int dir = -1;
	int r = remove_tree(group, name, e); /* of an earlier life of this name */

	if (r == 0)
		r = path_mkdir_at(group, name, 0700, e);
	if (r < 0)
		return r;
	dir = path_open_dir_at(group, name, e);
	r = dir < 0 ? dir : make_parts(dir, e);
	return r < 0 ? r : FAULT("storage", e);
}

int rt_storage_create(struct rt_ctx *ctx, const char *path, struct err *e)
{
	_cleanup_free_ char *group = NULL;
	_cleanup_close_ int parent = -1;
	const char *name = NULL;
	int r = group_path(ctx, &group, e);

	if (r < 0)
		return r;
	if (!str_has_prefix(path, group) || path[strlen(group)] != '/')
		return err_invalid(e, "storage '%s' is not below '%s'", path, group);
	r = path_mkdir_p(group, 0700, e);
	if (r == 0) {
		parent = open_parent(path, &name, e);
		r = parent < 0 ? parent : 0;
	}
	if (r == 0) {
		sweep(ctx, parent);
		r = make(parent, name, e);
	}
	return r < 0 ? err_wrap(e, "make storage '%s'", path) : 0;
}
