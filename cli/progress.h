/* SPDX-License-Identifier: Apache-2.0 */
/* What takes time, shown on a terminal: a line per layer. Nothing elsewhere. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "images/image.h"

struct progress {
	struct img_progress calls; /* what the store is given; calls.layer NULL: quiet */
	char shown[16];            /* the layer of the current line */
	int64_t last_msec;
	bool open; /* a line without its end */
};

/* calls.arg points to p: it must not move. */
void progress_init(struct progress *p, bool quiet);
/* End the line that is being written. */
void progress_done(struct progress *p);
