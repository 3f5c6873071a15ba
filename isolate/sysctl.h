/* SPDX-License-Identifier: Apache-2.0 */
/* Which namespace a sysctl belongs to. Internal to this folder. */
#pragma once

#include "isolate/sandbox.h"

/* "net.ipv4.conf.eth0/100.forwarding" or "net/ipv4/..." to a path below /proc/sys (caller frees).
 * Refused: empty, "." and ".." components, and whatever belongs to no namespace of a container.
 * *ret_ns is the one that it belongs to. */
int sysctl_resolve(const char *key, char **ret_path, enum iso_ns *ret_ns, struct err *e);
