/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --init: our init program in front of the command. It is bound read-only into the sandbox, at a place where nothing of
 * the root file system has to be made for it: /dev is the sandbox's own. Where the caller mounts
 * something of the host's there, another place is taken, since a mount point would be made in what is his.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "run_document.h"

#define PROGRAM "insula-init"

static const char *const places[] = {"/dev/" PROGRAM, "/run/" PROGRAM, "/." PROGRAM};

const char *run_init_place(const struct run_mounts *m)
{
	for (size_t i = 0; i + 1 < ARRAY_SIZE(places); i++)
		if (!run_mounts_cover(m, places[i]))
			return places[i];
	return places[ARRAY_SIZE(places) - 1];
}

/* Beside ourselves (a build tree), else where `make install` puts helpers. */
static int find_program(char **ret, struct err *e)
{
	_cleanup_free_ char *dir = NULL, *beside = NULL, *installed = NULL;
	int r = path_program_dir(&dir, e);

	if (r < 0)
		return r;
	if (str_printf(&beside, "%s/" PROGRAM, dir) < 0 ||
	    str_printf(&installed, "%s", INSULA_PREFIX "/libexec/insula/" PROGRAM) < 0)
		return err_nomem(e);
	if (access(beside, X_OK) == 0)
		*ret = TAKE_PTR(beside);
	else if (access(installed, X_OK) == 0)
		*ret = TAKE_PTR(installed);
	else
		return err_set(e, ERR_NOT_FOUND, ENOENT,
			       "--init: no " PROGRAM " beside this program (%s) nor as %s", dir,
			       installed);
	return 0;
}

int run_init_mount(const struct run_build *b, struct json *mounts, struct err *e)
{
	_cleanup_free_ char *program = NULL;
	int r;

	if (!b->init)
		return 0;
	r = find_program(&program, e);
	if (r < 0)
		return r;
	if (run_add_mount(mounts, b->init, "bind", program, "bind,rprivate,ro,nosuid,nodev,exec") <
	    0)
		return err_nomem(e);
	return 0;
}
