/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables of our machine: hardware-reduced (no PIC, PIT, RTC, i8042), so that a kernel does not
 * look for what is not there; reset and sleep registers, processors, and the devices of the DSDT.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "guest_memory.h"

struct acpi_virtio {
	uint32_t at, bytes, gsi;
};

struct acpi_config {
	unsigned vcpus;
	const struct acpi_virtio *virtio;
	unsigned n_virtio;
};

/* Write them to their place in guest memory (layout.h). */
int acpi_write(const struct guest_memory *m, const struct acpi_config *c, struct err *e);
