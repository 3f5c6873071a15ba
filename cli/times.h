/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people write them. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* "2026-01-31", "2026-01-31T12:00:00", with ".5", with "Z" or "+02:00" (without: UTC); "1767182400.5", seconds since 1970 (five digits or
 * more); "10m", "1h30m", that long before `now`. All in nanoseconds since 1970. `flag` is for the error. */
int time_parse(const char *text, int64_t now_unix_nsec, const char *flag, int64_t *ret,
	       struct err *e);
