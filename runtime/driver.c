/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing a driver: the only place that turns a name into one.
 */
#include <string.h>

#include "base/cleanup.h"
#include "runtime/driver.h"

static const struct driver *const drivers[DRIVER_COUNT] = {
	[DRIVER_CONTAINER] = &driver_container,
	[DRIVER_VM] = &driver_vm,
};

const char *driver_name_of(enum driver_id id)
{
	return (unsigned)id < DRIVER_COUNT ? drivers[id]->name : NULL;
}

int driver_find(const char *name, const struct driver **ret, struct err *e)
{
	if (!name || !*name) {
		*ret = drivers[DRIVER_CONTAINER];
		return 0;
	}
	for (size_t i = 0; i < DRIVER_COUNT; i++) {
		if (!STREQ(drivers[i]->name, name))
			continue;
		*ret = drivers[i];
		return 0;
	}
	return err_invalid(e, "unknown kind of isolation '%s' (there are '%s' and '%s')", name,
			   driver_name_of(DRIVER_CONTAINER), driver_name_of(DRIVER_VM));
}
