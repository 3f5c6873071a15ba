/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host says about registries: registries.conf of the containers tools. Internal to this folder.
 * Spec: containers-registries.conf(5), version 2; containers-registries.conf.d(5).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "images/image.h"

enum mirror_use {
	MIRROR_ALL,
	MIRROR_DIGEST_ONLY,
	MIRROR_TAG_ONLY,
};

struct registry_mirror {
	char *location;
	bool insecure;
	enum mirror_use use;
};

struct registry_rule {
	char *prefix, *location; /* location "": names are left as they are */
	bool blocked, insecure, mirrors_by_digest;
	struct registry_mirror *mirrors;
	size_t n_mirrors;
};

enum short_names {
	SHORT_ENFORCING, /* one that could be in several registries is refused */
	SHORT_PERMISSIVE,
};

struct registries {
	char **search; /* strv; for names without a host */
	bool has_search;
	enum short_names short_names;
	char **aliases; /* strv "NAME=FULL NAME" */
	struct registry_rule *rules;
	size_t n_rules;
};

/* The user's file, or the host's, and what lies in their registries.conf.d. No file says nothing. */
int registries_load(char *const *env, struct registries *ret, struct err *e);
void registries_done(struct registries *c);

/* The same for one text, on top of what c has. */
int registries_add(struct registries *c, const char *text, size_t len, struct err *e);

/* One place to ask for a name. */
struct registry_place {
	char *host, *repository;
	bool insecure;
};
/* The places of a full name ("docker.io/library/debian"), mirrors first. by_digest: it is asked for by digest. ERR_INVALID with
 * EACCES: blocked. mirrors false: only the registry itself. */
int registries_places(const struct registries *c, const struct img_reference *r, bool mirrors,
		      struct registry_place **ret, size_t *ret_n, struct err *e);
void registries_places_free(struct registry_place *v, size_t n);

/* For a login: HOST[:PORT][/PATH]. Blocked, or *ret_insecure. */
int registries_host(const struct registries *c, const char *text, bool *ret_insecure,
		    struct err *e);

/* Full names that a name without a host may mean, best first (strv). */
int registries_candidates(const struct registries *c, const struct img_reference *r, char ***ret,
			  struct err *e);
