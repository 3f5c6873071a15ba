/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk images of full guest systems, as far as the host looks at them: the format is stated by whoever names the file and
 * never found out from its content, which belongs to a guest. What is read is the header of a qcow2 file, to refuse what
 * would reach other files of the host, and a few bytes that tell how a raw disk may be booted.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

enum vm_disk_format { VM_DISK_RAW, VM_DISK_QCOW2 };

/* How a system disk is started. */
enum vm_boot { VM_BOOT_KERNEL, VM_BOOT_BIOS, VM_BOOT_UEFI };

/* From `stated` ("raw", "qcow2"), or with NULL the extension of `path`: .img and .raw, or .qcow2. ERR_INVALID. */
int vm_disk_format_of(const char *path, const char *stated, enum vm_disk_format *ret,
		      struct err *e);
const char *vm_disk_format_name(enum vm_disk_format f);

/* Is this, a file or block device, a disk of that format? Refuses a qcow2 file that names a backing or a data file, is
 * encrypted, or has features that nobody knows here. *ret_bytes: the size that the guest sees. */
int vm_disk_check(int fd, enum vm_disk_format format, uint64_t *ret_bytes, struct err *e);

/* How to boot a disk: one that is an ext2/3/4 file system as a whole by a kernel of ours, one with boot code by BIOS, one
 * with a GPT by UEFI. A qcow2 file is not looked into: BIOS. ERR_INVALID when a raw one has nothing of it. */
int vm_disk_boot_of(int fd, enum vm_disk_format format, enum vm_boot *ret, struct err *e);

/* Write an empty qcow2 image of that size to an empty file: the overlay over a disk whose name it does not hold. */
int vm_disk_overlay_write(int fd, uint64_t bytes, struct err *e);
