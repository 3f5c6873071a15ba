/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a hostile driver at the balloon, with a host that sets targets and asks for statistics.
 */
#include "virtio_fuzz.h"

#include "../../hypervisor/kvm/virtio_balloon.h"

static void host(struct vd *v, struct fz *in)
{
	struct virtio_balloon_stats stats;

	if (fz_take(in, 1) & 1)
		virtio_balloon_set_target(v->d, fz_take(in, 8));
	else
		virtio_balloon_ask(v->d);
	virtio_balloon_stats(v->d, &stats);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vd v;
	struct fz in = {data, size};
	struct virtio_device *d;

	if (!v.t) {
		fz_prepare(&v);
		/* Pages that are given back: whole ones, not the heap's own. */
		for (unsigned i = 0; i < 2; i++) {
			free(v.memory.region[i].host);
			v.memory.region[i].host = aligned_alloc(4096, FZ_REGION_BYTES);
			MUST(v.memory.region[i].host);
			memset(v.memory.region[i].host, 0, FZ_REGION_BYTES);
		}
		MUST(virtio_balloon_new(&d, NULL) == 0 && vd_attach(&v, d) == 0);
	}
	fz_run(&v, &in, host);
	return 0;
}
