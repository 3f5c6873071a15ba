/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files and directories that a sandbox's document binds and that are the sandbox's own: its hosts file, its
 * anonymous volumes. The document only names them; they are made when its state directory exists, which says
 * where they are to whoever must clean up after us.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "run_files.h"

void rt_files_free(struct rt_file *v, size_t n)
{
	for (size_t i = 0; v && i < n; i++) {
		free(v[i].path);
		free(v[i].text);
	}
	free(v);
}

int run_files_make(const struct rt_file *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const struct rt_file *f = &v[i];
		int r = f->text ? path_replace_file_at(AT_FDCWD, f->path, f->text, strlen(f->text),
						       f->mode, false, e)
				: path_mkdir_p(f->path, f->mode, e);

		if (r < 0)
			return err_wrap(e, "make '%s'", f->path);
	}
	return 0;
}
