/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of AML, ACPI's byte code, for the few terms that our DSDT needs. Packages (Scope, Device, …)
 * are opened and closed; their length is put in when they close. A buffer that is too small or nesting that
 * does not match is remembered and told once, by aml_finish().
 *
 * Source: ACPI 6.4, chapter 20 (AML grammar), 6.4 (resource descriptors).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AML_DEPTH_MAX 8

struct aml {
	uint8_t *data;
	size_t len, cap;
	size_t open[AML_DEPTH_MAX]; /* where each open package's content begins */
	unsigned depth;
	bool failed;
};

void aml_init(struct aml *a, void *buf, size_t cap);
/* Bytes written, or -ENOSPC. */
long aml_finish(const struct aml *a);

/* name: four characters, for a scope a path like "\\_SB_". */
void aml_open_scope(struct aml *a, const char *name);
void aml_open_device(struct aml *a, const char *name);
void aml_close(struct aml *a);

void aml_name_integer(struct aml *a, const char *name, uint64_t value);
void aml_name_string(struct aml *a, const char *name, const char *value);
/* A package of small integers, as the sleep states are. */
void aml_name_package(struct aml *a, const char *name, const uint8_t *values, unsigned n);
/* An EISA id like "PNP0501", as its 32-bit code. */
void aml_name_eisaid(struct aml *a, const char *name, const char *id);

/* _CRS: opened, filled with descriptors, closed. */
void aml_open_resources(struct aml *a);
void aml_resource_memory(struct aml *a, uint32_t start, uint32_t bytes);
void aml_resource_ports(struct aml *a, uint16_t start, uint8_t n);
void aml_resource_interrupt(struct aml *a, uint32_t gsi); /* edge, active high, exclusive */
void aml_close_resources(struct aml *a);
