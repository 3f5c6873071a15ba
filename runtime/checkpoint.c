/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints, the common part: the directories, what is refused, and the verb. A container that was dumped is gone, as runc has
 * it: what is left is the image, from which `restore` makes a new one of any id.
 */
#include "checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "monitor.h"

/* As much as criu's own documentation asks for in a report. */
#define LOG_LEVEL_ALL 4

static int open_one(const char *path, bool create, const char *what, struct err *e)
{
	int r = create ? path_mkdir_p(path, 0700, e) : 0;

	if (r == 0)
		r = path_open_dir(path, e);
	return r < 0 ? err_wrap(e, "%s '%s'", what, path) : r;
}

int checkpoint_dirs_open(struct checkpoint_dirs *d, const struct rt_checkpoint_request *r,
			 bool create, struct err *e)
{
	*d = (struct checkpoint_dirs){-1, -1};
	d->images = open_one(r->images, create, "image path", e);
	if (d->images < 0)
		return d->images;
	d->work = open_one(r->work ? r->work : r->images, true, "work path", e);
	return d->work < 0 ? d->work : 0;
}

void checkpoint_dirs_done(struct checkpoint_dirs *d)
{
	fd_close(d->images);
	fd_close(d->work);
}

void checkpoint_opts(struct strbuf *b, const struct rt_checkpoint_request *r,
		     const struct checkpoint_dirs *d, const char *log)
{
	const struct {
		enum criu_opt field;
		bool on;
	} flags[] = {
		{CRIU_EXT_UNIX_SK, r->ext_unix_sk}, {CRIU_TCP_ESTABLISHED, r->tcp_established},
		{CRIU_SHELL_JOB, r->shell_job},     {CRIU_FILE_LOCKS, r->file_locks},
		{CRIU_AUTO_DEDUP, r->auto_dedup},   {CRIU_EVASIVE_DEVICES, true},
		{CRIU_EXT_MASTERS, true},           {CRIU_MANAGE_CGROUPS, true},
	};

	wire_number(b, CRIU_IMAGES_DIR_FD, (uint64_t)d->images);
	wire_number(b, CRIU_WORK_DIR_FD, (uint64_t)d->work);
	wire_number(b, CRIU_LOG_LEVEL, LOG_LEVEL_ALL);
	wire_text(b, CRIU_LOG_FILE, log);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].on)
			wire_number(b, flags[i].field, 1);
	wire_number(b, CRIU_MANAGE_CGROUPS_MODE, r->cgroups_mode);
	if (r->empty_ns)
		wire_number(b, CRIU_EMPTY_NS, r->empty_ns);
	if (r->lsm_profile)
		wire_text(b, CRIU_LSM_PROFILE, r->lsm_profile);
	if (r->lsm_mount_context)
		wire_text(b, CRIU_LSM_MOUNT_CONTEXT, r->lsm_mount_context);
}

/* A joined network namespace is the engine's, and stays its. */
static int check_namespaces(const struct iso_config *c, struct err *e)
{
	for (int i = 0; i < ISO_NS_COUNT; i++)
		if (c->ns[i].mode == ISO_NS_JOIN && i != ISO_NS_NETWORK)
			return err_unsupported(e, "a container that joined a namespace '%s'",
					       c->ns[i].path);
	if (c->ns[ISO_NS_USER].mode != ISO_NS_INHERIT)
		return err_unsupported(e, "a container with a user namespace");
	return 0;
}

int checkpoint_check(const struct sandbox *s, struct err *e)
{
	const struct iso_config *c = &s->config.isolation;

	if (geteuid() != 0)
		return err_unsupported(e, "criu needs root");
	if (s->config.process.terminal)
		return err_unsupported(e, "a container with a terminal");
	if (c->rootfs.kind != ISO_ROOTFS_DIRECTORY)
		return err_unsupported(e, "a root file system of layers");
	return check_namespaces(c, e);
}

static int check_request(const struct rt_checkpoint_request *r, struct err *e)
{
	if (r->parent && r->parent[0] == '/')
		return err_invalid(e, "--parent-path '%s' is not relative to the image path",
				   r->parent);
	return 0;
}

static int checkpoint_locked(struct sandbox *s, const struct rt_checkpoint_request *r,
			     struct err *e)
{
	enum rt_status status = sandbox_status(s);
	int x = driver_check_verb(s->driver, "checkpoint", e);

	if (x == 0 && status != RT_RUNNING)
		x = err_set(e, ERR_STATE, EINVAL, "container not running: %s",
			    rt_status_name(status));
	if (x == 0)
		x = check_request(r, e);
	if (x == 0)
		x = sandbox_need_config(s, e);
	return x < 0 ? x : s->driver->checkpoint(s, r, e);
}

int rt_checkpoint(struct sandbox *s, const struct rt_checkpoint_request *r, struct err *e)
{
	int x = sandbox_lock(s, e);

	if (x == 0)
		x = checkpoint_locked(s, r, e);
	sandbox_unlock(s);
	if (x == 0 && !r->pre_dump && !r->leave_running)
		x = sandbox_delete_exactly(s->ctx, &s->dir, e);
	return x < 0 ? err_wrap(e, "checkpoint '%s'", s->dir.id) : 0;
}
