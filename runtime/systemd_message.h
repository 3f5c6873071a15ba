/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties in a message of sd-bus. Only insula-systemd has this in it. Internal to this folder.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/json.h"

/* Append one (sv) for a property of systemd_unit.h's form. */
int systemd_append_property(sd_bus_message *m, const struct json_at *property, struct err *e);
/* All of an array; NULL is none. Opens no container itself. */
int systemd_append_properties(sd_bus_message *m, const struct json *properties, struct err *e);
