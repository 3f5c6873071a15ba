/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd's manager over D-Bus. Only insula-systemd has this in it. Internal to this folder.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "systemd_request.h"

/* The bus of the system's or the user's manager; where there is no bus, the manager's own socket. */
int systemd_bus_open(bool user, sd_bus **ret, struct err *e);

/* Make the scope with process `pid` in it, and wait until it is there. A failed one of that name is cleared away first. */
int systemd_bus_start(sd_bus *bus, const struct systemd_request *r, pid_t pid, struct err *e);
/* Move a process into the scope. */
int systemd_bus_attach(sd_bus *bus, const struct systemd_request *r, pid_t pid, struct err *e);
int systemd_bus_set(sd_bus *bus, const struct systemd_request *r, const struct json *properties,
		    struct err *e);
/* Stop the scope if it is ours, and wait until it is gone. A missing one is success. */
int systemd_bus_stop(sd_bus *bus, const struct systemd_request *r, struct err *e);
