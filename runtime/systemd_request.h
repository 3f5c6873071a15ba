/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the runtime and insula-systemd, the one program that speaks to systemd. The program is started for one scope and one
 * verb, gets the request as a JSON document and answers over a channel (base/sync.h):
 *
 *	runtime                              insula-systemd
 *	start ---------------------------->  makes the scope around a placeholder, a child of its own that only waits
 *	                                     SYNC_HOST_READY, value: the placeholder
 *	(limits of cgroupfs, host process)
 *	[SYNC_PID from a process that wants into the scope and may not go by itself; SYNC_READY: it is in]
 *	SYNC_COMMIT ---------------------->  the placeholder goes; properties that would have hurt it
 *	                                     SYNC_STARTED, and ends
 *
 *	attach: SYNC_HOST_READY, then as in brackets, and ends
 *	set, stop: SYNC_STARTED when done, and ends
 *
 * Any failure is SYNC_ERROR and the end. When the runtime goes, so do the program and the placeholder; systemd then
 * removes the empty scope. Internal to this folder.
 */
#pragma once

#include <stdbool.h>

#include "base/json.h"

#define SYSTEMD_PROGRAM "insula-systemd"

enum systemd_fd { SYSTEMD_FD_SYNC = 3, SYSTEMD_FD_REQUEST = 4 };

struct systemd_request {
	char *verb; /* "start", "attach", "set", "stop" */
	bool user;  /* the caller's own manager, not the system's */
	char *unit, *slice;
	char *description;              /* whose scope it is: one with another is never touched */
	struct json *properties, *late; /* systemd_unit.h; late: once the placeholder is gone */
};

int systemd_request_read(struct json *document, struct systemd_request *ret, struct err *e);
void systemd_request_done(struct systemd_request *r);

/* The work of the program, up to its end: systemd_bus.c. */
int systemd_serve(const struct systemd_request *r, int sync_fd, struct err *e);
