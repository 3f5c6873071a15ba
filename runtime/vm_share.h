/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor process of a VM and the guest program agree on beyond the agent's protocol: the
 * names in the shared tree.
 */
#pragma once

#define VM_SHARE_TAG    "insula"
#define VM_SHARE_DIR    "/run/insula/share" /* in the guest */
#define VM_SHARE_ROOTFS VM_SHARE_DIR "/rootfs"
/* Sources of bind mounts: VM_SHARE_MOUNTS "/<index in the configuration>", file or directory. */
#define VM_SHARE_MOUNTS VM_SHARE_DIR "/mounts"
