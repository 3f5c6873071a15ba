/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket activation: sockets that a service manager passed to us are passed on to the sandbox's first process, which is
 * told of them as we were. Spec: sd_listen_fds(3).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "runtime/runtime.h"

#define LISTEN_FDS_MAX 4096

int rt_listen_fds(unsigned *ret, struct err *e)
{
	const char *count = getenv("LISTEN_FDS"), *whose = getenv("LISTEN_PID");
	uint32_t n, pid;

	*ret = 0;
	if (!count || !*count)
		return 0;
	/* Meant for a process before us, whose environment we only inherited. */
	if (!whose || parse_u32(whose, &pid) < 0 || (pid_t)pid != getpid())
		return 0;
	if (parse_u32(count, &n) < 0 || n > LISTEN_FDS_MAX)
		return err_invalid(e,
				   "environment variable LISTEN_FDS: '%s' is not a number up to %d",
				   count, LISTEN_FDS_MAX);
	for (uint32_t i = 0; i < n; i++)
		if (fcntl(3 + (int)i, F_GETFD) < 0)
			return err_invalid(
				e,
				"environment variable LISTEN_FDS is %u, but descriptor %u "
				"is not open",
				n, 3 + i);
	*ret = n;
	return 0;
}
