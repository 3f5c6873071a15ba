/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that tells an engine the pid of a host process. Engines watch for it and read it at
 * once, so it appears whole, by rename.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "sandbox.h"

int pid_file_write(const char *path, pid_t pid, struct err *e)
{
	_cleanup_free_ char *for_dir = strdup(path), *for_name = strdup(path);
	_cleanup_close_ int dirfd = -1;
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", (int)pid);

	if (!for_dir || !for_name)
		return err_nomem(e);
	dirfd = path_open_dir(dirname(for_dir), e);
	if (dirfd < 0)
		return err_wrap(e, "pid file '%s'", path);
	if (path_replace_file_at(dirfd, basename(for_name), text, (size_t)len, 0644, false, e) < 0)
		return err_wrap(e, "pid file '%s'", path);
	return 0;
}

void pid_file_remove(const char *path)
{
	_cleanup_free_ char *for_dir = strdup(path), *for_name = strdup(path);
	_cleanup_close_ int dirfd = -1;

	if (!for_dir || !for_name)
		return;
	dirfd = path_open_dir(dirname(for_dir), NULL);
	if (dirfd >= 0)
		(void)path_unlink_at(dirfd, basename(for_name), NULL);
}
