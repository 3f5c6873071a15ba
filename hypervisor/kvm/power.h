/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI's reset, sleep control and sleep status registers: how a guest ends its machine.
 */
#pragma once

#include "bus.h"

enum power_event { POWER_OFF, POWER_RESTART };

struct power {
	void (*event)(void *arg, enum power_event event); /* from any vCPU's thread */
	void *arg;
};

struct bus_range power_range(struct power *p, uint64_t port);
