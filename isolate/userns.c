/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User namespaces of ordinary users. Theory of operation:
 *
 * Without privilege the kernel lets a user map exactly one id, his own. More of them must be granted by
 * the administrator in /etc/subuid and /etc/subgid, and are written by setuid helpers (idmap_helpers.c).
 *
 * Who made a user namespace, in the namespace above it, has all capabilities over it: so signals to its
 * processes and looks at them work from outside, whatever their ids. What does not is work on *files* of
 * subordinate ids, whose owner the kernel takes for a stranger; that is done by a child inside
 * (iso_userns_spawn, iso_userns_enter).
 */
#include "isolate/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sync.h"
#include "idmap_helpers.h"
#include "identity.h"
#include "spawn.h"
#include "subids.h"

#define SUBUID_FILE "/etc/subuid"
#define SUBGID_FILE "/etc/subgid"
#define PASSWD_FILE "/etc/passwd"
#define PASSWD_MAX  (16u << 20)
#define OWN_MAP_MAX (1u << 16)

void iso_id_maps_done(struct iso_id_maps *maps)
{
	free(maps->v);
	*maps = (struct iso_id_maps){0};
}

static int add_entry(struct iso_id_maps *maps, uint32_t inside, uint32_t outside, uint32_t count)
{
	struct iso_id_map *v = reallocarray(maps->v, maps->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	maps->v = v;
	maps->v[maps->n++] = (struct iso_id_map){inside, outside, count};
	return 0;
}

/* ---- which maps ------------------------------------------------------------------------------- */

/* Root of a user namespace may map whatever exists there; in the initial one that is all. */
static int own_ids(const char *file, struct iso_id_maps *ret, struct err *e)
{
	_cleanup_(iso_id_maps_done) struct iso_id_maps maps = {0};
	_cleanup_free_ char *text = NULL;
	unsigned inside, outside, count;
	int r, n;

	r = path_read_file_at(AT_FDCWD, file, OWN_MAP_MAX, &text, NULL, e);
	if (r < 0)
		return r;
	for (const char *p = text; sscanf(p, "%u %u %u%n", &inside, &outside, &count, &n) == 3;
	     p += n)
		if (add_entry(&maps, inside, inside, count) < 0)
			return err_nomem(e);
	*ret = maps;
	maps = (struct iso_id_maps){0};
	return 0;
}

/* 0 is the user, then his ranges one after the other. */
static int ranges_to_maps(const struct subids *s, uint32_t own, const char *what,
			  struct iso_id_maps *ret, struct err *e)
{
	_cleanup_(iso_id_maps_done) struct iso_id_maps maps = {0};
	uint64_t next = 1;

	if (add_entry(&maps, 0, own, 1) < 0)
		return err_nomem(e);
	for (size_t i = 0; i < s->n; i++) {
		if (next + s->v[i].count > UINT32_MAX)
			return err_invalid(e, "%s grants more ids than there are", what);
		if (add_entry(&maps, (uint32_t)next, s->v[i].first, s->v[i].count) < 0)
			return err_nomem(e);
		next += s->v[i].count;
	}
	if (iso_id_maps_check(&maps, what, e) < 0)
		return err_hint(e, "a range must not hold the user's own id %u", own);
	*ret = maps;
	maps = (struct iso_id_maps){0};
	return 0;
}

/* What stands between the user and his ranges, as a line; NULL: nothing. */
static const char *what_is_missing(const struct subids *uids, const struct subids *gids)
{
	if (uids->n == 0)
		return SUBUID_FILE " grants this user no subordinate ids";
	if (gids->n == 0)
		return SUBGID_FILE " grants this user no subordinate ids";
	if (!idmap_helper("newuidmap") || !idmap_helper("newgidmap"))
		return "newuidmap and newgidmap are not installed (Debian: package uidmap)";
	return NULL;
}

static int read_ranges(uint32_t uid, struct subids *uids, struct subids *gids, struct err *e)
{
	_cleanup_free_ char *passwd = NULL;
	const char *login = NULL;
	int r;

	/* Both files name users, not groups. */
	if (path_read_file_at(AT_FDCWD, PASSWD_FILE, PASSWD_MAX, &passwd, NULL, NULL) == 0)
		login = subids_login(passwd, uid);
	r = subids_read(SUBUID_FILE, login, uid, uids, e);
	return r < 0 ? r : subids_read(SUBGID_FILE, login, uid, gids, e);
}

static int user_ids(struct iso_id_maps *uid, struct iso_id_maps *gid, const char **ret_why,
		    struct err *e)
{
	_cleanup_(subids_done) struct subids uids = {0}, gids = {0};
	int r = read_ranges(geteuid(), &uids, &gids, e);

	if (r < 0)
		return r;
	*ret_why = what_is_missing(&uids, &gids);
	if (*ret_why)
		uids.n = gids.n = 0;
	r = ranges_to_maps(&uids, geteuid(), SUBUID_FILE, uid, e);
	return r < 0 ? r : ranges_to_maps(&gids, getegid(), SUBGID_FILE, gid, e);
}

int iso_user_maps(struct iso_id_maps *ret_uid, struct iso_id_maps *ret_gid, bool *ret_single,
		  char **ret_why, struct err *e)
{
	_cleanup_(iso_id_maps_done) struct iso_id_maps uid = {0}, gid = {0};
	const char *why = NULL;
	char *text = NULL;
	int r;

	if (geteuid() == 0) {
		r = own_ids("/proc/self/uid_map", &uid, e);
		if (r == 0)
			r = own_ids("/proc/self/gid_map", &gid, e);
	} else {
		r = user_ids(&uid, &gid, &why, e);
	}
	if (r < 0)
		return err_wrap(e, "subordinate ids");
	if (why && ret_why && str_printf(&text, "%s", why) < 0)
		return err_nomem(e);
	if (ret_why)
		*ret_why = text;
	*ret_single = why != NULL;
	*ret_uid = uid;
	*ret_gid = gid;
	uid = gid = (struct iso_id_maps){0};
	return 0;
}

/* ---- work inside ------------------------------------------------------------------------------ */

struct work {
	int (*fn)(void *arg);
	void *arg;
	int pidfd; /* whose user namespace is entered; -1: a new one */
};

static int work_join(void *arg, struct err *e)
{
	const struct work *w = arg;

	if (setns(w->pidfd, CLONE_NEWUSER) == 0)
		return 0;
	/* It is our own already. */
	if (errno == EINVAL)
		return 0;
	return err_sys(e, errno, "enter the user namespace");
}

static int work_child(void *arg, int *fd, struct err *e)
{
	const struct work *w = arg;
	int r = sync_expect(*fd, "the creator", SYNC_PID, NULL, NULL, e);

	if (r == 0)
		r = identity_enter_userns(e);
	/* The change of ids cleared it. */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		r = err_sys(e, errno, "set the death signal");
	if (r == 0)
		r = sync_send(*fd, SYNC_HOST_READY, 0, -1, e);
	if (r < 0)
		return r;
	_exit(w->fn(w->arg));
}

static int begin(struct work *w, const struct iso_id_maps *uid, const struct iso_id_maps *gid,
		 uint64_t flags, struct iso_init *ret, struct err *e)
{
	struct iso_init i;
	struct spawn s = {
		.what = "the process in the user namespace",
		.flags = flags,
		.cgroup_fd = -1,
		.keep_dumpable = uid && geteuid() != 0,
		.join = uid ? NULL : work_join,
		.child = work_child,
		.arg = w,
	};
	int r = spawn_process(&s, &i, e);

	if (r < 0)
		return r;
	if (uid)
		r = iso_id_maps_write(i.pid, uid, gid, e);
	if (r == 0)
		r = sync_send(i.sync_fd, SYNC_PID, i.pid, -1, e);
	if (r == 0)
		r = spawn_expect(&s, &i, SYNC_HOST_READY, e);
	if (r < 0) {
		iso_init_done(&i, true);
		return r;
	}
	*ret = i;
	return 0;
}

int iso_userns_spawn(const struct iso_id_maps *uid, const struct iso_id_maps *gid,
		     uint64_t clone_flags, int (*fn)(void *arg), void *arg, pid_t *ret_pid,
		     struct err *e)
{
	struct work w = {.fn = fn, .arg = arg, .pidfd = -1};
	struct iso_init i;
	int r = begin(&w, uid, gid, CLONE_NEWUSER | clone_flags, &i, e);

	if (r < 0)
		return err_wrap(e, "user namespace");
	*ret_pid = i.pid;
	close(i.pidfd);
	close(i.sync_fd);
	return 0;
}

int iso_userns_enter(int pidfd, int (*fn)(void *arg), void *arg, int *ret_status, struct err *e)
{
	struct work w = {.fn = fn, .arg = arg, .pidfd = pidfd};
	struct iso_init i;
	int status = 0, r;

	r = begin(&w, NULL, NULL, 0, &i, e);
	if (r < 0)
		return err_wrap(e, "user namespace of a process");
	r = proc_reap(i.pid, &status, e);
	close(i.pidfd);
	close(i.sync_fd);
	if (r < 0)
		return r;
	if (!WIFEXITED(status))
		return err_set(e, ERR_INTERNAL, EPIPE, "the process in the user namespace died");
	*ret_status = WEXITSTATUS(status);
	return 0;
}
