/* SPDX-License-Identifier: Apache-2.0 */
/* The image of `insula run IMAGE`. Internal to cli/. */
#pragma once

#include "command.h"
#include "images/image.h"
#include "run_options.h"

/* Open what `word` names, unpacking what is not there yet; the store holds it until the context is done. */
int run_image_open(struct cli *cli, const struct run_opts *o, const char *word,
		   struct img_image *ret, struct err *e);
