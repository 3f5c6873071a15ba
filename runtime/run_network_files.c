/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/hostname, /etc/hosts and /etc/resolv.conf of a sandbox: files in its state directory, bound over the root file
 * system's, which is never written to. With the host's network they begin with what the host's say; with another
 * sandbox's network they are that sandbox's own.
 *
 * One that the caller mounts himself (or something above it) is left alone. Where a directory that is given as root file
 * system has no such file, a mount point would have to be made in it: that is done only if a flag asks for what would stand
 * there, and it can be. The layers of an image and a throwaway root have a layer of the sandbox's own on top.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "run_document.h"
#include "vio/network_files.h"

#define HOST_FILE_BYTES_MAX (1u << 20)
#define DEFAULT_STATE_ROOT  "/run/insula" /* without a context: in tests */

enum which { FILE_HOSTNAME, FILE_HOSTS, FILE_RESOLV, FILE_COUNT };

static const struct {
	const char *place, *name;
} files[FILE_COUNT] = {
	[FILE_HOSTNAME] = {"/etc/hostname", "hostname"},
	[FILE_HOSTS] = {"/etc/hosts", "hosts"},
	[FILE_RESOLV] = {"/etc/resolv.conf", "resolv.conf"},
};

static bool wants_no_resolver(const struct rt_run_request *r)
{
	return r->dns && r->dns[0] && !r->dns[1] && STREQ(r->dns[0], "none");
}

/* Can a mount point be made there? The nearest directory that exists decides. */
static bool can_make(int rootfd, const char *place)
{
	_cleanup_free_ char *dir = strdup(place);
	char *slash;

	while (dir && (slash = strrchr(dir, '/'))) {
		_cleanup_close_ int fd = -1;
		struct statvfs fs;
		char name[PATH_FD_MAX];

		*slash = '\0';
		fd = path_open_in_root(rootfd, *dir ? dir : "/", O_PATH | O_DIRECTORY, 0, NULL);
		if (fd == -ENOENT && *dir)
			continue;
		return fd >= 0 && fstatvfs(fd, &fs) == 0 && !(fs.f_flag & ST_RDONLY) &&
		       access(path_of_fd(fd, name), W_OK) == 0;
	}
	return false;
}

static bool any(char *const *v)
{
	return v && *v;
}

/* Did the caller ask for what only this file tells? (The kernel tells the host name.) */
static bool is_asked_for(const struct rt_run_request *r, enum which which)
{
	switch (which) {
	case FILE_HOSTS:
		return any(r->hosts);
	case FILE_RESOLV:
		return any(r->dns) || any(r->dns_search) || any(r->dns_options);
	case FILE_HOSTNAME:
	case FILE_COUNT:
		break;
	}
	return false;
}

static bool has_place(const struct run_build *b, enum which which)
{
	const char *place = files[which].place;
	_cleanup_close_ int fd = -1;

	if (b->rootfs.fd < 0 || b->rootfs.host_root)
		return true;
	fd = path_open_in_root(b->rootfs.fd, place, O_PATH, 0, NULL);
	return fd >= 0 || (is_asked_for(b->request, which) && can_make(b->rootfs.fd, place));
}

static bool is_wanted(const struct run_build *b, enum which which)
{
	const struct rt_run_request *r = b->request;

	if (which == FILE_HOSTS && r->no_hosts)
		return false;
	if (which == FILE_RESOLV && wants_no_resolver(r))
		return false;
	return !run_mounts_cover(&b->mounts, files[which].place) && has_place(b, which);
}

/* Another's network: another's files. The host name is of the UTS namespace, so that file is ours. */
static int path_in_state(const struct run_build *b, enum which which, char **ret, bool *ret_ours)
{
	const char *root = b->ctx && b->ctx->root ? b->ctx->root : DEFAULT_STATE_ROOT;
	const char *id = b->ns.peer_id && which != FILE_HOSTNAME ? b->ns.peer_id : b->id;

	*ret_ours = id == b->id;
	return str_printf(ret, "%s/%s/%s", root, id, files[which].name);
}

/* ---- mounts ----------------------------------------------------------------------------- */

int run_network_mounts(const struct run_build *b, struct json *mounts, struct err *e)
{
	for (enum which i = 0; i < FILE_COUNT; i++) {
		_cleanup_free_ char *path = NULL;
		bool ours;

		if (!is_wanted(b, i))
			continue;
		if (path_in_state(b, i, &path, &ours) < 0)
			return err_nomem(e);
		/* One that runs the host's files has none of its own. */
		if (!ours && access(path, F_OK) < 0)
			continue;
		if (run_add_mount(mounts, files[i].place, "bind", path,
				  "bind,rprivate,nosuid,nodev,noexec") < 0)
			return err_nomem(e);
	}
	return 0;
}

/* ---- texts ------------------------------------------------------------------------------ */

/* What the host says, or nothing. */
static char *read_hosts_own(const char *path)
{
	char *text = NULL;

	return path_read_file_at(AT_FDCWD, path, HOST_FILE_BYTES_MAX, &text, NULL, NULL) < 0 ? NULL
											     : text;
}

static int text_of(const struct run_build *b, enum which which, char **ret, struct err *e)
{
	const struct rt_run_request *r = b->request;
	bool hosts_network = b->ns.network.whose == RUN_HOSTS;
	_cleanup_free_ char *base =
		hosts_network && which != FILE_HOSTNAME ? read_hosts_own(files[which].place) : NULL;
	const struct vio_hosts h = {
		.hostname = hosts_network && !r->hostname ? NULL : b->hostname,
		.domainname = r->domainname,
		.base = base,
		.extra = r->hosts,
	};
	const struct vio_resolver resolver = {
		.base = base,
		.servers = r->dns,
		.search = r->dns_search,
		.options = r->dns_options,
	};

	switch (which) {
	case FILE_HOSTNAME:
		return str_printf(ret, "%s\n", b->hostname) < 0 ? err_nomem(e) : 0;
	case FILE_HOSTS:
		return vio_hosts_text(&h, ret, e);
	case FILE_RESOLV:
		return vio_resolver_text(&resolver, ret, e);
	case FILE_COUNT:
		break;
	}
	return -EINVAL;
}

int run_network_texts(const struct run_build *b, struct rt_file **v, size_t *n, struct err *e)
{
	for (enum which i = 0; i < FILE_COUNT; i++) {
		_cleanup_free_ char *path = NULL, *text = NULL;
		bool ours;
		int r;

		/* Bad values are found even where the file is not used. */
		if (i == FILE_RESOLV && wants_no_resolver(b->request))
			continue;
		r = text_of(b, i, &text, e);
		if (r < 0)
			return r;
		if (path_in_state(b, i, &path, &ours) < 0)
			return err_nomem(e);
		if (!ours || !is_wanted(b, i))
			continue;
		r = run_file_push(v, n, path, TAKE_PTR(text), 0644, e);
		if (r < 0)
			return r;
	}
	return 0;
}
