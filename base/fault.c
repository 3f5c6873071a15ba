/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault points of a test build (base/fault.h). Empty in every other build.
 */
#include "base/fault.h"

#ifdef INSULA_FAULTS
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

int fault_at(const char *step, struct err *e)
{
	const char *wanted = getenv("INSULA_FAULT");
	size_t n = strlen(step);
	uint32_t errnum = EIO;

	if (wanted && strcmp(wanted, "trace") == 0)
		dprintf(STDERR_FILENO, "fault point: %s\n", step);
	if (!wanted || strncmp(wanted, step, n) != 0)
		return 0;
	if (wanted[n] != '\0' && wanted[n] != ':')
		return 0;
	if (wanted[n] == ':' && strcmp(wanted + n + 1, "kill") == 0)
		raise(SIGKILL);
	if (wanted[n] == ':' && parse_u32(wanted + n + 1, &errnum) < 0)
		errnum = EINVAL;
	return err_sys(e, (int)errnum, "injected fault at '%s'", step);
}
#endif
