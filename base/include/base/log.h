/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warnings and debug lines of the library folders, which never print by themselves: they hand a
 * line to the sink that the program set up. An *error* is never logged here; it is returned.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* A place for lines to go to. fd -1 drops all. `json` is the engines' format
 * ({"level":"error","msg":"…","time":"RFC 3339"}), else "<level>: msg". */
struct log_sink {
	int fd;
	bool json;
	enum log_level level;
};

void log_to(const struct log_sink *sink, enum log_level level, const char *fmt, ...) _printf_(3, 4);

/* An error with its hint, in the sink's format. */
void log_error_value(const struct log_sink *sink, const struct err *error);
