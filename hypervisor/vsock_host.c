/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. What the VMM may be after a guest took it over: all that it can ask for is a connection to
 * "<path>_<port>" for a port, and the caller of the facade chose the path.
 */
#include "vsock_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "hypervisor/vm.h"
#include "kvm/virtio_vsock_conn.h"

#define BACKLOG    64
#define ROUND_MAX  32                    /* per call: the monitor has others to serve */
#define SUFFIX_MAX sizeof("_4294967295") /* of the guest's ports */
#define CID_MIN    3u

int vm_vsock_check(const struct vm_vsock *v, struct err *e)
{
	if (v->guest_cid < CID_MIN || v->guest_cid >= UINT32_MAX)
		return err_invalid(e, "vsock: CID %ju is not one of a guest (3 to 4294967294)",
				   (uintmax_t)v->guest_cid);
	if (!v->path || v->path[0] != '/')
		return err_invalid(e, "vsock: its socket is not an absolute path");
	if (strlen(v->path) + SUFFIX_MAX > sizeof(((struct sockaddr_un *)0)->sun_path))
		return err_invalid(e, "vsock '%s': the path is too long for a socket", v->path);
	return 0;
}

int vm_socket_make(struct vm_socket *s, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	_cleanup_free_ char *name = strdup(slash + 1);
	_cleanup_close_ int fd = -EBADF, dir_fd = -EBADF;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (!dir || !name)
		return err_nomem(e);
	dir_fd = path_open_dir(dir, e);
	if (dir_fd < 0)
		return dir_fd;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, errno, "vsock: socket");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	/* The mode of the name that bind() makes. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(e, errno, "vsock '%s'", path);
	s->dir_fd = TAKE_FD(dir_fd);
	s->name = TAKE_PTR(name);
	s->fd = TAKE_FD(fd);
	return listen(s->fd, BACKLOG) < 0 ? err_sys(e, errno, "vsock '%s': listen", path) : 0;
}

void vm_socket_remove(struct vm_socket *s)
{
	if (s->dir_fd >= 0)
		path_unlink_at(s->dir_fd, s->name, NULL);
	fd_close(s->fd);
	fd_close(s->dir_fd);
	free(s->name);
	*s = VM_SOCKET_INIT;
}

bool vsock_broker_serve(int broker_fd, const char *path)
{
	for (int i = 0; i < ROUND_MAX; i++) {
		_cleanup_close_ int answer = -EBADF, fd = -EBADF;
		uint32_t port;

		answer = vsock_receive_port(broker_fd, &port);
		if (answer == -EAGAIN)
			return true;
		if (answer < 0)
			return answer == -ECONNREFUSED; /* nobody waits for an answer */
		fd = vsock_connect_host(path, port);
		/* None is an answer as well; who does not listen any more has none. */
		vsock_send_port(answer, &port, fd < 0 ? -1 : fd);
	}
	return true;
}
