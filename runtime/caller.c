/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who calls: root of the host, root of some outer container, or an ordinary user.
 */
#include "caller.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"

bool caller_is_hosts_root(void)
{
	_cleanup_free_ char *map = NULL;
	unsigned inside, outside, count;

	if (geteuid() != 0)
		return false;
	if (path_read_file_at(AT_FDCWD, "/proc/self/uid_map", 4096, &map, NULL, NULL) < 0)
		return true;
	return sscanf(map, "%u %u %u", &inside, &outside, &count) != 3 ||
	       (inside == 0 && outside == 0 && count == UINT32_MAX);
}
