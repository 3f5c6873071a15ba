/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordinary users in tests: accounts, subordinate ids and homes that exist only in a mount namespace of the world.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

#define USERS_MAX 4

struct users {
	char dir[96]; /* DIR/users */
	int mounts;   /* their mount namespace */
	size_t n;
	struct user *v[USERS_MAX];
};

/* ---- their mount namespace ---------------------------------------------------------------- */

/* Files of /etc that are the world's own; rewritten in place, so that the bind mounts show it. */
static const struct {
	const char *name, *first;
} etc_files[] = {
	{"passwd", "root:x:0:0:root:/root:/bin/sh\n"},
	{"group", "root:x:0:\n"},
	{"subuid", ""},
	{"subgid", ""},
};

static void bind(const char *from, const char *to, unsigned long more)
{
	if (mount(from, to, NULL, MS_BIND | more, NULL) < 0)
		fail_msg("bind %s on %s: %s", from, to, strerror(errno));
}

static void make_dir(const char *path, mode_t mode, uid_t owner)
{
	if (mkdir(path, mode) < 0 || chmod(path, mode) < 0 || chown(path, owner, owner) < 0)
		fail_msg("%s: %s", path, strerror(errno));
}

/* Runs in the new namespace. */
static void mount_all(const struct users *u)
{
	char path[160], target[64], build[512];

	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		fail_msg("slave mounts: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(etc_files) / sizeof(*etc_files); i++) {
		snprintf(path, sizeof(path), "%s/%s", u->dir, etc_files[i].name);
		snprintf(target, sizeof(target), "/etc/%s", etc_files[i].name);
		bind(path, target, 0);
	}
	if (mount("home", "/home", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		fail_msg("/home: %s", strerror(errno));
	/* The build tree may lie where an ordinary user cannot go. */
	build_path("", build, sizeof(build));
	snprintf(path, sizeof(path), "%s/programs", u->dir);
	bind(build, path, MS_REC);
}

/* Do something in the users' namespace; the caller has one thread. */
static void in_mounts(const struct users *u, void (*fn)(const struct users *u, void *arg),
		      void *arg)
{
	int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(own >= 0 && cwd >= 0);
	assert_int_equal(setns(u->mounts, CLONE_NEWNS), 0);
	fn(u, arg);
	assert_int_equal(setns(own, CLONE_NEWNS), 0);
	assert_int_equal(fchdir(cwd), 0);
	close(own);
	close(cwd);
}

static struct users *users_new(const struct world *w)
{
	struct users *u = calloc(1, sizeof(*u));
	char path[160];

	assert_non_null(u);
	snprintf(u->dir, sizeof(u->dir), "%s/users", w->dir);
	make_dir(u->dir, 0755, 0);
	for (size_t i = 0; i < sizeof(etc_files) / sizeof(*etc_files); i++) {
		snprintf(path, sizeof(path), "%s/%s", u->dir, etc_files[i].name);
		write_file(path, etc_files[i].first, 0644);
	}
	snprintf(path, sizeof(path), "%s/programs", u->dir);
	make_dir(path, 0755, 0);

	int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(own >= 0 && cwd >= 0);
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	mount_all(u);
	u->mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	assert_true(u->mounts >= 0);
	assert_int_equal(setns(own, CLONE_NEWNS), 0);
	assert_int_equal(fchdir(cwd), 0);
	close(own);
	close(cwd);
	return u;
}

/* ---- one user ------------------------------------------------------------------------------ */

static void append(const char *dir, const char *name, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void add_account(const struct users *all, const struct user *u, const char *subids)
{
	char line[256];

	snprintf(line, sizeof(line), "%s:x:%u:%u:A test:%s:/bin/sh\n", u->name, u->uid, u->gid,
		 u->home);
	append(all->dir, "passwd", line);
	snprintf(line, sizeof(line), "%s:x:%u:\n", u->name, u->gid);
	append(all->dir, "group", line);
	if (!subids)
		return;
	_cleanup_strv_ char **ranges = NULL;

	assert_int_equal(strv_split(subids, ' ', &ranges), 0);
	for (char **r = ranges; *r; r++) {
		snprintf(line, sizeof(line), "%s:%s\n", u->name, *r);
		append(all->dir, "subuid", line);
		append(all->dir, "subgid", line);
	}
}

static void mount_home(const struct users *all, void *arg)
{
	const struct user *u = arg;

	(void)all;
	make_dir(u->home, 0700, u->uid);
	bind(u->home_at, u->home, 0);
}

static uid_t new_owner; /* nftw() has no argument */

static int give_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return lchown(path, new_owner, new_owner);
}

static void make_user_dirs(struct user *u, const struct users *all)
{
	snprintf(u->dir, sizeof(u->dir), "%s/%s", all->dir, u->name);
	make_dir(u->dir, 0755, u->uid);
	snprintf(u->home_at, sizeof(u->home_at), "%s/home", u->dir);
	make_dir(u->home_at, 0700, u->uid);
	snprintf(u->runtime, sizeof(u->runtime), "%s/run", u->dir);
	make_dir(u->runtime, 0700, u->uid);
	snprintf(u->state, sizeof(u->state), "%s/insula", u->runtime);
	make_dir(u->state, 0700, u->uid);
	snprintf(u->rootfs, sizeof(u->rootfs), "%s/root", u->dir);
	make_rootfs(u->rootfs);
	new_owner = u->uid;
	assert_int_equal(nftw(u->rootfs, give_entry, 16, FTW_PHYS), 0);
}

const struct user *world_add_user(struct world *w, const char *name, uid_t uid, const char *subids)
{
	struct user *u = calloc(1, sizeof(*u));

	assert_non_null(u);
	assert_true(uid != 0);
	if (!w->users)
		w->users = users_new(w);
	struct users *all = w->users;

	assert_true(all->n < USERS_MAX && strlen(name) < sizeof(u->name));
	strcpy(u->name, name);
	u->uid = uid;
	u->gid = (gid_t)uid;
	u->mounts = all->mounts;
	snprintf(u->home, sizeof(u->home), "/home/%s", name);
	snprintf(u->insula, sizeof(u->insula), "%s/programs/insula", all->dir);
	snprintf(u->oci, sizeof(u->oci), "%s/programs/insula-oci", all->dir);
	make_user_dirs(u, all);
	add_account(all, u, subids);
	in_mounts(all, mount_home, u);
	u->ids = ids_watch(u->state);
	all->v[all->n++] = u;
	return u;
}

static void copy(char *to, size_t size, const char *from)
{
	assert_true((size_t)snprintf(to, size, "%s", from) < size);
}

struct world world_as(const struct world *w, const struct user *u)
{
	struct world as = *w;

	if (!u)
		return as;
	as.user = u;
	as.ids = u->ids;
	copy(as.state, sizeof(as.state), u->state);
	copy(as.rootfs, sizeof(as.rootfs), u->rootfs);
	copy(as.insula, sizeof(as.insula), u->insula);
	copy(as.oci, sizeof(as.oci), u->oci);
	return as;
}

/* Variables of the test's own session that would lead a user's program to root's places. */
static const char *const foreign[] = {"DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK",
				      "XDG_CONFIG_HOME",          "XDG_DATA_HOME",
				      "XDG_CACHE_HOME",           "MAIL"};

void user_become(const struct user *u, bool with_env)
{
	if (setns(u->mounts, CLONE_NEWNS) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(u->gid, u->gid, u->gid) < 0 || setresuid(u->uid, u->uid, u->uid) < 0 ||
	    chdir(u->home) < 0) {
		dprintf(2, "become %s: %s\n", u->name, strerror(errno));
		_exit(126);
	}
	if (!with_env)
		return;
	setenv("HOME", u->home, 1);
	setenv("USER", u->name, 1);
	setenv("LOGNAME", u->name, 1);
	setenv("XDG_RUNTIME_DIR", u->runtime, 1);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		unsetenv(foreign[i]);
}

/* ---- the end ------------------------------------------------------------------------------- */

int users_delete_left_over(const struct world *w)
{
	int left = 0;

	for (size_t i = 0; w->users && i < w->users->n; i++) {
		struct world as = world_as(w, w->users->v[i]);

		left += delete_left_over(&as);
	}
	return left;
}

void users_free(struct world *w)
{
	for (size_t i = 0; w->users && i < w->users->n; i++) {
		ids_free(w->users->v[i]->ids);
		free(w->users->v[i]);
	}
	if (w->users)
		close(w->users->mounts);
	free(w->users);
	w->users = NULL;
}
