/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a cpio archive in the "newc" format, which the kernel unpacks as its initramfs.
 * Source: kernel Documentation/driver-api/early-userspace/buffer-format.rst.
 *
 * Owner 0:0, time 0 and inode numbers in order of addition: equal input gives equal bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct cpio {
	int fd; /* borrowed; written from its current offset */
	uint32_t last_ino;
};

/* Names are relative ("dev/console"), parents first. mode: permission bits only. */
int cpio_add_dir(struct cpio *c, const char *name, mode_t mode, struct err *e);
int cpio_add_file(struct cpio *c, const char *name, mode_t mode, const void *data, size_t len,
		  struct err *e);
int cpio_add_char_device(struct cpio *c, const char *name, mode_t mode, unsigned dev_major,
			 unsigned dev_minor, struct err *e);

/* The trailer; nothing may be added afterwards. */
int cpio_finish(struct cpio *c, struct err *e);
