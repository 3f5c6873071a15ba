/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a hostile driver at the randomness device: the transport and the queue, with the least behind them.
 */
#include "virtio_fuzz.h"

#include "../../hypervisor/kvm/virtio_rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vd v;
	struct fz in = {data, size};
	struct virtio_device *d;

	if (!v.t) {
		fz_prepare(&v);
		MUST(virtio_rng_new(&d, NULL) == 0 && vd_attach(&v, d) == 0);
	}
	fz_run(&v, &in, NULL);
	return 0;
}
