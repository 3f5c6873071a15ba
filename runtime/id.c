/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fresh ids.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "runtime/runtime.h"

void rt_new_id(char ret[13])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[6];
	size_t got = 0;

	/* Requests up to 256 bytes are never cut short once the pool is ready; before that only a
	 * signal can interrupt. */
	while (got < sizeof(bytes)) {
		ssize_t n = getrandom(bytes + got, sizeof(bytes) - got, 0);

		if (n > 0) {
			got += (size_t)n;
		} else if (n < 0 && errno != EINTR) {
			/* An outer filter may forbid it. The id only has to be new, not secret: a
			 * taken one is refused when the directory is made. */
			struct timespec t;
			uint64_t v;

			clock_gettime(CLOCK_REALTIME, &t);
			v = ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec) ^
			    ((uint64_t)getpid() << 32);
			memcpy(bytes, &v, sizeof(bytes));
			break;
		}
	}
	for (size_t i = 0; i < sizeof(bytes); i++) {
		ret[2 * i] = digits[bytes[i] >> 4];
		ret[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret[12] = '\0';
}
