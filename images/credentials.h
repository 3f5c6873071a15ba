/* SPDX-License-Identifier: Apache-2.0 */
/* What to show to a registry. Internal to this folder. */
#pragma once

#include "images/fetch.h"

/* Fill user and password of ret when there are some for that registry (as people write it) or repository. */
int credentials_find(const char *host, const char *repository, char *const *env,
		     struct fetch_registry *ret, struct err *e);
