/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What QEMU is told of a guest that is a whole system: its disks, its firmware or kernel. Internal to hypervisor/.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/proc.h"
#include "hypervisor/vm.h"
#include "qemu_args.h"

/* Two per disk, and the firmware's variables. */
#define QEMU_SYSTEM_FDS (2 * VM_DISKS_MAX + 1)

/* Programs and firmware that it needs. */
int qemu_system_check(const struct vm_config *c, struct err *e);
/* Overlays that are empty become such that QEMU reads. */
int qemu_system_prepare(const struct vm_config *c, struct err *e);

/* The descriptors as QEMU gets them; `ret` has room for QEMU_SYSTEM_FDS. Returns how many. */
size_t qemu_system_fds(const struct vm_config *c, struct proc_fd_map *ret);

/* Append to the arguments. `console` is the serial port's name in Linux, `words` what the architecture's kernel is told.
 * 0 or -ENOMEM. */
int qemu_system_args(const struct vm_config *c, const char *console, const char *words,
		     char ***args);
