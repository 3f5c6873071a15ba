/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's command line for a VM: all that depends on the architecture and the accelerator.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "hypervisor/vm.h"

/* Descriptor numbers inside QEMU. All that it opens by itself is its firmware, the kernel and the
 * initramfs, read-only, before the guest runs. */
enum {
	QEMU_FD_MONITOR = 3,
	QEMU_FD_AGENT = 4,
	QEMU_FD_CONSOLE = 5,
	QEMU_FD_SHARE = 6,
	QEMU_FD_TAP = 7,
	QEMU_FD_SYSTEM = 8, /* and further: of a whole system (qemu_system.h) */
};

/* Path of the installed QEMU for this architecture, or NULL. Static. */
const char *qemu_program(void);
const char *qemu_program_name(void); /* "qemu-system-x86_64" */
const char *qemu_package_name(void); /* "qemu-system-x86" */

/* Its highest number of vCPUs for the machine type that we use. */
unsigned qemu_vcpus_max(void);

/* accel is KVM or TCG. The caller frees *ret. */
int qemu_args_build(const struct vm_config *c, enum vm_accel accel, char ***ret, struct err *e);

/* The bound on translated code under TCG, which by default is an eighth of the host's memory. A
 * boot takes as long with 32 MiB as with 256; workloads are larger than a boot. */
#define QEMU_TB_BYTES (128u << 20)
