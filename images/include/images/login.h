/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials for registries: kept where podman, skopeo, buildah and docker keep them, so that one login serves all.
 *
 * Spec: containers-auth.json(5); docker's config.json and credential helpers.
 */
#pragma once

#include "images/image.h"

/* `registry`: HOST[:PORT], or HOST[:PORT]/PATH for credentials of a part of it; NULL: docker.io. The credentials are shown to the
 * registry first, and only what it takes is kept: in how->authfile, REGISTRY_AUTH_FILE, or the session's auth.json (mode
 * 0600, replaced whole), or with the helper that this file names. ERR_INVALID with EACCES: it does not take them. */
int img_login(struct img_store *s, const char *registry, const char *user, const char *password,
	      const struct img_pull_params *how, struct err *e);

/* Forget them again. ERR_NOT_FOUND: there are none in that file; the hint names another file that has some. */
int img_logout(const char *registry, const struct img_pull_params *how, struct err *e);
/* All that the file has; helpers are left alone. */
int img_logout_all(const struct img_pull_params *how, struct err *e);

/* Whose credentials would be used. ERR_NOT_FOUND. Caller frees. */
int img_login_user(const char *registry, const struct img_pull_params *how, char **ret,
		   struct err *e);

/* The name of it as it is kept ("docker.io" of NULL and of "https://index.docker.io/v1/"). Caller frees. */
int img_login_name(const char *registry, char **ret, struct err *e);
