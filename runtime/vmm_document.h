/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's form of a configuration. Internal to this folder.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "runtime/oci.h"

/* Rewrite c->document for the guest (see vmm_document.c). host_name: given to a sandbox that has no
 * hostname of its own. */
int vmm_guest_document(const struct oci_config *c, const char *host_name, struct json **ret,
		       struct err *e);

/* Refuse what needs the host's kernel and no row of the support table can tell: namespaces that
 * are *not* asked for. Also device and socket binds, whose sources are looked at. */
int vmm_check_config(const struct oci_config *c, struct err *e);

/* Is there an earlier mount in the configuration that hides destination of mount i, so that its
 * mount point lies in that one and not in the root file system? */
bool vmm_mount_is_nested(const struct iso_config *c, size_t i);
