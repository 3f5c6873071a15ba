/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a hostile driver at the vsock device, with host processes that connect, greet badly or well, write, read
 * and go away.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "virtio_fuzz.h"

#include "../../hypervisor/kvm/virtio_vsock.h"

#define CLIENTS 8u

static struct sockaddr_un addr = {.sun_family = AF_UNIX};
static int client[CLIENTS], service;

static void forget(void)
{
	char path[128];

	unlink(addr.sun_path);
	snprintf(path, sizeof(path), "%.100s_80", addr.sun_path);
	unlink(path);
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	MUST(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 16) == 0);
	return fd;
}

static void host(struct vd *v, struct fz *in)
{
	unsigned what = (unsigned)fz_take(in, 1);
	int *fd = &client[what % CLIENTS], got;
	uint8_t bytes[8192] = {0};

	switch (what / CLIENTS % 5) {
	case 0:
		if (*fd >= 0)
			close(*fd);
		*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		MUST(*fd >= 0);
		(void)!connect(*fd, (struct sockaddr *)&addr, sizeof(addr));
		(void)!send(*fd, "CONNECT 80\nrest", what & 64 ? 15 : 11, MSG_NOSIGNAL);
		break;
	case 1:
		(void)!send(*fd, bytes, fz_take(in, 2) % sizeof(bytes),
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	case 2:
		(void)!recv(*fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		break;
	case 3:
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		break;
	case 4:
		got = accept4(service, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (*fd >= 0)
			close(*fd);
		*fd = got;
		break;
	}
	fz_rest(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vd v;
	struct fz in = {data, size};
	struct virtio_device *d;
	int fd;

	if (!v.t) {
		struct virtio_vsock_setup s = {.guest_cid = 3, .path = addr.sun_path};
		char path[128];

		fz_prepare(&v);
		snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/insula-fuzz-vsock.%d",
			 (int)getpid());
		snprintf(path, sizeof(path), "%.100s_80", addr.sun_path);
		atexit(forget);
		s.listen_fd = listen_at(addr.sun_path);
		service = listen_at(path);
		for (unsigned i = 0; i < CLIENTS; i++)
			client[i] = -1;
		MUST(virtio_vsock_new(&s, &d, NULL) == 0 && vd_attach(&v, d) == 0);
	}
	fz_run(&v, &in, host);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (client[i] >= 0)
			close(client[i]);
		client[i] = -1;
	}
	while ((fd = accept4(service, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
	return 0;
}
