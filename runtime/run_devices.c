/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --device, --device-cgroup-rule and the devices of --privileged: linux.devices and linux.resources.devices.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "run_document.h"
#include "run_userns.h"
#include "runtime/support.h"

#define DEPTH_MAX 8

/* Where the walk of a directory puts what it finds. */
struct devices {
	struct json *nodes, *rules; /* arrays */
	struct json *mounts;        /* array; of a sandbox with a user namespace, else NULL */
	const char *source, *place; /* where the host has what is wanted, and where it goes */
	const char *access;
	bool only_usable; /* by the caller: what he cannot open is left out */
	bool host_dev;    /* all of /dev: what a sandbox has of its own is left out */
	size_t found;
};

static int add_rule(struct json *rules, bool allow, char type, int64_t major, int64_t minor,
		    const char *access)
{
	_cleanup_json_ struct json *o = json_new_object();
	char word[2] = {type, '\0'};

	if (!o || json_set(o, "allow", json_new_bool(allow)) < 0 ||
	    (type && json_set(o, "type", json_new_string(word)) < 0) ||
	    (major >= 0 && json_set(o, "major", json_new_i64(major)) < 0) ||
	    (minor >= 0 && json_set(o, "minor", json_new_i64(minor)) < 0) ||
	    json_set(o, "access", json_new_string(access)) < 0)
		return -ENOMEM;
	return json_push(rules, TAKE_PTR(o));
}

/* A user namespace makes no nodes: isolate/ binds the host's of the same path. Under another one it is a
 * mount like any other. Returns whether it was, or -errno. */
static int add_moved(struct devices *d, const char *place)
{
	_cleanup_free_ char *source = NULL;

	if (!d->mounts || !d->source || STREQ(d->source, d->place))
		return 0;
	if (str_printf(&source, "%s%s", d->source, place + strlen(d->place)) < 0)
		return -ENOMEM;
	d->found++;
	int r = run_add_mount(d->mounts, place, "bind", source, "bind,dev,nosuid,noexec");

	return r < 0 ? r : 1;
}

static int add_node(struct devices *d, const char *place, const struct stat *st)
{
	int r = add_moved(d, place);

	if (r != 0)
		return r;

	_cleanup_json_ struct json *o = json_new_object();
	char type[2] = {S_ISBLK(st->st_mode) ? 'b' : 'c', '\0'};

	if (!o || json_set(o, "path", json_new_string(place)) < 0 ||
	    json_set(o, "type", json_new_string(type)) < 0 ||
	    json_set(o, "major", json_new_i64(major(st->st_rdev))) < 0 ||
	    json_set(o, "minor", json_new_i64(minor(st->st_rdev))) < 0 ||
	    json_set(o, "fileMode", json_new_i64(st->st_mode & 07777)) < 0 ||
	    json_set(o, "uid", json_new_u64(st->st_uid)) < 0 ||
	    json_set(o, "gid", json_new_u64(st->st_gid)) < 0)
		return -ENOMEM;
	d->found++;
	if (json_push(d->nodes, TAKE_PTR(o)) < 0)
		return -ENOMEM;
	return add_rule(d->rules, true, type[0], major(st->st_rdev), minor(st->st_rdev), d->access);
}

/* Entries of the host's /dev that every sandbox has of its own, or that are no devices. */
static bool is_own(const char *name)
{
	static const char *const own[] = {"pts",     "shm",     "mqueue", "fd",   "hugepages",
					  "console", "ptmx",    "null",   "zero", "full",
					  "random",  "urandom", "tty",    ".lxc", ".udev"};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (STREQ(own[i], name))
			return true;
	return false;
}

static int walk(struct devices *d, int dirfd, const char *place, unsigned depth, struct err *e);

static int take_entry(struct devices *d, int dirfd, const char *name, const char *place,
		      unsigned depth, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;
	int fd, r;

	if (str_printf(&path, "%s/%s", place, name) < 0)
		return err_nomem(e);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* gone meanwhile */
	if (S_ISDIR(st.st_mode)) {
		fd = path_open_dir_at(dirfd, name, NULL);
		if (fd < 0)
			return 0; /* not the caller's to see */
		r = walk(d, fd, path, depth + 1, e);
		close(fd);
		return r;
	}
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return 0;
	if (d->only_usable && faccessat(dirfd, name, R_OK | W_OK, AT_EACCESS) < 0)
		return 0;
	return add_node(d, path, &st) < 0 ? err_nomem(e) : 0;
}

static int walk(struct devices *d, int dirfd, const char *place, unsigned depth, struct err *e)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int fd = path_open_dir_at(dirfd, ".", e), r = 0;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		r = err_sys(e, errno, "read '%s'", place);
		close(fd);
		return r;
	}
	while (r == 0 && depth < DEPTH_MAX && (entry = readdir(dir))) {
		if (STREQ(entry->d_name, ".") || STREQ(entry->d_name, "..") ||
		    (depth == 0 && d->host_dev && is_own(entry->d_name)))
			continue;
		r = take_entry(d, fd, entry->d_name, place, depth, e);
	}
	return r;
}

/* ---- --device --------------------------------------------------------------------------- */

static bool is_access(const char *s)
{
	return *s && strspn(s, "rwm") == strlen(s) && strlen(s) <= 3;
}

/* "PATH", "PATH:ACCESS", "PATH:PLACE", "PATH:PLACE:ACCESS". */
static int split_device(const char *flag, char ***ret, const char **ret_place,
			const char **ret_access, struct err *e)
{
	_cleanup_strv_ char **v = NULL;
	size_t n;

	if (strv_split(flag, ':', &v) < 0)
		return err_nomem(e);
	n = strv_len(v);
	*ret_place = v[0];
	*ret_access = "rwm";
	if (n == 2 && v[1][0] != '/')
		*ret_access = v[1];
	else if (n >= 2)
		*ret_place = v[1];
	if (n == 3)
		*ret_access = v[2];
	if (n > 3 || v[0][0] != '/' || (*ret_place)[0] != '/') {
		err_invalid(e, "not PATH[:PATH][:ACCESS] with absolute paths");
		if (strchr(v[0], '=') && v[0][0] != '/')
			err_hint(e, "names of the Container Device Interface are not supported");
		return -EINVAL;
	}
	if (!is_access(*ret_access))
		return err_invalid(e, "access '%s' is not made of r, w and m", *ret_access);
	*ret = TAKE_PTR(v);
	return 0;
}

static int take_device(struct devices *d, const char *flag, struct err *e)
{
	_cleanup_strv_ char **parts = NULL;
	_cleanup_close_ int root = -1, fd = -1;
	_cleanup_free_ char *place = NULL, *source = NULL;
	const char *wanted = NULL;
	struct stat st;
	int r = split_device(flag, &parts, &wanted, &d->access, e);

	if (r < 0)
		return r;
	if (path_normalize(wanted, &place) < 0)
		return err_nomem(e);
	root = path_open_dir("/", e);
	if (root < 0)
		return root;
	/* Links of /dev (by-id, by-path) lead to the node that is meant. */
	fd = path_open_in_root(root, parts[0], O_PATH, 0, e);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "look at '%s'", parts[0]);
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISDIR(st.st_mode))
		return err_invalid(e, "'%s' is not a device", parts[0]);
	if (path_normalize(parts[0], &source) < 0)
		return err_nomem(e);
	d->source = source;
	d->place = place;
	d->found = 0;
	if (S_ISDIR(st.st_mode))
		r = walk(d, fd, place, 1, e);
	else if (add_node(d, place, &st) < 0)
		r = err_nomem(e);
	d->source = d->place = NULL;
	if (r == 0 && d->found == 0)
		return err_invalid(e, "'%s' has no devices in it", parts[0]);
	return r;
}

/* ---- --device-cgroup-rule --------------------------------------------------------------- */

static int number_or_any(const char *s, int64_t *ret)
{
	uint32_t n;

	*ret = -1;
	if (STREQ(s, "*"))
		return 0;
	if (parse_u32(s, &n) < 0)
		return -EINVAL;
	*ret = n;
	return 0;
}

/* "c 42:* rmw" */
static int take_rule(struct json *rules, const char *flag, struct err *e)
{
	_cleanup_strv_ char **v = NULL;
	char *colon;
	int64_t major_number, minor_number;

	if (strv_split(flag, ' ', &v) < 0)
		return err_nomem(e);
	colon = strv_len(v) == 3 ? strchr(v[1], ':') : NULL;
	if (colon)
		*colon++ = '\0';
	if (!colon || strlen(v[0]) != 1 || !strchr("abc", v[0][0]) || !is_access(v[2]) ||
	    number_or_any(v[1], &major_number) < 0 || number_or_any(colon, &minor_number) < 0) {
		err_invalid(e, "--device-cgroup-rule '%s' is not TYPE MAJOR:MINOR ACCESS", flag);
		return err_hint(e, "such as 'c 42:* rwm'; the type is a, b or c");
	}
	return add_rule(rules, true, v[0][0], major_number, minor_number, v[2]) < 0 ? err_nomem(e)
										    : 0;
}

/* ---- the whole -------------------------------------------------------------------------- */

/* Does this kind of sandbox take devices of the host at all? */
static bool takes_devices(const struct rt_run_request *r)
{
	const struct support_row *row = support_find("linux.devices[]");
	const struct driver *driver;

	return row && driver_find(r->driver, &driver, NULL) == 0 &&
	       row->by_driver[driver->id].level != SUPPORT_NO;
}

/* All that the host has; of an ordinary user, what he may use. A microVM has the devices of its own
 * kernel, which are the guest's in any case. */
static int add_all(struct devices *d, const struct rt_run_request *r, struct err *e)
{
	_cleanup_close_ int dev = -1;
	int rc;

	if (!takes_devices(r))
		return 0;
	dev = path_open_dir("/dev", e);
	if (dev < 0)
		return dev;
	d->access = "rwm";
	d->host_dev = true;
	d->only_usable = geteuid() != 0;
	rc = walk(d, dev, "/dev", 0, e);
	return rc < 0 ? err_wrap(e, "--privileged: devices of the host") : 0;
}

static bool has_user_namespace(const struct run_build *b)
{
	return b->userns == RUN_USERNS_DEFAULT ? run_is_ordinary() : b->userns != RUN_USERNS_NONE;
}

int run_devices_add(struct json *l, struct json *resources, struct json *mounts,
		    const struct run_build *b, struct err *e)
{
	const struct rt_run_request *r = b->request;
	_cleanup_json_ struct json *nodes = json_new_array(), *rules = json_new_array();
	_cleanup_json_ struct json *unused = json_new_array();
	struct devices d = {
		.nodes = nodes,
		.rules = r->privileged ? unused : rules,
		.mounts = has_user_namespace(b) ? mounts : NULL,
	};
	int rc = 0;

	if (!nodes || !rules || !unused || add_rule(rules, r->privileged, 0, -1, -1, "rwm") < 0)
		return err_nomem(e);
	for (char *const *f = r->devices; f && *f && rc == 0; f++) {
		rc = take_device(&d, *f, e);
		if (rc < 0)
			err_wrap(e, "--device '%s'", *f);
	}
	for (char *const *f = r->device_rules; f && *f && rc == 0; f++)
		rc = take_rule(d.rules, *f, e);
	/* With a /dev of the caller's own, what is in it is his business. */
	if (rc == 0 && r->privileged && !run_mounts_cover(&b->mounts, "/dev"))
		rc = add_all(&d, r, e);
	if (rc < 0)
		return rc;
	if (json_set(resources, "devices", TAKE_PTR(rules)) < 0)
		return err_nomem(e);
	struct json_at at = json_top(nodes);

	if (json_array_len(&at) > 0 && json_set(l, "devices", TAKE_PTR(nodes)) < 0)
		return err_nomem(e);
	return 0;
}
