/* SPDX-License-Identifier: Apache-2.0 */
/*
 * newuidmap(1) and newgidmap(1): setuid programs of the host that write an id map for an ordinary user, once they have seen that
 * /etc/subuid and /etc/subgid grant it to him. They are taken from fixed places, never from PATH.
 */
#include "idmap_helpers.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"

#define HELPER_TIMEOUT_MSEC 30000 /* directory services may be slow to name a user */

/* Debian, Fedora and their peers; what an administrator built; NixOS. */
static const struct {
	const char *name, *path;
} places[] = {
	{"newuidmap", "/usr/bin/newuidmap"},       {"newuidmap", "/bin/newuidmap"},
	{"newuidmap", "/usr/local/bin/newuidmap"}, {"newuidmap", "/run/wrappers/bin/newuidmap"},
	{"newgidmap", "/usr/bin/newgidmap"},       {"newgidmap", "/bin/newgidmap"},
	{"newgidmap", "/usr/local/bin/newgidmap"}, {"newgidmap", "/run/wrappers/bin/newgidmap"},
};

const char *idmap_helper(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (STREQ(places[i].name, name) && access(places[i].path, X_OK) == 0)
			return places[i].path;
	return NULL;
}

static int make_words(const char *path, pid_t pid, const struct iso_id_maps *maps, char ***ret)
{
	_cleanup_strv_ char **words = NULL;
	char number[16];

	snprintf(number, sizeof(number), "%d", (int)pid);
	if (strv_push(&words, path) < 0 || strv_push(&words, number) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < maps->n; i++) {
		const uint32_t row[] = {maps->v[i].inside, maps->v[i].outside, maps->v[i].count};

		for (size_t k = 0; k < ARRAY_SIZE(row); k++) {
			snprintf(number, sizeof(number), "%u", row[k]);
			if (strv_push(&words, number) < 0)
				return -ENOMEM;
		}
	}
	*ret = TAKE_PTR(words);
	return 0;
}

int idmap_helper_run(const char *name, pid_t pid, const struct iso_id_maps *maps, struct err *e)
{
	const char *path = idmap_helper(name), *kind = name[3] == 'u' ? "uid" : "gid";
	_cleanup_strv_ char **words = NULL;
	/* They need nothing of our environment, and setuid programs are best given none. */
	char *env[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C", NULL};
	struct proc_spawn s = {.env = env, .cgroup_fd = -1};
	int r;

	if (!path) {
		err_set(e, ERR_UNSUPPORTED, ENOENT, "map more than the own %s: %s is not installed",
			kind, name);
		return err_hint(e, "install it (Debian: apt-get install uidmap)");
	}
	if (make_words(path, pid, maps, &words) < 0)
		return err_nomem(e);
	s.argv = words;
	r = proc_run(&s, NULL, 0, HELPER_TIMEOUT_MSEC, name, e);
	if (r == 0)
		return 0;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return err_hint(e, "%s is a setuid program, and no-new-privileges is set here",
				name);
	return err_hint(e,
			"/etc/sub%s must grant these ids to the user: usermod --add-sub%ss "
			"100000-165535 NAME",
			kind, kind);
}
