/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of groups. One path names a group in every hierarchy; it is absolute, without "." and
 * "..", and starts at what is mounted. Where only a subtree is mounted (inside containers, or a
 * bind mount) a path that lies in that subtree by its full name is shortened to the part below it.
 */
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

int cg_path_check(const char *path, struct err *e)
{
	if (!path || path[0] != '/')
		return err_invalid(e, "cgroup path '%s' is not absolute", path ? path : "");
	if (strlen(path) >= PATH_MAX / 2)
		return err_invalid(e, "cgroup path is too long");
	for (const char *p = path + 1; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 0 || len > NAME_MAX || (len == 1 && p[0] == '.') ||
		    (len == 2 && p[0] == '.' && p[1] == '.'))
			return err_invalid(e,
					   "cgroup path '%s' has a component that is empty, "
					   "'.', '..' or too long",
					   path);
		p += len;
		if (*p == '/' && *++p == '\0')
			return err_invalid(e, "cgroup path '%s' ends in '/'", path);
	}
	/* The kernel refuses a newline with EINVAL, since its files could not list such a group. */
	for (const char *p = path; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_invalid(e, "cgroup path has a control character");
	return 0;
}

const char *cg_path_below(const struct cg_hier *hier, const char *path)
{
	size_t len = strlen(hier->root);

	if (len > 1 && strncmp(path, hier->root, len) == 0 &&
	    (path[len] == '/' || path[len] == '\0'))
		path += len;
	while (*path == '/')
		path++;
	return path;
}

/* Can we make groups in this group of the hierarchy? Asked of the file that delegation hands over
 * last: write access to the directory alone is not enough to move a process there. */
static bool can_manage(const struct cg_hier *hier, const char *path)
{
	const char *rel = cg_path_below(hier, path);
	_cleanup_close_ int fd = openat(hier->root_fd, *rel ? rel : ".",
					O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && faccessat(fd, ".", W_OK, AT_EACCESS) == 0 &&
	       faccessat(fd, "cgroup.procs", W_OK, AT_EACCESS) == 0;
}

static int parent_of(const char *path, char **ret)
{
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return str_printf(ret, "/");
	return str_printf(ret, "%.*s", (int)(slash - path), path);
}

/* The group below which ours go. Root: the top. Delegated: the parent of our own group, since our
 * own has processes in it and so cannot hand controllers down (cgroup-v2.rst, "No Internal Process
 * Constraint"); our own only where that parent is not ours. */
static int base_group(const struct cg_host *h, char **ret)
{
	const struct cg_hier *hier = NULL;
	const char *own;
	_cleanup_free_ char *parent = NULL;
	int r;

	for (size_t i = 0; i < h->n_hier; i++)
		if (!hier || h->hier[i].v2)
			hier = &h->hier[i];
	if (!hier || can_manage(hier, "/"))
		return str_printf(ret, "/");
	own = hier->own;
	if (!own)
		return str_printf(ret, "/");
	r = parent_of(own, &parent);
	if (r < 0)
		return r;
	if (!can_manage(hier, parent) && can_manage(hier, own))
		return str_printf(ret, "%s", own);
	*ret = TAKE_PTR(parent);
	return 0;
}

/* Slashes at the end and doubled ones are no harm: engines write them. */
static int clean(const char *in, char **ret)
{
	struct strbuf b = {0};

	for (const char *p = in; *p;) {
		size_t len;

		while (*p == '/')
			p++;
		len = strcspn(p, "/");
		if (len > 0) {
			strbuf_add(&b, "/");
			strbuf_add_len(&b, p, len);
		}
		p += len;
	}
	if (b.len == 0)
		strbuf_add(&b, "/");
	return strbuf_take(&b, ret);
}

int cg_path_resolve(const struct cg_host *h, const char *wanted, const char *prefix, const char *id,
		    char **ret, struct err *e)
{
	_cleanup_free_ char *base = NULL, *joined = NULL, *path = NULL;
	int r;

	if (wanted && !*wanted)
		wanted = NULL;
	if (wanted && wanted[0] == '/') {
		r = str_printf(&joined, "%s", wanted);
	} else {
		r = base_group(h, &base);
		if (r < 0)
			return err_nomem(e);
		r = wanted ? str_printf(&joined, "%s/%s", base, wanted)
			   : str_printf(&joined, "%s/%s/%s", base, prefix, id);
	}
	if (r < 0 || clean(joined, &path) < 0)
		return err_nomem(e);
	r = cg_path_check(path, e);
	if (r < 0)
		return r;
	if (STREQ(path, "/"))
		return err_invalid(e, "cgroup path '%s' is the root group", wanted ? wanted : "/");
	*ret = TAKE_PTR(path);
	return 0;
}
