/* SPDX-License-Identifier: Apache-2.0 */
/* What insula pull and insula run are told about pulling. Internal to cli/. */
#pragma once

#include <stdbool.h>

#include "images/image.h"

/* Strings are borrowed from argv. */
struct pull_opts {
	const char *platform, *timeout, *authfile;
	bool tls_verify; /* true unless it was said otherwise */
};
int pull_opts_take(const struct pull_opts *o, struct img_pull_params *ret, struct err *e);
