/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a hostile driver at the block device, over two extents and an overlay. The disk below the overlay never
 * changes, and the files keep their sizes.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "virtio_fuzz.h"

#include "../../hypervisor/kvm/virtio_blk.h"

#define BELOW_BYTES (32u << 10)

static void fill(int fd)
{
	uint8_t bytes[BELOW_BYTES];

	memset(bytes, 0x5a, sizeof(bytes));
	MUST(fd >= 0 && pwrite(fd, bytes, sizeof(bytes), 0) == sizeof(bytes));
}

static void check(int fd)
{
	uint8_t bytes[BELOW_BYTES];
	struct stat st;

	MUST(fstat(fd, &st) == 0 && st.st_size == BELOW_BYTES);
	MUST(pread(fd, bytes, sizeof(bytes), 0) == sizeof(bytes));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		MUST(bytes[i] == 0x5a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vd v;
	static int below[2], overlay;
	struct fz in = {data, size};
	struct virtio_device *d;

	if (!v.t) {
		struct virtio_blk_setup s = {.serial = "fuzz", .threads = 1};
		struct disk_extent x[2];
		struct disk_config c = {.extents = x, .n = 2};

		fz_prepare(&v);
		for (unsigned i = 0; i < 2; i++) {
			below[i] = memfd_create("below", MFD_CLOEXEC);
			fill(below[i]);
			x[i] = (struct disk_extent){.fd = below[i], .offset = 512};
		}
		c.overlay_fd = overlay = memfd_create("overlay", MFD_CLOEXEC);
		s.loop = v.loop;
		MUST(disk_open(&c, &s.disk, NULL) == 0);
		MUST(virtio_blk_new(&s, &d, NULL) == 0 && vd_attach(&v, d) == 0);
	}
	fz_run(&v, &in, NULL);
	check(below[0]);
	check(below[1]);
	return 0;
}
