/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flags of `insula run` ask for that is no field of the configuration but the absence of one: the host's
 * namespaces. So the support table has no row for them.
 */
#include <string.h>

#include "base/cleanup.h"
#include "driver_flags.h"
#include "runtime/driver.h"

static const struct {
	const char *flag;
	const char *why[DRIVER_COUNT]; /* NULL: it is done */
} shared[] = {
	{"--network", {[DRIVER_VM] = "a microVM has no network devices yet"}},
	{"--pid", {[DRIVER_VM] = "processes of a guest kernel are its own"}},
	{"--ipc", {[DRIVER_VM] = "a guest kernel shares no memory with the host's programs"}},
	{"--uts", {[DRIVER_VM] = "a guest kernel has a host name of its own"}},
};

int driver_check_shared(const char *driver, const char *flag, const char *value, struct err *e)
{
	const struct driver *d;
	int r = driver_find(driver, &d, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		if (STREQ(shared[i].flag, flag) && shared[i].why[d->id])
			return err_unsupported(e, "%s %s is not supported by the %s driver: %s",
					       flag, value, d->name, shared[i].why[d->id]);
	return 0;
}
