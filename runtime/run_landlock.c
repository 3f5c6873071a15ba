/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second fence of an app on the host's own system. The first are its mounts: a throwaway layer, read-only binds,
 * masks. Landlock says the same once more, from the finished document:
 *
 *	read	everything that the mounts show
 *	write	file systems of the sandbox's own (tmpfs, …), volumes and throwaway layers that are not read-only
 *	device	/dev, which holds a few devices and terminals of the sandbox's own
 *	never	/proc and /sys; /proc only in a user namespace, where the kernel's switches are the host's root's anyway
 *
 * Since rules cannot except anything, "/" is never allowed for writing, or /proc/sys would be too. Where the whole system
 * may be changed for the sandbox (throwaway), each of its top directories is named. So no new name can be made in "/"
 * itself. And a process cannot write about itself below /proc without a user namespace (names of other threads,
 * oom_score_adj).
 *
 * With the host's network, abstract sockets of the host's programs are out of bounds; with its processes, signals.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "landlock_document.h"
#include "oci_parse.h"
#include "run_document.h"

static bool has_option(const struct json_at *mount, const char *word)
{
	struct json_at options;

	if (!json_member(mount, "options", &options))
		return false;
	for (size_t i = 0; i < json_array_len(&options); i++) {
		struct json_at element = json_array_at(&options, i);
		const char *s = json_peek_string(&element);

		if (s && STREQ(s, word))
			return true;
	}
	return false;
}

static const char *member_string(const struct json_at *at, const char *key)
{
	struct json_at v;

	return json_member(at, key, &v) ? json_peek_string(&v) : NULL;
}

static bool has_namespace(const struct json_at *top, const char *type)
{
	struct json_at l, list;

	if (!json_member(top, "linux", &l) || !json_member(&l, "namespaces", &list))
		return false;
	for (size_t i = 0; i < json_array_len(&list); i++) {
		struct json_at ns = json_array_at(&list, i);
		const char *s = member_string(&ns, "type");

		if (s && STREQ(s, type))
			return true;
	}
	return false;
}

/* ---- writable places ---------------------------------------------------------------------------- */

static bool is_at_or_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int add_mount(const struct json_at *top, const struct json_at *mount, char ***write)
{
	const char *to = member_string(mount, "destination"), *type = member_string(mount, "type");
	_cleanup_free_ char *path = NULL;

	if (!to || has_option(mount, "ro") || (type && STREQ(type, "sysfs")))
		return 0;
	if (type && STREQ(type, "proc") && !has_namespace(top, "user"))
		return 0;
	if (path_normalize(to, &path) < 0)
		return -ENOMEM;
	/* /dev is allowed as a whole. */
	return is_at_or_below(path, "/dev") ? 0 : strv_push(write, path);
}

static int add_mounts(const struct json_at *top, char ***write, struct err *e)
{
	struct json_at mounts;

	if (!json_member(top, "mounts", &mounts))
		return 0;
	for (size_t i = 0; i < json_array_len(&mounts); i++) {
		struct json_at mount = json_array_at(&mounts, i);

		if (add_mount(top, &mount, write) < 0)
			return err_nomem(e);
	}
	return 0;
}

static bool is_mount_point(const struct json_at *top, const char *path)
{
	struct json_at mounts;

	if (!json_member(top, "mounts", &mounts))
		return false;
	for (size_t i = 0; i < json_array_len(&mounts); i++) {
		struct json_at mount = json_array_at(&mounts, i);
		const char *to = member_string(&mount, "destination");

		if (to && STREQ(to, path))
			return true;
	}
	return false;
}

static bool is_root_writable(const struct json_at *top)
{
	struct json_at root, annotations, readonly;
	const char *kind = NULL;
	bool ro = false;

	if (json_member(top, "annotations", &annotations))
		kind = member_string(&annotations, ANNOTATION_ROOTFS);
	if (json_member(top, "root", &root) && json_member(&root, "readonly", &readonly))
		(void)json_get_bool(&readonly, &ro, NULL);
	return kind && STREQ(kind, "throwaway") && !ro;
}

/* The kernel's own file systems, whoever mounts them. */
static bool is_kernels(const char *path)
{
	return STREQ(path, "/proc") || STREQ(path, "/sys") || STREQ(path, "/dev");
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What has a mount of its own is that mount's matter; a link is followed, or dangles. */
static int add_top_directories(const struct json_at *top, int rootfd, char ***write, struct err *e)
{
	_cleanup_closedir_ DIR *d = NULL;
	_cleanup_strv_ char **found = NULL;
	struct dirent *entry;
	int fd = path_open_in_root(rootfd, "/", O_RDONLY | O_DIRECTORY, 0, e);

	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_sys(e, errno, "list the root directory");
	}
	while ((entry = readdir(d))) {
		_cleanup_free_ char *path = NULL;

		if (STREQ(entry->d_name, ".") || STREQ(entry->d_name, "..") ||
		    entry->d_type == DT_LNK)
			continue;
		if (str_printf(&path, "/%s", entry->d_name) < 0)
			return err_nomem(e);
		if (!is_kernels(path) && !is_mount_point(top, path) && strv_push(&found, path) < 0)
			return err_nomem(e);
	}
	if (found)
		qsort(found, strv_len(found), sizeof(*found), compare);
	for (char **p = found; p && *p; p++)
		if (strv_push(write, *p) < 0)
			return err_nomem(e);
	return 0;
}

/* ---- the annotation ----------------------------------------------------------------------------- */

static struct json *words(const char *one, const char *two)
{
	_cleanup_strv_ char **v = NULL;

	if ((one && strv_push(&v, one) < 0) || (two && strv_push(&v, two) < 0))
		return NULL;
	return json_new_strv(v);
}

static int make_text(const struct json_at *top, char *const *write, char **ret, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "read", words("/", NULL)) < 0 ||
	    json_set(o, "write", json_new_strv(write)) < 0 ||
	    json_set(o, "device", words("/dev", NULL)) < 0 ||
	    json_set(o, "scope",
		     words(has_namespace(top, "network") ? NULL : "abstract-unix-socket",
			   has_namespace(top, "pid") ? NULL : "signal")) < 0 ||
	    json_to_text(o, false, ret, NULL) < 0)
		return err_nomem(e);
	return 0;
}

int run_set_landlock(struct json *document, int rootfd, struct err *e)
{
	struct json *annotations = json_object_member(document, "annotations", true);
	struct json_at top = json_top(document);
	_cleanup_strv_ char **write = NULL;
	_cleanup_free_ char *text = NULL;
	int r = add_mounts(&top, &write, e);

	if (r == 0 && is_root_writable(&top))
		r = add_top_directories(&top, rootfd, &write, e);
	if (r == 0)
		r = make_text(&top, write, &text, e);
	if (r < 0)
		return r;
	if (!annotations || json_set(annotations, ANNOTATION_LANDLOCK, json_new_string(text)) < 0)
		return err_nomem(e);
	return 0;
}

/* Behind Landlock nobody changes mounts, which is what CAP_SYS_ADMIN is asked for, nor the kernel's switches, which is
 * what is unmasked for. */
static bool is_wanted(const struct json *document, const struct run_build *b)
{
	struct json_at top = json_top(document), annotations, own;

	if (!b->rootfs.host_root || b->request->privileged || b->security.unmasked ||
	    (b->security.caps & UINT64_C(1) << CAP_SYS_ADMIN))
		return false;
	return !json_member(&top, "annotations", &annotations) ||
	       !json_member(&annotations, ANNOTATION_LANDLOCK, &own);
}

int run_add_landlock(struct json *document, const struct run_build *b, struct err *e)
{
	return is_wanted(document, b) ? run_set_landlock(document, b->rootfs.fd, e) : 0;
}
