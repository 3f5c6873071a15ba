/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula run IMAGE: from the word to an image that is ready.
 */
#include "run_image.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "progress.h"

int run_image_open(struct cli *cli, const struct run_opts *o, const char *word,
		   struct img_image *ret, struct err *e)
{
	struct img_reference reference = {0};
	struct img_store *store = NULL;
	struct progress progress;
	int r = img_reference_parse(word, &reference, e);

	if (r == 0)
		r = rt_images(&cli->ctx, &store, e);
	if (r == 0) {
		progress_init(&progress, o->quiet);
		r = img_image_open(store, &reference, &progress.calls, ret, e);
		progress_done(&progress);
	}
	img_reference_done(&reference);
	return r;
}
