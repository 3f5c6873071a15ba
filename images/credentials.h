/* SPDX-License-Identifier: Apache-2.0 */
/* What to show to a registry. Internal to this folder. */
#pragma once

#include "base/json.h"
#include "images/fetch.h"
#include "images/image.h"

/* Fill user and password of ret when there are some for that registry (as people write it) or repository. */
int credentials_find(const char *host, const char *repository, const struct img_pull_params *how,
		     struct fetch_registry *ret, struct err *e);

/* The helper that a file names for a registry, or NULL. Borrowed from top. */
const char *credential_helper_of(const struct json_at *top, const char *host);
