/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that keep credentials: docker-credential-NAME. Internal to this folder. */
#pragma once

#include "images/fetch.h"

/* Run "docker-credential-NAME get", found by PATH of env, without a shell. -ENOENT without an error text: it knows none. */
int credential_helper_get(const char *name, const char *host, char *const *env,
			  struct fetch_registry *ret, struct err *e);

/* The same for "store" and "erase". What is told to it is never in its words. */
int credential_helper_store(const char *name, const char *host, const char *user,
			    const char *password, char *const *env, struct err *e);
int credential_helper_erase(const char *name, const char *host, char *const *env, struct err *e);
