/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dumping a container. criu writes what is the container's: its processes, tmpfs, namespaces. What is the host's it must be told
 * of: the sources of bind mounts and of masks ("external" mounts, by where the kernel shows them in the container), the
 * standard streams, a network namespace that was joined. These are noted beside its images, for a restore, which finds
 * the mounts' sources in its own configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "checkpoint.h"
#include "isolate/live_mounts.h"

struct dump {
	struct sandbox *s;
	struct strbuf *opts;
	struct json *mounts, *descriptors; /* of our own file */
	int proc;                          /* /proc/PID of init */
};

/* ---- mounts ------------------------------------------------------------------------------- */

static int note_mount(struct dump *d, const char *place, const char *destination, struct err *e)
{
	struct json *o = json_new_object();

	if (!o || json_set(o, "place", json_new_string(place)) < 0 ||
	    json_set(o, "destination", json_new_string(destination)) < 0) {
		json_free(o);
		return err_nomem(e);
	}
	wire_text_and_text(d->opts, CRIU_EXT_MNT, place, place);
	return json_push(d->mounts, o) < 0 ? err_nomem(e) : 0;
}

/* Where a path of the container leads to by now, if it is a mount point. -ENOENT: it is none. */
static int note_place(struct dump *d, const char *path, bool files_only, struct err *e)
{
	struct iso_live live = {.init_pidfd = d->s->pidfd,
				.init_pid = d->s->state.host.pid,
				.config = &d->s->config.isolation};
	_cleanup_free_ char *place = NULL;
	bool directory;
	int r = iso_live_mount_place(&live, path, &place, &directory, e);

	if (r < 0 || (files_only && directory))
		return r;
	return note_mount(d, place, files_only ? "" : path, e);
}

static int note_mounts(struct dump *d, struct err *e)
{
	const struct iso_config *c = &d->s->config.isolation;

	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct iso_mount *m = &c->mounts[i];
		int r;

		if (m->type && (STREQ(m->type, "cgroup")) && cg_birth_fd(d->s->cgroup) < 0)
			return err_unsupported(e, "a container with mounts of cgroup v1");
		if (!(m->flags & ISO_MOUNT_BIND) || (m->flags & ISO_MOUNT_REMOUNT))
			continue;
		r = note_place(d, m->destination, false, e);
		if (r < 0)
			return err_wrap(e, "mount on '%s'", m->destination);
	}
	/* Masked directories are tmpfs of the container's; masked files are the host's /dev/null. */
	for (char **p = c->masked_paths; p && *p; p++) {
		int r = note_place(d, *p, true, NULL);

		if (r < 0 && r != -ENOENT && r != -ENOTDIR)
			return err_sys(e, r, "masked path '%s'", *p);
	}
	return 0;
}

/* ---- streams and namespaces ------------------------------------------------------------------ */

/* A file that is on no mount of the container's: by mount and inode, as criu names such. "" for what is the container's. */
static int name_stream(struct dump *d, int fd, char *buf, size_t size, bool *ret_file,
		       struct err *e)
{
	_cleanup_free_ char *info = NULL;
	char path[32], link[64];
	const char *id;
	struct stat st;
	uint64_t mount;
	ssize_t n;
	int r;

	*ret_file = false;
	buf[0] = '\0';
	snprintf(path, sizeof(path), "fd/%d", fd);
	n = readlinkat(d->proc, path, link, sizeof(link) - 1);
	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "stream %d", fd);
	link[n] = '\0';
	if (str_has_prefix(link, "pipe:[")) {
		snprintf(buf, size, "%s", link);
		return 0;
	}
	if (fstatat(d->proc, path, &st, 0) < 0)
		return err_sys(e, errno, "stream %d", fd);
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return 0;
	snprintf(path, sizeof(path), "fdinfo/%d", fd);
	r = path_read_file_at(d->proc, path, 65536, &info, NULL, e);
	id = r == 0 ? strstr(info, "mnt_id:\t") : NULL;
	if (!id)
		return r;
	mount = strtoull(id + 8, NULL, 10);
	r = iso_live_has_mount(d->s->state.host.pid, mount, e);
	if (r != 0)
		return r < 0 ? r : 0;
	*ret_file = true;
	snprintf(buf, size, "file[%llx:%llx]", (unsigned long long)mount,
		 (unsigned long long)st.st_ino);
	return 0;
}

static int note_streams(struct dump *d, struct err *e)
{
	char names[3][64];

	for (int fd = 0; fd < 3; fd++) {
		bool file, known = false;
		int r = name_stream(d, fd, names[fd], sizeof(names[fd]), &file, e);

		if (r < 0)
			return r;
		for (int i = 0; i < fd; i++)
			known |= STREQ(names[i], names[fd]);
		if (file && !known)
			wire_text(d->opts, CRIU_EXTERNAL, names[fd]);
		if (json_push(d->descriptors, json_new_string(names[fd])) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int note_network(struct dump *d, struct err *e)
{
	char text[64];
	struct stat st;

	if (d->s->config.isolation.ns[ISO_NS_NETWORK].mode != ISO_NS_JOIN)
		return 0;
	if (fstatat(d->proc, "ns/net", &st, 0) < 0)
		return err_sys(e, errno, "network namespace");
	snprintf(text, sizeof(text), "net[%llu]:" EXTERNAL_NET, (unsigned long long)st.st_ino);
	wire_text(d->opts, CRIU_EXTERNAL, text);
	return 0;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int note_all(struct dump *d, struct err *e)
{
	struct stat st;
	int r;

	if (fstatat(d->s->dir.fd, "notify", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_unsupported(e, "a container with a socket for NOTIFY_SOCKET");
	r = note_mounts(d, e);
	if (r == 0)
		r = note_streams(d, e);
	return r < 0 ? r : note_network(d, e);
}

/* Taken over. */
static int write_notes(const struct checkpoint_dirs *dirs, struct dump *d, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (!o || json_set(o, "mounts", TAKE_PTR(d->mounts)) < 0 ||
	    json_set(o, "descriptors", TAKE_PTR(d->descriptors)) < 0 ||
	    json_to_text(o, false, &text, &len) < 0)
		return err_nomem(e);
	return path_replace_file_at(dirs->images, CHECKPOINT_FILE, text, len, 0600, false, e);
}

static int page_server(struct strbuf *b, const char *address, struct err *e)
{
	const char *colon = strrchr(address, ':');
	_cleanup_free_ char *host = colon ? strndup(address, (size_t)(colon - address)) : NULL;
	uint32_t port;

	if (!host || !*host || parse_u32(colon + 1, &port) < 0 || port == 0 || port > 65535)
		return err_invalid(e, "--page-server '%s' is not like ADDRESS:PORT", address);
	wire_text_and_number(b, CRIU_PAGE_SERVER, host, port);
	return 0;
}

static int dump_opts(struct sandbox *s, const struct rt_checkpoint_request *r,
		     const struct checkpoint_dirs *dirs, struct strbuf *b, struct err *e)
{
	int x = r->page_server ? page_server(b, r->page_server, e) : 0;

	checkpoint_opts(b, r, dirs, DUMP_LOG);
	wire_number(b, CRIU_PID, (uint64_t)s->state.host.pid);
	wire_text(b, CRIU_ROOT, s->config.isolation.rootfs.path);
	if (r->leave_running)
		wire_number(b, CRIU_LEAVE_RUNNING, 1);
	if (r->parent)
		wire_text(b, CRIU_PARENT_IMG, r->parent);
	if (r->pre_dump || r->parent)
		wire_number(b, CRIU_TRACK_MEM, 1);
	return x;
}

static int dump_with(struct sandbox *s, const struct rt_checkpoint_request *r,
		     const struct checkpoint_dirs *dirs, struct criu *criu, struct err *e)
{
	struct strbuf opts = {0};
	struct dump d = {.s = s,
			 .opts = &opts,
			 .mounts = json_new_array(),
			 .descriptors = json_new_array(),
			 .proc = -1};
	char path[32];
	int x = d.mounts && d.descriptors ? dump_opts(s, r, dirs, &opts, e) : err_nomem(e);

	snprintf(path, sizeof(path), "/proc/%d", (int)s->state.host.pid);
	if (x == 0)
		x = d.proc = path_open_dir(path, e);
	if (x >= 0)
		x = proc_signal(s->pidfd, 0, e); /* so that was its */
	if (x == 0)
		x = note_all(&d, e);
	if (x == 0 && !r->pre_dump)
		x = write_notes(dirs, &d, e);
	if (x == 0)
		x = criu_start(criu, e);
	if (x == 0)
		x = criu_call(criu, r->pre_dump ? CRIU_PRE_DUMP : CRIU_DUMP, &opts, NULL, NULL,
			      NULL, e);
	strbuf_done(&opts);
	fd_close(d.proc);
	json_free(d.mounts);
	json_free(d.descriptors);
	return x;
}

int container_checkpoint(struct sandbox *s, const struct rt_checkpoint_request *r, struct err *e)
{
	struct checkpoint_dirs dirs = {-1, -1};
	struct criu criu = {.fd = -1, .peer_fd = -1, .stderr_fd = -1, .pid = -1};
	int x = checkpoint_check(s, e);

	if (x == 0)
		x = sandbox_need_cgroup(s, e);
	if (x == 0)
		x = checkpoint_dirs_open(&dirs, r, true, e);
	if (x == 0)
		x = criu_init(&criu, dirs.work, DUMP_LOG, e);
	if (x == 0)
		x = dump_with(s, r, &dirs, &criu, e);
	criu_done(&criu);
	checkpoint_dirs_done(&dirs);
	return x;
}
