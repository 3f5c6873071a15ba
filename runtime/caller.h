/* SPDX-License-Identifier: Apache-2.0 */
/* Who calls. Internal to this folder. */
#pragma once

#include <stdbool.h>

/* Root of the host, not only of a user namespace: the map of the first one is the identity over all ids. */
bool caller_is_hosts_root(void);
