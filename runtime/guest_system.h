/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full guest system: a microVM whose workload is what its disk boots, described by a configuration with vm.image and
 * without root. No process of it is ours, no agent and no shared directory. Internal to this folder.
 *
 * What OCI has no field for travels in annotations:
 *
 *	org.insula.vm.boot		kernel, bios or uefi; default: by a look at the disk (hypervisor/disk.h)
 *	org.insula.vm.root		with kernel: root= of its command line; default: the disk as a whole
 *	org.insula.vm.persist		true: changes go to the disks
 *	org.insula.vm.disks		JSON: [{"path": …, "format": …, "readonly": …}], behind the first
 *	org.insula.vm.cloud-init	path of the user-data of a NoCloud seed
 */
#pragma once

#include <stdbool.h>

#include "driver_vm.h"
#include "hypervisor/vm.h"
#include "runtime/oci.h"

#define ANNOTATION_VM_BOOT       "org.insula.vm.boot"
#define ANNOTATION_VM_ROOT       "org.insula.vm.root"
#define ANNOTATION_VM_PERSIST    "org.insula.vm.persist"
#define ANNOTATION_VM_DISKS      "org.insula.vm.disks"
#define ANNOTATION_VM_CLOUD_INIT "org.insula.vm.cloud-init"

struct guest_system {
	struct vm_disk disks[VM_DISKS_MAX]; /* descriptors owned */
	unsigned n_disks;
	struct vm_system system;
	char *cmdline;           /* owned, or NULL */
	struct vm_kernel kernel; /* where system.boot is VM_BOOT_KERNEL */
};

static inline bool guest_system_is(const struct oci_config *c)
{
	return c->vm.image_path != NULL;
}

/* Open, check and lock all that it needs of the host. Overlays, the firmware's variables and the seed are made in `storage`;
 * NULL: only look. guest_dir: of the guest kernel, or NULL to search. */
int guest_system_open(const struct oci_config *c, const char *id, const char *storage,
		      const char *guest_dir, struct guest_system *ret, struct err *e);
void guest_system_done(struct guest_system *g);
/* Refuses what a configuration asks of a full guest beyond what it gives; and of another, what only a full one has. */
int guest_system_check(const struct oci_config *c, struct err *e);
