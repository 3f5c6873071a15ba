/* SPDX-License-Identifier: Apache-2.0 */
/* NOTIFY_SOCKET: the parts of sd_notify.c that a creation needs, and the filter. Internal to this folder. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "creation.h"

/* A datagram as a service manager takes it, at most; longer ones of a container are dropped. */
#define SD_NOTIFY_MAX 4096

/* What of a container's datagram is handed on, NUL-terminated, in out (SD_NOTIFY_MAX + 64 bytes): the fields of the table,
 * one per line, with values that are what the field takes. With main_pid > 0 a READY=1 gets MAINPID in front. Returns
 * the length; 0: nothing. */
size_t sd_notify_filter(const char *data, size_t len, pid_t main_pid, char *out, bool *ret_ready);

/* In a creation: the variable and the mount of the socket's directory, into the configuration as it is run (the saved document
 * stays as it came); then the directory, once that of the state exists. */
int sd_notify_plan(struct creation *c, struct err *e);
int sd_notify_make_directory(struct sandbox *s, struct err *e);
