/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock in an OCI document: the specification has no field for it, so it is an annotation, a text that is itself JSON:
 *
 *	{"read": ["/"], "write": ["/tmp"], "device": ["/dev"],
 *	 "scope": ["signal", "abstract-unix-socket"]}
 *
 * Members are optional; what no path allows is refused. It can only take away, so it is honoured in every document.
 * Internal to this folder.
 */
#pragma once

#include "base/json.h"
#include "runtime/oci.h"

#define ANNOTATION_LANDLOCK "org.insula.landlock"

/* NULL: there is none. */
int oci_read_landlock(const char *annotation, struct iso_landlock *ret, struct err *e);

struct run_build;

/* Set the annotation that fits the mounts, the root and the namespaces which the finished `document` has, unless the caller
 * gave one or asked for something that it would forbid. Only for the host's own system. */
int run_add_landlock(struct json *document, const struct run_build *b, struct err *e);
/* The same without asking: rootfd is the root file system. */
int run_set_landlock(struct json *document, int rootfd, struct err *e);
