/* SPDX-License-Identifier: Apache-2.0 */
/* Where credentials lie. Internal to this folder. */
#pragma once

#include "base/err.h"

#define CREDENTIAL_FILE_MAX (1u << 20)

/* Paths, the first to be looked into first; the first is also the one that `insula login` writes. authfile (or
 * NULL) and REGISTRY_AUTH_FILE stand alone. strv, caller frees. */
int credential_files(const char *authfile, char *const *env, char ***ret, struct err *e);

/* "docker.io" of "https://index.docker.io/v1/", and so on; caller frees; NULL when out of memory. */
char *credential_key(const char *text);
