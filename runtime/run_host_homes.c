/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where people of the host live who do not live below /home: from its passwd file. People are those with
 * an id from 1000 on, as Debian and its peers give them; services have lower ones, and the places of their state are
 * in the table of run_host_root.c where they are secret.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "run_document.h"

#define PASSWD_BYTES_MAX (1u << 20)
#define FIRST_PERSON     1000u
#define NOBODY           65534u

/* Directories that a careless entry names and that everybody needs, with what lies below the first ones. */
static const char *const systems[] = {"/usr", "/bin",  "/sbin", "/lib",  "/lib64", "/etc",
				      "/dev", "/proc", "/sys",  "/home", "/root",  "/run"};
static const char *const exactly[] = {"/",    "/var",   "/var/lib", "/opt",     "/srv",
				      "/mnt", "/media", "/tmp",     "/var/tmp", "/boot"};

static bool is_systems(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(systems); i++) {
		size_t n = strlen(systems[i]);

		if (strncmp(path, systems[i], n) == 0 && (path[n] == '/' || path[n] == '\0'))
			return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(exactly); i++)
		if (STREQ(path, exactly[i]))
			return true;
	return false;
}

/* name:password:uid:gid:comment:home:shell. A line that is none is skipped, as libc does. */
static int take_line(const char *line, char ***homes, struct err *e)
{
	_cleanup_strv_ char **f = NULL;
	_cleanup_free_ char *home = NULL;
	uint32_t uid;

	if (strv_split(line, ':', &f) < 0)
		return err_nomem(e);
	if (strv_len(f) != 7 || parse_u32(f[2], &uid) < 0 || uid < FIRST_PERSON || uid == NOBODY ||
	    f[5][0] != '/')
		return 0;
	if (path_normalize(f[5], &home) < 0)
		return err_nomem(e);
	if (is_systems(home))
		return 0;
	return strv_push(homes, home) < 0 ? err_nomem(e) : 0;
}

static int read_passwd(int rootfd, char **ret, struct err *e)
{
	_cleanup_close_ int fd =
		path_open_in_root(rootfd, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, NULL);
	struct stat st;

	/* Without a readable file nobody has a home that we could know of. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return str_printf(ret, "%s", "") < 0 ? err_nomem(e) : 0;
	return fd_read_all(fd, PASSWD_BYTES_MAX, ret, NULL, "/etc/passwd", e);
}

int run_host_homes(int rootfd, char ***ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **homes = NULL;
	char *save = NULL;
	int r = read_passwd(rootfd, &text, e);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		r = take_line(line, &homes, e);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(homes);
	return 0;
}
