/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FADT (acpi.c) tells the guest which value resets, the DSDT's \_S5 which sleep type is "off". Any other
 * value written is no order of ours and is dropped.
 *
 * Source: ACPI 6.4, 4.8.3.6 and 4.8.3.7.
 */
#include "power.h"

#include <string.h>

#include "layout.h"

#define SLEEP_ENABLE     0x20u
#define SLEEP_TYPE_SHIFT 2u
#define SLEEP_TYPE_MASK  7u

static void power_read(void *self, uint64_t offset, void *data, unsigned len)
{
	(void)self;
	(void)offset;
	memset(data, 0, len); /* the status never says "woken up" */
}

static void power_write(void *self, uint64_t offset, const void *data, unsigned len)
{
	struct power *p = self;
	const uint8_t *value = data;

	if (len != 1)
		return;
	if (offset == POWER_RESET && *value == POWER_RESET_VALUE)
		p->event(p->arg, POWER_RESTART);
	if (offset == POWER_SLEEP && (*value & SLEEP_ENABLE) &&
	    (*value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK) == ACPI_SLEEP_TYPE_S5)
		p->event(p->arg, POWER_OFF);
}

struct bus_range power_range(struct power *p, uint64_t port)
{
	static const struct bus_ops ops = {power_read, power_write};

	return (struct bus_range){.start = port, .bytes = POWER_PORTS, .ops = &ops, .self = p};
}
