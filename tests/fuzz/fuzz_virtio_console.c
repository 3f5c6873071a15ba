/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a hostile driver at the console device, with a host that writes, reads and resizes.
 */
#include <sys/socket.h>

#include "virtio_fuzz.h"

#include "../../hypervisor/kvm/virtio_console.h"

static int host_fd[2];

static void host(struct vd *v, struct fz *in)
{
	unsigned what = (unsigned)fz_take(in, 1);
	uint8_t bytes[4096] = {0};

	if (what & 1)
		(void)!send(host_fd[what >> 1 & 1], bytes, 1 + fz_take(in, 2) % sizeof(bytes),
			    MSG_DONTWAIT);
	else if (what & 4)
		(void)!recv(host_fd[what >> 1 & 1], bytes, sizeof(bytes), MSG_DONTWAIT);
	else
		virtio_console_resize(v->d, what >> 3, (uint16_t)fz_take(in, 2), 24);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	static struct vd v;
	struct fz in = {data, size};
	struct virtio_console_port ports[2];
	struct virtio_device *d;
	uint8_t rest[4096];

	if (!v.t) {
		int sv[2];

		fz_prepare(&v);
		for (unsigned i = 0; i < 2; i++) {
			MUST(socketpair(AF_UNIX, kind, 0, sv) == 0);
			ports[i] = (struct virtio_console_port){
				.name = i ? "a.port" : NULL, .in_fd = sv[0], .out_fd = sv[0]};
			host_fd[i] = sv[1];
		}
		MUST(virtio_console_new(ports, 2, &d, NULL) == 0 && vd_attach(&v, d) == 0);
	}
	fz_run(&v, &in, host);
	for (unsigned i = 0; i < 2; i++)
		while (recv(host_fd[i], rest, sizeof(rest), MSG_DONTWAIT) > 0)
			;
	return 0;
}
