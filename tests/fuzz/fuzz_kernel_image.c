/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: loading a guest kernel. Whatever the file says, it is refused with a text or loaded wholly inside the guest's
 * memory above 1 MiB, with an entry and an end that lie there too; and nothing below 1 MiB is touched.
 *
 * Input: the file. Its first byte's lowest bits also choose which entry is asked for, and the rest serves as initrd
 * too.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "../../hypervisor/kvm/kernel_image.h"
#include "../../hypervisor/kvm/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#define RAM_BYTES (20u << 20)

static uint8_t ram[RAM_BYTES];

static bool is_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct guest_memory m = {
		.fd = -1, .region = {{.bytes = RAM_BYTES, .host = ram}}, .n_regions = 1};
	_cleanup_close_ int fd = memfd_create("kernel", MFD_CLOEXEC);
	struct loaded_kernel k;
	struct err e = ERR_INIT;
	uint64_t at, bytes;

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (kernel_image_load(fd, (enum kernel_entry_choice)(size % 3), &m, &k, &e) < 0) {
		MUST(e.text[0] && e.kind != ERR_NONE);
		return 0;
	}
	MUST(k.rip >= KERNEL_START && k.rip < RAM_BYTES);
	MUST(k.end > KERNEL_START && k.end <= RAM_BYTES);
	MUST(is_zero(ram, KERNEL_START));
	if (initrd_load(fd, &k, &m, &at, &bytes, &e) == 0 && bytes)
		MUST(at >= k.end && bytes == size && at + bytes <= RAM_BYTES);
	return 0;
}
