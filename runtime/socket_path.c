/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets of engines and agents, by path.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "runtime/runtime.h"

int rt_connect_socket(const char *path, const char *what, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int dir = -1, fd = -1;
	_cleanup_free_ char *parent = NULL;
	const char *slash = strrchr(path, '/');
	int n;

	/* sun_path has 108 bytes, and engines' paths are longer: name it below its directory. */
	parent = slash ? strndup(path, (size_t)(slash - path + 1)) : strdup(".");
	if (!parent)
		return err_nomem(e);
	dir = path_open_dir(parent, e);
	if (dir < 0)
		return err_wrap(e, "%s '%s'", what, path);
	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir,
		     slash ? slash + 1 : path);
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return err_set(e, ERR_INVALID, ENAMETOOLONG, "%s '%s': name too long", what, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(e, errno, "%s '%s'", what, path);
	return TAKE_FD(fd);
}
