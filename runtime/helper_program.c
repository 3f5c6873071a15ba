/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the programs lie that we start by ourselves: beside this one (a build tree), else where `make install` puts helpers.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "sandbox.h"

int helper_program_find(const char *name, char **ret, struct err *e)
{
	_cleanup_free_ char *dir = NULL, *beside = NULL, *installed = NULL;
	int r = path_program_dir(&dir, e);

	if (r < 0)
		return r;
	if (str_printf(&beside, "%s/%s", dir, name) < 0 ||
	    str_printf(&installed, INSULA_PREFIX "/libexec/insula/%s", name) < 0)
		return err_nomem(e);
	if (access(beside, X_OK) == 0)
		*ret = TAKE_PTR(beside);
	else if (access(installed, X_OK) == 0)
		*ret = TAKE_PTR(installed);
	else
		return err_set(e, ERR_NOT_FOUND, ENOENT, "no %s beside this program (%s) nor as %s",
			       name, dir, installed);
	return 0;
}
