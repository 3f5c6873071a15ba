/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to the registry that has it, and whom to trust there. Internal to this folder. */
#pragma once

#include "images/fetch.h"
#include "images/image.h"

/* "docker.io" of "docker.io/library/debian"; caller frees. The repository is what follows. */
int registry_host(const char *name, char **ret_host, const char **ret_repository, struct err *e);

/* host: as people write it ("docker.io"); repository "": the registry alone. Without credentials. */
int registry_fill(const char *host, const char *repository, const struct img_pull_params *how,
		  struct fetch_registry *ret, struct err *e);

/* A sealed file with the certificates of all authorities to trust for that registry. Returns the descriptor. */
int registry_certificates(const char *host, char *const *env, struct err *e);
