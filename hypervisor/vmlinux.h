/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking the kernel proper out of a compressed image, once, instead of at every boot.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* The ELF kernel inside an x86 bzImage, if it can be started directly (it has a PVH entry) and its
 * compression is known (LZ4, Debian's choice). -ENOTSUP: it is not such an image; boot it as it is.
 * -EBADMSG: it claims to be one and is broken. The caller frees *ret. */
int vmlinux_extract(const char *image, size_t len, char **ret, size_t *ret_len, struct err *e);

/* One LZ4 block into at most cap bytes of dst; bytes written or -EBADMSG. For tests too. */
ssize_t lz4_decode_block(const unsigned char *src, size_t len, unsigned char *dst, size_t cap);
