/* SPDX-License-Identifier: Apache-2.0 */
/* A registry as insula-fetch is told of it, and whom to trust there. Internal to this folder. */
#pragma once

#include "images/fetch.h"
#include "images/image.h"
#include "registries.h"

/* What insula-fetch is told of a place; its host is as people write it ("docker.io"), its repository "" for the registry alone.
 * Without credentials. */
int registry_fill(const struct registry_place *place, const struct img_pull_params *how,
		  struct fetch_registry *ret, struct err *e);

/* A sealed file with the certificates of all authorities to trust for that registry. Returns the descriptor. */
int registry_certificates(const char *host, char *const *env, struct err *e);
