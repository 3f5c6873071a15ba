/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a hostile file server. The input is all that it says; then it hangs up.
 */
#include <sys/socket.h>

#include "virtio_fuzz.h"

#include "../../hypervisor/kvm/vhost_user_fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vd v;
	struct virtio_device *d;
	uint8_t rest[4096];
	int sv[2];

	if (!v.loop) {
		fz_prepare(&v);
		v.memory.fd = memfd_create("memory", MFD_CLOEXEC); /* only to be sent */
		MUST(v.memory.fd >= 0);
	}
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	MUST(size > 65536 || send(sv[1], data, size, MSG_DONTWAIT) == (ssize_t)size);
	shutdown(sv[1], SHUT_WR);
	if (vhost_user_fs_new(sv[0], "insula", &d, NULL) == 0) {
		MUST(vd_attach(&v, d) == 0);
		vd_start(&v, vd_offered(&v));
		fz_rest(&v);
		vd_start(&v, vd_offered(&v));
		fz_rest(&v);
		virtio_mmio_free(v.t);
		v.t = NULL;
	}
	while (recv(sv[1], rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
	close(sv[1]);
	return 0;
}
