/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled seccomp filter of a sandbox, through the cache of its state root. A hidden directory
 * there: the root is checked to be ours alone, and no sandbox can have such a name.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "sandbox.h"

#define FILTER_CACHE ".seccomp"

static int open_cache(int rootfd)
{
	int fd = path_open_dir_at(rootfd, FILTER_CACHE, NULL);

	/* Somebody else may make it at the same time. */
	if (fd != -ENOENT)
		return fd;
	(void)path_mkdir_at(rootfd, FILTER_CACHE, 0700, NULL);
	return path_open_dir_at(rootfd, FILTER_CACHE, NULL);
}

int sandbox_filter(struct sandbox *s, struct iso_bpf *ret, struct err *e)
{
	const struct iso_seccomp *filter = &s->config.isolation.seccomp;
	_cleanup_close_ int cache = filter->present ? open_cache(s->dir.rootfd) : -1;
	int r = iso_seccomp_compile_cached(filter, cache, ret, e);

	return r < 0 ? err_wrap(e, "seccomp") : 0;
}
