/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --cidfile. A name that is taken, or a directory that cannot be written to, is found before anything is made.
 */
#include "cidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/path.h"

int cidfile_reserve(const char *path, struct err *e)
{
	int r = path ? path_create_file_at(AT_FDCWD, path, "", 0, 0644, e) : 0;

	if (r == -EEXIST) {
		err_set(e, ERR_EXISTS, EEXIST, "--cidfile '%s' exists already", path);
		return err_hint(e, "remove it if the sandbox in it is gone");
	}
	return r < 0 ? err_wrap(e, "--cidfile") : 0;
}

int cidfile_write(const char *path, const char *id, struct err *e)
{
	int r = path ? path_replace_file_at(AT_FDCWD, path, id, strlen(id), 0644, false, e) : 0;

	return r < 0 ? err_wrap(e, "--cidfile") : 0;
}

void cidfile_remove(const char *path)
{
	if (path)
		(void)path_unlink_at(AT_FDCWD, path, NULL);
}
