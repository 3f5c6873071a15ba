/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who "app", "1000:staff" or "0" is, by the passwd and group files *inside* a root file system. The
 * files belong to the image: they may be links, FIFOs, huge, or hold numbers that overflow to root
 * (CVE-2024-9676, CVE-2024-40635), and the given text may be malformed (CVE-2026-30892).
 *
 * Grammar: USER or USER:GROUP, neither empty; each all digits (an id below 2^32-1) or a name. A
 * numeric user needs no passwd file; where a line has its id, the group and home come from there.
 * Supplementary groups come from the group file unless GROUP is given.
 */
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "isolate/process.h"

#define FILE_BYTES_MAX (1u << 20)
#define GROUPS_MAX     65536 /* NGROUPS_MAX of the kernel */
#define FIELDS_MAX     7

/* One side of the text: an id, or a name if `name` is set. */
struct who {
	const char *name;
	uint32_t id;
};

static int who_parse(const char *s, const char *kind, struct who *ret, struct err *e)
{
	uint32_t id;

	if (*s == '\0')
		return err_invalid(e, "the %s is empty", kind);
	for (const char *p = s; *p; p++) {
		if (isdigit((unsigned char)*p))
			continue;
		if (iscntrl((unsigned char)*p) || *p == '/')
			return err_invalid(e, "'%s' is not a %s", s, kind);
		*ret = (struct who){.name = s};
		return 0;
	}
	/* All digits is never taken for a name: what does not fit is an error, not a look-up. */
	if (parse_u32(s, &id) < 0 || id == UINT32_MAX)
		return err_invalid(e, "%s '%s' is out of range 0..4294967294", kind, s);
	*ret = (struct who){.id = id};
	return 0;
}

/* Where the two files come from: a root directory, or read already. */
struct db {
	int rootfd; /* -1: the texts, which are NULL where there is no such file */
	const char *passwd, *group;
};

static int db_copy(const char *text, const char *path, char **ret, struct err *e)
{
	if (!text)
		return err_sys(e, ENOENT, "open '%s'", path);
	*ret = strdup(text);
	return *ret ? 0 : err_nomem(e);
}

/* The whole file. An image decides what is there, so only a regular file of sane size is read. */
static int db_read(const struct db *db, const char *path, char **ret, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;
	int rootfd = db->rootfd;
	struct stat st;

	if (rootfd < 0)
		return db_copy(STREQ(path, "etc/passwd") ? db->passwd : db->group, path, ret, e);
	fd = path_open_in_root(rootfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, e);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat '%s' of the root file system", path);
	if (!S_ISREG(st.st_mode))
		return err_invalid(e, "'%s' of the root file system is not a regular file", path);
	return fd_read_all(fd, FILE_BYTES_MAX, ret, NULL, path, e);
}

/* Cut the next line into fields at ':'; missing ones are NULL. False at the end. */
static bool db_next(char **cursor, char *fields[FIELDS_MAX])
{
	char *line = *cursor, *end;

	if (*line == '\0')
		return false;
	end = strchrnul(line, '\n');
	*cursor = *end ? end + 1 : end;
	*end = '\0';
	for (int i = 0; i < FIELDS_MAX; i++) {
		fields[i] = line;
		if (!line)
			continue;
		line = strchr(line, ':');
		if (line)
			*line++ = '\0';
	}
	return true;
}

static int id_field(const char *s, uint32_t *ret)
{
	uint32_t id;

	if (!s || parse_u32(s, &id) < 0 || id == UINT32_MAX)
		return -EINVAL;
	*ret = id;
	return 0;
}

static bool who_is(const struct who *w, const char *name, const char *id_text)
{
	uint32_t id;

	if (w->name)
		return STREQ(w->name, name);
	return id_field(id_text, &id) == 0 && id == w->id;
}

struct found {
	uint32_t uid, gid;
	char *name; /* owned; NULL when no line matched */
	char *home; /* owned */
};

static void found_done(struct found *f)
{
	free(f->name);
	free(f->home);
}

/* The first matching line wins, as in every libc. A line of that name with a broken id is an error:
 * going on would give the user to a later line. */
static int passwd_search(char *text, const struct who *w, struct found *ret, struct err *e)
{
	char *f[FIELDS_MAX];

	while (db_next(&text, f)) {
		if (!who_is(w, f[0], f[2]))
			continue;
		if (id_field(f[2], &ret->uid) < 0 || id_field(f[3], &ret->gid) < 0)
			return err_invalid(e, "/etc/passwd has no valid ids for '%s'", f[0]);
		ret->name = strdup(f[0]);
		ret->home = strdup(f[5] && f[5][0] == '/' ? f[5] : "/");
		return ret->name && ret->home ? 0 : err_nomem(e);
	}
	return 0;
}

static int find_user(const struct db *db, const struct who *w, struct found *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int r;

	ret->uid = w->id;
	r = db_read(db, "etc/passwd", &text, w->name ? e : NULL);
	if (r < 0) {
		return w->name ? r : 0;
	}
	r = passwd_search(text, w, ret, e);
	if (r < 0)
		return r;
	if (w->name && !ret->name) {
		err_set(e, ERR_INVALID, ENOENT, "no such user in /etc/passwd");
		return err_hint(e, "a numeric id works without an entry");
	}
	return 0;
}

static int find_group(const struct db *db, const struct who *w, uint32_t *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	char *f[FIELDS_MAX], *cursor;
	int r;

	if (!w->name) {
		*ret = w->id;
		return 0;
	}
	r = db_read(db, "etc/group", &text, e);
	if (r < 0)
		return err_wrap(e, "look up group '%s'", w->name);
	for (cursor = text; db_next(&cursor, f);) {
		if (!STREQ(f[0], w->name))
			continue;
		if (id_field(f[2], ret) < 0)
			return err_invalid(e, "group '%s': /etc/group has no valid id for it",
					   w->name);
		return 0;
	}
	err_set(e, ERR_INVALID, ENOENT, "group '%s': no such group in /etc/group", w->name);
	return err_hint(e, "a numeric id works without an entry");
}

static bool list_has(char *list, const char *name)
{
	char *save = NULL;

	for (char *m = strtok_r(list, ",", &save); m; m = strtok_r(NULL, ",", &save))
		if (STREQ(m, name))
			return true;
	return false;
}

static int gids_add(uint32_t **gids, size_t *n, uint32_t gid, struct err *e)
{
	uint32_t *grown;

	for (size_t i = 0; i < *n; i++)
		if ((*gids)[i] == gid)
			return 0;
	if (*n >= GROUPS_MAX)
		return err_invalid(e, "/etc/group: more than %d groups of one user", GROUPS_MAX);
	if ((*n & (*n - 1)) == 0) {
		grown = reallocarray(*gids, *n ? *n * 2 : 1, sizeof(**gids));
		if (!grown)
			return err_nomem(e);
		*gids = grown;
	}
	(*gids)[(*n)++] = gid;
	return 0;
}

/* A group file that is missing or unusable gives no groups: less rights, not more. */
static int find_memberships(const struct db *db, const char *user, uint32_t **ret, size_t *ret_n,
			    struct err *e)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ uint32_t *gids = NULL;
	char *f[FIELDS_MAX], *cursor;
	size_t n = 0;
	uint32_t gid;

	if (db_read(db, "etc/group", &text, NULL) < 0)
		return 0;
	for (cursor = text; db_next(&cursor, f);) {
		int r;

		if (!f[3] || id_field(f[2], &gid) < 0 || !list_has(f[3], user))
			continue;
		r = gids_add(&gids, &n, gid, e);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(gids);
	*ret_n = n;
	return 0;
}

static int resolve(const struct db *db, char *spec, struct iso_user *ret, struct found *found,
		   struct err *e)
{
	struct who user, group;
	char *colon = strchr(spec, ':');
	int r;

	if (colon)
		*colon = '\0';
	r = who_parse(spec, "user", &user, e);
	if (r == 0 && colon)
		r = who_parse(colon + 1, "group", &group, e);
	if (r == 0)
		r = find_user(db, &user, found, e);
	if (r < 0)
		return r;
	ret->uid = found->uid;
	ret->gid = found->gid;
	if (colon)
		return find_group(db, &group, &ret->gid, e);
	if (found->name)
		return find_memberships(db, found->name, &ret->additional_gids,
					&ret->n_additional_gids, e);
	return 0;
}

static int resolve_all(const struct db *db, const char *spec, struct iso_user *user,
		       char **ret_home, struct err *e)
{
	_cleanup_(found_done) struct found found = {0};
	_cleanup_free_ char *text = strdup(spec), *home = NULL;
	struct iso_user out = {0};
	int r;

	if (!text)
		return err_nomem(e);
	r = resolve(db, text, &out, &found, e);
	if (r < 0)
		return err_wrap(e, "user '%s'", spec);
	home = strdup(found.home ?: "/");
	if (!home) {
		free(out.additional_gids);
		return err_nomem(e);
	}
	free(user->additional_gids);
	user->uid = out.uid;
	user->gid = out.gid;
	user->additional_gids = out.additional_gids;
	user->n_additional_gids = out.n_additional_gids;
	if (ret_home)
		*ret_home = TAKE_PTR(home);
	return 0;
}

int iso_user_resolve(int rootfd, const char *spec, struct iso_user *user, char **ret_home,
		     struct err *e)
{
	const struct db db = {.rootfd = rootfd};

	return resolve_all(&db, spec, user, ret_home, e);
}

int iso_user_resolve_text(const char *passwd, const char *group, const char *spec,
			  struct iso_user *user, char **ret_home, struct err *e)
{
	const struct db db = {.rootfd = -1, .passwd = passwd, .group = group};

	return resolve_all(&db, spec, user, ret_home, e);
}
