/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a hostile driver at the network device, with a host that sends frames of any length and takes what comes.
 */
#include <sys/socket.h>

#include "virtio_fuzz.h"

#include "../../hypervisor/kvm/virtio_net.h"

static int host_fd;

static void host(struct vd *v, struct fz *in)
{
	unsigned what = (unsigned)fz_take(in, 1);
	static uint8_t bytes[70000];

	if (what % 4 == 0)
		virtio_net_set_link(v->d, what & 4);
	else if (what % 4 == 1)
		(void)!recv(host_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	else
		(void)!send(host_fd, bytes, fz_take(in, what & 4 ? 1 : 2), MSG_DONTWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vd v;
	struct fz in = {data, size};
	struct virtio_device *d;
	uint8_t rest[16];

	if (!v.t) {
		struct virtio_net_setup s = {.mac = {2, 0, 0, 0, 0, 1}};
		int sv[2];

		fz_prepare(&v);
		MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) == 0);
		s.fd = sv[0];
		host_fd = sv[1];
		MUST(virtio_net_new(&s, &d, NULL) == 0 && vd_attach(&v, d) == 0);
	}
	fz_run(&v, &in, host);
	while (recv(host_fd, rest, sizeof(rest), MSG_DONTWAIT) >= 0)
		;
	return 0;
}
