/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload's command: found while the container is created, so that a misspelt name fails the
 * creation and not the start; and executed.
 *
 * Engines turn our words into exit codes 126 and 127 ("executable file not found in", "no such file
 * or directory", "permission denied"), so these phrases stand here and only for the command itself.
 *
 * The look is taken with the file-system ids and groups of the user that will run it: root may
 * search directories that the user may not. It can promise only so much (the container's own hooks
 * may change files before the start), and execve's own verdict is told the same way.
 */
#include "command.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define INTERP_MAX   256
#define QUOTED       "exec: \"%s\": "

/* ---- looking as the user ---------------------------------------------------------------------- */

struct borrowed_ids {
	bool active;
	gid_t *groups;
	int n_groups;
	int death_signal;
};

/* Changing these ids makes the kernel forget PR_SET_PDEATHSIG and drops the file capabilities until
 * the old ids are back (capabilities(7)); both are restored by ids_return(). */
static void ids_borrow(const struct iso_process *p, struct borrowed_ids *b)
{
	bool overrides = p->caps.present &&
			 (p->caps.set[ISO_CAP_EFFECTIVE] & (UINT64_C(1) << CAP_DAC_OVERRIDE));

	*b = (struct borrowed_ids){0};
	if (p->user.uid == geteuid() || overrides)
		return;
	b->n_groups = getgroups(0, NULL);
	if (b->n_groups < 0)
		return;
	b->groups = calloc((size_t)b->n_groups + 1, sizeof(gid_t));
	if (!b->groups || getgroups(b->n_groups, b->groups) != b->n_groups)
		return;
	prctl(PR_GET_PDEATHSIG, &b->death_signal);
	b->active = true;
	/* Where groups cannot be set (an unprivileged user namespace) they will not change later
	 * either. */
	(void)!setgroups(p->user.n_additional_gids, p->user.additional_gids);
	setfsgid(p->user.gid);
	setfsuid(p->user.uid);
}

static void ids_return(struct borrowed_ids *b)
{
	if (b->active) {
		setfsuid(geteuid());
		setfsgid(getegid());
		(void)!setgroups((size_t)b->n_groups, b->groups);
		prctl(PR_SET_PDEATHSIG, b->death_signal);
	}
	free(b->groups);
}

/* 0, or why `path` cannot be executed: -ENOENT, -EACCES, -EISDIR, ... */
static int look(int cwd_fd, const char *path)
{
	struct stat st;

	if (fstatat(cwd_fd, path, &st, 0) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	/* AT_EACCESS: with the ids borrowed above, not with the real ones. */
	if (syscall(SYS_faccessat2, cwd_fd, path, X_OK, AT_EACCESS) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
	/* An outer filter that does not know faccessat2. */
	return st.st_mode & 0111 ? 0 : -EACCES;
}

/* The first that can be executed; otherwise the most telling failure. */
static int look_along(int cwd_fd, const char *search, const char *name, char **ret)
{
	int worst = -ENOENT;

	for (const char *p = search;;) {
		size_t n = strcspn(p, ":");
		_cleanup_free_ char *path = NULL;
		int r;

		/* An empty entry is the working directory (POSIX, environ(7)). */
		if (str_printf(&path, "%.*s%s%s", (int)n, p, n ? "/" : "./", name) < 0)
			return -ENOMEM;
		r = look(cwd_fd, path);
		if (r == 0) {
			*ret = TAKE_PTR(path);
			return 0;
		}
		if (r == -EACCES)
			worst = r;
		if (p[n] == '\0')
			return worst;
		p += n + 1;
	}
}

static int not_found_in_path(const char *name, int r, struct err *e)
{
	switch (r) {
	case -ENOMEM:
		return err_nomem(e);
	case -EACCES:
		return err_set(e, ERR_CMD_NOT_EXEC, EACCES, QUOTED "permission denied", name);
	default:
		return err_set(e, ERR_CMD_NOT_FOUND, ENOENT,
			       QUOTED "executable file not found in $PATH", name);
	}
}

static int not_usable(const char *path, int r, struct err *e)
{
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
		return err_set(e, ERR_CMD_NOT_FOUND, ENOENT,
			       QUOTED "stat %s: no such file or directory", path, path);
	case -EISDIR:
		return err_set(e, ERR_CMD_NOT_EXEC, EACCES,
			       QUOTED "permission denied: is a directory", path);
	case -EACCES:
		return err_set(e, ERR_CMD_NOT_EXEC, EACCES, QUOTED "permission denied", path);
	default:
		return err_set(e, ERR_CMD_NOT_EXEC, -r, QUOTED "%s", path, strerror(-r));
	}
}

/* The working directory as the place that relative names start from. It may be missing or closed to
 * us here; then relative names are not found, and chdir will tell about the directory itself. */
static int open_cwd(const char *cwd)
{
	_cleanup_close_ int root = path_open_dir("/", NULL);

	if (root < 0)
		return root;
	return path_open_in_root(root, cwd, O_PATH | O_DIRECTORY, 0, NULL);
}

int command_find(const struct iso_process *p, char **ret, struct err *e)
{
	_cleanup_close_ int cwd_fd = -EBADF;
	_cleanup_free_ char *path = NULL;
	const char *name = p->args[0], *search;
	struct borrowed_ids ids;
	bool bare = !strchr(name, '/');
	int r;

	ids_borrow(p, &ids);
	cwd_fd = open_cwd(p->cwd);
	if (bare) {
		search = strv_env_get(p->env, "PATH");
		r = look_along(cwd_fd, search && *search ? search : DEFAULT_PATH, name, &path);
	} else {
		r = look(cwd_fd, name);
	}
	ids_return(&ids);
	if (r < 0)
		return bare ? not_found_in_path(name, r, e) : not_usable(name, r, e);
	if (!bare && !(path = strdup(name)))
		return err_nomem(e);
	*ret = TAKE_PTR(path);
	return 0;
}

/* ---- executing -------------------------------------------------------------------------------- */

/* The interpreter a script's first line names, for the message. */
static bool script_interpreter(const char *path, char buf[INTERP_MAX])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char line[INTERP_MAX];
	char *start;
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, line, sizeof(line) - 1);
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = '\0';
	start = line + 2 + strspn(line + 2, " \t");
	start[strcspn(start, " \t\r\n")] = '\0';
	snprintf(buf, INTERP_MAX, "%s", start);
	return *buf != '\0';
}

static int exec_missing(const char *path, struct err *e)
{
	char interp[INTERP_MAX];
	struct stat st;

	if (stat(path, &st) < 0)
		return err_set(e, ERR_CMD_NOT_FOUND, ENOENT,
			       QUOTED "stat %s: no such file or directory", path, path);
	if (script_interpreter(path, interp))
		return err_set(e, ERR_CMD_NOT_FOUND, ENOENT,
			       QUOTED "no such file or directory: its interpreter '%s' is missing",
			       path, interp);
	return err_set(e, ERR_CMD_NOT_FOUND, ENOENT,
		       QUOTED "no such file or directory: the dynamic loader that it names is "
			      "missing",
		       path);
}

int command_exec(const struct iso_process *p, const char *path, struct err *e)
{
	char *none[] = {NULL};
	int n;

	execve(path, p->args, p->env ?: none);
	n = errno;
	switch (n) {
	case ENOENT:
		return exec_missing(path, e);
	case EACCES:
	case EPERM:
		return err_set(e, ERR_CMD_NOT_EXEC, n, QUOTED "permission denied", path);
	case ENOEXEC:
		err_set(e, ERR_CMD_NOT_EXEC, n, QUOTED "exec format error", path);
		return err_hint(e, "it is a program of another architecture, or a script without a "
				   "#! line");
	case E2BIG:
		return err_set(e, ERR_CMD_NOT_EXEC, n, QUOTED "argument list too long", path);
	case ENOMEM:
		return err_set(e, ERR_LIMIT, n, QUOTED "cannot allocate memory", path);
	default:
		return err_set(e, ERR_CMD_NOT_EXEC, n, QUOTED "%s", path, strerror(n));
	}
}
