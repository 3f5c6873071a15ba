/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring a container's processes from criu's images. criu is started in the new container's control groups and in a mount
 * namespace where the root file system is a mount point; what it restores becomes a child of ours. What was the host's when
 * the container was dumped is given to it anew: the sources of mounts as the configuration has them now, our standard
 * streams in place of those of then, the network namespace that the configuration names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "checkpoint.h"
#include "isolate/live_mounts.h"
#include "isolate/restorer.h"

#define ROOT_PLACE "criu-root"
#define KEPT_MAX   8

struct restore {
	struct sandbox *s;
	struct strbuf *opts;
	int kept[KEPT_MAX]; /* ours; the restorer has them, too */
	size_t n_kept;
	char *images, *work;          /* absolute */
	struct iso_live_attrs *attrs; /* of what is bound from the host, and of the root */
	size_t n_attrs;
	int (*made)(void *arg, pid_t pid, struct err *e);
	void *arg;
};

static int keep(struct restore *x, int fd, struct err *e)
{
	int r = fd < 0 ? fd : fd_dup_above_stdio(fd);

	if (r < 0)
		return err_sys(e, r, "keep a descriptor for the restorer");
	x->kept[x->n_kept++] = r;
	return r;
}

/* ---- what was the host's -------------------------------------------------------------------- */

static const struct iso_mount *mount_on(const struct sandbox *s, const char *destination)
{
	const struct iso_config *c = &s->config.isolation;

	for (size_t i = c->n_mounts; i-- > 0;)
		if ((c->mounts[i].flags & ISO_MOUNT_BIND) &&
		    STREQ(c->mounts[i].destination, destination))
			return &c->mounts[i];
	return NULL;
}

/* criu makes what it calls external by a bind each, and then not all of them have the attributes that they had: so they
 * get those of the configuration, before anything runs. */
static int protect_later(struct restore *x, const char *place, const struct iso_mount *m,
			 struct err *e)
{
	struct iso_live_attrs *v = realloc(x->attrs, (x->n_attrs + 1) * sizeof(*v));

	if (!v)
		return err_nomem(e);
	x->attrs = v;
	v[x->n_attrs] = (struct iso_live_attrs){.place = strdup(place)};
	if (!v[x->n_attrs].place)
		return err_nomem(e);
	if (m) {
		v[x->n_attrs].set = m->attr_set;
		v[x->n_attrs].rec_set = m->attr_rec_set;
	} else {
		v[x->n_attrs].set = MOUNT_ATTR_RDONLY;
	}
	x->n_attrs++;
	return 0;
}

static int give_mounts(struct restore *x, const struct json_at *notes, struct err *e)
{
	struct json_at list;

	if (x->s->config.isolation.rootfs.readonly && protect_later(x, "/", NULL, e) < 0)
		return -ENOMEM;
	if (!json_member(notes, "mounts", &list))
		return 0;
	for (size_t i = 0; i < json_array_len(&list); i++) {
		struct json_at item = json_array_at(&list, i), place, destination;
		const struct iso_mount *m = NULL;
		const char *key = NULL, *to = NULL;
		int r;

		if (json_member(&item, "place", &place) &&
		    json_member(&item, "destination", &destination)) {
			key = json_peek_string(&place);
			to = json_peek_string(&destination);
		}
		if (!key || !to)
			return json_error(&item, e, "expected a place and a destination");
		if (*to)
			m = mount_on(x->s, to);
		if (*to && !m)
			return err_set(e, ERR_INVALID, ENOENT,
				       "the checkpoint has a bind mount on '%s', the "
				       "configuration has none",
				       to);
		/* Without a destination it is a masked file. */
		wire_text_and_text(x->opts, CRIU_EXT_MNT, key, m ? m->source : "/dev/null");
		r = protect_later(x, key, m, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int give_streams(struct restore *x, const struct json_at *notes, struct err *e)
{
	struct json_at list;
	const char *names[3] = {0};

	if (!json_member(notes, "descriptors", &list))
		return 0;
	for (size_t i = 0; i < json_array_len(&list) && i < 3; i++) {
		struct json_at item = json_array_at(&list, i);
		int own = x->s->io.fds[i] >= 0 ? x->s->io.fds[i] : (int)i, fd;
		bool given = false;

		names[i] = json_peek_string(&item);
		if (!names[i])
			return json_error(&item, e, "expected a string");
		for (size_t k = 0; k < i; k++)
			given |= STREQ(names[k], names[i]);
		if (!*names[i] || given)
			continue;
		fd = keep(x, own, e);
		if (fd < 0)
			return fd;
		wire_text_and_number(x->opts, CRIU_INHERIT_FD, names[i], (uint64_t)fd);
	}
	return 0;
}

static int give_network(struct restore *x, struct err *e)
{
	const struct iso_namespace *ns = &x->s->config.isolation.ns[ISO_NS_NETWORK];
	_cleanup_close_ int fd = -EBADF;
	int kept;

	if (ns->mode != ISO_NS_JOIN)
		return 0;
	fd = iso_ns_open_path(ISO_NS_NETWORK, ns->path, e);
	kept = fd < 0 ? fd : keep(x, fd, e);
	if (kept < 0)
		return kept;
	wire_text_and_number(x->opts, CRIU_INHERIT_FD, EXTERNAL_NET, (uint64_t)kept);
	return 0;
}

static int give_all(struct restore *x, const struct checkpoint_dirs *dirs, struct err *e)
{
	_cleanup_json_ struct json *document = NULL;
	struct json_at notes;
	int r = json_parse_file_at(dirs->images, CHECKPOINT_FILE, JSON_FILE_MAX, &document, e);

	if (r == -ENOENT)
		err_hint(e, "the image path is not one that 'checkpoint' wrote");
	if (r < 0)
		return r;
	notes = json_top(document);
	r = give_mounts(x, &notes, e);
	if (r == 0)
		r = give_streams(x, &notes, e);
	if (r < 0)
		return err_wrap(e, CHECKPOINT_FILE);
	return give_network(x, e);
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* runc's moment for the hooks of the host: the namespaces are there, nothing runs. */
static int on_notify(void *arg, const char *script, pid_t pid, struct err *e)
{
	struct restore *x = arg;

	struct iso_live live;

	if (STREQ(script, "setup-namespaces"))
		return x->made(x->arg, pid, e);
	if (!STREQ(script, "post-restore"))
		return 0;
	live = (struct iso_live){.init_pidfd = x->s->pidfd,
				 .init_pid = x->s->state.host.pid,
				 .config = &x->s->config.isolation};
	return iso_live_mounts_protect(&live, x->attrs, x->n_attrs, e);
}

static int enter_groups(void *arg, struct err *e)
{
	return cg_enter(arg, e);
}

static int start_criu(struct restore *x, struct criu *criu, const char *place, struct err *e)
{
	struct sandbox *s = x->s;
	char number[16];
	char *argv[] = {criu->program, "swrk", number, NULL};
	struct iso_restorer p = {
		.program = criu->program,
		.argv = argv,
		.keep_fds = x->kept,
		.n_keep_fds = x->n_kept,
		.dirs = {x->images, x->work},
		.stderr_fd = criu->stderr_fd,
		.rootfs = s->config.isolation.rootfs.path,
		.place = place,
		.cgroup_fd = -1,
	};

	snprintf(number, sizeof(number), "%d", RESTORER_SOCKET_FD);
	criu->fd = fd_close(criu->fd);
	criu->peer_fd = fd_close(criu->peer_fd);
	if (!cg_is_null(s->cgroup)) {
		p.cgroup_fd = cg_birth_fd(s->cgroup);
		p.enter_groups = enter_groups;
		p.enter_arg = s->cgroup;
	}
	return iso_restorer_spawn(&p, &criu->pid, &criu->fd, e);
}

static void restore_opts(struct restore *x, const struct rt_checkpoint_request *r,
			 const char *place)
{
	const struct checkpoint_dirs as_the_restorer_has_them = {RESTORER_DIR_FD,
								 RESTORER_DIR_FD + 1};
	struct strbuf *b = x->opts;

	checkpoint_opts(b, r, &as_the_restorer_has_them, RESTORE_LOG);
	wire_text(b, CRIU_ROOT, place);
	wire_number(b, CRIU_RST_SIBLING, 1);
	wire_number(b, CRIU_NOTIFY_SCRIPTS, 1);
	if (!cg_is_null(x->s->cgroup))
		wire_text_and_text(b, CRIU_CG_ROOT, NULL, cg_path(x->s->cgroup));
}

static int restore_with(struct restore *x, const struct rt_checkpoint_request *r,
			const struct checkpoint_dirs *dirs, struct criu *criu, struct err *e)
{
	_cleanup_free_ char *place = NULL;
	pid_t pid = 0;
	int y;

	if (str_printf(&place, "%s/%s/" ROOT_PLACE, x->s->ctx->root, x->s->dir.id) < 0)
		return err_nomem(e);
	y = path_mkdir_p(place, 0700, e);
	if (y < 0)
		return y;
	x->images = realpath(r->images, NULL);
	x->work = realpath(r->work ? r->work : r->images, NULL);
	if (!x->images || !x->work)
		return err_sys(e, errno, "the path of the images");
	restore_opts(x, r, place);
	y = give_all(x, dirs, e);
	if (y == 0)
		y = start_criu(x, criu, place, e);
	if (y == 0)
		y = criu_call(criu, CRIU_RESTORE, x->opts, on_notify, x, &pid, e);
	if (y == 0 && pid != x->s->state.host.pid)
		y = err_set(e, ERR_INTERNAL, EPROTO, "criu: it restored process %d and told of %d",
			    (int)pid, (int)x->s->state.host.pid);
	return y;
}

int container_restore(struct sandbox *s, const struct rt_checkpoint_request *r,
		      int (*made)(void *arg, pid_t pid, struct err *e), void *arg, struct err *e)
{
	struct checkpoint_dirs dirs = {-1, -1};
	struct criu criu = {.fd = -1, .peer_fd = -1, .stderr_fd = -1, .pid = -1};
	struct strbuf opts = {0};
	struct restore x = {.s = s, .opts = &opts, .made = made, .arg = arg};
	int y = checkpoint_check(s, e);

	if (y == 0)
		y = checkpoint_dirs_open(&dirs, r, false, e);
	if (y == 0)
		y = criu_init(&criu, dirs.work, RESTORE_LOG, e);
	if (y == 0)
		y = restore_with(&x, r, &dirs, &criu, e);
	for (size_t i = 0; i < x.n_kept; i++)
		fd_close(x.kept[i]);
	for (size_t i = 0; i < x.n_attrs; i++)
		free(x.attrs[i].place);
	free(x.attrs);
	free(x.images);
	free(x.work);
	strbuf_done(&opts);
	criu_done(&criu);
	checkpoint_dirs_done(&dirs);
	return y;
}
