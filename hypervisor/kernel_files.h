/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names inside a guest kernel's directory.
 */
#pragma once

#define KERNEL_FILE_IMAGE     "vmlinuz"
#define KERNEL_FILE_ELF       "vmlinux" /* the same, uncompressed, where it can be started so */
#define KERNEL_FILE_INITRAMFS "initramfs"
#define KERNEL_FILE_RELEASE   "release"
